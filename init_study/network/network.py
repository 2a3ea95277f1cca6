"""A Flax Linen module seen as layers: the only tracer of Flax.

`trace` runs a module's `init` without computing anything and notes every
convolution and dense layer that it meets, in the order of execution, so that a
scheme can set the parameters of any module, third-party ones included.
"""

import inspect
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.conv import fast_in_loops
from init_study.errors import UserError
from init_study.network.branch_scalars import ADDED, added_parameters, with_additions
from init_study.network.layers import Branch, Layer, Path, find_layers

Params = dict[str, Any]
ModelState = dict[str, Any]

# How modules call the argument that tells training from evaluation, and its value
# during training.
_TRAIN_ARGUMENTS = {
    "train": True,
    "training": True,
    "is_training": True,
    "deterministic": False,
}


class Network(NamedTuple):
    """A traced module.

    Attributes:
        module: the Flax Linen module.
        image_shape: `(height, width, channels)` of its input.
        layers: in the order of execution.
        branches: residual ones, in the order of their sums.
        unknown: parameters that weigh the images in a way that tracing cannot tell.
        shapes: shape and dtype of every parameter, by path.
        train_argument: how the module calls its training flag, or None.
        initialize: key -> all variables, as the module itself asks for; compiled.
        remainder: key -> the leaves that belong to no layer, by path; compiled.
    """

    module: nn.Module
    image_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    branches: tuple[Branch, ...]
    unknown: frozenset[Path]
    shapes: dict[Path, jax.ShapeDtypeStruct]
    train_argument: str | None
    initialize: Callable[[PRNGKeyArray], dict[str, Any]]
    remainder: Callable[[PRNGKeyArray], dict[Path, Array]]

    @property
    def num_parameters(self) -> int:
        """Of one member."""
        return sum(prod(leaf.shape) for leaf in self.shapes.values())

    def own_init(self, key: PRNGKeyArray) -> Params:
        """The parameters that the module itself asks for."""
        return self.initialize(key)["params"]

    def model_state(self, key: PRNGKeyArray) -> ModelState:
        """What the module keeps besides parameters, e.g. BatchNorm's averages."""
        variables = self.initialize(key)
        return {name: v for name, v in variables.items() if name != "params"}

    def complete(
        self,
        key: PRNGKeyArray,
        leaves: Mapping[Path, Array],
        kept: Collection[Path] = (),
    ) -> Params:
        """A whole tree: the given leaves, and the module's own for the rest.

        Args:
            key: of the module's own draws.
            leaves: by path.
            kept: kernels and biases that shall be the module's own. Others must be
                given; what belongs to no layer need not.

        Raises: UserError naming the path for a kernel without a rule, a leaf that
            does not exist, or one of the wrong shape.
        """
        for path, leaf in leaves.items():
            wanted = self.shapes.get(path)
            if wanted is None:
                raise UserError(f"the network has no parameter {'/'.join(path)!r}")
            if leaf.shape != wanted.shape:
                raise UserError(
                    f"{'/'.join(path)} has shape {wanted.shape}, the scheme gave "
                    f"{leaf.shape}"
                )
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

    def apply(
        self,
        params: Params,
        model_state: ModelState,
        images: Float[Array, "n h w c"],
        *,
        train: bool,
        dropout_key: PRNGKeyArray | None = None,
        convolution: str = "xla",
    ) -> tuple[Float[Array, "n classes"], ModelState]:
        """Logits and, when training, the new model state.

        `convolution` is the form of `init_study.conv` that its convolutions take.
        """
        variables = {"params": params, **model_state}
        options: dict[str, Any] = _train_options(self.train_argument, train)
        if dropout_key is not None:
            options["rngs"] = {"dropout": dropout_key}
        if train and model_state:
            options["mutable"] = list(model_state)

        def call(variables: Any, images: Array) -> Any:
            return self.module.apply(variables, images, **options)

        if ADDED in params:
            call = with_additions(call)
        result = fast_in_loops(call, convolution)(variables, images)
        return result if "mutable" in options else (result, model_state)


