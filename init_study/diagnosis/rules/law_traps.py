"""Laws: whether the numbers are those that were asked for, and whose they are."""

from collections import Counter
from collections.abc import Iterator
from math import log

import jax
import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.law_families import CUT_SQUARE, ORTHOGONAL, RANDOM, follows
from init_study.diagnosis.laws import KERNEL, LeafLaw, law_in_words
from init_study.diagnosis.seen import Seen
from init_study.keys import fixed_key
from init_study.network import Layer, Path
from init_study.schemes.scheme import OWN

# One set-up in a million would be accused for nothing, over all of its parameters.
_CHANCE = 1e-6
# Laws that tie numbers to one another differ from draw to draw as no chance would have
# it. Where two draws do, the numbers must be three times as far from both; a logarithm
# of p goes with the square of the distance.
_TIMES = 3**2
_LEAST_P = 1e-300
# What is drawn again may differ by the rounding of another compilation.
_ROUNDED = 1e-3
_LEAST_COUNT = 16


def _not_applied(seen: Seen) -> Iterator[Sign]:
    """Give the parameters whose numbers are none that the scheme draws."""
    if len(seen.others) < 2:
        return
    allowed = _CHANCE / len(seen.laws)
    again = seen.redrawn or {}
    for law in seen.laws:
        leaf = seen.leaves[law.path]
        if np.array_equal(leaf, again.get(law.path, ())):
            continue
        one, other = (drawn[law.path] for drawn in seen.others[:2])
        p = max(follows(leaf, one), follows(leaf, other))
        if p < allowed and _log(p) < _TIMES * _log(follows(one, other)):
            yield Sign(
                "error",
                "/".join(law.path),
                f"they follow {law_in_words(law)}; that this is the law of "
                f"{law.said!r} has p = {p:.1g} (threshold {allowed:.1g})",
            )


def _log(p: float) -> float:
    return log(max(p, _LEAST_P))


def _key_ignored(seen: Seen) -> Iterator[Sign]:
    """Give what looks drawn, and is the same for every key."""
    if len(seen.others) < 2:
        return
    for law in seen.laws:
        one, other = (drawn[law.path] for drawn in seen.others[:2])
        # What is made of the batch may be the same for every key.
        made_of_data = ", then " in law.said
        if not made_of_data and np.array_equal(one, other) and _looks_drawn(law, one):
            yield Sign(
                "warning",
                "/".join(law.path),
                f"all {one.size} numbers are the same for two keys (wanted: none), and "
                f"look drawn: {law_in_words(law)}",
            )


def _looks_drawn(law: LeafLaw, leaf: np.ndarray) -> bool:
    """Tell a draw from what is computed, as waves or a ramp of numbers."""
    numbers = leaf.astype(np.float64).reshape(-1)
    if numbers.size < _LEAST_COUNT or len(np.unique(numbers)) < 0.9 * numbers.size:
        return False
    if law.family not in RANDOM | {ORTHOGONAL} and not law.p > 0.01:
        return False
    orders = numbers, np.moveaxis(leaf, 0, -1).astype(np.float64).reshape(-1)
    allowed = 4 / numbers.size**0.5
    return all(abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < allowed for x in orders)


def _not_reproducible(seen: Seen) -> Iterator[Sign]:
    """Give what one key draws twice, differently."""
    draw, again = seen.set_up.draw, seen.redrawn
    if draw is None or again is None:
        return
    suspects = [path for path in seen.leaves if _differ(seen.leaves, again, path) > 0]
    if not suspects:
        return
    # Numbers that were given are none of a draw: then both draws are the scheme's.
    key = fixed_key(0)
    first, second = (_by_path(draw(jax.random.clone(key)), suspects) for _ in range(2))
    for path in suspects:
        share = _differ(first, second, path)
        if share > 0:
            yield Sign(
                "warning",
                "/".join(path),
                f"one key gave {share:.0%} other numbers the second time (wanted: 0 %)",
            )


def _by_path(params: dict, paths: list[Path]) -> dict[Path, np.ndarray]:
    found = {}
    for path in paths:
        leaf = params
        for name in path:
            leaf = leaf[name]
        found[path] = np.asarray(leaf)
    return found


def _differ(one: dict[Path, np.ndarray], other: dict, path: Path) -> float:
    """Compute the share of numbers that differ by more than rounding."""
    a, b = one[path].astype(np.float64), other[path].astype(np.float64)
    # What is not finite is a trap of its own; alike on both sides it does not differ.
    a, b = (np.nan_to_num(leaf, posinf=0.0, neginf=0.0) for leaf in (a, b))
    size = np.sqrt(np.mean(a**2)) if a.size else 0.0
    return float(np.mean(abs(a - b) > _ROUNDED * size)) if a.size else 0.0


def _no_rule(seen: Seen) -> Iterator[Sign]:
    """Give the kernels that keep the module's own numbers, beside a scheme's."""
    network, said = seen.set_up.network, seen.set_up.said
    if all(said[layer.kernel] == OWN for layer in network.layers):
        return
    whole = network.num_parameters
    for path in sorted(network.unknown | network.aside):
        if said.get(path) == OWN:
            share = seen.leaves[path].size / whole
            yield Sign(
                "info",
                "/".join(path),
                f"the scheme does not set it: {share:.1%} of all parameters keep "
                "the module's own numbers",
            )


