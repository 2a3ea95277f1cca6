"""Borders of zeros, and pooling."""

import flax.linen as nn
import jax.numpy as jnp
from diagnosis.twins import IMAGES, found


class Maps(nn.Module):
    """Convolutions on small maps."""

    padding: str = "SAME"

    @nn.compact
    def __call__(self, x):
        for _ in range(5):
            x = nn.relu(nn.Conv(8, (3, 3), padding=self.padding)(x))
        return nn.Dense(3)(x.mean((1, 2)))


class Pooled(nn.Module):
    """One of nine places is read, or the mean of them."""

    mean: bool = True

    @nn.compact
    def __call__(self, x):
        x = jnp.tanh(nn.Conv(16, (1, 1))(x))
        x = nn.avg_pool(x, (3, 3), (3, 3)) if self.mean else x[:, ::3, ::3]
        x = jnp.tanh(nn.Conv(16, (1, 1))(x))
        return nn.Dense(3)(x.reshape(len(x), -1))


def test_zeros_at_the_border_take_signal_and_circular_padding_does_not():
    small = IMAGES[:, :3, :3]
    (sign,) = found(Maps(), images=small)["padding-leak"]
    assert sign.severity == "info" and sign.place.startswith("5 padded")
    assert "padding-leak" not in found(Maps("CIRCULAR"), images=small)


def test_a_mean_over_places_takes_signal_and_a_stride_does_not():
    (sign,) = found(Pooled())["pooling-factor"]
    assert sign.place == "between Conv_0 and Conv_1"
    assert "pooling-factor" not in found(Pooled(mean=False))
