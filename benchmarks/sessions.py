"""What runs have noted of their own time."""

from pathlib import Path

from init_study.store import WAVES, read_manifest


def training_seconds(workdir: Path) -> list[float]:
    """Read the seconds that each wave of a run spent on steps, what is compiled apart.

    Args:
        workdir: of the run.

    Returns: one figure of a run without waves.
    """
    waves = sorted((workdir / WAVES).glob("*")) or [workdir]
    return [
        sum(session["spent"]["training"] for session in read_manifest(own)["sessions"])
        for own in waves
    ]
