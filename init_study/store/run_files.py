"""The names of the files and folders of a run, a race and an examination."""

MANIFEST = "manifest.json"
# Of a run: what grows as it goes, and what is measured at its two ends.
RECORDS, LAYERS, FILTERS = "records.jsonl", "layers.jsonl", "filters.jsonl"
# Before the first step, where asked for.
SPECTRA, PREDICTIONS = "spectra.jsonl", "predictions.jsonl"
# Along the way, where the study has instruments.
READINGS = "readings.jsonl"
CHECKPOINTS = "checkpoints"
# Of a race: what was planned, and what was decided.
RACE, DECISION = "race.json", "decision.json"
# Of an examination of claims: what was planned, what was checked, what came of it.
RULES, CHECKS, LEDGER = "rules.json", "checks.json", "claims.json"
# Of a run with fresh seeds: the folder of their runs, one of each program.
FRESH = "fresh"
# Of a run whose members do not fit at once: the folder of its waves, each of a few
# seeds of a program.
WAVES = "waves"
LOCK = ".lock"
