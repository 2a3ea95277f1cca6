"""`Network`: a module of any framework seen as layers, with its calls and its draws."""

import zlib
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any, NamedTuple

import jax
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.conv import fast_in_loops
from init_study.errors import UserError
from init_study.keys import fixed_key
from init_study.network.adapters import Adapter
from init_study.network.branch_scalars import ADDED, with_additions
from init_study.network.layers import Branch, Layer, Path
from init_study.network.precision import Arithmetic, in_arithmetic, set_for

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
        aside: kernels that read no images, as those of a time; the module's own.
        shapes: shape and dtype of every parameter, by path.
        initialize: key -> all variables, as the module itself asks for; compiled.
        model_state: key -> what it keeps besides parameters, e.g. BatchNorm's averages;
            compiled, without the draws of parameters.
        remainder: key -> the leaves that belong to no layer, by path; compiled.
        passes: of checks, traced and compiled at the first one for the next; by shapes.
        arithmetic: of its products; the device's own for None. Differentiate `apply`
            inside `set_for(arithmetic)`.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> network = trace(nn.Dense(2), (4, 4, 3))
        >>> network.num_parameters, network.layers[0].fan_in
        (8, 3)
    """

    adapter: Adapter
    image_shape: tuple[int, ...]
    layers: tuple[Layer, ...]
    branches: tuple[Branch, ...]
    unknown: frozenset[Path]
    aside: frozenset[Path]
    shapes: dict[Path, jax.ShapeDtypeStruct]
    initialize: Callable[[PRNGKeyArray], dict[str, Any]]
    model_state: Callable[[PRNGKeyArray], ModelState]
    remainder: Callable[[PRNGKeyArray], dict[Path, Array]]
    passes: dict[Any, Any]
    arithmetic: Arithmetic | None = None

    @property
    def num_parameters(self) -> int:
        """The number of parameters of one member."""
        return sum(prod(leaf.shape) for leaf in self.shapes.values())

    def own_init(self, key: PRNGKeyArray) -> Params:
        """Draw the parameters that the module itself asks for.

        Example:
            >>> import flax.linen as nn
            >>> from init_study.network import trace
            >>> network = trace(nn.Dense(2), (4, 4, 3))
            >>> network.own_init(jax.random.key(0))["kernel"].shape
            (3, 2)
        """
        return self.initialize(key)["params"]

    def own_variables(self, params: Params, model_state: ModelState) -> Any:
        """Give parameters and state back in the form of the module's framework.

        Args:
            params: of this network.
            model_state: of this network.

        Raises: UserError for a network with numbers added to its branches, which the
            module does not have.
        """
        if ADDED in params:
            raise UserError(
                f"{self.adapter.name} itself has no numbers on its residual branches; "
                "only with branches='plain' can its variables be given back"
            )
        return self.adapter.own({"params": params, **model_state})

    def read_variables(self, own: Any) -> tuple[Params, ModelState]:
        """Read parameters and state out of the form of the module's framework.

        Args:
            own: as `own_variables` gives them.

        Raises: UserError for what is none of this module: another form, a parameter
            that is not there or too many, or one of another shape.

        Example:
            >>> import flax.linen as nn
            >>> from init_study.network import trace
            >>> network = trace(nn.Dense(2), (4,))
            >>> variables = nn.Dense(2).init(jax.random.key(0), jax.numpy.ones((1, 4)))
            >>> params, state = network.read_variables(variables)
            >>> params["kernel"].shape, state
            ((4, 2), {})
        """
        try:
            variables = self.adapter.read(own)
            flat: Any = traverse_util.flatten_dict(variables["params"])
        # The forms of four frameworks, and whatever else was given.
        except Exception as error:
            line = (str(error).strip().splitlines() or [""])[0]
            raise UserError(
                f"the variables of {self.adapter.name} cannot be read from "
                f"{type(own).__name__!r}: {type(error).__name__}: {line}; give what "
                "init_study.initialize gives"
            ) from error
        lacking = [path for path in self.shapes if path not in flat]
        if lacking:
            name = "/".join(lacking[0])
            raise UserError(
                f"the variables of {self.adapter.name} lack its parameter {name!r}; "
                "give all that its framework makes"
            )
        for path, leaf in flat.items():
            self._check_leaf(path, leaf)
        params = variables.pop("params")
        return params, variables

    def complete(
        self,
        key: PRNGKeyArray,
        leaves: Mapping[Path, Array],
        kept: Collection[Path] = (),
    ) -> Params:
        """Make a whole tree of the given leaves, with the module's own for the rest.

        Args:
            key: of the module's own draws.
            leaves: by path.
            kept: kernels and biases that shall be the module's own. Others must be
                given; what belongs to no layer need not.

        Raises: UserError naming the path for a kernel without a rule, a leaf that
            does not exist, or one of the wrong shape.

        Example:
            >>> import flax.linen as nn, jax.numpy as jnp
            >>> from init_study.network import trace
            >>> network, ones = trace(nn.Dense(2), (4, 4, 3)), jnp.ones((3, 2))
            >>> leaves = {("kernel",): ones, ("bias",): jnp.zeros(2)}
            >>> params = network.complete(jax.random.key(0), leaves)
            >>> float(params["kernel"].sum())
            6.0
        """
        for path, leaf in leaves.items():
            self._check_leaf(path, leaf)
        self.check_complete({*leaves, *kept})
        layered = {path for layer in self.layers for path in layer.leaves}
        rest = [path for path in self.shapes if path not in leaves]
        own: Any = {}
        if any(path in layered for path in rest):
            own = traverse_util.flatten_dict(self.own_init(key))
        elif rest:
            own = self.remainder(key)
        return traverse_util.unflatten_dict({**own, **leaves})

    def check_complete(self, given: Collection[Path]) -> None:
        """Check that every kernel and bias is given, in rules or in leaves.

        Args:
            given: paths.

        Raises: UserError with the first that is not, why it is needed, and a way out.

        Example:
            >>> import flax.linen as nn
            >>> from init_study.network import trace
            >>> trace(nn.Dense(2), (4, 4, 3)).check_complete([("kernel",), ("bias",)])
        """
        layered = {path: layer for layer in self.layers for path in layer.leaves}
        rest = [path for path in self.shapes if path not in given]
        # Of a loop's parameters it is the kernel that one looks for, not the bias.
        for path in sorted(rest, key=lambda path: -self.shapes[path].ndim):
            if path in layered:
                why = f"of layer {layered[path].name}"
            elif path in self.unknown:
                why = (
                    "which is used as a kernel in a way that is not known: known are "
                    "convolutions and products of one parameter with images, slices "
                    "and stacks of parameters included, but not sums and products of "
                    "parameters, cond, while and long loops"
                )
            else:
                continue
            raise UserError(
                f"no rule sets {'/'.join(path)}, {why}: give it a rule, or use the "
                "scheme 'module' to keep the module's own"
            )

    def _check_leaf(self, path: Path, leaf: Array) -> None:
        """Refuse a leaf that the network does not have in this shape.

        Raises: UserError with the path, and both shapes.
        """
        wanted = self.shapes.get(path)
        if wanted is None:
            raise UserError(f"the network has no parameter {'/'.join(path)!r}")
        if leaf.shape != wanted.shape:
            raise UserError(
                f"{'/'.join(path)} has shape {wanted.shape}, and was given one of "
                f"{leaf.shape}"
            )

    def apply(
        self,
        params: Params,
        model_state: ModelState,
        images: Float[Array, "n ..."],
        *,
        train: bool,
        key: PRNGKeyArray | None = None,
        convolution: str = "xla",
    ) -> tuple[Float[Array, "n ..."], ModelState]:
        """Compute what the module gives, most often logits, and its new state.

        Only training changes the state. A module without a head gives other shapes
        than `[n, classes]`, and it may read other images than `[n, h, w, c]`.

        Args:
            params: of the network.
            model_state: of the network.
            images: a batch.
            train: whether this is the training call.
            key: of dropout and other draws; without one they are always the same.
            convolution: the form of `init_study.conv` that its convolutions take.

        Raises: UserError for an arithmetic that the module does not take.

        Example:
            Weights of zero leave the bias.

            >>> import jax.numpy as jnp
            >>> from init_study.models.linear import Linear
            >>> from init_study.network import trace
            >>> network = trace(Linear(2), (1, 1, 3))
            >>> layer = {"kernel": jnp.zeros((3, 2)), "bias": jnp.array([1.0, 2.0])}
            >>> images = jnp.ones((1, 1, 1, 3))
            >>> logits, _ = network.apply({"Dense_0": layer}, {}, images, train=False)
            >>> logits.tolist()
            [[1.0, 2.0]]
        """
        keys = self._stream_keys(key)

        def call(variables: Any, images: Array) -> Any:
            return self.adapter.apply(variables, images, train, keys)

        if ADDED in params:
            call = with_additions(call, self.layers, self.branches)
        variables = {"params": params, **model_state}
        with set_for(self.arithmetic):
            call = in_arithmetic(call, self.arithmetic)
            outputs, state = fast_in_loops(call, convolution)(variables, images)
        return outputs, state if train else model_state

    def _stream_keys(self, key: PRNGKeyArray | None) -> dict[str, PRNGKeyArray]:
        """Give `dropout` the key itself, and each other stream one made of it."""
        key = fixed_key(0) if key is None else key
        return {
            name: key
            if name == "dropout"
            else jax.random.fold_in(key, zlib.crc32(name.encode()))
            for name in self.adapter.streams
        }
