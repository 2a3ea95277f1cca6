"""A module of any framework seen as layers.

`trace` follows the training call of a module without computing anything and notes every
convolution and dense layer that it meets, in the order of execution, so that a scheme
can set the parameters of any module, third-party ones included.
"""

import zlib
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.conv import fast_in_loops
from init_study.errors import UserError
from init_study.network.adapters import Adapter, adapt
from init_study.network.branch_scalars import ADDED, added_parameters, with_additions
from init_study.network.layers import Branch, Layer, Path, find_layers

Params = dict[str, Any]
ModelState = dict[str, Any]


class Network(NamedTuple):
    """A traced module.

    Attributes:
        adapter: the module as pure functions.
        image_shape: `(height, width, channels)` of its input.
        layers: in the order of execution.
        branches: residual ones, in the order of their sums.
        unknown: parameters that weigh the images in a way that tracing cannot tell.
        shapes: shape and dtype of every parameter, by path.
        initialize: key -> all variables, as the module itself asks for; compiled.
        model_state: key -> what it keeps besides parameters, e.g. BatchNorm's averages;
            compiled, without the draws of parameters.
        remainder: key -> the leaves that belong to no layer, by path; compiled.
    """

    adapter: Adapter
    image_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    branches: tuple[Branch, ...]
    unknown: frozenset[Path]
    shapes: dict[Path, jax.ShapeDtypeStruct]
    initialize: Callable[[PRNGKeyArray], dict[str, Any]]
    model_state: Callable[[PRNGKeyArray], ModelState]
    remainder: Callable[[PRNGKeyArray], dict[Path, Array]]

    @property
    def num_parameters(self) -> int:
        """How many parameters one member has."""
        return sum(prod(leaf.shape) for leaf in self.shapes.values())

    def own_init(self, key: PRNGKeyArray) -> Params:
        """Draw the parameters that the module itself asks for."""
        return self.initialize(key)["params"]

    def own_variables(self, params: Params, model_state: ModelState) -> Any:
        """Give parameters and state back in the form of the module's framework.

        Raises: UserError for a network with numbers added to its branches, which the
            module does not have.
        """
        if ADDED in params:
            raise UserError(
                f"{self.adapter.name} itself has no numbers on its residual branches; "
                "only with branches='plain' can its variables be given back"
            )
        return self.adapter.own({"params": params, **model_state})

    def complete(
        self,
        key: PRNGKeyArray,
        leaves: Mapping[Path, Array],
        kept: Collection[Path] = (),
    ) -> Params:
        """Make a whole tree of the given leaves, and the module's own for the rest.

        Args:
            key: of the module's own draws.
            leaves: by path.
            kept: kernels and biases that shall be the module's own. Others must be
                given; what belongs to no layer need not.

        Raises: UserError naming the path for a kernel without a rule, a leaf that
            does not exist, or one of the wrong shape.
        """
        for path, leaf in leaves.items():
            self._check_leaf(path, leaf)
        layered = {path for layer in self.layers for path in layer.leaves}
        rest = [path for path in self.shapes if path not in leaves]
        # Of a loop's parameters it is the kernel that one looks for, not the bias.
        rest.sort(key=lambda path: -self.shapes[path].ndim)
        for path in rest:
            if path in (layered | self.unknown) and path not in kept:
                raise UserError(
                    f"no rule sets {'/'.join(path)}, which is used as a kernel; known "
                    "are convolutions and products with images, outside of loops: give "
                    "it a rule, or use the scheme 'module' to keep the module's own"
                )
        own: Any = {}
        if any(path in layered for path in rest):
            own = traverse_util.flatten_dict(self.own_init(key))
        elif rest:
            own = self.remainder(key)
        return traverse_util.unflatten_dict({**own, **leaves})

    def _check_leaf(self, path: Path, leaf: Array) -> None:
        wanted = self.shapes.get(path)
        if wanted is None:
            raise UserError(f"the network has no parameter {'/'.join(path)!r}")
        if leaf.shape != wanted.shape:
            raise UserError(
                f"{'/'.join(path)} has shape {wanted.shape}, the scheme gave "
                f"{leaf.shape}"
            )

    def apply(
        self,
        params: Params,
        model_state: ModelState,
        images: Float[Array, "n h w c"],
        *,
        train: bool,
        key: PRNGKeyArray | None = None,
        convolution: str = "xla",
    ) -> tuple[Float[Array, "n classes"], ModelState]:
        """Compute logits and, in training, the new model state.

        Args:
            params, model_state: of the network.
            images: a batch.
            train: whether this is the training call.
            key: of dropout and other draws; without one they are always the same.
            convolution: the form of `init_study.conv` that its convolutions take.
        """
        keys = self._stream_keys(key)

        def call(variables: Any, images: Array) -> Any:
            return self.adapter.apply(variables, images, train, keys)

        if ADDED in params:
            call = with_additions(call, self.layers, self.branches)
        variables = {"params": params, **model_state}
        outputs, state = fast_in_loops(call, convolution)(variables, images)
        return outputs, state if train else model_state

    def _stream_keys(self, key: PRNGKeyArray | None) -> dict[str, PRNGKeyArray]:
        """The key itself for `dropout`, and one made of it for each other stream."""
        key = jax.random.key(0) if key is None else key
        return {
            name: key
            if name == "dropout"
            else jax.random.fold_in(key, zlib.crc32(name.encode()))
            for name in self.adapter.streams
        }