def trace(
    module: nn.Module,
    image_shape: tuple[int, ...],
    num_classes: int | None = None,
    branches: str = "plain",
) -> Network:
    """Find the layers of a module that maps images to one logit per class.

    Args:
        module: any Flax Linen module, `__call__(images)` or `__call__(images, train)`.
        image_shape: `(height, width, channels)`.
        num_classes: how many logits it must give; None for a module of any result.
        branches: in `branch_scalars.BRANCHES`: what is added to its residual branches.

    Raises: UserError, in one line, if the module cannot be called on such images or
        does not give `[batch, num_classes]`.
    """
    train_argument = _train_argument(module)
    images = jax.ShapeDtypeStruct((2, *image_shape), jnp.float32)

    def variables_and_logits(key: PRNGKeyArray, images: Array) -> tuple[Any, Array]:
        keys = {"params": key, "dropout": key}
        options = _train_options(train_argument, train=False)
        logits, variables = module.init_with_output(keys, images, **options)
        return variables, logits

    transposed: set[Path] = set()
    with nn.intercept_methods(lambda *call: _note_transposed(transposed, *call)):
        variables, logits = _call_or_explain(module, variables_and_logits, images)
    wanted = num_classes is None or getattr(logits, "shape", None) == (2, num_classes)
    if not wanted:
        raise UserError(
            f"{type(module).__name__} gives {_describe(logits)} for 2 images; "
            f"one logit per class is needed: (2, {num_classes})"
        )
    shapes: Any = traverse_util.flatten_dict(variables.get("params", {}))
    options = _train_options(train_argument, train=False)
    layers, found_branches, unknown = find_layers(
        lambda variables, images: module.apply(variables, images, **options),
        variables,
        images,
        transposed,
    )
    layered = {path for layer in layers for path in layer.leaves}
    added = added_parameters(branches, layers, found_branches)
    shapes.update({p: jax.ShapeDtypeStruct(v.shape, v.dtype) for p, v in added.items()})

    @jax.jit
    def initialize(key: PRNGKeyArray) -> dict[str, Any]:
        own = variables_and_logits(key, jnp.zeros(images.shape, images.dtype))[0]
        if added:
            own["params"] = {**own["params"], **traverse_util.unflatten_dict(added)}
        return own

    @jax.jit
    def remainder(key: PRNGKeyArray) -> dict[Path, Array]:
        own: Any = traverse_util.flatten_dict(initialize(key)["params"])
        return {path: leaf for path, leaf in own.items() if path not in layered}

    return Network(
        module=module,
        image_shape=image_shape,
        layers=layers,
        branches=found_branches,
        unknown=unknown,
        shapes=shapes,
        train_argument=train_argument,
        initialize=initialize,
        remainder=remainder,
    )


def _call_or_explain(
    module: nn.Module, function: Callable[..., Any], images: jax.ShapeDtypeStruct
) -> Any:
    """The user's module runs here for the first time: any error of it is theirs."""
    try:
        return jax.eval_shape(function, jax.random.key(0), images)
    except UserError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise UserError(
            f"{type(module).__name__} cannot be called on images of shape "
            f"{images.shape[1:]}: {type(error).__name__}: {lines[0]}"
        ) from error


def _train_argument(module: nn.Module) -> str | None:
    parameters = inspect.signature(type(module).__call__).parameters
    return next((name for name in _TRAIN_ARGUMENTS if name in parameters), None)


def _train_options(train_argument: str | None, train: bool) -> dict[str, Any]:
    if train_argument is None:
        return {}
    return {train_argument: _TRAIN_ARGUMENTS[train_argument] == train}


def _note_transposed(
    found: set[Path],
    next_function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    context: nn.module.InterceptorContext,
) -> Any:
    """At stride 1 a graph does not tell a transposed convolution from another."""
    if isinstance(context.module, nn.ConvTranspose):
        found.add((*context.module.path, "kernel"))
    return next_function(*args, **kwargs)


def _describe(output: Any) -> str:
    return str(output.shape) if hasattr(output, "shape") else type(output).__name__