def _default_law(seen: Seen) -> Iterator[Sign]:
    """Name the module's own law, and what other frameworks would have drawn."""
    kernels = {one.path: one for one in seen.laws if one.role == KERNEL}
    own = {path: one for path, one in kernels.items() if one.said == OWN}
    named = Counter(
        name for one in own.values() for name in one.names if name.endswith("default")
    )
    if not named:
        return
    ((name, count),) = named.most_common(1)
    layers = [
        layer
        for layer in seen.set_up.network.layers
        if layer.kernel in own and name in own[layer.kernel].names
    ]
    widest = max(layers, key=lambda layer: kernels[layer.kernel].nonzero)
    law = kernels[widest.kernel]
    yield Sign(
        "info",
        "kernels",
        f"{count} of {len(own)} follow {name}; {'/'.join(law.path)} has fan_in · "
        f"variance {law.square * widest.fan_in:.3g}, and would have "
        f"{_elsewhere(widest)}",
    )


def _elsewhere(layer: Layer) -> str:
    """Say what fan_in · variance of a kernel is in each framework."""
    fan_in, fan_out = layer.fan_in, layer.fan_out * layer.groups
    transposed = layer.kind == "conv_transpose"
    torch = fan_in / (layer.fan_out if transposed else fan_in) / 3
    return (
        f"1 in Flax, {torch:.3g} in PyTorch, {2 * fan_in / (fan_in + fan_out):.3g} in "
        f"Keras, {CUT_SQUARE:.3g} in Haiku, and 2 by he_normal"
    )


def _image_size(seen: Seen) -> Iterator[Sign]:
    """Give the dense kernels that have a row for every place of a map."""
    network = seen.set_up.network
    pairs = zip(network.layers, network.layers[1:], strict=False)
    flat = [
        (layer, layer.fan_in // before.whole_shape[-1])
        for before, layer in pairs
        if layer.kind == "dense" != before.kind and len(layer.image_shape) == 1
        if layer.fan_in % before.whole_shape[-1] == 0
        if before.whole_shape[-1] < layer.fan_in
    ]
    if not flat or _reads_larger_images(seen):
        return
    for layer, places in flat:
        size = seen.leaves[layer.kernel].size
        share = size / network.num_parameters
        yield Sign(
            "info",
            "/".join(layer.kernel),
            f"its fan_in of {layer.fan_in} counts {places} places of a map of "
            f"{network.image_shape}; {share:.0%} of all parameters are there",
        )


def _reads_larger_images(seen: Seen) -> bool:
    """Tell whether the same parameters serve images of twice the size; no pass."""
    set_up = seen.set_up
    n, *places, channels = set_up.images.shape
    larger = jax.ShapeDtypeStruct(
        (n, *(2 * size for size in places), channels), set_up.images.dtype
    )
    try:
        jax.eval_shape(
            lambda images: set_up.network.apply(
                set_up.params, set_up.state, images, train=True
            )[0],
            larger,
        )
    # The user's module runs here: whatever it raises, it does not serve them.
    except Exception:
        return False
    return True


LAW_TRAPS = (
    Trap(
        "not-applied",
        "the numbers are not those that the scheme draws",
        "The initialization that was asked for never reached the parameters: often it "
        "was set after the layers were built, or on a copy.",
        "variables = init_study.initialize(module, images, scheme, key), and train "
        "those; in Flax: nn.Conv(..., kernel_init=...) before init",
        "derived: Kolmogorov and Smirnov's and Welch's test of two samples",
        _not_applied,
    ),
    Trap(
        "key-ignored",
        "random numbers are the same for every key",
        "Runs of several seeds are copies in this parameter, so that their spread "
        "says nothing of it.",
        "draw from the key that the initializer gets: jax.random.normal(key, shape); "
        "numpy's numbers are drawn once, when the initializer is compiled",
        "derived: two independent draws of real numbers are never equal",
        _key_ignored,
    ),
    Trap(
        "not-reproducible",
        "one key draws other numbers the second time",
        "A run cannot be repeated, and two schemes of one seed are not paired.",
        "draw from the key that the initializer gets, jax.random.normal(key, shape), "
        "and not by numpy.random",
        "measured: what the draw gives when it is called twice",
        _not_reproducible,
    ),
    Trap(
        "no-rule",
        "a scheme leaves a weight as the module drew it",
        "Comparisons of schemes do not reach it: it is the same in all of them.",
        "scheme=\"by_rule('PATH=he_normal', rest='...')\" gives it a rule",
        "derived: how a scheme finds kernels",
        _no_rule,
    ),
    Trap(
        "default-law",
        "a framework's default was taken",
        "Each framework has another default: a net that is ported changes its start, "
        "and He's law has twice to six times their variance.",
        'scheme="he_normal", or "flax", "torch", "keras" to pin one',
        "the sources that `schemes.frameworks` names",
        _default_law,
    ),
    Trap(
        "image-size",
        "a kernel's scale depends on the size of the images",
        "A dense layer behind a flattened map has a row for every place: with other "
        "images it has another fan, another variance and another size.",
        "pool over places before it: x.mean((1, 2))",
        "derived: fan_in = height · width · channels",
        _image_size,
    ),
)
