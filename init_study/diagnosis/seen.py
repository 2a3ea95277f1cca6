"""What an audit measures once, for all of its rules: a set-up, seen before training.

Nothing here judges. A rule takes a `Seen` and gives signs; whatever costs a pass is
measured here, once. Losses at other rates, which few rules need, wait to be asked for.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.diagnosis.first_update import first_update
from init_study.diagnosis.laws import LeafLaw, leaf_laws
from init_study.diagnosis.set_up import SetUp, are_logits, as_read
from init_study.engine.devices import gives_same_bits
from init_study.instruments.passes import Through, make_pass
from init_study.jaxprs import SOON
from init_study.network import Params, Path, graph

# A small step moves every parameter by so much of root mean square, whatever the size
# of its gradient.
_SMALL = 0.01
_MORE_STEPS = 8
# Of what is kept with a network.
_PASS, _UNUSED, _EVALUATION = "audit pass", "audit unused", "audit evaluation"


class Seen(NamedTuple):
    """What was measured of a set-up. All arrays are numpy's.

    Attributes:
        set_up: that was looked at.
        leaves: every parameter, by path.
        laws: that their numbers follow, in the same order.
        slopes: its gradient at the start, by path.
        first: the pass at the start.
        unused: parameters on which no number of the result depends.
        wakes: by path, after how many small steps down the gradient a parameter gets
            one that is not all zero: 0 at once, None never.
        woken: that first gradient; zeros where there is none.
        step_down: gives the loss after one plain gradient step at a rate, by a pass
            when it is first asked for.
        after: the pass after a plain gradient step at the rate of `training`, or None
            where no rate is known.
        evaluated: result in evaluation, before any step; None where that is the same
            function as in training.
        others: parameters that the scheme draws by two other keys, by path.
        redrawn: parameters that it draws by the same key, by path.
        judged: whether losses are cross-entropies of the labels; else of noise.
        again: whether the pass at the start gives the same bits a second time.
        steady: whether the kernels of the device are to do so.
        update: what the first step of the optimizer takes off each parameter, by path;
            None where it or its rate is not known.
        own_step: the loss after that step; None as well.
    """

    set_up: SetUp
    leaves: dict[Path, np.ndarray]
    laws: tuple[LeafLaw, ...]
    slopes: dict[Path, np.ndarray]
    first: Through
    unused: frozenset[Path]
    wakes: dict[Path, int | None]
    woken: dict[Path, np.ndarray]
    step_down: Callable[[float], float]
    after: Through | None
    evaluated: Float[np.ndarray, "n ..."] | None
    others: tuple[dict[Path, np.ndarray], ...]
    redrawn: dict[Path, np.ndarray]
    judged: bool
    again: bool
    steady: bool
    update: dict[Path, np.ndarray] | None
    own_step: float | None


def look_at(set_up: SetUp, key: PRNGKeyArray) -> Seen:
    """Measure a set-up, for all rules.

    Args:
        set_up: to look at.
        key: by which its parameters were drawn, and all that is drawn here.

    Cost: one compilation of a pass forwards and back, and four passes or a few more;
        in a chain of zeros one for each layer.
    """
    again = jax.random.clone(key)
    own_key, *other_keys = jax.random.split(jax.random.fold_in(again, 0), 3)
    given, set_up = set_up, set_up._replace(images=as_read(set_up.images))
    judged = are_logits(set_up)
    through = _through(set_up, own_key, judged)
    # On the host a step costs no compilation, as each shape would on a device.
    params: Any = _on_host(set_up.params)
    first = _on_host(through(params))
    slopes = _flat(first.slopes)
    rate = set_up.training.learning_rate
    drawn = [_flat(set_up.draw(one)) for one in (*other_keys, again)]
    update = _on_host(first_update(set_up.training, params, first.slopes))
    leaves = _flat(params)
    wakes, woken = _wakes(through, params, first, len(set_up.network.layers))
    return Seen(
        set_up=given,
        leaves=leaves,
        laws=leaf_laws(set_up.network, leaves, set_up.said),
        slopes=slopes,
        first=first,
        unused=_unused(set_up),
        wakes=wakes,
        woken=woken,
        step_down=cache(
            lambda one: float(through(_stepped(params, first.slopes, one)).loss)
        ),
        after=(
            None
            if rate is None
            else _on_host(through(_stepped(params, first.slopes, rate)))
        ),
        evaluated=_evaluated(set_up),
        others=tuple(drawn[:2]),
        redrawn=drawn[2],
        judged=judged,
        again=_same_bits(first, through(params)),
        steady=gives_same_bits(),
        update=None if update is None else _flat(update),
        own_step=None if update is None else _loss_after(through, params, update),
    )


def _through(
    set_up: SetUp, key: PRNGKeyArray, judged: bool
) -> Callable[[Params], Through]:
    """Make the pass of a set-up; the next scheme on its network compiles nothing."""
    compiled = set_up.network.passes
    if _PASS not in compiled:
        compiled[_PASS] = make_pass(set_up.network)
    labels = jnp.asarray(set_up.labels, jnp.int32) if judged else None
    rest = set_up.state, set_up.images, labels
    # Every pass has the same dropout, so that what differs is the parameters' doing.
    return lambda params: compiled[_PASS](params, *rest, jax.random.clone(key))


@np.errstate(all="ignore")
def _loss_after(
    through: Callable[[Params], Through], params: Params, update: Params
) -> float:
    return float(through(jax.tree.map(np.subtract, params, update)).loss)


def _same_bits(one: Through, other: Through) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(x).tobytes() == np.asarray(y).tobytes() for x, y in pairs)


def _unused(set_up: SetUp) -> frozenset[Path]:
    """Find the parameters that the result does not depend on."""

    def result(flat: dict[Path, Any], images: Array) -> Array:
        params = traverse_util.unflatten_dict(flat)
        return set_up.network.apply(params, set_up.state, images, train=True)[0]

    compiled = set_up.network.passes
    if _UNUSED in compiled:
        return compiled[_UNUSED]
    flat: Any = traverse_util.flatten_dict(set_up.params)
    traced, _ = graph.make_graph(result, flat, set_up.images)
    needed = graph.needed_places(traced, traced.outputs)
    read = {value for place in needed for value in traced.nodes[place].inputs}
    read |= {*traced.outputs}
    compiled[_UNUSED] = frozenset(
        path for path, value in traced.variables.items() if value not in read
    )
    return compiled[_UNUSED]


@np.errstate(all="ignore")
def _stepped(params: Params, slopes: Params, rate: float) -> Params:
    return jax.tree.map(lambda p, g: p - np.asarray(rate, p.dtype) * g, params, slopes)


def _wakes(
    through: Callable[[Params], Through], params: Params, first: Through, layers: int
) -> tuple[dict[Path, int | None], dict[Path, np.ndarray]]:
    """Find after how many small steps each parameter gets a gradient, and which.

    In a chain of zeros one layer wakes at each step.
    """
    slopes = first.slopes
    wakes: dict[Path, int | None] = dict.fromkeys(_flat(params))
    woken = _flat(slopes)
    for step in range(layers + _MORE_STEPS):
        found = {path: one for path, one in _flat(slopes).items() if np.any(one)}
        new = {path: one for path, one in found.items() if wakes[path] is None}
        woken |= new
        wakes |= dict.fromkeys(new, step)
        if None not in wakes.values() or (step and not new):
            break
        params = jax.tree.map(_moved, params, slopes)
        slopes = _on_host(through(params).slopes)
    return wakes, woken


@np.errstate(all="ignore")
def _moved(leaf: np.ndarray, slope: np.ndarray) -> np.ndarray:
    wide = slope.astype(np.float32)
    size = np.sqrt(np.mean(np.square(wide)))
    unit = wide / size if size > 0 else wide
    step = _SMALL * np.where(np.isfinite(unit), unit, 0.0)
    # Of one number NumPy makes a scalar.
    return np.asarray(leaf - step, leaf.dtype)


def _evaluated(set_up: SetUp) -> np.ndarray | None:
    """Compute the result in evaluation, where norms keep averages."""
    if not jax.tree.leaves(set_up.state):
        return None

    compiled, network = set_up.network.passes, set_up.network
    if _EVALUATION not in compiled:
        compiled[_EVALUATION] = jax.jit(
            lambda *given: network.apply(*given, train=False)[0], compiler_options=SOON
        )
    run = compiled[_EVALUATION]
    return np.asarray(run(set_up.params, set_up.state, set_up.images))


def _flat(params: Any) -> dict[Path, np.ndarray]:
    flat: Any = traverse_util.flatten_dict(params)
    return {path: np.asarray(leaf) for path, leaf in flat.items()}


def _on_host(tree: Any) -> Any:
    return jax.tree.map(np.asarray, tree)