def trace(
    module: Any,
    image_shape: tuple[int, ...],
    num_classes: int | None = None,
    branches: str = "plain",
    train_argument: str | None = None,
) -> Network:
    """Find the layers of a module that maps images to one logit per class.

    Args:
        module: of Flax Linen or NNX, Haiku or Equinox, or what makes one.
        image_shape: `(height, width, channels)`.
        num_classes: how many logits it must give; None for a module of any result.
        branches: in `branch_scalars.BRANCHES`: what is added to its residual branches.
        train_argument: what the module calls its training flag, `NAME` or `NAME=False`
            for one that is false in training; the usual names are known.

    Raises: UserError, in one line, if the module cannot be called on such images or
        does not give `[batch, num_classes]`.

    Example:
        >>> import flax.linen as nn
        >>> network = trace(nn.Sequential([nn.Conv(4, (3, 3)), nn.relu]), (8, 8, 1))
        >>> [layer.name for layer in network.layers]
        ['layers_0']
    """
    images = jax.ShapeDtypeStruct((2, *image_shape), jnp.float32)
    adapter = adapt(module, images, num_classes, train_argument)
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = jax.eval_shape(adapter.init, key, images)
    keys = dict.fromkeys(adapter.streams, key)
    _check_logits(adapter, variables, images, keys, num_classes)
    shapes: Any = traverse_util.flatten_dict(variables["params"])
    layers, found_branches, unknown = find_layers(
        lambda variables, images, keys: adapter.apply(variables, images, True, keys)[0],
        variables,
        images,
        keys,
        adapter.transposed,
    )
    added = added_parameters(branches, layers, found_branches)
    shapes.update({p: jax.ShapeDtypeStruct(v.shape, v.dtype) for p, v in added.items()})
    return Network(
        adapter=adapter,
        image_shape=image_shape,
        layers=layers,
        branches=found_branches,
        unknown=unknown,
        shapes=shapes,
        **_draws(adapter, images, layers, added),
    )


def _draws(
    adapter: Adapter,
    images: jax.ShapeDtypeStruct,
    layers: tuple[Layer, ...],
    added: Mapping[Path, Array],
) -> dict[str, Callable[[PRNGKeyArray], Any]]:
    """The module's own draws. Each is compiled for itself: what it does not give is not
    drawn."""
    layered = {path for layer in layers for path in layer.leaves}

    def variables(key: PRNGKeyArray) -> dict[str, Any]:
        own = adapter.init(key, jnp.zeros(images.shape, images.dtype))
        if added:
            more = traverse_util.unflatten_dict(dict(added))
            own["params"] = {**own["params"], **more}
        return own

    def model_state(key: PRNGKeyArray) -> ModelState:
        return {name: v for name, v in variables(key).items() if name != "params"}

    def remainder(key: PRNGKeyArray) -> dict[Path, Array]:
        own: Any = traverse_util.flatten_dict(variables(key)["params"])
        return {path: leaf for path, leaf in own.items() if path not in layered}

    return {
        "initialize": jax.jit(variables),
        "model_state": jax.jit(model_state),
        "remainder": jax.jit(remainder),
    }


def _check_logits(
    adapter: Adapter,
    variables: Any,
    images: jax.ShapeDtypeStruct,
    keys: dict[str, Any],
    num_classes: int | None,
) -> None:
    """Raises: UserError for a call that gives something else than one logit per class,
    in training or in evaluation."""
    if num_classes is None:
        return
    for train in (True, False):
        outputs, _ = jax.eval_shape(
            lambda v, x, k, train=train: adapter.apply(v, x, train, k),
            variables,
            images,
            keys,
        )
        if getattr(outputs, "shape", None) != (2, num_classes):
            when = "in training" if train else "in evaluation"
            raise UserError(
                f"{adapter.name} gives {_describe(outputs)} for 2 images {when}; one "
                f"logit per class is needed: (2, {num_classes})"
            )


def _describe(outputs: Any) -> str:
    if hasattr(outputs, "shape"):
        return str(outputs.shape)
    return f"a {type(outputs).__name__}"
