"""Faults of every kind, done to small studies on purpose: a program and its rows."""
