"""What an audit measures once, for all of its rules: a set-up, seen before training.

Nothing here judges. A rule takes a `Seen` and gives signs; whatever costs a pass is
measured here, once.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import traverse_util
from jaxtyping import Array, Float, PRNGKeyArray

from init_study.diagnosis.first_update import first_update
from init_study.diagnosis.of_study import Training
from init_study.diagnosis.passes import Through, make_pass
from init_study.jaxprs import SOON
from init_study.network import ModelState, Network, Params, Path, graph
from init_study.schemes import Batch, Refinement, Scheme

# A small step moves every parameter by so much of root mean square, whatever the size
# of its gradient.
_SMALL = 0.01
_MORE_STEPS = 8
# Of what is kept with a network.
_PASS, _UNUSED, _EVALUATION = "audit pass", "audit unused", "audit evaluation"
# Rates at which a first step is tried, besides the one that is asked about.
RATES = tuple(10.0**power for power in range(-4, 2))


class SetUp(NamedTuple):
    """A network, its numbers and a batch, before anything is trained.

    Attributes:
        network: a traced network.
        params: what it starts from.
        state: of norms and the like.
        images: a batch, as it was given; a network reads integers as float32.
        labels: of them, from 0 to K − 1, or None.
        said: what sets each parameter, in words, by path.
        draw: draws parameters as these were, by key; None if they were given.
        training: how it is going to be trained.
        refinements: of the scheme, what it does to its draws; none if they were given.
    """

    network: Network
    params: Params
    state: ModelState
    images: Any
    labels: Any
    said: Mapping[Path, str]
    draw: Callable[[PRNGKeyArray], Params] | None
    training: Training = Training()
    refinements: tuple[Refinement, ...] = ()


class Seen(NamedTuple):
    """What was measured of a set-up. All arrays are numpy's.

    Attributes:
        set_up: that was looked at.
        leaves: every parameter, by path.
        slopes: its gradient at the start, by path.
        first: the pass at the start.
        unused: parameters on which no number of the result depends.
        wakes: by path, after how many small steps down the gradient a parameter gets
            one that is not all zero: 0 at once, None never.
        steps_down: by learning rate, the loss after one plain gradient step.
        after: the pass after a plain gradient step at the rate of `training`, or None
            where no rate is known.
        evaluated: result in evaluation, before any step; None where that is the same
            function as in training.
        others: parameters drawn by two other keys, by path; none if there is no `draw`.
        redrawn: parameters drawn again by the same key, by path; None as well.
        judged: whether losses are cross-entropies of the labels; else of noise.
        again: whether the pass at the start gives the same bits a second time.
        update: what the first step of the optimizer takes off each parameter, by path;
            None where it or its rate is not known.
        own_step: the loss after that step; None as well.
    """

    set_up: SetUp
    leaves: dict[Path, np.ndarray]
    slopes: dict[Path, np.ndarray]
    first: Through
    unused: frozenset[Path]
    wakes: dict[Path, int | None]
    steps_down: dict[float, float]
    after: Through | None
    evaluated: Float[np.ndarray, "n ..."] | None
    others: tuple[dict[Path, np.ndarray], ...]
    redrawn: dict[Path, np.ndarray] | None
    judged: bool
    again: bool
    update: dict[Path, np.ndarray] | None
    own_step: float | None


def make_set_up(
    network: Network,
    scheme: Scheme,
    batch: Batch,
    key: PRNGKeyArray,
    training: Training,
) -> SetUp:
    """Draw a network's parameters by a scheme, to be looked at.

    Args:
        network: a traced network.
        scheme: that draws.
        batch: images as the network reads them, and their labels or None.
        key: of the draw.
        training: how it is going to be trained.

    Raises: UserError as `Scheme.__call__` and `Scheme.explain`.
    """
    said = scheme.explain(network)
    read = batch._replace(images=_as_read(batch.images))
    return SetUp(
        network=network,
        params=scheme(key, network, read),
        state=network.model_state(jax.random.clone(key)),
        images=jnp.asarray(batch.images),
        labels=None if batch.labels is None else np.asarray(batch.labels),
        said=said,
        draw=lambda other: scheme(other, network, read),
        training=training,
        refinements=scheme.refinements,
    )


def look_at(set_up: SetUp, key: PRNGKeyArray) -> Seen:
    """Measure a set-up, for all rules.

    Args:
        set_up: to look at.
        key: by which its parameters were drawn, and all that is drawn here.

    Cost: one compilation of a pass forwards and back, and some ten to thirty passes.
    """
    again = jax.random.clone(key)
    own_key, *other_keys = jax.random.split(jax.random.fold_in(again, 0), 3)
    given, set_up = set_up, set_up._replace(images=_as_read(set_up.images))
    through = _through(set_up, own_key)
    first = through(set_up.params)
    slopes = _flat(first.slopes)
    rate = set_up.training.learning_rate
    rates: list[float] = sorted({*RATES, *([] if rate is None else [rate])})
    stepped = {
        one: through(_stepped(set_up.params, first.slopes, one)) for one in rates
    }
    update = first_update(set_up.training, set_up.params, first.slopes)
    draw = set_up.draw
    drawn = [_flat(draw(one)) for one in (*other_keys, again)] if draw else []
    return Seen(
        set_up=given,
        leaves=_flat(set_up.params),
        slopes=slopes,
        first=_on_host(first),
        unused=_unused(set_up),
        wakes=_wakes(through, set_up.params, first, len(set_up.network.layers)),
        steps_down={one: float(passed.loss) for one, passed in stepped.items()},
        after=None if rate is None else _on_host(stepped[rate]),
        evaluated=_evaluated(set_up),
        others=tuple(drawn[:2]),
        redrawn=drawn[2] if drawn else None,
        judged=_are_logits(set_up),
        again=_same_bits(first, through(set_up.params)),
        update=None if update is None else _flat(update),
        own_step=None if update is None else _loss_after(through, set_up, update),
    )


def _as_read(images: Any) -> Array:
    """Bring integers into the type in which layers with float32 kernels read them."""
    images = jnp.asarray(images)
    is_float = jnp.issubdtype(images.dtype, jnp.floating)
    return images if is_float else images.astype(jnp.float32)


def _through(set_up: SetUp, key: PRNGKeyArray) -> Callable[[Params], Through]:
    """Make the pass of a set-up; the next scheme on its network compiles nothing."""
    compiled = set_up.network.passes
    if _PASS not in compiled:
        compiled[_PASS] = make_pass(set_up.network)
    labels = jnp.asarray(set_up.labels, jnp.int32) if _are_logits(set_up) else None
    rest = set_up.state, set_up.images, labels
    # Every pass has the same dropout, so that what differs is the parameters' doing.
    return lambda params: compiled[_PASS](params, *rest, jax.random.clone(key))


def _are_logits(set_up: SetUp) -> bool:
    """Whether the result is `[n, classes]`, with a class for every label."""
    labels = np.asarray(set_up.labels if set_up.labels is not None else 0.0)
    are_whole = np.issubdtype(labels.dtype, np.integer)
    if not are_whole or labels.ndim != 1 or not labels.size or labels.min() < 0:
        return False
    result = jax.eval_shape(
        lambda p: set_up.network.apply(p, set_up.state, set_up.images, train=True)[0],
        set_up.params,
    )
    return result.ndim == 2 and int(labels.max()) < result.shape[1]


def _loss_after(
    through: Callable[[Params], Through], set_up: SetUp, update: Params
) -> float:
    return float(through(jax.tree.map(jnp.subtract, set_up.params, update)).loss)


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


def _stepped(params: Params, slopes: Params, rate: float) -> Params:
    return jax.tree.map(lambda p, g: p - jnp.asarray(rate, p.dtype) * g, params, slopes)


def _wakes(
    through: Callable[[Params], Through], params: Params, first: Through, layers: int
) -> dict[Path, int | None]:
    """Find after how many small steps each parameter gets a gradient.

    In a chain of zeros one layer wakes at each step.
    """
    slopes = first.slopes
    wakes: dict[Path, int | None] = dict.fromkeys(_flat(params))
    for step in range(layers + _MORE_STEPS):
        found = {path for path, slope in _flat(slopes).items() if np.any(slope)}
        new = {path for path in found if wakes[path] is None}
        wakes |= dict.fromkeys(new, step)
        if None not in wakes.values() or (step and not new):
            break
        params = jax.tree.map(_moved, params, slopes)
        slopes = through(params).slopes
    return wakes


def _moved(leaf: Array, slope: Array) -> Array:
    size = jnp.sqrt(jnp.mean(jnp.square(slope.astype(jnp.float32))))
    unit = slope / jnp.where(size > 0, size, 1.0)
    return (leaf - _SMALL * jnp.where(jnp.isfinite(unit), unit, 0.0)).astype(leaf.dtype)


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


def _on_host(passed: Through) -> Through:
    return jax.tree.map(np.asarray, passed)
