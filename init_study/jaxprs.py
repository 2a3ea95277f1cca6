"""The one interpreter of jaxprs, for every part that reads or rewrites functions.

A jaxpr is a list of equations `outputs = primitive[params] inputs`. `interpret` walks
it once and leaves to its caller what an equation does, and what a value is: an array, a
number in a graph, moments. Calls of compiled functions are walked as if their equations
stood in their place.

    jaxpr:   { lambda ; a b. let
                 c = jit[jaxpr={ lambda ; d e. let f = add d e in (f,) }] a b
                 g = mul c 2.0
               in (g,) }
    walked:  add(a, b), then mul(_, 2.0)
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from jax.extend.core import (
    ClosedJaxpr,
    Jaxpr,
    JaxprEqn,
    Literal,
    jaxprs_in_params,
    primitives,
)

# What runs once is better compiled sooner than fast: options of `jax.jit`.
SOON = {"xla_backend_optimization_level": 1}

Apply = Callable[[JaxprEqn, list[Any]], Sequence[Any]]

# What only calls a function of its own. Custom derivatives are not among them: their
# rules would be lost.
PLAIN_CALLS: Mapping[Any, str] = {
    primitives.jit_p: "jaxpr",
    primitives.closed_call_p: "call_jaxpr",
}
CALLS: Mapping[Any, str] = {**PLAIN_CALLS, primitives.remat_p: "jaxpr"}


def interpret(
    jaxpr: Jaxpr | ClosedJaxpr,
    consts: Sequence[Any],
    inputs: Sequence[Any],
    apply: Apply,
    constant: Callable[[Any, Any], Any] = lambda value, aval: value,
    calls: Mapping[Any, str] = CALLS,
) -> list[Any]:
    """Walk the equations of a jaxpr, and return what stands for its outputs.

    Args:
        jaxpr: open or closed.
        consts: of an open jaxpr; a closed one brings its own.
        inputs: what stands for its arguments.
        apply: (equation, what stands for its inputs) -> what stands for its outputs.
        constant: (value, its type) -> what stands for a number that is written down.
        calls: primitives whose functions are walked in place, and the names of their
            parameters.

    Example:
        The same walk computes a function, or notes what it does.

        >>> import jax
        >>> jaxpr = jax.make_jaxpr(jax.jit(lambda x: x * 2.0 + 1.0))(3.0)
        >>> float(interpret(jaxpr, (), [3.0], bind)[0])
        7.0
        >>> note = lambda equation, inputs: [f"{equation.primitive}({inputs[0]})"]
        >>> interpret(jaxpr, (), ["x"], note)
        ['add(mul(x))']
    """
    if isinstance(jaxpr, ClosedJaxpr):
        jaxpr, consts = jaxpr.jaxpr, jaxpr.consts
    values = dict(zip(jaxpr.invars, inputs, strict=True))
    for var, value in zip(jaxpr.constvars, consts, strict=True):
        values[var] = constant(value, var.aval)

    def read(atom: Any) -> Any:
        if isinstance(atom, Literal):
            return constant(atom.val, atom.aval)
        return values[atom]

    for equation in jaxpr.eqns:
        given = [read(atom) for atom in equation.invars]
        called = calls.get(equation.primitive)
        if called is None:
            # What profilers show: the module that an operation belongs to.
            with jax.named_scope(str(equation.source_info.name_stack)):
                made = apply(equation, given)
        else:
            inner = equation.params[called]
            made = interpret(inner, (), given, apply, constant, calls)
        values.update(zip(equation.outvars, made, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def bind(equation: JaxprEqn, inputs: Sequence[Any]) -> list[Any]:
    """Compute an equation as JAX's own evaluator does.

    Custom derivatives keep their rules.
    """
    primitive = equation.primitive
    with equation.ctx.manager:
        made = primitive.bind(*inputs, **primitive.get_bind_params(equation.params))
    return list(made) if primitive.multiple_results else [made]


def equations(jaxpr: Jaxpr | ClosedJaxpr) -> Iterator[JaxprEqn]:
    """Iterate over all equations of a function, and of the functions that they call.

    Example:
        >>> import jax
        >>> jaxpr = jax.make_jaxpr(jax.jit(lambda x: x * 2.0))(3.0)
        >>> [str(equation.primitive) for equation in equations(jaxpr)]
        ['jit', 'mul']
    """
    body = jaxpr.jaxpr if isinstance(jaxpr, ClosedJaxpr) else jaxpr
    for equation in body.eqns:
        yield equation
        yield from inner_equations(equation)


def inner_equations(equation: JaxprEqn) -> Iterator[JaxprEqn]:
    """Iterate over the equations of the functions that an equation calls."""
    for inner in jaxprs_in_params(equation.params):
        yield from equations(inner)
