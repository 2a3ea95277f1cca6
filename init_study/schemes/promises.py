"""What schemes promise of residual branches and heads, checked on what they drew.

A few images go through the network, at the mean of its dropout.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array

from init_study.errors import UserError
from init_study.jaxprs import SOON
from init_study.keys import fixed_key
from init_study.network import Forward, Network, Params, Path, graph, trace_forward
from init_study.network.graph import ResidualSum
from init_study.schemes.obstacles import (
    refuse_other_uses,
    what_bends,
    what_is_not_zero,
)
from init_study.schemes.scheme import Batch, Promise, leaf_of

_IMAGES = 4
_ROUNDING = 1e-2
_OF_GATES = 0.2


class Passed(NamedTuple):
    """A network's pass that a promise is checked on.

    Attributes:
        forward: the pass as a graph, at the mean of dropout.
        sums: its residual sums.
        images: what went in.
        terms: (variables, images, terms as drawn, alone) -> all terms of the sums;
            compiled.
        outputs: (variables, images) -> what the network gives; compiled.
    """

    forward: Forward
    sums: tuple[ResidualSum, ...]
    images: Array
    terms: Callable[..., list[Array]]
    outputs: Callable[..., list[Array]]

    def compute(
        self, wanted: tuple[int, ...], changes: dict[Path, Array] | None = None
    ) -> list[Any]:
        """Compute values of the graph, some parameters changed."""
        variables = {**self.forward.variables, **(changes or {})}
        traced = self.forward.traced
        return graph.compute(traced, variables, self.images, wanted)

    def summands(self, *changes: dict[Path, Array]) -> list[list[Array]]:
        """Compute all terms of the branches as drawn, and with parameters changed.

        Where some are changed, every sum adds what was drawn all the same: each branch
        is looked at alone.
        """
        terms = [term for one in self.sums for term in one.summands]
        variables = self.forward.variables
        shapes = [self.forward.traced.shapes[term.value] for term in terms]
        nothing = [np.zeros(one.shape, one.dtype) for one in shapes]
        drawn = self.terms(variables, self.images, nothing, np.array(False))
        changed = (
            self.terms({**variables, **change}, self.images, drawn, np.array(True))
            for change in changes
        )
        return [drawn, *changed]


def pass_of(network: Network, params: Params, batch: Batch | None) -> Passed:
    """Trace the pass that promises are checked on.

    Args:
        network: a traced network.
        params: what a scheme drew.
        batch: its first images are taken; without it, or where it says nothing, as one
            of zeros, normal ones.

    Example:
        >>> network = trace(nn.Dense(2), (3,))
        >>> params = {"kernel": jnp.zeros((3, 2)), "bias": jnp.ones(2)}
        >>> passed = pass_of(network, params, None)
        >>> passed.compute(passed.forward.traced.outputs)[0].tolist()[0]
        [1.0, 1.0]
    """
    images = None if batch is None else jnp.asarray(batch.images)[:_IMAGES]
    if images is None or len(images) < _IMAGES or not bool(jnp.std(images) > 0):
        images = jax.random.normal(
            fixed_key(0), (_IMAGES, *network.image_shape), jnp.float32
        )
    state = network.model_state(fixed_key(0))
    leaves, tree = jax.tree.flatten((params, state))
    what = tree, *((leaf.shape, leaf.dtype) for leaf in (*leaves, images))
    if what not in network.passes:
        forward = trace_forward(network, params, state, images, dropout=False)
        sums = graph.find_sums(forward.traced, forward.origins, forward.layers)
        # The next scheme brings its own numbers; these need not stay.
        given = {p: v for p, v in forward.variables.items() if p[0] == graph.KEYS}
        network.passes[what] = (
            forward._replace(variables=given),
            sums,
            *_programs(forward.traced, sums),
        )
    forward, sums, terms, outputs = network.passes[what]
    flat: Any = traverse_util.flatten_dict({"params": params, **state})
    forward = forward._replace(variables={**flat, **forward.variables})
    return Passed(forward, sums, images, terms, outputs)


def _programs(
    traced: graph.Graph, sums: tuple[ResidualSum, ...]
) -> tuple[Callable[..., list[Array]], Callable[..., list[Array]]]:
    """Make the compiled functions of a `Passed`."""
    terms = [term for one in sums for term in one.summands]
    slots = {(term.place, term.side): slot for slot, term in enumerate(terms)}
    wanted = tuple(term.value for term in terms)

    @partial(jax.jit, compiler_options=SOON)
    def terms_of(
        variables: dict[Path, Any], images: Array, drawn: list[Array], alone: Array
    ) -> list[Array]:
        def feed(place: int, inputs: list[Any]) -> list[Any]:
            return [
                jnp.where(alone, drawn[slots[place, side]], value)
                if (place, side) in slots
                else value
                for side, value in enumerate(inputs)
            ]

        return graph.compute(traced, variables, images, wanted, feed=feed)

    @partial(jax.jit, compiler_options=SOON)
    def outputs_of(variables: dict[Path, Any], images: Array) -> list[Array]:
        return graph.compute(traced, variables, images, traced.outputs)

    return terms_of, outputs_of


def zero_branches(name: str) -> Promise:
    """Check that every residual branch begins at zero.

    Args:
        name: of the scheme, for people.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        passed = pass_of(network, params, batch)
        ends = {path for one in passed.sums for path in one.ends}
        zeros = {p for p in ends if not np.any(passed.forward.variables[p])}
        refuse_other_uses(name, passed.forward, passed.sums, zeros)
        (drawn,) = passed.summands()
        squares_of = iter([np.mean(np.square(value)) for value in drawn])
        for one in passed.sums:
            squares = [next(squares_of) for _ in one.summands]
            square = float(sum(squares))
            if square != 0:
                why = what_is_not_zero(passed.forward, passed.images, one)
                raise UserError(
                    f"{name}: the {name_branch(one)} does not begin at zero, its mean "
                    f"square is {square:.3g}: {why}; take another scheme, or leave "
                    "that out of the branch"
                )

    return check


