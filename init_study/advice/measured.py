"""How good the advice was: over all settings of a table, beside two simple rules."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from init_study.advice.agreement import (
    Agreement,
    agreement,
    better_than,
    rank_correlation,
    regret,
)
from init_study.advice.ranking import (
    framework_default,
    he_or_xavier,
    score,
    scores_of_rule,
)
from init_study.advice.settings import NetKind, Setting

ADVICE = "this advice"
HE_OR_XAVIER = "the rule He for ReLU and its like, else Xavier"
DEFAULT = "the framework's default"
AGAIN = "one seed of the race, of the others"
# The score was chosen among others when these were raced.
CHOSEN_ON = ("cnn_2_relu_digits", "cnn_8_relu_digits", "cnn_8_tanh_digits")
_RULES: Mapping[str, Callable[[NetKind], str]] = {
    HE_OR_XAVIER: he_or_xavier,
    DEFAULT: framework_default,
}


class AdviceQuality(NamedTuple):
    """How good ways to rank schemes are, over settings.

    Attributes:
        ways: by name, each with its agreement with the races: the advice, two rules,
            and what a race of one seed says of the race of the others.
        better: by rule, how much more the advice agrees than it.
        in_range: share of the schemes that learned whose best rate is in the range
            that the advice calls safe.
        ranges: of so many.
    """

    ways: Mapping[str, Agreement]
    better: Mapping[str, Mapping[str, float | None]]
    in_range: float
    ranges: int


def measure_advice(settings: Sequence[Setting]) -> AdviceQuality:
    """Measure advice and rules on settings.

    Nothing in the score is fitted, and the settings on which it was chosen are left
    out, so each that counts is out of its sample.

    Args:
        settings: of a table.
    """
    settings = [one for one in settings if one.name not in CHOSEN_ON]
    families = [one.family for one in settings]
    scores = {
        ADVICE: [advised(one) for one in settings],
        **{
            name: [
                scores_of_rule(rule(one.described), [s.scheme for s in one.schemes])
                for one in settings
            ]
            for name, rule in _RULES.items()
        },
    }
    raced = [accuracies(one) for one in settings]
    agreed = {
        name: np.array([_agreed(s, a) for s, a in zip(of_way, raced, strict=True)])
        for name, of_way in scores.items()
    }
    ways = {
        name: agreement(
            agreed[name],
            np.array([regret(s, a) for s, a in zip(of_way, raced, strict=True)]),
            families,
        )
        for name, of_way in scores.items()
    }
    ways[AGAIN] = agreement(*_again(settings), families)
    inside = list(_inside(settings))
    return AdviceQuality(
        ways,
        {name: better_than(agreed[ADVICE], agreed[name], families) for name in _RULES},
        float(np.mean(inside)) if inside else float("nan"),
        len(inside),
    )


def advised(setting: Setting) -> Float[np.ndarray, " n"]:
    """Score the schemes of a setting as the advice does.

    Args:
        setting: of a table.
    """
    return np.array([score(one.evidence) for one in setting.schemes])


def accuracies(setting: Setting) -> Float[np.ndarray, " n"]:
    """Give what the schemes of a setting came to.

    Args:
        setting: of a table.
    """
    # The mean of three runs at chance is not chance to the last bit: no tie is broken.
    return np.round([one.accuracy for one in setting.schemes], 9)


def quality_text(measured: AdviceQuality) -> list[str]:
    """Say how good the advice was, in lines.

    Args:
        measured: of `measure_advice`.
    """
    own = measured.ways[ADVICE]
    lines = [
        f"How good such advice is: over {own.settings} settings of {own.families} "
        f"families the rank correlation (Spearman) with what races found was "
        f"{_words(own)}, and the first choice lost {own.regret:.1f} points of accuracy."
    ]
    for name in _RULES:
        rule = measured.ways[name]
        lines.append(f"Of {name}: {_words(rule)}, {rule.regret:.1f} points.")
    ahead = [name for name in _RULES if (measured.better[name]["low"] or 0) > 0]
    behind = [name for name in _RULES if name not in ahead]
    if behind:
        lines.append(
            f"The advice was not shown to rank better than: {'; '.join(behind)}."
        )
    else:
        lines.append("It ranked better than both simple rules, beyond chance.")
    losing = [n for n in _RULES if measured.ways[n].regret < own.regret]
    if losing:
        lines.append(f"The first choice lost less by: {'; '.join(losing)}.")
    return lines


def _words(one: Agreement) -> str:
    if one.low is None or one.high is None:
        return f"{one.mean:.2f} (too few settings for an interval)"
    return f"{one.mean:.2f} (95 %: {one.low:.2f} to {one.high:.2f})"


def _agreed(scores: np.ndarray, raced: np.ndarray) -> float:
    """Compute a correlation; a way that ranks nothing agrees by 0."""
    if np.ptp(raced) == 0:
        return float("nan")
    finite = np.where(np.isfinite(scores), scores, -1e9)
    return 0.0 if np.ptp(finite) == 0 else rank_correlation(finite, raced)


def _again(settings: Iterable[Setting]) -> tuple[np.ndarray, np.ndarray]:
    """Rank by one seed, for every seed, and hold it against the others' mean."""
    agreed, lost = [], []
    for one in settings:
        seeds = np.array([scheme.of_seeds for scheme in one.schemes])
        others = [np.delete(seeds, i, 1).mean(1) for i in range(seeds.shape[1])]
        pairs = list(zip(seeds.T, others, strict=True))
        agreed.append(np.mean([_agreed(mine, other) for mine, other in pairs]))
        lost.append(np.mean([regret(mine, other) for mine, other in pairs]))
    return np.array(agreed), np.array(lost)


def _inside(settings: Iterable[Setting]) -> Iterable[bool]:
    for setting in settings:
        for one in setting.schemes:
            if one.accuracy > setting.chance + 0.05:
                yield one.evidence.low <= one.rate <= one.evidence.high
