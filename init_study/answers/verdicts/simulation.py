"""How often the protocol is right, by studies whose truth is known.

python -m init_study.answers.verdicts.simulation

Simulates whole studies, screening, choice of rates and confirmation at planned looks,
with normal outcomes that share a part of their spread between schemes of one seed. One
scheme is better than the others by a gap. Beside it stands what is commonly done: the
scheme with the best mean on a few seeds, each at its best rate, is called the best.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.answers.statistics import Share, wilson_interval
from init_study.answers.verdicts.decision import Decision, Kind
from init_study.answers.verdicts.protocol import Protocol, confirm

_GAPS = (0.0, 0.5, 1.0, 2.0)


class Truth(NamedTuple):
    """A population of studies whose best scheme is known.

    Attributes:
        gap: by which scheme 0 is better than all others, in standard deviations of one
            run.
        schemes: how many there are.
        rates: how many of them each scheme is screened at; they do not matter here.
        shared: correlation of two schemes' runs of one seed.
    """

    gap: float
    schemes: int = 6
    rates: int = 5
    shared: float = 0.3


class Simulated(NamedTuple):
    """One simulated study.

    Attributes:
        decision: at the last look that was taken.
        claimed: whether any difference was claimed, at any look.
        naive: whether the best mean of the screening seeds is the best scheme's.
    """

    decision: Decision
    claimed: bool
    naive: bool


class Characteristics(NamedTuple):
    """How often the protocol was right, as shares of simulated studies.

    Attributes:
        naive: the best mean of the screening seeds is the best scheme's.
        any_claim: some scheme is called better or worse than another.
        best: the candidate is called the best.
        false_best: the candidate is called the best, and is not, or none is.
        covered: the set of the best holds the scheme that is.
        set_size: mean number of schemes in that set.
        seeds: mean number of confirmation runs.
    """

    naive: Share
    any_claim: Share
    best: Share
    false_best: Share
    covered: Share
    set_size: float
    seeds: float


def simulate(truth: Truth, protocol: Protocol, rng: np.random.Generator) -> Simulated:
    """Simulate a study from screening to the last look.

    Example:
        >>> protocol, rng = Protocol(margin=0.5), np.random.default_rng(0)
        >>> simulate(Truth(gap=50.0, schemes=2), protocol, rng).decision.kind.value
        'BEST'
    """
    means = np.zeros(truth.schemes)
    means[0] = truth.gap
    size = (truth.rates, protocol.screening)
    screened = _outcomes(means, truth, rng, *size)
    rates = screened.mean(2).argmax(1)
    chosen = screened[np.arange(truth.schemes), rates]
    candidate = str(int(chosen.mean(1).argmax()))
    fresh = _outcomes(means, truth, rng, 1, protocol.looks[-1])[:, 0]

    def draw(racing: tuple[str, ...], before: int, look: int) -> dict[str, Any]:
        return {name: fresh[int(name), before:look] for name in racing}

    names, claimed, decision = [str(i) for i in range(truth.schemes)], False, None
    # No verdict rests on the sign flips, and counting them takes most of the time.
    looks = confirm(names, candidate, protocol, draw, sign_flips=False)
    for decision, _ in looks:
        kinds = {contrast.kind for contrast in decision.contrasts}
        claimed |= bool({Kind.BETTER, Kind.WORSE} & kinds)
        claimed |= decision.kind in (Kind.BEST, Kind.SET)
    assert decision is not None
    return Simulated(decision, claimed, candidate == "0")


def characteristics(
    truth: Truth, protocol: Protocol, studies: int, seed: int = 0
) -> Characteristics:
    """Count how often the protocol is right over many simulated studies.

    Args:
        truth: what the studies are drawn from.
        protocol: how each is decided.
        studies: how many.
        seed: of the random numbers.

    Example:
        >>> truth = Truth(gap=50.0, schemes=2)
        >>> characteristics(truth, Protocol(margin=0.5), studies=2).best.k
        2
    """
    rng = np.random.default_rng(seed)
    found = [simulate(truth, protocol, rng) for _ in range(studies)]
    best = [s.decision.kind is Kind.BEST for s in found]
    wrong = [
        b and (truth.gap == 0 or s.decision.candidate != "0")
        for s, b in zip(found, best, strict=True)
    ]

    def share(flags: list[bool]) -> Share:
        return wilson_interval(sum(flags), studies)

    return Characteristics(
        naive=share([s.naive for s in found]),
        any_claim=share([s.claimed for s in found]),
        best=share(best),
        false_best=share(wrong),
        covered=share(["0" in s.decision.best_set for s in found]),
        set_size=float(np.mean([len(s.decision.best_set) for s in found])),
        seeds=float(np.mean([s.decision.n for s in found])),
    )


def table(protocol: Protocol, studies: int) -> Iterator[str]:
    """Give the lines of a Markdown table, a gap a row.

    Example:
        >>> head, _, *rows = table(Protocol(margin=0.5), studies=1)
        >>> len(rows) == len(_GAPS)
        True
    """
    yield (
        "| gap | best mean is the best scheme | any difference claimed | BEST claimed "
        "| falsely | set holds the best | set's size | seeds |"
    )
    yield "| --- |" + " --- |" * 7
    for gap in _GAPS:
        c = characteristics(Truth(gap), protocol, studies)
        shares = (c.naive, c.any_claim, c.best, c.false_best, c.covered)
        cells = [f"{share.k / share.n:.3f}" for share in shares]
        cells += [f"{c.set_size:.1f}", f"{c.seeds:.1f}"]
        yield f"| {gap:g} | " + " | ".join(cells) + " |"


def _outcomes(
    means: Float[np.ndarray, " schemes"],
    truth: Truth,
    rng: np.random.Generator,
    rates: int,
    seeds: int,
) -> Float[np.ndarray, "schemes rates seeds"]:
    shape = (truth.schemes, rates, seeds)
    common = rng.standard_normal((1, 1, seeds)) * np.sqrt(truth.shared)
    own = rng.standard_normal(shape) * np.sqrt(1 - truth.shared)
    return means[:, None, None] + common + own


if __name__ == "__main__":
    for line in table(Protocol(margin=0.5), studies=2000):
        print(line, flush=True)
