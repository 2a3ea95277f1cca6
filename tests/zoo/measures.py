"""What the operations of a net of the zoo really do, whatever the code says of them.

Of a linear map whose inputs are independent, of mean 0 and variance 1, the mean square
of an output is the sum of its weights' squares: the map of the squares, of ones.
"""

from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import traverse_util
from zoo.table import ZOO, network, truth_of
from zoo.truth import branches_times

from init_study.network import graph, trace_forward
from init_study.schemes import Batch, parse_scheme


class Place(NamedTuple):
    """Where a kernel meets the images: the node and its two inputs."""

    node: Any
    side: int
    image_shape: tuple[int, ...]
    kernel_shape: tuple[int, ...]
    weights: int
    outputs: int


@cache
def images_of(name):
    return jax.random.normal(jax.random.key(3), (8, *ZOO[name].shape))


@cache
def state_of(name, branches="plain"):
    return network(name, branches).model_state(jax.random.key(1))


@cache
def forward_of(name):
    """The training call as a graph, and the place of each layer by truth's names."""
    net = network(name)
    params = jax.eval_shape(net.initialize, jax.random.key(0))["params"]
    forward = trace_forward(net, params, state_of(name), images_of(name))
    rows = {layer.kernel: truth_of(name, layer) for layer in net.layers}
    places = {}
    for operation in forward.layers:
        row = rows.get(operation.kernel[1:])
        node = forward.traced.nodes[operation.place]
        image, weights = node.inputs[operation.side], node.inputs[1 - operation.side]
        read, kernel = (
            forward.traced.shapes[value].shape for value in (image, weights)
        )
        where = Place(node, operation.side, read, kernel, weights, operation.outputs)
        places.setdefault(row and row.name, where)
    return forward.traced, places


def compute(name, params, wanted):
    """Values of the graph, by truth's names; `wanted` is a field of `Place`."""
    traced, places = forward_of(name)
    flat = traverse_util.flatten_dict({"params": params, **state_of(name)})
    values = tuple(getattr(place, wanted) for place in places.values())
    found = graph.compute(traced, flat, images_of(name), values)
    return dict(zip(places, found, strict=True))


def apply_at(place, weights, x):
    inputs = [x, weights] if place.side == 0 else [weights, x]
    return graph.run_node(place.node, inputs)[0]


def convolves(place):
    return place.node.name == "conv_general_dilated"


@cache
def meter(name):
    """From the squares of all kernels to their mean squares, by truth's names."""
    _, places = forward_of(name)

    def measure(squares):
        return {row: _mean_squares(places[row], squares[row]) for row in places}

    return jax.jit(measure)


def _mean_squares(place, squares):
    """Of outputs from inputs at variance 1, and of inputs from slopes at the outputs.

    Both at the centre, over all places that differ by more than a shift.
    """
    ones = jnp.ones(place.image_shape)
    outputs, back = jax.vjp(lambda x: apply_at(place, squares, x), ones)
    inputs = back(jnp.ones_like(outputs))[0]
    if convolves(place):
        params = place.node.equation.params
        sides = params["dimension_numbers"]
        outputs = _centre(outputs, sides.out_spec[2:], params["lhs_dilation"])
        inputs = _centre(inputs, sides.lhs_spec[2:], params["window_strides"])
    return outputs.mean(), inputs.mean()


def _centre(x, axes, sizes):
    for axis, size in zip(axes, sizes, strict=True):
        start = (x.shape[axis] - size) // 2
        x = jax.lax.slice_in_dim(x, start, start + size, axis=axis)
    return x


def squares_of(name, scheme, draws):
    """The mean squares of all kernels' numbers over many draws, by truth's names."""
    net, recipe = network(name), parse_scheme(scheme)

    def squares(key):
        kernels = compute(name, recipe(key, net), "weights")
        return {layer: jnp.square(kernel) for layer, kernel in kernels.items()}

    forward_of(name)
    every = jax.vmap(squares)
    mean = jax.jit(lambda keys: jax.tree.map(lambda x: x.mean(0), every(keys)))
    return mean(jax.random.split(jax.random.key(7), draws))


@cache
def computed(name, branches, factor):
    """The training call, compiled, with every branch times a factor."""
    net, images = network(name, branches), images_of(name)

    def call(params, state):
        return net.apply(params, state, images, train=True)[0]

    compiled = jax.jit(call)

    def at(params):
        with branches_times(factor):
            return compiled(params, state_of(name, branches))

    return at


def drawn(name, scheme, branches="plain"):
    """The parameters that a scheme gives and stands by; its refusals go through."""
    batch = Batch(images_of(name), jnp.zeros(8, jnp.int32))
    recipe, net = parse_scheme(scheme), network(name, branches)
    params = recipe(jax.random.key(11), net, batch)
    recipe.check(net, params, batch)
    return params


def unlike_zero(params):
    """The same tree with random numbers."""
    flat: Any = traverse_util.flatten_dict(params)
    for place, (path, leaf) in enumerate(flat.items()):
        key = jax.random.fold_in(jax.random.key(5), place)
        flat[path] = jax.random.normal(key, leaf.shape, leaf.dtype)
    return traverse_util.unflatten_dict(flat)
