"""What clips, decay and Adam's ε make of a start, and twins without it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from diagnosis.test_training_traps import IMAGES, LABELS, seen_of
from diagnosis.twins import found


class Square(nn.Module):
    """Layers that keep their width, with a norm or without."""

    norm: bool = False

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(12)(x)
        x = nn.LayerNorm()(x) if self.norm else x
        return nn.Dense(3)(nn.relu(x))


def square(scheme="identity", norm=False, **training):
    return found(Square(norm), scheme, IMAGES, LABELS, **training)


def test_gradients_below_epsilon_are_a_warning_for_adam_alone():
    small = {"scheme": "normal(1e-8)", "learning_rate": 1e-3}
    (one,) = seen_of(optimizer="adam", **small)["adam-epsilon"][:1]
    assert one.severity == "warning"
    assert "adam-epsilon" not in seen_of(optimizer="sgd", **small)
    for scheme in ("he_normal", "zero_head", "zeros"):
        twin = seen_of(scheme, optimizer="adamw", learning_rate=1e-3)
        assert "adam-epsilon" not in twin
    large = seen_of(optimizer="adam", learning_rate=1e-3, epsilon=1.0)
    assert {one.place for one in large["adam-epsilon"]} == {"Dense_0", "Dense_1"}


def test_a_clip_below_the_first_gradient_is_told():
    (near,) = seen_of(clip=0.5, optimizer="sgd")["clipped-at-start"]
    assert near.severity == "info"
    (far,) = seen_of(clip=0.01, optimizer="sgd")["clipped-at-start"]
    assert far.severity == "warning"
    # What Adam divides by itself has no scale.
    (adam,) = seen_of(clip=0.01, optimizer="adam")["clipped-at-start"]
    assert adam.severity == "info"
    assert "clipped-at-start" not in seen_of(clip=100.0, optimizer="sgd")
    assert "clipped-at-start" not in seen_of(optimizer="sgd")


def test_decay_pulls_identities_to_zero():
    run = {"optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 0.01}
    findings = square(**run, steps=10_000)["decayed-identity"]
    assert {one.severity for one in findings} == {"warning"}
    assert "Dense_0" in {one.place for one in findings}
    assert {one.severity for one in square(**run, steps=10)["decayed-identity"]} == {
        "info"
    }
    assert "decayed-identity" not in square("he_normal", **run)
    assert "decayed-identity" not in square(optimizer="sgd", learning_rate=0.1)


def test_decay_of_biases_and_norms_is_told():
    (one,) = square("he_normal", norm=True, weight_decay=1e-4)["decayed-norms"]
    assert one.severity == "info"
    assert "2 biases and 2 scales and shifts" in one.evidence
    # 12 + 3 biases, 12 scales, 12 shifts.
    assert "39 numbers" in one.evidence
    assert "decayed-norms" not in square("he_normal", norm=True)


def test_a_first_update_is_that_of_the_optimizer():
    from init_study.diagnosis.first_update import first_update
    from init_study.diagnosis.of_study import Training
    from init_study.optimizer import make_optimizer
    from init_study.study import Program

    keys = jax.random.split(jax.random.key(0), 2)
    params, slopes = (
        {"dense": {"w": jax.random.normal(key, (5,))}, "added": {"b": jnp.ones(())}}
        for key in keys
    )
    for optimizer in ("sgd", "adam", "adamw"):
        program = Program(optimizer=optimizer, weight_decay=0.1)
        made = make_optimizer(program, 0.3)
        wanted, _ = made.update(slopes, made.init(params), params)
        training = Training(optimizer, 0.3, weight_decay=0.1)
        update = first_update(training, params, slopes)
        for one, other in zip(
            jax.tree.leaves(update), jax.tree.leaves(wanted), strict=True
        ):
            assert jnp.allclose(one, -other, rtol=1e-5), optimizer
    cut = Training("sgd", 1.0, clip=0.5)
    halves = first_update(cut, params, slopes)
    square = sum(float(jnp.sum(leaf**2)) for leaf in jax.tree.leaves(halves))
    assert abs(square - 0.25) < 1e-5
