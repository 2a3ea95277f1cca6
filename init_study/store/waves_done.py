"""How far the waves of a program are whose records are not put together yet."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from init_study.store.records import last_steps, wave_runs_in
from init_study.store.workdir import read_manifest, read_study
from init_study.study import Program


class WavesDone(NamedTuple):
    """How far the waves of a program are.

    Attributes:
        done: waves that have reached the last step.
        of: how many there are.
        seeds: of the study, that have reached it in every scheme.
        step: of the program, the mean of all its waves'.
    """

    done: int
    of: int
    seeds: int
    step: int


# Of programs, by id.
Waves = Mapping[str, WavesDone]
NO_WAVES: Waves = MappingProxyType({})


def waves_done(workdir: Path) -> Waves:
    """Find how far programs in waves are, by id.

    A program whose waves are put together, or of which none has begun, is not there.

    Args:
        workdir: of a run.

    Raises: UserError for lines of a wave that are not as they were written.

    Example:
        >>> from init_study import Study, store
        >>> study = Study(schemes="zeros", learning_rates=0.1)
        >>> store.open_workdir(Path("run"), study)
        >>> store.write_manifest(Path("run"), {"study": study.to_dict()})
        >>> waves_done(Path("run"))
        {}
    """
    study, steps = read_study(workdir), last_steps(workdir)
    manifest = read_manifest(workdir)
    found = {}
    for program in study.programs():
        begun = wave_runs_in(workdir, program.id)
        if begun and steps.get(program.id) != program.steps:
            there = manifest.get("programs", {}).get(program.id, {})
            waves = there.get("waves", 1)
            found[program.id] = _waves_done(program, begun, waves, len(study.schemes))
    return found


def _waves_done(
    program: Program, begun: list[Path], waves: int, schemes: int
) -> WavesDone:
    steps = [last_steps(folder).get(program.id, 0) for folder in begun]
    done = [f for f, step in zip(begun, steps, strict=True) if step == program.steps]
    found: dict[int, int] = {}
    for part in map(read_study, done):
        for seed in part.seeds:
            found[seed] = found.get(seed, 0) + len(part.schemes)
    whole = sum(count == schemes for count in found.values())
    return WavesDone(len(done), waves, whole, sum(steps) // waves)
