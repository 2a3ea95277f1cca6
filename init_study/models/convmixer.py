"""ConvMixer: one isotropic map, mixed along pixels and along channels in turn."""

import flax.linen as nn
from jaxtyping import Array, Float

from init_study.models.parts import (
    NORMS,
    ComputeType,
    check_image,
    check_names,
    normalize,
)
from init_study.theory import shaped_activation


class ConvMixer(nn.Module):
    """ConvMixer-256/8 for CIFAR: depthwise 9×9 and pointwise convolutions in turn.

    A convolution of patches, then blocks of a depthwise convolution, which is added to
    what it reads, and a 1×1 convolution; an activation and a norm follow each
    convolution, in this order. Average pooling and a dense head: 706,570 parameters for
    10 classes and 3 channels. The paper says 0.7 million.

    Attributes:
        num_classes: logits per image.
        depth: blocks.
        width: channels.
        patch: pixels of a patch along a side.
        kernel_size: of the depthwise convolutions.
        activation: a name in `ACTIVATIONS`, `module:function`, or `tat(NAME, DEPTH)`.
        norm: `none`, `batch`, `layer` or `group`. All layers have a bias.
        dtype: that it computes in; parameters are float32.

    Reference: Trockman & Kolter 2023, Patches are all you need?, arXiv:2201.09792;
    their ConvMixer-1536/20 for ImageNet has patches of 7 and the same kernels.

    Example:
        >>> model = ConvMixer(num_classes=10, depth=1, width=4, kernel_size=3)
        >>> network = trace(model, (8, 8, 3))
        >>> [layer.kernel_shape for layer in network.layers]
        [(1, 1, 3, 4), (3, 3, 1, 4), (1, 1, 4, 4), (4, 10)]
    """

    num_classes: int
    depth: int = 8
    width: int = 256
    patch: int = 1
    kernel_size: int = 9
    activation: str = "gelu_exact"
    norm: str = "batch"
    dtype: ComputeType = None

    @nn.compact
    def __call__(
        self, images: Float[Array, "n h w c"], train: bool = False
    ) -> Float[Array, "n classes"]:
        """Compute the logits of images `[n, height, width, channels]`.

        Raises: UserError for an unknown name or an image that is smaller than a patch.
        """
        check_names(self, norm=NORMS)
        check_image(f"convmixer with patch={self.patch}", images, self.patch, "cnn")
        size = (self.patch, self.patch)
        x = nn.Conv(
            self.width, size, strides=self.patch, padding="VALID", dtype=self.dtype
        )(images)
        x = self._act_norm(x, train)
        for _ in range(self.depth):
            y = nn.Conv(
                self.width,
                (self.kernel_size, self.kernel_size),
                feature_group_count=self.width,
                dtype=self.dtype,
            )(x)
            x = x + self._act_norm(y, train)
            y = nn.Conv(self.width, (1, 1), dtype=self.dtype)(x)
            x = self._act_norm(y, train)
        return nn.Dense(self.num_classes, dtype=self.dtype)(x.mean((1, 2)))

    def _act_norm(self, x: Float[Array, "n h w c"], train: bool) -> Array:
        act = shaped_activation(self.activation)
        return normalize(act(x), self.norm, train, self.dtype)
