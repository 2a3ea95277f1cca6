"""Comparisons seen from one side each: targets, failures, rates, seeds, programs."""
