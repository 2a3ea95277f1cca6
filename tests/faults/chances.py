"""R20 and R21: how often statements are wrong, and what seeds are."""

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from faults.room import FAILED, PASSED, WRONG, Room, Trial

_STUDIES_OF_ONE = 50
_LIMIT = 36_000.0


def statement_trials(
    room: Room, numbers: Sequence[int], seed: int
) -> Iterator[tuple[int, Trial]]:
    """Simulate as many studies under each law as there are numbers.

    A trial is a kind of statement under a law; it passes if it is wrong no more often
    than promised, within three standard errors. `numbers` of one only is a law's.
    """
    from init_study.answers.simulated_runs import simulated_laws

    laws, alone = range(len(simulated_laws())), len(numbers) == 1 and numbers[0] > 0
    studies = _STUDIES_OF_ONE if alone else len(numbers)
    for law in [numbers[0]] if alone else laws:
        yield from ((law, trial) for trial in _of_law(room, law, studies, seed))


def _of_law(room: Room, law: int, studies: int, seed: int) -> Iterator[Trial]:
    def work() -> None:
        from init_study.answers.simulation import error_rates, simulated_laws

        before = str(np.random.get_state())
        laws = simulated_laws()[law : law + 1]
        rows = [row._asdict() for row in error_rates(laws, studies, seed)]
        again = [row._asdict() for row in error_rates(laws, 2, seed)]
        twice = [row._asdict() for row in error_rates(laws, 2, seed)]
        untouched = before == str(np.random.get_state())
        print(json.dumps([rows, again == twice, untouched]))

    ended = room.fork(work, room.new()).wait(_LIMIT)
    if ended.code:
        yield Trial(FAILED, ended.seen)
        return
    rows, repeats, untouched = json.loads(ended.out)
    if not (repeats and untouched):
        yield Trial(WRONG, f"law {law}: repeats: {repeats}, RNG: {untouched}")
    for row in rows:
        limit = row["limit"]
        most = limit + 3 * np.sqrt(limit * (1 - limit) / row["n"])
        said = f"{row['law']}, {row['protocol']}, {row['error']}: {row['rate']}"
        fine = np.isfinite(row["rate"]) and row["rate"] <= most
        yield Trial(
            PASSED if fine else WRONG, f"{said}, of {row['n']}, most {most:.3f}"
        )


def seed_trial(room: Room, rng: random.Random, number: int) -> Trial:
    """Draw populations: seed 0 is a seed, members and layers differ, schemes pair."""
    some = tuple(rng.sample(range(2**31 - 1), 3))
    seeds = ((0,), (1,), (0, 1), (0, 1, 2), some)[number % 5]
    model = ("cnn", "resnet", "vgg_stages")[number // 5 % 3]
    ended = room.fork(lambda: _audit(seeds, model), room.new()).wait()
    if ended.code:
        return Trial(FAILED, f"{seeds}: {ended.seen}")
    wrong = json.loads(ended.out.splitlines()[-1])
    return Trial(WRONG if wrong else PASSED, f"{model}, seeds {seeds}: {wrong}")


def _audit(seeds: tuple[int, ...], model: str) -> None:
    from init_study.engine.devices import prepare_jax
    from init_study.engine.orders import first_rows
    from init_study.engine.population import initial_population
    from init_study.plan import make_plan
    from init_study.study import Study

    prepare_jax(Path("compiled"))
    fields = {
        "schemes": ("he_normal", "glorot_normal"),
        "learning_rates": (0.1, 0.2),
        "seeds": seeds,
        "model": model,
        **({"depth": 3, "width": 4} if model == "cnn" else {}),
        **{"batch_size": 4, "steps": 2, "evaluations": 1},
    }
    study = Study.from_dict(fields)
    plan = make_plan(study)
    (program,) = plan.programs
    state = initial_population(
        program, plan.schemes, plan.members, first_rows(program, study.seeds)
    )
    print(json.dumps(wrong_draws(state.params, plan.members)))


def wrong_draws(params: Any, members: Sequence[Any]) -> list[str]:
    """What is wrong with the parameters of a population, `[members, ...]` each."""
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(params)
    kernels = {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in leaves
        if "kernel" in jax.tree_util.keystr(path)
    }
    wrong = []
    for name, kernel in kernels.items():
        if (
            not np.isfinite(kernel).all()
            or not np.ptp(kernel.reshape(len(kernel), -1), 1).all()
        ):
            wrong.append(f"{name} is no draw")
        for i, one in enumerate(members):
            for j, other in enumerate(members[:i]):
                same = np.array_equal(kernel[i], kernel[j])
                alike = (one.scheme, one.seed) == (other.scheme, other.seed)
                if same != alike:
                    wrong.append(f"{name}: {one.name} and {other.name}")
                elif one.seed == other.seed and not _is_multiple(kernel[i], kernel[j]):
                    wrong.append(f"{name}: {one.name} and {other.name} are not paired")
    names = list(kernels)
    for i, name in enumerate(names):
        for other in names[:i]:
            a, b = kernels[name][0].ravel(), kernels[other][0].ravel()
            n = min(len(a), len(b))
            if n > 3 and _is_multiple(a[:n], b[:n]):
                wrong.append(f"{name} and {other} share their draws")
    return wrong


def _is_multiple(one: np.ndarray, other: np.ndarray) -> bool:
    ratio = one / other
    return bool(np.allclose(ratio, ratio.flat[0], rtol=1e-4))
