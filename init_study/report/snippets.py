"""How the schemes of other libraries are asked for there: the winner to take home."""

from collections.abc import Sequence

# What JAX and Flax, Keras and PyTorch call one and the same law of kernels. PyTorch's
# normal laws are not truncated; the variance is the same.
LAWS = {
    "he_normal": (
        "he_normal()",
        "he_normal",
        'kaiming_normal_(w, nonlinearity="relu")',
    ),
    "he_uniform": (
        "he_uniform()",
        "he_uniform",
        'kaiming_uniform_(w, nonlinearity="relu")',
    ),
    "xavier_normal": ("glorot_normal()", "glorot_normal", "xavier_normal_(w)"),
    "xavier_uniform": ("glorot_uniform()", "glorot_uniform", "xavier_uniform_(w)"),
    "lecun_normal": (
        "lecun_normal()",
        "lecun_normal",
        'kaiming_normal_(w, nonlinearity="linear")',
    ),
    "lecun_uniform": (
        "lecun_uniform()",
        "lecun_uniform",
        'kaiming_uniform_(w, nonlinearity="linear")',
    ),
    "orthogonal": ("orthogonal()", "orthogonal", "orthogonal_(w)"),
}


def snippets(scheme: str) -> Sequence[tuple[str, str]]:
    """Write a scheme as code of each library: (library, code).

    Any scheme can be drawn by this package; those whose law has a name elsewhere are
    written there as well, with biases at zero.

    Args:
        scheme: as a study names it.

    Example:
        >>> [library for library, _ in snippets("he_normal")]
        ['Any module', 'Flax', 'Keras', 'PyTorch']
        >>> len(snippets("fixup"))
        1
    """
    own = (
        "Any module",
        f"variables = init_study.initialize(model, images, {scheme!r}, key)",
    )
    if scheme not in LAWS:
        return (own,)
    flax, keras, torch = LAWS[scheme]
    return (
        own,
        ("Flax", f"nn.Conv(64, (3, 3), kernel_init=nn.initializers.{flax})"),
        ("Keras", f'keras.layers.Conv2D(64, 3, kernel_initializer="{keras}")'),
        ("PyTorch", f"w = layer.weight; torch.nn.init.{torch}"),
    )
