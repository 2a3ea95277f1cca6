"""Schemes that treat every layer alike: one law for kernels, one for biases."""

import inspect
from collections.abc import Callable
from typing import Any

from init_study.errors import UserError
from init_study.initializers import Initializer, he_normal, zeros
from init_study.network import Layer, Network, Path
from init_study.schemes.scheme import Rule, Scheme

LayerRule = Callable[[Layer], Initializer]


def per_layer(
    kernel: LayerRule | Initializer,
    bias: LayerRule | Initializer | None = None,
    head: LayerRule | Initializer | None = None,
    name: str = "a law of the user's",
) -> Scheme:
    """Draw every layer's kernel and bias from the law that the layer itself gives.

    Args:
        kernel: from a layer to the initializer of its kernel; or one initializer for
            all of them, if it needs to know nothing of the layer but its shape.
        bias: the same for its bias; zeros by default.
        head: the same for the kernel of the last layer; as the others by default.
        name: of the law, for people.

    Raises: UserError for what is neither, e.g. `he_normal` without parentheses.

    Example:
        >>> scheme = per_layer(he_normal(), head=zeros(), name="he")
        >>> net = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
        >>> said = explain(net, jnp.ones((2, 5)), scheme)
        >>> said["layers_0/kernel"], said["layers_2/kernel"]
        ('he; 5 in, 4 out; then relu', 'he, of the head; 4 in, 2 out; linear')
    """
    kernel_of = _as_rule(kernel)
    bias_of = _as_rule(zeros() if bias is None else bias)
    head_of = kernel_of if head is None else _as_rule(head)

    def rules(network: Network) -> dict[Path, Rule]:
        found: dict[Path, Rule] = {}
        for layer in network.layers:
            last = layer is network.layers[-1]
            law = head_of if last else kernel_of
            text = name if head is None or not last else f"{name}, of the head"
            found[layer.kernel] = Rule(text, law(layer))
            if layer.bias is not None:
                text = "zeros" if bias is None else f"{name}, of biases"
                found[layer.bias] = Rule(text, bias_of(layer))
        return found

    return Scheme(rules=rules)


def _as_rule(given: Callable[..., Any]) -> LayerRule:
    """Make a rule of either, told apart by what they need.

    An initializer needs a key and a shape; a rule needs a layer alone.
    """
    parameters = inspect.signature(given).parameters.values()
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    needed = [p for p in parameters if p.default is p.empty and p.kind in positional]
    if not needed:
        name = getattr(given, "__name__", repr(given))
        raise UserError(
            f"{name} is neither an initializer nor a function of the layer; call it "
            f"first: per_layer({name}())"
        )
    return given if len(needed) == 1 else lambda layer: given


# What the schemes that change a few parameters do with all the others by default.
HE_NORMAL = per_layer(lambda layer: he_normal(fans=layer.mean_fans), name="he_normal")
