"""What tracing found of a layer, in words."""

from collections.abc import Sequence
from math import prod

from init_study.activations import name_activation
from init_study.network.branch import Branch
from init_study.network.layers import Layer


def fans_in_words(layer: Layer) -> str:
    """Say how many inputs feed an output, and how many outputs an input feeds.

    Strides and dilated inputs leave fewer than the kernel has: `144 in, 9 of 36 out`
    are 9 outputs on average, 36 at stride 1.

    Args:
        layer: of a network.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> layer = trace(nn.Conv(4, (3, 3), strides=2), (8, 8, 16)).layers[0]
        >>> fans_in_words(layer)
        '144 in, 9 of 36 out'
    """
    forward = _part_of(layer.fan_in, prod(layer.input_dilation))
    return f"{forward} in, {_part_of(layer.fan_out, prod(layer.strides))} out"


def follower_in_words(layer: Layer) -> str:
    """Say what follows a layer: a norm, an activation by its name, both.

    Args:
        layer: of a network.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> net = nn.Sequential([nn.Dense(4), nn.LayerNorm(), nn.gelu, nn.Dense(2)])
        >>> [follower_in_words(layer) for layer in trace(net, (3,)).layers]
        ['norm, gelu', 'linear']
        >>> gated = trace(nn.Sequential([nn.Dense(4), nn.glu]), (3,))
        >>> follower_in_words(gated.layers[0])
        'not recognized'
    """
    if layer.activation is None:
        name = "not recognized"
    else:
        name = name_activation(layer.activation)
    return f"norm, {name}" if layer.normalized else name


def branch_in_words(index: int, layer: Layer, branches: Sequence[Branch]) -> str:
    """Say where a layer is on the residual branches of its network, or nothing.

    Args:
        index: of the layer.
        layer: itself.
        branches: of its network.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         x = nn.Dense(8)(x)
        ...         x = x + nn.Dense(8)(nn.relu(nn.Dense(16)(x)))
        ...         return nn.Dense(2)(x)
        >>> net = trace(Net(), (3,))
        >>> [branch_in_words(i, one, net.branches) for i, one in enumerate(net.layers)]
        ['', 'on branch 0', 'ends branch 0', '']
    """
    on = [] if layer.branch is None else [layer.branch]
    if layer.uses > 1:
        on = _innermost(index, branches)
    ends = [number for number, branch in enumerate(branches) if index in branch.ends]
    around = [n for n, branch in enumerate(branches) if index in branch.shortcut]
    places = (
        ("on", [number for number in on if number not in ends]),
        ("ends", ends),
        ("around", around),
    )
    return ", ".join(
        f"{word} branch {' and '.join(map(str, numbers))}"
        for word, numbers in places
        if numbers
    )


def _innermost(index: int, branches: Sequence[Branch]) -> list[int]:
    """List the branches that a layer is on, but those around others of these."""
    on = [number for number, branch in enumerate(branches) if index in branch.layers]
    return [
        number
        for number in on
        if not any(
            set(branches[other].layers) < set(branches[number].layers)
            for other in on
            if other < number
        )
    ]


def peculiarities(layer: Layer) -> tuple[str, ...]:
    """Say what is unusual in how a layer's kernel is used; most often nothing.

    Args:
        layer: of a network.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> net = nn.Sequential([nn.WeightNorm(nn.Dense(4)), nn.relu, nn.Dense(2)])
        >>> peculiarities(trace(net, (3,)).layers[0])
        ('its scale has no effect: it is normalized on its way',)
    """
    said = {
        "its scale has no effect: it is normalized on its way": layer.scale_free,
        f"times {layer.multiplier:.3g} on its way": layer.multiplier != 1,
        f"used {layer.uses} times": layer.uses > 1,
    }
    return tuple(words for words, holds in said.items() if holds)


def layer_in_words(index: int, layer: Layer, branches: Sequence[Branch]) -> str:
    """Say all that tracing found of a layer in one line.

    Args:
        index: of the layer.
        layer: itself.
        branches: of its network.

    Example:
        >>> import flax.linen as nn
        >>> from init_study.network import trace
        >>> layer = trace(nn.Dense(4), (3,)).layers[0]
        >>> layer_in_words(0, layer, ())
        '3 in, 4 out; linear'
    """
    fans = fans_in_words(layer)
    if layer.parts > 1:
        fans = f"{layer.parts} parts of {fans}"
    follower = follower_in_words(layer)
    if layer.activation is None:
        follows = f"what follows is {follower}"
    else:
        follows = follower if follower == "linear" else f"then {follower}"
    branch = branch_in_words(index, layer, branches)
    return "; ".join(filter(None, (fans, follows, branch, *peculiarities(layer))))


def _part_of(whole: int, divisor: int) -> str:
    return f"{whole}" if divisor == 1 else f"{whole / divisor:.4g} of {whole}"
