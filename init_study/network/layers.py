"""The layers and residual branches of a network, as tracing finds them."""

from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any, NamedTuple

import jax
import numpy as np
from absl import logging
from flax import traverse_util
from jaxtyping import Array, Int

from init_study.activations import Activation
from init_study.network import graph
from init_study.network.branch import Branch, describe_branch
from init_study.network.graph import Path


class Layer(NamedTuple):
    """One convolution or dense layer: where a parameter meets the images.

    Attributes:
        path: where its parameters are in the tree, e.g. `("Conv_0",)`.
        kernel, bias: paths of the parameters themselves; no bias is None.
        kind: `conv`, `conv_transpose` or `dense`.
        kernel_shape: `[height, width, in / groups, out]`, or `[in, out]`, whatever
            layout the module stores; of one part, if there are several.
        order: for each number of the whole kernel its place in the stored one, flat;
            None where the module stores this layout.
        fan_in: inputs that feed one output.
        fan_out: outputs that one input feeds, at stride 1.
        groups: of a grouped convolution, else 1.
        strides, kernel_dilation, input_dilation, padding: one per spatial axis; empty
            for a dense layer. A transposed convolution dilates its input.
        image_shape, output_shape: of what it reads and gives, without the batch.
        normalized: whether a norm follows: what takes the output's scale away and
            leaves a mean square of 1.
        scale, shift: paths of the norm's parameters, or of others like them, or None.
        activation: the function that follows, its parameters as they start; `linear`
            where only kernels, sums and results read the output; None where it is not
            recognized: gates, maxout, softmax, several functions.
        branch: index of the residual branch that it is on, the innermost, or None.
        parts: how many kernels of this shape are side by side along the outputs of the
            whole one, each with a draw of its own: 3 for queries, keys and values of
            one dense layer, or as many as `nn.vmap` maps over.
        stacked: whether the parts are a stack that is mapped over.
        padded: what the images are padded by before it, as `padding`; empty for none.
        scale_free: whether the kernel is standardized or divided by its norm on its
            way, so that its scale has no effect.
        multiplier: what the kernel is multiplied by on its way, else 1.
        uses: how often the kernel is used; what follows is what all uses share.
    """

    path: Path
    kernel: Path
    bias: Path | None
    kind: str
    kernel_shape: tuple[int, ...]
    order: Int[np.ndarray, " n"] | None
    fan_in: int
    fan_out: int
    groups: int
    strides: tuple[int, ...]
    kernel_dilation: tuple[int, ...]
    input_dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    image_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    normalized: bool
    scale: Path | None
    shift: Path | None
    activation: Activation | None
    branch: int | None
    parts: int = 1
    stacked: bool = False
    padded: tuple[tuple[int, int], ...] = ()
    scale_free: bool = False
    multiplier: float = 1.0
    uses: int = 1

    @property
    def name(self) -> str:
        """The name for people: `Conv_0`, or the kernel's path if it is no `kernel`.

        A block in a loop is `Conv_0[2]`; that of a module that is a layer is `kernel`.
        """
        leaf, bracket, place = self.kernel[-1].partition("[")
        inner = leaf == "kernel" and self.path
        path = self.path if inner else (*self.path, leaf)
        return "/".join(path) + bracket + place

    @property
    def whole_shape(self) -> tuple[int, ...]:
        """The shape of its kernel with all parts, side by side along the outputs."""
        return (*self.kernel_shape[:-1], self.parts * self.kernel_shape[-1])

    @property
    def leaves(self) -> tuple[Path, ...]:
        """The paths of its kernel and bias in the tree of parameters."""
        return (self.kernel,) if self.bias is None else (self.kernel, self.bias)

    @property
    def forward_fan(self) -> float:
        """Inputs that feed one output on average; fewer if the input is dilated."""
        return self.fan_in / prod(self.input_dilation)

    @property
    def backward_fan(self) -> float:
        """Outputs that one input feeds on average; fewer at larger strides."""
        return self.fan_out / prod(self.strides)

    @property
    def mean_fans(self) -> tuple[float, float]:
        """Both fans of the operation, on average: the taps that it really has.

        A kernel that is multiplied by c counts c² times, as its variance does.
        """
        times = self.multiplier**2
        return self.forward_fan * times, self.backward_fan * times

    @property
    def tap(self) -> tuple[int, ...]:
        """The kernel's neutral tap, by which an image passes without being moved.

        Output o reads the image, its dilation included, at o · stride − low padding +
        tap · kernel dilation; without padding no tap is better than the centre.
        """
        before = self.padded or ((0, 0),) * len(self.padding)
        both = np.asarray(self.padding, int) + np.asarray(before, int)
        axes = zip(self.kernel_shape, both.tolist(), self.kernel_dilation, strict=False)
        return tuple(
            min(low // dilation, size - 1) if low + high > 0 else (size - 1) // 2
            for size, (low, high), dilation in axes
        )

    def stored(self, kernel: Array) -> Array:
        """Bring a kernel of `whole_shape` into the order that the module stores.

        Where that is another order, the result is flat.
        """
        if self.order is None:
            return kernel
        return kernel.reshape(-1)[np.argsort(self.order)]

    def plain(self, stored: Any) -> Any:
        """Bring a stored kernel into `whole_shape`; the inverse of `stored`."""
        if self.order is None:
            return stored
        return stored.reshape(-1)[self.order].reshape(self.whole_shape)


def find_layers(
    function: Callable[..., Any],
    variables: Any,
    images: jax.ShapeDtypeStruct,
    keys: Mapping[str, Any],
    transposed: Collection[Path] = (),
    start: graph.Start | None = None,
) -> tuple[tuple[Layer, ...], tuple[Branch, ...], frozenset[Path], frozenset[Path]]:
    """Find the layers and residual branches of a training call.

    Args:
        function: (variables, images, keys) -> anything; the training call.
        variables: a tree, parameters under `params`.
        images: their shape, batch included.
        keys: of its random streams; dropout counts as its mean.
        transposed: kernels that are known to be those of transposed convolutions, which
            at stride 1 are like others.
        start: gives the numbers from which variables start that are no kernels.

    Returns: layers, in the order of execution; branches, in the order of their sums;
        the parameters that weigh the images in a way that is not known; the kernels
        that read no images.

    Example:
        >>> import jax.numpy as jnp
        >>> call = lambda variables, x, keys: x @ variables["params"]["w"]
        >>> images = jax.ShapeDtypeStruct((2, 3), jnp.float32)
        >>> variables = {"params": {"w": jnp.ones((3, 5))}}
        >>> layers, *_ = find_layers(call, variables, images, {})
        >>> layers[0].name, layers[0].fan_in, layers[0].fan_out
        ('w', 3, 5)
    """
    traced = graph_of_call(function, variables, images, keys)
    traced = graph.without_dropout(traced, graph.find_origins(traced))
    traced = graph.images_apart(graph.part(traced))
    origins = graph.find_origins(traced)
    described, unknown = graph.describe_operations(traced, origins, start)
    found = tuple(one.operation for one in described)
    sums = graph.find_sums(traced, origins, found, note=_log_left_out)
    if graph.has_hidden_sums(traced, origins):
        logging.warning(
            "a sum inside lax.cond is not seen: no scheme takes it for a residual "
            "branch, or counts it as one; choose by jnp.where instead"
        )
    place = {layer.kernel: index for index, layer in enumerate(found)}
    # Later sums enclose earlier ones: the first that names a layer is the innermost.
    branch_of = {
        kernel: index
        for index, branch in reversed(list(enumerate(sums)))
        for kernel in branch.layers
    }
    layers = tuple(
        _layer(traced, one, path[1:] in transposed, branch_of.get(path))
        for one in described
        for path in [one.operation.kernel]
    )
    known = tuple(describe_branch(traced, residual, place, found) for residual in sums)
    aside = graph.read_no_images(traced, origins, found, unknown)
    return layers, known, _in_params(unknown), _in_params(aside)


def _in_params(paths: frozenset[Path]) -> frozenset[Path]:
    return frozenset(path[1:] for path in paths)


def _log_left_out(one: graph.ResidualSum) -> None:
    """Say of a sum why it is no branch."""
    logging.info(
        "the sum around %s counts as no residual branch: a part of it goes past all "
        "its kernels; the branches inside of it count",
        " and ".join("/".join(path[1:]) for path in one.ends),
    )


def graph_of_call(
    function: Callable[..., Any],
    variables: Any,
    images: jax.ShapeDtypeStruct,
    keys: Mapping[str, Any],
) -> graph.Graph:
    """Trace a call as a graph, its random keys among the variables, under `KEYS`.

    Args:
        function: (variables, images, keys) -> anything.
        variables: a tree, parameters under `params`.
        images: their shape.
        keys: of the random streams.

    Example:
        >>> call = lambda variables, x, keys: x @ variables["params"]["w"]
        >>> images = jax.ShapeDtypeStruct((2, 3), "float32")
        >>> kernel = jax.ShapeDtypeStruct((3, 5), "float32")
        >>> traced = graph_of_call(call, {"params": {"w": kernel}}, images, {})
        >>> [node.name for node in traced.nodes]
        ['dot_general']
    """

    def call(flat: dict[Path, Any], images: Array) -> Any:
        tree = traverse_util.unflatten_dict(flat)
        keys = tree.pop(graph.KEYS, {})
        return function(tree, images, keys)

    flat = traverse_util.flatten_dict({**variables, graph.KEYS: dict(keys)})
    return graph.make_graph(call, flat, images)[0]


def _layer(
    traced: graph.Graph,
    described: graph.Described,
    transposed: bool,
    branch: int | None,
) -> Layer:
    """Put together what the graph says of an operation; paths lose their `params`."""
    found, weights, following = described
    shape = (*found.shape[:-1], found.shape[-1] // found.parts)
    # Parts that read each their own are groups of the whole.
    own_groups = found.groups % found.parts == 0
    groups = found.groups // found.parts if own_groups else found.groups
    stored = traced.shapes[traced.variables[found.kernel]].shape
    transposed |= any(dilation > 1 for dilation in found.input_dilation)
    return Layer(
        path=found.kernel[1:-1],
        kernel=found.kernel[1:],
        bias=found.bias and found.bias[1:],
        kind="conv_transpose" if transposed else found.kind,
        kernel_shape=shape,
        order=found.order,
        fan_in=prod(shape[:-1]),
        fan_out=prod(shape[:-2]) * shape[-1] // groups,
        groups=groups,
        strides=found.strides,
        kernel_dilation=found.kernel_dilation,
        input_dilation=found.input_dilation,
        padding=found.padding,
        image_shape=traced.shapes[found.inputs].shape[1:],
        output_shape=traced.shapes[found.outputs].shape[1:],
        normalized=following.normalized,
        scale=following.scale and following.scale[1:],
        shift=following.shift and following.shift[1:],
        activation=following.function,
        branch=branch,
        parts=found.parts,
        padded=graph.padded_before(traced, found),
        stacked=found.parts > 1 and (bool(found.across) or len(stored) > len(shape)),
        scale_free=weights.scale_free,
        multiplier=weights.multiplier,
        uses=1 + len(found.again),
    )