def scaled_branches(name: str, factor_of: Callable[[Network], float]) -> Promise:
    """Check that the scale of every branch's last kernels is that of the branch.

    Args:
        name: of the scheme, for people.
        factor_of: from the network to the factor of those kernels.
    """

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        passed, factor = pass_of(network, params, batch), factor_of(network)
        kernels = {path for one in passed.sums for path in one.ends}
        if factor != 1:
            refuse_other_uses(name, passed.forward, passed.sums, kernels)
        leaves = {path: passed.forward.variables[path] for path in kernels}
        whole = {path: leaf / factor for path, leaf in leaves.items()}
        none = {path: jnp.zeros_like(leaf) for path, leaf in leaves.items()}
        opened = _opened(passed)
        drawn, *changed = passed.summands(
            *([opened] if opened else []), {**whole, **opened}, {**none, **opened}
        )
        runs = iter([*zip(*(changed if opened else [drawn, *changed]), strict=True)])
        for one in passed.sums:
            given = [next(runs) for _ in one.summands]
            _check_scaled(name, passed, one, factor, given)

    return check


def _opened(passed: Passed) -> dict[Path, Array]:
    """Set to one the scales that are zero: behind those nothing can be measured."""
    variables = passed.forward.variables
    scales = {path for one in passed.sums for path in one.scales} & variables.keys()
    return {
        path: jnp.ones_like(variables[path])
        for path in sorted(scales)
        if not np.any(variables[path])
    }


def _check_scaled(
    name: str,
    passed: Passed,
    one: ResidualSum,
    factor: float,
    given: list[tuple[Array, Array, Array]],
) -> None:
    """Compare a branch's terms as drawn, unscaled and without their last kernels.

    Raises: UserError if the first is not as far from the last as the factor says, nor
        as large.
    """
    if not any(np.any(passed.forward.variables[path]) for path in one.ends):
        return
    if not any(np.any(value) for run in given for value in run):
        # Zero whatever its last kernels are, and so as many times as large as any.
        return
    off = [jnp.linalg.norm(a - c - factor * (b - c)) for a, b, c in given]
    size = [jnp.linalg.norm(factor * (b - c)) for a, b, c in given]
    if one.ends and float(sum(off)) <= _ROUNDING * float(sum(size)) > 0:
        return
    # A gate that is made of the branch changes a little with it.
    as_drawn, before = (sum(jnp.sum(run[i] ** 2) for run in given) for i in (0, 1))
    ratio = float(jnp.sqrt(as_drawn / jnp.maximum(before, 1e-30))) / factor
    if one.ends and abs(ratio - 1) <= _OF_GATES:
        return
    ends = " and ".join("/".join(path[1:]) for path in one.ends) or "no kernel"
    why = what_bends(passed.forward, one)
    if not one.ends:
        why = "a part of it goes past all kernels"
    elif not any(bool(jnp.any(b != c)) for _, b, c in given):
        why = "what that kernel reads, or what multiplies it behind, is zero"
    elif factor != 1 and all(bool(jnp.allclose(a, b, rtol=1e-3)) for a, b, _ in given):
        why = f"the scale of {ends} has no effect, it is normalized on its way"
    raise UserError(
        f"{name}: the {name_branch(one)} is not {factor:.3g} times what it was, though "
        f"{ends} is: {why}; take a scheme that sets no branch, or stable_resnet"
    )


def equal_outputs(name: str, axis: int) -> Promise:
    """Check that the network says the same for all classes, or for all images.

    Args:
        name: of the scheme, for people.
        axis: of the outputs along which they are alike: -1 for classes, 0 for images.
    """
    among = "classes" if axis else "images"

    def check(network: Network, params: Params, batch: Batch | None) -> None:
        passed = pass_of(network, params, batch)
        (outputs, *_) = passed.outputs(passed.forward.variables, passed.images)
        size = float(jnp.max(jnp.abs(outputs)))
        spread = float(jnp.max(jnp.ptp(outputs, axis=axis)))
        if outputs.ndim > 1 and spread > 1e-5 * size:
            head = network.layers[-1]
            differ = (
                f"{name}: the outputs are not the same for all {among}, they differ by "
                f"{spread:.3g}"
            )
            if bool(jnp.any(leaf_of(params, head.kernel))):
                raise UserError(
                    f"{differ}: the kernel of {head.name} is not zero any more; take "
                    "another rest, or a scheme that sets no head"
                )
            raise UserError(
                f"{differ}, though the kernel of {head.name} is zero: something else "
                "is added to what it gives or stands behind it; take a scheme that "
                "sets no head"
            )

    return check


def name_branch(one: ResidualSum) -> str:
    """Name a branch for people by its first and its last layer.

    Example:
        >>> kernels = (("params", "a", "kernel"), ("params", "b", "kernel"))
        >>> name_branch(ResidualSum(kernels, (), (), fork=0, output=1))
        'branch a … b'
    """
    names = ["/".join(path[1:-1] or path[1:]) for path in one.layers]
    return "branch " + (names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}")
