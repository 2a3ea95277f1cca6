"""An augmentation as a study names it: steps one after the other, then a mixture.

`flip+random_resized_crop+mixup` flips, cuts, and mixes what comes out. Steps change
images and keep labels (`augmentation`); a mixture has two labels for each image.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from init_study.data.augmentation import AUGMENTATIONS, ImageBatch, SeenBatch, Size
from init_study.data.batches import center_crop, standardize
from init_study.data.feeds import Examples
from init_study.errors import UserError, unknown

_MIXUP_ALPHA = 0.2


class Targets(NamedTuple):
    """What the images of a step are to be told as.

    Attributes:
        labels: of the images.
        others: the labels of what is mixed into them; None without a mixture.
        weight: of `labels`; `others` has the rest.
    """

    labels: Int[Array, " batch"]
    others: Int[Array, " batch"] | None = None
    weight: Float[Array, ""] | float = 1.0

    def mean(self, measure: Callable[[Array, Array], Array], logits: Array) -> Array:
        """Average a measure of logits and labels over the batch.

        Example:
            >>> targets = Targets(jnp.array([1, 1]), jnp.array([0, 1]), 0.75)
            >>> float(targets.mean(lambda logits, labels: labels, jnp.zeros(2)))
            0.875
        """
        mean = measure(logits, self.labels).mean()
        if self.others is None:
            return mean
        return (
            self.weight * mean + (1 - self.weight) * measure(logits, self.others).mean()
        )


def mixup(
    key: PRNGKeyArray, images: Float[Array, "batch h w c"], labels: Int[Array, " batch"]
) -> tuple[Float[Array, "batch h w c"], Targets]:
    """Mix every image with another of the batch, by one weight from Beta(0.2, 0.2).

    Zhang et al. 2018, arXiv:1710.09412, with the weight of their ImageNet nets.

    Example:
        >>> images, labels = jnp.ones((4, 2, 2, 1)), jnp.arange(4)
        >>> mixed, targets = mixup(jax.random.key(0), images, labels)
        >>> mixed.shape, sorted(targets.others.tolist())
        ((4, 2, 2, 1), [0, 1, 2, 3])
    """
    weight_key, partner_key = jax.random.split(key)
    weight = jax.random.beta(weight_key, _MIXUP_ALPHA, _MIXUP_ALPHA)
    partner = jax.random.permutation(partner_key, len(images))
    mixed = weight * images + (1 - weight) * images[partner]
    return mixed, Targets(labels, labels[partner], weight)


MIXTURES = {"mixup": mixup}


def check_augmentation(text: str) -> None:
    """Check that a study can mean this by its augmentation.

    Raises: UserError with the nearest name, for an unknown step, a mixture that is not
        the last one, or a step given twice.

    Example:
        >>> check_augmentation("flip+crop+mixup")
    """
    names = text.split("+")
    valid = (*AUGMENTATIONS, *MIXTURES)
    for name in names:
        if name not in valid:
            listed = f"{', '.join(valid)}; several are joined by +"
            raise unknown("augmentation", name, valid, listed)
    if any(name in MIXTURES for name in names[:-1]):
        raise UserError(f"augmentation {text!r}: a mixture comes last, and once")
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice or ("none" in names and len(names) > 1):
        raise UserError(
            f"augmentation {text!r}: {(twice or ['none'])[0]!r} has no place there; "
            "give each step once, and none alone"
        )


def augment(text: str, key: PRNGKeyArray, images: ImageBatch, size: Size) -> SeenBatch:
    """Change a batch by the steps of an augmentation, one after the other.

    Args:
        text: what `check_augmentation` takes, without a mixture.
        key: of the step of training.
        images: perhaps larger than what the network sees.
        size: rows and columns of what it sees.

    Example:
        >>> images = jnp.ones((2, 8, 8, 1), jnp.uint8)
        >>> augment("flip+crop", jax.random.key(0), images, (6, 6)).shape
        (2, 6, 6, 1)
    """
    names = text.split("+")
    return _change(names, _keys(key, len(names)), images, size)


@jax.named_scope("augmentation")
def training_batch(
    text: str, key: PRNGKeyArray, batch: Examples, size: Sequence[int]
) -> tuple[Float[Array, "batch rows columns channels"], Targets]:
    """Make of a step's examples what the network sees: changed, standardized, mixed.

    Args:
        text: the augmentation.
        key: of the step.
        batch: its examples.
        size: rows and columns of what the network sees.

    Example:
        >>> images, labels = jnp.zeros((2, 8, 8, 1), jnp.uint8), jnp.array([0, 1])
        >>> batch = Examples(images, labels, jnp.zeros(1), jnp.ones(1))
        >>> seen, targets = training_batch("flip", jax.random.key(0), batch, (8, 8))
        >>> seen.dtype.name, targets.labels.tolist()
        ('float32', [0, 1])
    """
    names = text.split("+")
    keys = _keys(key, len(names))
    mixture = MIXTURES.get(names[-1])
    steps = names[:-1] if mixture else names
    rows, columns = size[:2]
    changed = _change(steps, keys[: len(steps)], batch.images, (rows, columns))
    images = standardize(changed, batch.mean, batch.std)
    if mixture is None:
        return images, Targets(batch.labels)
    return mixture(keys[-1], images, batch.labels)


def _keys(key: PRNGKeyArray, count: int) -> list[PRNGKeyArray]:
    """Give each name of an augmentation a key; a single one has the key itself."""
    return [key] if count == 1 else list(jax.random.split(key, count))


def _change(
    names: list[str], keys: list[PRNGKeyArray], images: ImageBatch, size: Size
) -> SeenBatch:
    for name, key in zip(names, keys, strict=True):
        images = AUGMENTATIONS[name](key, images, size)
    return center_crop(images, size)
