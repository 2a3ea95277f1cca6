"""Advice for modules, and what cannot be advised on, in one line each."""

import re

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from init_study import UserError, advise

GENERATOR = np.random.default_rng(0)
LABELS = np.arange(120) % 3
IMAGES = GENERATOR.normal(size=(120, 4, 4, 1)) + LABELS[:, None, None, None]
FEW = {"schemes": ["zeros", "he_normal"]}


class Small(nn.Module):
    broken: bool = False
    outputs: int = 3

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(6)(x.reshape(len(x), -1)))
        x = nn.Dense(self.outputs)(x)
        return jnp.log(-1 - x**2) if self.broken else x


@pytest.fixture(scope="module")
def advice():
    return advise(Small(), (IMAGES, LABELS), **FEW)


def test_what_learns_comes_before_what_does_not(advice):
    assert advice.first == "he_normal"
    zeros = advice.of_programs[0].ranking[1]
    assert (zeros.scheme, zeros.evidence.speed) == ("zeros", 0)


def test_the_text_says_first_why_profile_neighbours_and_how_good(advice):
    text = str(advice)
    assert "he_normal first, at a rate of about" in text
    assert "Dense_0" in text and "The nearest raced settings" in text
    assert "How good such advice is: over" in text and "(Spearman)" in text
    near = advice.of_programs[0].near
    assert len(near) == 3
    assert near[0].distance <= near[1].distance <= near[2].distance


def test_the_safe_range_holds_the_rate_to_try(advice):
    first = advice.of_programs[0].ranking[0].evidence
    assert first.low <= first.best_rate <= first.high


def test_whole_numbers_are_images(advice):
    pixels = np.clip(40 * IMAGES + 100, 0, 255).astype(np.uint8)
    assert advise(Small(), (pixels, LABELS), **FEW).first == "he_normal"


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential([lambda x: x.reshape(len(x), -1)[:, :3]]), "no parameters"),
        (nn.Sequential([lambda x: x.reshape(len(x), -1), nn.Dense(3)]), "1 layers"),
        (Small(broken=True), "no scheme's start is finite"),
        (Small(outputs=1), "one logit per class"),
    ],
    ids=["no parameters", "one layer", "NaN", "no logits"],
)
def test_what_cannot_be_advised_on_is_told(module, message):
    with pytest.raises(UserError, match=message) as error:
        advise(module, (IMAGES, LABELS), **FEW)
    assert "\n" not in str(error.value)


def test_a_budget_that_is_no_time_is_told_first():
    with pytest.raises(UserError, match="budget=soon is no time"):
        advise(Small(), (IMAGES, LABELS), budget="soon", **FEW)


@pytest.mark.slow
def test_a_race_says_whether_it_held(tmp_path):
    found = advise(
        Small(),
        (IMAGES, LABELS),
        budget="2m",
        workdir=tmp_path / "race",
        steps=30,
        learning_rates=(0.03, 0.1),
        schemes=["zeros", "he_normal", "normal(0.001)"],
    )
    (one,) = found.verified
    # Whichever it is, it is what the figures say.
    figures = re.search(
        r"he_normal ([\d.]+) %, (\S+) ([\d.]+) %.* margin ([\d.]+)", one.text
    )
    assert figures, one.text
    own, rival, other, margin = figures.groups()
    assert rival != "he_normal" and "fresh seeds" in one.text
    behind = float(other) - float(own)
    if one.outcome == "did not hold":
        assert behind > 0, one.text
    else:
        assert one.outcome in ("held", "undecided") and behind < 5 * float(margin)
    assert one.text in str(found)
