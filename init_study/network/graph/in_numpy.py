"""Values of a graph computed in NumPy: quick for what is computed once.

JAX compiles every operation at every shape, which takes longer than all of a block's
arithmetic. Floats keep the precision that is given here, whatever the graph has: casts
to half precision would hide what a block is.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from init_study import jaxprs
from init_study.network.graph.dataflow import Graph, Node, run_node

_UNARY = {
    **{name: getattr(np, name) for name in "abs ceil cos cosh exp exp2 expm1".split()},
    **{name: getattr(np, name) for name in "floor log log1p sign sin sinh".split()},
    **{name: getattr(np, name) for name in "sqrt square tan tanh cbrt".split()},
    "copy": np.asarray,
    "erf": special.erf,
    "erfc": special.erfc,
    "erf_inv": special.erfinv,
    "is_finite": np.isfinite,
    "logistic": special.expit,
    "neg": np.negative,
    "optimization_barrier": np.asarray,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "stop_gradient": np.asarray,
}
_BINARY = {
    "add": np.add,
    "add_any": np.add,
    "atan2": np.arctan2,
    "div": lambda x, y: x // y if x.dtype.kind in "iu" else x / y,
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "le": np.less_equal,
    "lt": np.less,
    "max": np.maximum,
    "min": np.minimum,
    "mul": np.multiply,
    "ne": np.not_equal,
    "pow": np.power,
    "sub": np.subtract,
}
_REDUCTIONS = {"reduce_sum": np.sum, "reduce_max": np.max, "reduce_min": np.min}
# Over devices, of which there is one while a call is traced, and over mapped axes.
_OVER_DEVICES = {"psum": np.sum, "pmax": np.max, "pmin": np.min}


def compute_in_numpy(
    graph: Graph,
    made_by: Mapping[int, int],
    wanted: int,
    values: dict[int, Any],
) -> Any:
    """Compute one value of a graph, and note all that it is made of.

    Args:
        graph: of a function.
        made_by: as of `producers`.
        wanted: the value.
        values: those that are known; what is computed on the way comes in.

    Raises: KeyError for a value that is neither known nor made by a node.

    Example:
        >>> from init_study.network import graph
        >>> traced, _ = graph.make_graph(lambda p, x: 2.0 * x + 1.0, {}, 3.0)
        >>> made_by = graph.producers(traced)
        >>> known = {traced.images: np.float32(3.0)}
        >>> float(compute_in_numpy(traced, made_by, traced.outputs[0], known))
        7.0
    """
    open_values = [wanted]
    while open_values:
        value = open_values[-1]
        if value in values:
            open_values.pop()
            continue
        if value in graph.constants:
            values[value] = _wide(graph.constants[value])
            continue
        node = graph.nodes[made_by[value]]
        missing = [one for one in node.inputs if one not in values]
        if missing:
            open_values += missing
            continue
        given = [values[one] for one in node.inputs]
        with np.errstate(all="ignore"):
            made = _run(node, given, [graph.shapes[v].dtype for v in node.inputs])
        values.update(zip(node.outputs, made, strict=True))
    return values[wanted]


def _wide(value: Any) -> np.ndarray:
    """Read an array with its floats in single precision."""
    dtype = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return value
    floats = jnp.issubdtype(dtype, jnp.floating)
    return np.asarray(value, np.float32 if floats else None)


def _run(node: Node, given: list[Any], dtypes: list[Any]) -> list[Any]:
    """Compute a node: in NumPy where that is known, else as JAX does."""
    made = _known(node.equation, given)
    if made is not None:
        return made
    inputs = [jnp.asarray(x, dtype) for x, dtype in zip(given, dtypes, strict=True)]
    return [_wide(x) for x in run_node(node, inputs)]


def _known(equation: Any, given: list[Any]) -> list[Any] | None:
    """Compute an equation in NumPy; None where that is not written down here."""
    name, params = str(equation.primitive), equation.params
    if name in _UNARY:
        return [_UNARY[name](given[0])]
    if name in _BINARY:
        return [_BINARY[name](*given)]
    if name in _REDUCTIONS:
        return [_REDUCTIONS[name](given[0], axis=tuple(params["axes"]))]
    if name in _OVER_DEVICES:
        axes = tuple(axis for axis in params["axes"] if isinstance(axis, int))
        return [_OVER_DEVICES[name](x, axis=axes) if axes else x for x in given]
    if name.startswith(("custom_jvp", "custom_vjp")):
        return _called(next(jaxprs.jaxprs_in_params(params)), given)
    special_case = _SPECIAL.get(name)
    made = None if special_case is None else special_case(params, *given)
    return None if made is None else made if isinstance(made, list) else [made]


def _called(inner: Any, given: list[Any]) -> list[Any]:
    """Compute an inner function."""

    def apply(equation: Any, inputs: list[Any]) -> list[Any]:
        made = _known(equation, inputs)
        if made is not None:
            return made
        avals = [atom.aval for atom in equation.invars]
        pairs = zip(inputs, avals, strict=True)
        inputs = [jnp.asarray(x, aval.dtype) for x, aval in pairs]
        return [_wide(x) for x in jaxprs.bind(equation, inputs)]

    return jaxprs.interpret(inner, (), given, apply, lambda x, aval: _wide(x))


def _convert(params: Any, x: Any) -> Any:
    x = np.asarray(x)
    if not jnp.issubdtype(params["new_dtype"], jnp.floating):
        return x.astype(params["new_dtype"])
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def _broadcast(params: Any, x: Any, *sizes: Any) -> Any:
    shape, axes = params["shape"], params["broadcast_dimensions"]
    sizes_of = dict(zip(axes, np.shape(x), strict=True))
    x = np.reshape(x, [sizes_of.get(axis, 1) for axis in range(len(shape))])
    return np.broadcast_to(x, shape)


def _reshape(params: Any, x: Any, *sizes: Any) -> Any:
    x = x if params.get("dimensions") is None else x.transpose(params["dimensions"])
    return np.reshape(x, params["new_sizes"])


def _slice(params: Any, x: Any) -> Any:
    strides = params["strides"] or (1,) * np.ndim(x)
    cuts = zip(params["start_indices"], params["limit_indices"], strides, strict=True)
    return x[tuple(slice(*cut) for cut in cuts)]


def _pad(params: Any, x: Any, number: Any) -> Any:
    config = params["padding_config"]
    if any(low < 0 or high < 0 or inner for low, high, inner in config):
        return None
    widths = [(int(low), int(high)) for low, high, _ in config]
    return np.pad(x, widths, constant_values=number)


def _split(params: Any, x: Any) -> list[Any]:
    return np.split(x, np.cumsum(params["sizes"])[:-1], params["axis"])


def _select(params: Any, which: Any, *cases: Any) -> Any:
    if len(cases) != 2:
        return None
    return np.where(np.asarray(which).astype(bool), cases[1], cases[0])


_SPECIAL = {
    "broadcast_in_dim": _broadcast,
    "clamp": lambda params, low, x, high: np.clip(x, low, high),
    "concatenate": lambda params, *xs: np.concatenate(xs, params["dimension"]),
    "convert_element_type": _convert,
    "expand_dims": lambda params, x: np.expand_dims(x, params["dimensions"]),
    "integer_pow": lambda params, x: np.power(x, np.float32(params["y"])),
    "pad": _pad,
    "reshape": _reshape,
    "rev": lambda params, x: np.flip(x, params["dimensions"]),
    "select_n": _select,
    "slice": _slice,
    "split": _split,
    "squeeze": lambda params, x: np.squeeze(x, tuple(params["dimensions"])),
    "stack": lambda params, *xs: np.stack(xs, params["axis"]),
    "transpose": lambda params, x: np.transpose(x, params["permutation"]),
}
