"""The ways to train the members with plain Flax, and the rate of a matrix product.

A way takes a number of steps and returns how much it did, after all of it is done:
member-steps, or GFLOP for `matmul`. The first call compiles.
"""

import inspect
import time
from collections.abc import Callable
from itertools import cycle, islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from benchmarks.cases import (
    BATCH_SIZE,
    Case,
    learning_rates,
    peer_batches,
)

Way = Callable[[int], float]

MOMENTUM = 0.9
MATRIX = 2048
_MOST_SCANNED = 256


def flax_loop(case: Case, members: int, seconds: float) -> Way:
    """One member after the other, one jitted step after the other."""
    del seconds
    step = jax.jit(make_step(case), donate_argnums=0)
    stacked, batches = initial_states(case, members), _device_batches(case)
    starts = [_member(stacked, place) for place in range(members)]
    rates = [jnp.asarray(rate) for rate in learning_rates(members)]

    def way(steps: int) -> float:
        for start, rate in zip(starts, rates, strict=True):
            state = _copy(start)
            for images, labels in islice(cycle(batches), steps):
                state, _ = step(state, rate, images, labels)
            jax.block_until_ready(state)
        return members * steps

    return way


def flax_vmap(case: Case, members: int, seconds: float) -> Way:
    """All members side by side in one jitted step, the loop over steps outside."""
    del seconds
    mapped = jax.vmap(make_step(case), in_axes=(0, 0, None, None))
    step = jax.jit(mapped, donate_argnums=0)
    start, batches = initial_states(case, members), _device_batches(case)
    rates = jnp.asarray(learning_rates(members))

    def way(steps: int) -> float:
        state = _copy(start)
        for images, labels in islice(cycle(batches), steps):
            state, _ = step(state, rates, images, labels)
        jax.block_until_ready(state)
        return members * steps

    return way


def flax_vmap_own(case: Case, members: int, seconds: float) -> Way:
    """`flax_vmap`, but each member goes through the images in an order of its own.

    So does every seed of this engine. The first layer of `flax_vmap` is one plain
    convolution for all members, which here it cannot be.
    """
    del seconds
    images, labels = map(jnp.concatenate, zip(*_device_batches(case), strict=True))
    count, draw = len(labels), np.random.default_rng(0)
    orders = draw.permuted(np.tile(np.arange(count), (members, 1)), axis=1)
    batches = jnp.asarray(orders.reshape(members, -1, BATCH_SIZE).swapaxes(0, 1))
    train = make_step(case)

    def own(state: Any, rate: Any, rows: Any) -> Any:
        return train(state, rate, images[rows], labels[rows])

    step = jax.jit(jax.vmap(own), donate_argnums=0)
    start, rates = initial_states(case, members), jnp.asarray(learning_rates(members))

    def way(steps: int) -> float:
        state = _copy(start)
        for rows in islice(cycle(batches), steps):
            state, _ = step(state, rates, rows)
        jax.block_until_ready(state)
        return members * steps

    return way


def flax_scan(case: Case, members: int, seconds: float) -> Way:
    """One member after the other, the steps in a `lax.scan`.

    On CPU the gradients of convolutions are slow there, so the scan has only as many
    steps as fit the time, but two at least: XLA takes a loop of one step apart. A
    step of the way is one whole scan of one member.
    """
    step, batches = make_step(case), _device_batches(case)
    stacked = initial_states(case, members)
    starts = [_member(stacked, place) for place in range(members)]
    rates = [jnp.asarray(rate) for rate in learning_rates(members)]
    all_images = jnp.stack([images for images, _ in batches])
    all_labels = jnp.stack([labels for _, labels in batches])

    def scan_of(length: int) -> Callable[[Any, Any], Any]:
        def scanned(state: Any, rate: Any) -> Any:
            def one(state: Any, place: Any) -> Any:
                return step(state, rate, all_images[place], all_labels[place])

            return lax.scan(one, state, jnp.arange(length) % len(batches))[0]

        return jax.jit(scanned, donate_argnums=0)

    def time_of(scan: Callable[[Any, Any], Any]) -> float:
        began = time.monotonic()
        jax.block_until_ready(scan(_copy(starts[0]), rates[0]))
        return time.monotonic() - began

    scan, length = scan_of(2), 2
    time_of(scan)
    fitting = int(seconds / members / (time_of(scan) / length))
    if fitting > length:
        length = min(fitting, _MOST_SCANNED)
        scan = scan_of(length)

    def way(scans: int) -> float:
        for place in range(scans):
            state = _copy(starts[place % members])
            jax.block_until_ready(scan(state, rates[place % members]))
        return scans * length

    return way


def matmul(case: Case, members: int, seconds: float) -> Way:
    """Products of two float32 matrices: what this machine can do. In GFLOP."""
    del case, members, seconds
    left, right = jax.random.normal(jax.random.key(0), (2, MATRIX, MATRIX))
    product = jax.jit(jnp.dot)

    def way(products: int) -> float:
        for _ in range(products):
            result = product(left, right)
        jax.block_until_ready(result)
        return products * 2 * MATRIX**3 / 1e9

    return way


def make_step(case: Case) -> Callable[..., Any]:
    """(state, rate, images, labels) -> (state, loss): plain Flax and optax."""
    module = case.module
    flags = inspect.signature(type(module).__call__).parameters
    options: dict[str, Any] = {"train": True} if "train" in flags else {}

    def loss_of(params: Any, kept: Any, images: Any, labels: Any) -> Any:
        variables = {"params": params, **kept}
        logits, kept = module.apply(variables, images, mutable=list(kept), **options)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return losses.mean(), kept

    def step(state: Any, rate: Any, images: Any, labels: Any) -> Any:
        params, kept, opt_state = state
        (loss, kept), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            params, kept, images, labels
        )
        optimizer = optax.sgd(rate, momentum=MOMENTUM)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        return (optax.apply_updates(params, updates), kept, opt_state), loss

    return step


def initial_states(case: Case, members: int) -> Any:
    """Parameters, what BatchNorm keeps, and SGD's state: leaves `[members, ...]`."""

    def one(key: Any) -> Any:
        images = jnp.zeros((1, *case.image_shape))
        variables = case.module.init(key, images)
        kept = {name: value for name, value in variables.items() if name != "params"}
        params = variables["params"]
        return params, kept, optax.sgd(0.0, momentum=MOMENTUM).init(params)

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), members))


def _device_batches(case: Case) -> list[tuple[jax.Array, jax.Array]]:
    pairs = zip(*peer_batches(case), strict=True)
    return [(jnp.asarray(images), jnp.asarray(labels)) for images, labels in pairs]


def _member(stacked: Any, place: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[place], stacked)


def _copy(state: Any) -> Any:
    """Each step gives its input's memory to its output."""
    return jax.tree.map(jnp.copy, state)


PEERS = {
    way.__name__: way
    for way in (flax_loop, flax_vmap, flax_vmap_own, flax_scan, matmul)
}
