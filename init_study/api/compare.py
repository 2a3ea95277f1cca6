"""Training a module from every scheme, and comparing the schemes."""

import functools
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from init_study.api.arguments import (
    DEFAULT_SCHEMES,
    RaceRules,
    RunOptions,
    make_rules,
    make_study,
    split_options,
)
from init_study.api.result import Result
from init_study.control import Control
from init_study.engine.devices import compiled_folder, idle_cores, prepare_jax
from init_study.engine.progress_lines import ProgressLines
from init_study.execution import parse_execution
from init_study.fresh_seeds import run_with_fresh_seeds
from init_study.interrupts import noted_signals
from init_study.plan import Given, Plan, make_plan
from init_study.race import check_rules, race
from init_study.store import load, read_manifest
from init_study.study import Study

_COMMAND = "init_study.compare(...)"


def compare(
    module: Any,
    data: Any,
    *,
    schemes: Any = DEFAULT_SCHEMES,
    learning_rates: Any = None,
    test: Any = None,
    until: str | None = None,
    budget: float | str | None = None,
    margin: float | None = None,
    looks: Sequence[int] | None = None,
    order: str | None = None,
    workdir: str | os.PathLike[str] | None = None,
    train_argument: str | None = None,
    **fields: Any,
) -> Result:
    """Train a module from every scheme, learning rate and seed, and compare.

    What `launch.py run` does, without flags.

    Args:
        module: of any framework, or what makes one; or a name, as `"cnn"`.
        data: `(images, labels)`, or a name, e.g. `"digits"`.
        schemes: names, initializers and `Scheme`s, in a list, or a dict by the name
            that each shall have.
        learning_rates: every scheme gets every one; by default four usual ones.
        test: of the test part; by default it is cut from the data.
        until: `"decided"` to screen, then spend fresh seeds until there is a verdict.
        budget: of that, seconds or text as `"20m"`.
        margin: of that, points of accuracy below which a difference does not matter.
        looks: of that, numbers of fresh seeds to look at, as `(5, 10, 20)`.
        order: of that, `"first"` to decide a program before the next; else in turns.
        workdir: of records and page; the same call with it goes on where it stopped. By
            default a temporary folder, which goes with the result.
        train_argument: of the module; see `initialize`.
        **fields: of `Study`, as `seeds` and `steps`, and of `RunOptions`, `data_dir`.

    Raises: UserError for what cannot run; KeyboardInterrupt once all is saved.

    Example:
        >>> import flax.linen as nn, numpy as np
        >>> images = np.random.default_rng(0).normal(size=(60, 4, 4, 1))
        >>> labels = (images.mean((1, 2, 3)) > 0).astype(int)
        >>> net = nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(2)])
        >>> found = compare(net, (images, labels), seeds=2, steps=4, batch_size=8)
        >>> found.verdict.num_seeds
        2
    """
    options, fields = split_options(fields)
    rules = make_rules(until, budget, margin, looks, fields, order)
    study, given = make_study(
        module, data, schemes, learning_rates, test, train_argument, fields
    )
    plan_of = functools.cache(lambda part: _plan(part, given, options))
    prepare_jax(compiled_folder(None))
    _say_idle_cores()
    _check(study, plan_of, rules)
    folder = Path(workdir or tempfile.mkdtemp(prefix="init_study-")).resolve()
    _train(study, folder, plan_of, rules, options)
    return Result(folder, study, plan_of, temporary=workdir is None)


def _check(
    study: Study, plan_of: Callable[[Study], Plan], rules: RaceRules | None
) -> None:
    """Refuse what cannot run before there is a folder."""
    plan_of(study)
    if rules is not None:
        check_rules(study, rules.protocol, rules.margin)


def _say_idle_cores() -> None:
    """Say what a notebook that has computed something with JAX before loses by it."""
    if idle := idle_cores():
        print(
            f"JAX began before with fewer devices than cores, so {idle} of these stay "
            "idle; restart and call compare first, or set JAX_NUM_CPU_DEVICES",
            file=sys.stderr,
        )


def _plan(study: Study, given: Given, options: RunOptions) -> Plan:
    text = options.execution
    execution = None if text is None else parse_execution(text)
    return make_plan(study, options.data_dir, execution, given)


def _train(
    study: Study,
    folder: Path,
    plan_of: Callable[[Study], Plan],
    rules: RaceRules | None,
    options: RunOptions,
) -> None:
    with noted_signals(ends=False) as received:
        control = Control(
            checkpoint_every=options.checkpoint_every,
            stop_requested=lambda: bool(received),
            given_execution=options.execution is not None,
            spectra=options.spectra,
            accept_drift=options.accept_drift,
        )

        def train(part: Study, place: Path, stage: str) -> bool:
            with ProgressLines(stage) as lines:
                watched = control._replace(watch=lines)
                return run_with_fresh_seeds(
                    plan_of(part), place, _COMMAND, watched
                ).finished

        train_or_race(study, folder, plan_of, train, rules)
    if received:
        raise KeyboardInterrupt(
            f"stopped and saved; go on with the same call and workdir={str(folder)!r}"
        )


def train_or_race(
    study: Study,
    workdir: Path,
    plan_of: Callable[[Study], Plan],
    train: Callable[[Study, Path, str], bool],
    rules: RaceRules | None,
) -> bool:
    """Train a study as it is, or race it until it is decided.

    Args:
        study: what to compare.
        workdir: of the run or the race.
        plan_of: resolves a study; raises for what cannot run.
        train: (study, folder, what it is for) -> whether it came to its end.
        rules: of the race; None for a plain run.

    Returns: whether it was not stopped.
    """
    if rules is None:
        return train(study, workdir, "")
    # A wrong name is found before anything is written.
    plan_of(study)
    labels = {program.id: study.label(program) for program in study.programs()}
    stopped: list[Path] = []

    def stage(part: Study, folder: Path) -> tuple[Any, Any] | None:
        if not train(part, folder, f"{labels[folder.parent.name]} {folder.name}"):
            stopped.append(folder)
            return None
        return load(folder), read_manifest(folder)

    race(study, workdir, stage, *rules)
    return not stopped
