"""Instruments: pure functions that measure a network at its start and along the way."""
