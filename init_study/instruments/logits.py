"""Logits: what a network says, beside what one says who knows nothing."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import entr
from jaxtyping import Array, Float, Int

from init_study.errors import UserError
from init_study.train import cross_entropy


class LogitNumbers(NamedTuple):
    """Numbers of a batch of logits; losses and entropies in nats.

    Attributes:
        loss: mean softmax cross-entropy.
        uniform: ln K, the loss of equal logits for K classes.
        prior: entropy of the classes' shares, the loss of one who knows these alone.
        between_classes: standard deviation of an image's logits over classes, root mean
            square over images. What all logits share moves no prediction, nor this.
        between_images: standard deviation of a class's logit over images, root mean
            square over classes: how far the logits depend on the image.
        entropy: of the predicted distribution, mean over images, from 0 to ln K.
        favourite: share of images with the most frequent prediction, from 1/K to 1.
    """

    loss: Float[Array, ""]
    uniform: Float[Array, ""]
    prior: Float[Array, ""]
    between_classes: Float[Array, ""]
    between_images: Float[Array, ""]
    entropy: Float[Array, ""]
    favourite: Float[Array, ""]


def measure_logits(
    logits: Float[Array, "n classes"],
    labels: Int[Array, " n"],
    class_shares: Float[Array, " classes"] | None = None,
) -> LogitNumbers:
    """Compute the loss of a batch of logits, their spread, and what they predict.

    A start whose logits are small has a loss of ln K; one far above it must first
    unlearn, and one whose `favourite` is near 1 says the same of all images.

    Args:
        logits: of a network.
        labels: of the images, from 0 to K − 1.
        class_shares: of the data set, with sum 1; those of this batch without it.

    Returns: numbers in float32. Of equal logits the first class is the prediction. Of
        one image `between_images` is 0. All but `uniform` and `prior` are NaN where a
        logit is NaN.

    Raises: UserError for an empty batch, for no class, and for shares of another number
        of classes.

    Cost: no pass beyond the one that made the logits.

    Example:
        >>> numbers = measure_logits(jnp.zeros((2, 4)), jnp.array([0, 1]))
        >>> [round(float(jnp.exp(x)), 3) for x in numbers[:3]]
        [4.0, 4.0, 2.0]
        >>> float(numbers.between_classes), float(numbers.favourite)
        (0.0, 1.0)
    """
    if not logits.size:
        raise UserError(
            f"logits of shape {logits.shape} hold no number: give at least one image "
            "and one class"
        )
    classes = logits.shape[1]
    if class_shares is not None and len(class_shares) != classes:
        raise UserError(
            f"{len(class_shares)} class shares for {classes} logits: give one a class"
        )
    logits = logits.astype(jnp.float32)
    if class_shares is None:
        class_shares = jnp.mean(jax.nn.one_hot(labels, classes), axis=0)
    predicted = jax.nn.one_hot(jnp.argmax(logits, axis=1), classes)
    # An argmax takes NaN for the greatest.
    broken = jnp.isnan(logits).any()
    favourite = jnp.max(jnp.mean(predicted, axis=0))
    return LogitNumbers(
        loss=cross_entropy(logits, labels).mean(),
        uniform=jnp.log(jnp.float32(classes)),
        prior=jnp.sum(entr(class_shares.astype(jnp.float32))),
        between_classes=jnp.sqrt(jnp.mean(jnp.var(logits, axis=1))),
        between_images=jnp.sqrt(jnp.mean(jnp.var(logits, axis=0))),
        entropy=jnp.mean(_entropies(logits)),
        favourite=jnp.where(broken, jnp.nan, favourite),
    )


def _entropies(logits: Float[Array, "n classes"]) -> Float[Array, " n"]:
    logarithms = jax.nn.log_softmax(logits)
    chances = jnp.exp(logarithms)
    # Of what is all but excluded the product is 0 · −∞.
    terms = jnp.where(chances == 0, 0.0, chances * logarithms)
    return -jnp.sum(terms, axis=1)
