"""Rank correlations out of sample, beside a slow count of pairs, and under chance."""

import itertools

import numpy as np
import pytest

from init_study.answers.foretelling import foretell
from init_study.errors import UserError


def sign(value):
    return 0 if np.isnan(value) else int(np.sign(value))


def counted(numbers, outcome):
    """Over pairs of schemes in words: each by all pairs without either of the two."""
    programs, schemes = range(outcome.shape[0]), range(outcome.shape[1])
    x, y = numbers.mean(2), outcome.mean(2)
    pairs = [(p, a, b) for p in programs for a, b in itertools.combinations(schemes, 2)]

    def agrees(p, a, b):
        return sign(x[p, a] - x[p, b]) * sign(y[p, a] - y[p, b])

    told = ranked = 0
    for p, a, b in pairs:
        others = [pair for pair in pairs if not {a, b} & set(pair[1:])]
        direction = sign(sum(agrees(*pair) for pair in others))
        told += direction * agrees(p, a, b)
        ranked += abs(sign(y[p, a] - y[p, b]))
    return told / ranked


def counted_in_schemes(numbers, outcome):
    """Over pairs of seeds in words: each by the seeds of all other schemes."""
    programs, schemes, seeds = map(range, outcome.shape)

    def agreement(s):
        return sum(
            sign(numbers[p, s, i] - numbers[p, s, j])
            * sign(outcome[p, s, i] - outcome[p, s, j])
            for p in programs
            for i, j in itertools.combinations(seeds, 2)
        )

    told = sum(
        sign(sum(agreement(other) for other in schemes if other != s)) * agreement(s)
        for s in schemes
    )
    ranked = sum(
        abs(sign(outcome[p, s, i] - outcome[p, s, j]))
        for p in programs
        for s in schemes
        for i, j in itertools.combinations(seeds, 2)
    )
    return told / ranked


@pytest.mark.parametrize("related", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_pairs_are_counted_without_themselves(seed, related):
    draws = np.random.default_rng(seed)
    # Whole numbers, so that there are ties.
    outcome = draws.integers(6, size=(2, 6, 3)).astype(float)
    # Where nothing is related, directions hang on every pair.
    numbers = related * outcome + draws.integers(8, size=outcome.shape)
    (told,) = foretell({"x": numbers}, outcome)
    assert told.schemes.mean == pytest.approx(counted(numbers, outcome))
    assert told.seeds.mean == pytest.approx(counted_in_schemes(numbers, outcome))


def test_what_orders_all_is_found_whichever_way_it_goes():
    outcome = np.random.default_rng(0).normal(size=(2, 8, 6))
    given = {"more": 2 * outcome + 1, "less": -outcome, "same": np.ones_like(outcome)}
    told = {one.name: one for one in foretell(given, outcome)}
    for name in ("more", "less"):
        one = told[name]
        assert one.seeds.mean == pytest.approx(1)
        assert one.schemes.mean == pytest.approx(1)
        assert one.p_schemes < 0.05 and one.p_seeds < 0.05
        assert one.schemes.low <= one.schemes.mean <= one.schemes.high
    assert told["same"].schemes.mean == 0 and told["same"].p_schemes == 1


def test_what_holds_in_some_schemes_alone_does_not_foretell():
    """More is better in half of the schemes and worse in the others."""
    outcome = np.random.default_rng(1).normal(size=(1, 8, 6))
    turned = outcome * np.where(np.arange(8) % 2, 1, -1)[None, :, None]
    (told,) = foretell({"x": turned}, outcome)
    assert told.seeds.mean < 0.2


@pytest.mark.slow
def test_chance_is_rarely_taken_for_more():
    """Of 150 laws without a relation, with effects that a scheme's seeds share."""
    level, found = 0.1, []
    for seed in range(150):
        draws = np.random.default_rng(seed)
        shapes = (2, 6, 5), (1, 6, 1), (1, 1, 5)
        x, y = (sum(draws.normal(size=s) for s in shapes) for _ in range(2))
        (told,) = foretell({"x": x}, y, seed)
        found.append((told.p_schemes, told.p_seeds))
    # Five standard errors of a share of 150.
    most = level + 5 * np.sqrt(level * (1 - level) / 150)
    assert ((np.array(found) < level).mean(0) < most).all()


def test_many_numbers_pay_for_their_number():
    draws = np.random.default_rng(3)
    outcome = draws.normal(size=(1, 7, 3))
    alone = foretell({"x": outcome}, outcome)[0]
    others = {f"noise{i}": draws.normal(size=outcome.shape) for i in range(30)}
    among = {one.name: one for one in foretell({"x": outcome} | others, outcome)}["x"]
    assert among.p_schemes > 20 * alone.p_schemes


def test_what_is_not_finite_tells_nothing():
    outcome = np.random.default_rng(0).normal(size=(1, 6, 3))
    x = outcome.copy()
    x[:, 0] = np.nan
    told = foretell({"some": x, "none": np.full_like(x, np.inf)}, outcome)
    assert told[0].name == "some" and 0 < told[0].schemes.mean < 1
    assert told[1].schemes.mean == 0


def test_few_schemes_are_refused():
    with pytest.raises(UserError, match=r"4 schemes are too few.*at least 5"):
        foretell({}, np.zeros((1, 4, 2)))
