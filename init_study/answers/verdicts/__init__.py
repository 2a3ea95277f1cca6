"""From the outcomes of schemes to a verdict: screen, choose, confirm, decide."""
