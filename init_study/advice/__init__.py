"""Advice before training: which scheme to try first, and how good such advice is."""
