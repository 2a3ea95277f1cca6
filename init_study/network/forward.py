"""`trace_forward`: the forward pass of a network as a graph."""

from typing import Any, NamedTuple

from flax import traverse_util
from jaxtyping import Array, PRNGKeyArray

from init_study.keys import fixed_key
from init_study.network import graph
from init_study.network.network import ModelState, Network, Params


class Forward(NamedTuple):
    """A network's forward pass as a graph.

    Attributes:
        traced: of the images and `variables`, by path, to the logits.
        origins: what each value of it depends on.
        layers: in the order of `Network.layers`, with their places in the graph.
        variables: parameters and model state, by path.
    """

    traced: graph.Graph
    origins: graph.Origins
    layers: tuple[graph.Operation, ...]
    variables: dict[Any, Any]


def trace_forward(
    network: Network,
    params: Params,
    model_state: ModelState,
    images: Any,
    *,
    train: bool = True,
    key: PRNGKeyArray | None = None,
    dropout: bool = True,
) -> Forward:
    """Trace `Network.apply` at these variables.

    Args:
        network: a traced network.
        params: its parameters, with those that were added to its branches.
        model_state: its state.
        images: of these only shape and dtype count.
        train: whether this is the training call.
        key: of dropout and other draws.
        dropout: False for its mean, as layers and branches are found.

    Example:
        >>> import jax.numpy as jnp
        >>> from init_study.models.linear import Linear
        >>> from init_study.network import trace
        >>> network = trace(Linear(2), (4, 4, 1))
        >>> params = {"Dense_0": {"kernel": jnp.zeros((16, 2)), "bias": jnp.zeros(2)}}
        >>> forward = trace_forward(network, params, {}, jnp.zeros((3, 4, 4, 1)))
        >>> layer = forward.layers[0]
        >>> layer.kernel, forward.traced.nodes[layer.place].name
        (('params', 'Dense_0', 'kernel'), 'dot_general')
    """

    def call(flat: dict[Any, Any], images: Array) -> Any:
        tree = traverse_util.unflatten_dict(flat)
        keys = tree.pop(graph.KEYS, {"all": key})
        state = {name: value for name, value in tree.items() if name != "params"}
        return network.apply(
            tree["params"], state, images, train=train, key=keys["all"]
        )[0]

    variables: Any = traverse_util.flatten_dict({"params": params, **model_state})
    if not dropout:
        variables[graph.KEYS, "all"] = fixed_key(0) if key is None else key
    traced, _ = graph.make_graph(call, variables, images)
    if not dropout:
        traced = graph.without_dropout(traced, graph.find_origins(traced))
    traced = graph.images_apart(graph.part(traced))
    origins = graph.find_origins(traced)
    layers, _ = graph.find_operations(traced, origins)
    # With dropout's draws in the graph, what is computed for nothing (auxiliary heads
    # that are not asked for) is still there; it is no layer of the network.
    known = {layer.kernel for layer in network.layers}
    layers = tuple(one for one in layers if one.kernel[1:] in known)
    return Forward(traced, origins, layers, variables)
