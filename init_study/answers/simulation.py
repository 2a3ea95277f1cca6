"""How often the verdicts are wrong, by studies whose truth is known.

python -m init_study.answers.simulation [--json=FILE] [--studies=300]

Simulates whole studies of both kinds, by laws under which runs fail, start late, are
skewed or tie (`simulated_runs`). A race: screening, choice of rates, and confirmation
at planned looks. A plain run: three rates on five seeds, and the set of the best from
the runs that chose the rates, or from 15 fresh seeds. Beside them stands what is
commonly done: the scheme of the best mean of three seeds is said to beat whatever an
unpaired t test tells from it.

The file is a list of rows: `law`, `protocol` (page or race), `error`, `rate`, `limit`,
`n` (studies), and `naive`, the rate of the same error in common practice.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import special

from init_study import store
from init_study.answers.choosing import judged_runs, ranking
from init_study.answers.outcomes import Outcomes
from init_study.answers.simulated_runs import CHANCE, Law, simulated_laws
from init_study.answers.verdicts.contrasts import Kind
from init_study.answers.verdicts.decision import Decision
from init_study.answers.verdicts.protocol import Protocol, confirm
from init_study.answers.verdicts.selection import Selection, select

_MARGIN = 0.01
_TEST = 2000
_BAD_RATE = 0.2
# Between validation and test accuracy of one network.
_PARTS = 0.005
LIMIT = 0.05
_RACE = ("any false statement", "failures above what is not excluded")
_PAGE = ("falsely behind", "falsely the best")
_FRESH = tuple(f"{error}, by fresh seeds" for error in _PAGE)


class ErrorRate(NamedTuple):
    """How often a statement is wrong under a law.

    Attributes:
        law: how the runs fall.
        protocol: race or page.
        error: what was wrong.
        rate: share of simulated studies.
        limit: that it is to be below, within its error.
        n: simulated studies.
        naive: the rate at which common practice says something false.
    """

    law: str
    protocol: str
    error: str
    rate: float
    limit: float
    n: int
    naive: float


def race_errors(law: Law, rng: np.random.Generator, schemes: int = 4) -> set[str]:
    """Simulate one race, and name what it says that is false.

    Example:
        >>> law = simulated_laws()[0]
        >>> race_errors(law, np.random.default_rng(0)) <= set(_RACE)
        True
    """
    screened = law.draw(rng, schemes, 3)
    candidate = str(int(screened.mean(1).argmax()))
    protocol = Protocol(margin=_MARGIN)
    fresh = law.draw(rng, schemes, protocol.looks[-1])

    def draw(racing: tuple[str, ...], before: int, look: int) -> dict[str, Any]:
        return {name: fresh[int(name), before:look] for name in racing}

    names = [str(i) for i in range(schemes)]
    # No verdict rests on the sign flips, and counting them takes most of the time.
    looks = confirm(names, candidate, protocol, draw, False, CHANCE, _TEST)
    *_, (decision, _) = looks
    wrong = set()
    if any(_is_false(law, decision, c.scheme, c.kind) for c in decision.contrasts):
        wrong.add(_RACE[0])
    if _failing(law, decision.candidate) > decision.failed.high:
        wrong.add(_RACE[1])
    return wrong


def page_errors(
    law: Law,
    rng: np.random.Generator,
    schemes: int = 6,
    seeds: int = 5,
    rates: int = 3,
) -> set[str]:
    """Simulate one plain run, and name what its page says that is false.

    Example:
        >>> law = simulated_laws()[0]
        >>> page_errors(law, np.random.default_rng(0)) <= set(_PAGE)
        True
    """
    runs = np.stack([law.draw(rng, schemes, seeds) for _ in range(rates)], 1)
    own, others = law.good_rates
    runs[0, own:] -= _BAD_RATE
    runs[1:, others:] -= _BAD_RATE
    # Of one network the two parts of the data say nearly the same.
    validation = runs + _PARTS * rng.standard_normal(runs.shape)
    outcomes = Outcomes(validation, runs, np.zeros(runs.shape, bool))
    order = ranking(outcomes)
    both = {str(i): judged_runs(outcomes, i, CHANCE) for i in order}
    chosen, judged = ({name: r[k] for name, r in both.items()} for k in (0, 1))
    return _false_words(law, select(judged, CHANCE, _TEST, chosen), _PAGE)


def fresh_errors(
    law: Law, rng: np.random.Generator, schemes: int = 6, seeds: int = 15
) -> set[str]:
    """Simulate the fresh seeds of a plain run, and name what is said that is false.

    Each scheme is at a rate that other runs chose, and ranks by those.

    Example:
        >>> law = simulated_laws()[0]
        >>> fresh_errors(law, np.random.default_rng(0)) <= set(_FRESH)
        True
    """
    order = np.argsort(-law.draw(rng, schemes, 3).mean(1))
    fresh = law.draw(rng, schemes, seeds)
    found = select({str(i): fresh[i] for i in order}, CHANCE, _TEST)
    return _false_words(law, found, _FRESH)


def _false_words(law: Law, found: Selection, errors: tuple[str, ...]) -> set[str]:
    """Name what a selection says that is false: of those behind, and of the best."""
    wrong = set()
    for standing in found.standings:
        if any(not _is_better(law, o, standing.scheme) for o in standing.behind):
            wrong.add(errors[0])
    names = [s.scheme for s in found.standings]
    for whole in (True, False):
        best = [n for n in names if found.is_best(n, over_all_runs=whole)]
        for first, rival in ((b, n) for b in best for n in names if b != n):
            true = _is_better(law, first, rival, whole)
            wrong |= set() if true else {errors[1]}
    return wrong


def naive_errs(law: Law, rng: np.random.Generator, schemes: int = 4) -> bool:
    """Simulate common practice, and tell whether it says something false.

    The best mean of three seeds is said to beat every scheme that an unpaired t test
    tells from it at 5 %, in the mean.

    Example:
        >>> naive_errs(simulated_laws()[0], np.random.default_rng(0)) in (True, False)
        True
    """
    runs = law.draw(rng, schemes, 3)
    means, spreads = runs.mean(1), runs.var(1, ddof=1)
    first = int(means.argmax())
    for other in range(schemes):
        error = np.sqrt((spreads[first] + spreads[other]) / 3)
        apart = means[first] - means[other]
        if apart > 0 and 2 * special.stdtr(4, -apart / max(error, 1e-9)) < 0.05:
            truth = _side(str(first), str(other))
            if truth * law.mean <= 0:
                return True
    return False


def error_rates(
    laws: Iterable[Law], studies: int, seed: int = 0
) -> Iterator[ErrorRate]:
    """Count how often statements are wrong, law by law.

    Args:
        laws: of the runs.
        studies: simulated of each kind.
        seed: of the random numbers.

    Example:
        >>> rows = list(error_rates(simulated_laws()[:1], studies=2))
        >>> [row.protocol for row in rows]
        ['race', 'race', 'page', 'page', 'page', 'page']
    """
    for law in laws:
        rng = np.random.default_rng(seed)
        naive = sum(naive_errs(law, rng) for _ in range(studies)) / studies
        for protocol, simulated, errors in (
            ("race", race_errors, _RACE),
            ("page", page_errors, _PAGE),
            ("page", fresh_errors, _FRESH),
        ):
            counts = Counter[str]()
            for _ in range(studies):
                counts.update(simulated(law, rng))
            for error in errors:
                rate = counts[error] / studies
                yield ErrorRate(law.name, protocol, error, rate, LIMIT, studies, naive)


def error_table(rates: Sequence[ErrorRate]) -> Iterator[str]:
    """Give the lines of a Markdown table, a law a row.

    Example:
        >>> rates = [ErrorRate("alike", "race", "any false statement", 0, 0.05, 9, 0.1)]
        >>> list(error_table(rates))[2]
        '| alike | 0.000 | 0.100 |'
    """
    kinds = list(dict.fromkeys((r.protocol, r.error) for r in rates))
    yield "| law | " + " | ".join(f"{p}: {e}" for p, e in kinds) + " | naive |"
    yield "| --- |" + " --- |" * (len(kinds) + 1)
    for law in dict.fromkeys(r.law for r in rates):
        own = {(r.protocol, r.error): r for r in rates if r.law == law}
        cells = [f"{own[kind].rate:.3f}" for kind in kinds]
        cells.append(f"{next(iter(own.values())).naive:.3f}")
        yield f"| {law} | " + " | ".join(cells) + " |"


def _side(one: str, other: str) -> int:
    """Tell who is scheme 0: 1 for the one, -1 for the other, 0 for neither."""
    return int(one == "0") - int(other == "0")


def _failing(law: Law, scheme: str) -> float:
    return law.failing[0 if scheme == "0" else 1]


def _is_better(law: Law, one: str, other: str, whole: bool = False) -> bool:
    """Tell whether the one is better over all runs, or in the typical one."""
    side = _side(one, other)
    return side * law.mean > 0 or (not whole and side * law.typical > 0)


def _is_false(law: Law, decision: Decision, scheme: str, kind: Kind) -> bool:
    side = _side(scheme, decision.candidate)
    mean, typical = side * law.mean, side * law.typical
    truths = {
        Kind.EQUIVALENT: abs(mean) < _MARGIN,
        Kind.TYPICALLY_EQUAL: abs(typical) < _MARGIN,
        Kind.WORSE: mean < 0,
        Kind.BETTER: mean > 0,
        Kind.TYPICALLY_WORSE: typical < 0,
        Kind.TYPICALLY_BETTER: typical > 0,
    }
    return not truths.get(kind, True)


def _main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m init_study.answers.simulation")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument(
        "--studies",
        type=int,
        default=300,
        help="of each kind and law; 300 take ten minutes on one core",
    )
    asked = parser.parse_args(arguments)
    rates: list[ErrorRate] = []
    for rate in error_rates(simulated_laws(), asked.studies):
        rates.append(rate)
        print(f"{rate.rate:.3f}  {rate.protocol}: {rate.error}; {rate.law}", flush=True)
    print(*error_table(rates), sep="\n")
    if asked.json:
        rows = [rate._asdict() for rate in rates]
        store.write_atomically(asked.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    _main()
