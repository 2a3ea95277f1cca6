"""A vision transformer: patches of the image that attend to each other."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from init_study.errors import UserError
from init_study.models.parts import ComputeType, check_image
from init_study.theory import shaped_activation


class ViT(nn.Module):
    """ViT-S/16: patches of 16×16 pixels, then 12 blocks of attention and dense layers.

    A patch becomes 384 numbers by one convolution; a learned token comes in front, and
    a learned vector is added at each place. A block is layer norm, attention of 6 heads
    and a sum; layer norm, a dense layer of four times the width, an activation, a dense
    layer back, and a sum. The head reads the token behind a last layer norm:
    22,050,664 parameters for 1000 classes and 224×224 pixels.

    Attributes:
        num_classes: logits per image.
        depth: blocks.
        width: numbers per patch, a multiple of `heads`.
        heads: of the attention.
        patch: pixels of a patch along a side.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        dtype: that it computes in; parameters are float32.

    Reference: Dosovitskiy et al. 2021, An image is worth 16×16 words,
    arXiv:2010.11929; the size is that of Touvron et al. 2021, Training data-efficient
    image transformers, arXiv:2012.12877.

    Example:
        >>> model = ViT(num_classes=10, depth=1, width=4, heads=2, patch=4)
        >>> network = trace(model, (8, 8, 3))
        >>> [layer.whole_shape for layer in network.layers]
        [(4, 4, 3, 4), (4, 4), (4, 4), (4, 4), (4, 4), (4, 16), (16, 4), (4, 10)]
    """

    num_classes: int
    depth: int = 12
    width: int = 384
    heads: int = 6
    patch: int = 16
    activation: str = "gelu_exact"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an image that is smaller than a patch, or a width that the
            heads cannot share.
        """
        self._check(images)
        size = (self.patch, self.patch)
        x = nn.Conv(
            self.width, size, strides=self.patch, padding="VALID", dtype=self.dtype
        )(images)
        x = x.reshape(len(x), -1, self.width)
        small = nn.initializers.normal(0.02)
        token = self.param("token", nn.initializers.zeros, (1, 1, self.width))
        token = jnp.broadcast_to(token.astype(x.dtype), (len(x), 1, self.width))
        x = jnp.concatenate([token, x], 1)
        places = self.param("places", small, (1, *x.shape[1:]))
        x = x + places.astype(x.dtype)
        act = shaped_activation(self.activation)
        for _ in range(self.depth):
            x = x + self._attention(nn.LayerNorm(dtype=self.dtype)(x))
            y = nn.LayerNorm(dtype=self.dtype)(x)
            y = act(nn.Dense(4 * self.width, dtype=self.dtype)(y))
            x = x + nn.Dense(self.width, dtype=self.dtype)(y)
        x = nn.LayerNorm(dtype=self.dtype)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x[:, 0])

    def _attention(self, x: Float[Array, "n p d"]) -> Float[Array, "n p d"]:
        n, patches, width = x.shape
        each = width // self.heads
        x = nn.Dense(3 * width, dtype=self.dtype)(x)
        parts = x.reshape(n, patches, 3, self.heads, each)
        query, key, value = parts[:, :, 0], parts[:, :, 1], parts[:, :, 2]
        scores = jnp.einsum("nqhd,nkhd->nhqk", query, key) / each**0.5
        x = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(scores), value)
        return nn.Dense(width, dtype=self.dtype)(x.reshape(n, patches, width))

    def _check(self, images: Array) -> None:
        if self.width % self.heads:
            raise UserError(
                f"vit_small of width {self.width}: {self.heads} heads cannot share it; "
                f"use {self.heads * max(1, round(self.width / self.heads))}"
            )
        check_image(f"vit_small with patch={self.patch}", images, self.patch, "cnn")
