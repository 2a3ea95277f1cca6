"""Signals on their way forwards: what vanishes, grows, or is alike for all images.

Which layers are compared with one another, `init_study.diagnosis.flow` says.
"""

from collections.abc import Iterator, Sequence
from math import exp, log, prod, sqrt

import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import RESULT, Flow, flow_of
from init_study.diagnosis.layer_factors import chance_over, forward_factor
from init_study.diagnosis.seen import Seen
from init_study.network import Branch

# A factor of 1000 on mean squares, 30 on numbers: gradients of weights, which are
# products of a signal and a gradient, then differ as much from layer to layer, more
# than one learning rate serves. Nets of 8 layers of which each takes half of the signal
# (a factor of 250) still learn in as many steps as others; with a sixth they do not.
MOST = 1e3
# A layer's own factor that is outside of this, or below its inverse, is told.
_OWN = 2.0
# √L branches of variance 1 / L each multiply the mean square by (1 + 1/L)^L < e; more
# than e² is growth that no such scheme gives, and a factor of 100 one of 10 in numbers.
_GROWN, _MUCH = exp(2), 100.0
# So little of a signal's mean square that is different between images leaves two of
# float32's seven digits to others, and most of a gradient to what images share.
_BLIND = 0.01
_FAR_ALIKE = 10.0
# Of the images themselves: where they are as much alike, no layer is to blame.
_ALIKE = 10.0


def _vanishes(seen: Seen) -> Iterator[Sign]:
    for names, ratio, chance, square in _stretches(seen):
        if ratio * MOST * chance < 1 and square < 1:
            yield Sign(
                "warning" if ratio > 0 else "error",
                names[-1],
                f"mean square {square:.2g}, {ratio:.2g} of what {names[0]} reads, "
                f"after {len(names)} layers (threshold {1 / (MOST * chance):.2g}, "
                f"of which {chance:.2g} is chance)",
            )


def _explodes(seen: Seen) -> Iterator[Sign]:
    for names, ratio, chance, square in _stretches(seen):
        if ratio > MOST * chance and square > 1:
            yield Sign(
                "warning",
                names[-1],
                f"mean square {square:.2g}, {ratio:.2g} of what {names[0]} reads, "
                f"after {len(names)} layers (threshold {MOST * chance:.2g}, of which "
                f"{chance:.2g} is chance)",
            )


def _stretches(seen: Seen) -> Iterator[tuple[list[str], float, float, float]]:
    """Give each stretch of the trunk between norms, where its signal is most changed.

    Yields: the layers up to there, the factor on the mean square, that which chance
        may have, and the mean square itself.
    """
    flow, layers = flow_of(seen), seen.set_up.network.layers
    numbers = seen.first.layers
    for stretch in flow.stretches:
        stretch = _without_zeros(seen, stretch)
        start = float(numbers.inputs[stretch[0]]) if stretch else np.nan
        if not 0 < start < np.inf:
            continue
        names = [layers[index].name for index in stretch]
        places = [
            (
                names[: at + 1],
                float(numbers.signal[index]),
                chance_over(seen, stretch[: at + 1]),
            )
            for at, index in enumerate(stretch)
        ]
        # A norm behind the last layer takes away what it does to the scale.
        if flow.is_followed_by_norm(stretch[-1]):
            places.pop()
        head = _read_by_head(seen, flow, stretch[-1])
        if head is not None:
            index, pooled = head
            square = float(numbers.inputs[index])
            # What a mean over places takes is no fault of the layers.
            square = square * pooled if square < start else square
            chance = chance_over(seen, stretch)
            places.append(([*names, layers[index].name], square, chance))
        places = [one for one in places if np.isfinite(one[1])]
        if places:
            found = max(places, key=lambda one: abs(log(max(one[1], 1e-300) / start)))
            names, square, chance = found
            yield names, square / start, chance, square


def _without_zeros(seen: Seen, stretch: Sequence[int]) -> tuple[int, ...]:
    """Cut a stretch at the first kernel of zeros: what is behind it tells nothing."""
    layers = seen.set_up.network.layers
    zero = (n for n, i in enumerate(stretch) if not seen.leaves[layers[i].kernel].any())
    return tuple(stretch[: next(zero, len(stretch))])


def _read_by_head(seen: Seen, flow: Flow, last: int) -> tuple[int, float] | None:
    """Find the layer that gives the result, and over how many places it reads a mean.

    Only behind the last stretch, and where no residual branch goes around: of those
    another rule tells.
    """
    network = seen.set_up.network
    head = flow.trunk[-1]
    if RESULT not in flow.read_by[head] or flow.hidden[-1] != last:
        return None
    if network.branches or any(flow.renewed[last + 1 : head + 1]):
        return None
    made = sum(prod(network.layers[one].output_shape) for one in flow.reads[head])
    return head, max(1.0, made / prod(network.layers[head].image_shape))


def _own_factors(seen: Seen) -> Iterator[Sign]:
    flow, layers = flow_of(seen), seen.set_up.network.layers
    found: dict[str, float] = {}
    looked = 0
    for before, index in flow.pairs:
        hidden = {before, index} <= set(flow.hidden)
        if not hidden or flow.is_followed_by_norm(index):
            continue
        factor = forward_factor(seen, before, index)
        if factor is None:
            continue
        looked += 1
        # Three standard errors of a mean square over so many weights.
        squares = seen.leaves[layers[index].kernel].astype(np.float64) ** 2
        error = 3 * squares.std() / max(squares.mean(), 1e-300) / sqrt(squares.size)
        if not 1 / _OWN / (1 + error) <= factor <= _OWN * (1 + error) and factor > 0:
            found[layers[index].name] = factor
    if found:
        worst = max(found, key=lambda name: abs(log(found[name])))
        yield Sign(
            "info",
            worst,
            f"fan_in · mean square of weights · E[φ²] / q is {found[worst]:.3g} "
            f"(wanted {1 / _OWN:g} to {_OWN:g}); it is outside in {len(found)} of "
            f"{looked} hidden layers",
        )


def _residual_growth(seen: Seen) -> Iterator[Sign]:
    """Give growth from the first residual branch to the last, as these read it."""
    network, numbers = seen.set_up.network, seen.first.layers
    flow = flow_of(seen)
    plain = [
        branch
        for branch in network.branches
        if not any(
            flow.renewed[i] or network.layers[i].normalized for i in branch.layers
        )
        and not _holds_others(branch, network.branches)
    ]
    if len(plain) < 2:
        return
    first, last = (branch.layers[0] for branch in (plain[0], plain[-1]))
    if any(flow.renewed[first + 1 : last + 1]) or not numbers.inputs[first] > 0:
        return
    growth = float(numbers.inputs[last]) / float(numbers.inputs[first])
    chance = chance_over(seen, [i for branch in plain for i in branch.ends])
    if not growth > _GROWN * chance:
        return
    each = growth ** (1 / (len(plain) - 1))
    yield Sign(
        "warning" if growth > _MUCH * chance else "info",
        f"{len(plain)} residual branches",
        f"the mean square that the last one reads is {growth:.3g} of the first's, a "
        f"factor of {each:.3g} a branch (thresholds {_GROWN * chance:.3g} and "
        f"{_MUCH * chance:.3g})",
    )


def _holds_others(branch: Branch, branches: Sequence[Branch]) -> bool:
    return any(set(other.layers) < set(branch.layers) for other in branches)


def _image_blind(seen: Seen) -> Iterator[Sign]:
    """Give the last layer of the trunk, if what differs between images is lost there.

    Its own output counts, which is on both sides of zero: behind a rectifier all
    images are alike to some degree.
    """
    set_up, numbers = seen.set_up, seen.first.layers
    images = np.asarray(set_up.images, np.float64)
    count = len(images)
    if count < 2 or not np.isfinite(images).all():
        return
    # The variance of so few images is too small by this.
    few = count / (count - 1)
    own = few * images.var(0).mean() / max((images**2).mean(), 1e-300)
    flow = flow_of(seen)
    for index in reversed(flow.trunk):
        layer = set_up.network.layers[index]
        shifted = layer.bias is not None and seen.leaves[layer.bias].any()
        # A bias of the head is one number for all images by design, and a batch norm
        # takes away what all images share.
        if RESULT in flow.read_by[index] and (shifted or not numbers.signal[index] > 0):
            continue
        if flow.is_followed_by_norm(index) or not numbers.signal[index] > 0:
            return
        share = few * float(numbers.spread[index]) / float(numbers.signal[index])
        # Where a head reads but what is learned (a token), and branches are small by
        # design, the images are on these.
        for branch in set_up.network.branches[-1:]:
            read = branch.layers[0]
            if numbers.signal[read] > 0:
                other = float(numbers.spread[read]) / float(numbers.signal[read])
                share = max(share, few * other)
        least = min(_BLIND, own / _ALIKE)
        if share < least:
            # A mean over places, and rectifiers, make all sound nets alike to a degree.
            yield Sign(
                "warning" if share < least / _FAR_ALIKE else "info",
                layer.name,
                f"{share:.2g} of its mean square differs between images (threshold "
                f"{least:.2g}, a warning: {least / _FAR_ALIKE:.2g}; of the images "
                f"themselves it is {own:.2g}); mean cosine of two outputs "
                f"{numbers.cosine[index]:.4f}",
            )
        return


SIGNAL_TRAPS = (
    Trap(
        "signal-vanishes",
        "the signal vanishes over the layers",
        "Each layer multiplies the mean square by less than one; what is left at the "
        "end, and each gradient on its way back, is too small to learn from in a "
        "reasonable number of steps.",
        'scheme="he_normal" behind ReLU, or '
        "init_study.theory.gain(activation) / √fan_in",
        "He et al. 2015, arXiv:1502.01852; Hanin and Rolnick 2018, arXiv:1803.01719, "
        "of chance",
        _vanishes,
    ),
    Trap(
        "signal-explodes",
        "the signal grows over the layers",
        "Each layer multiplies the mean square by more than one; logits and gradients "
        "are as much too large, and the first step destroys the start.",
        'scheme="he_normal" behind ReLU, or '
        "init_study.theory.gain(activation) / √fan_in",
        "He et al. 2015, arXiv:1502.01852; Hanin and Rolnick 2018, arXiv:1803.01719, "
        "of chance",
        _explodes,
    ),
    Trap(
        "layer-factor",
        "weights do not fit the fan and the activation",
        "Few layers bear it; with depth the factors multiply, and a number that fits "
        "one width does not fit another.",
        'scheme="he_normal" behind ReLU, or '
        "init_study.theory.gain(activation) / √fan_in",
        "He et al. 2015, arXiv:1502.01852",
        _own_factors,
    ),
    Trap(
        "residual-growth",
        "the signal grows with every residual branch",
        "Without a norm each branch adds as much as there is, which doubles the mean "
        "square; the gradient grows likewise on its way back.",
        'scheme="fixup", "skipinit" or "stable_resnet", or a norm on each branch',
        "Zhang et al. 2019, arXiv:1901.09321; De and Smith 2020, arXiv:2002.10444",
        _residual_growth,
    ),
    Trap(
        "image-blind",
        "all images give almost the same output",
        "Layers after it cannot tell images apart, and gradients of all examples push "
        "alike.",
        "center the images; smaller biases; scheme='edge_of_chaos', or fewer layers",
        "Schoenholz et al. 2017, arXiv:1611.01232",
        _image_blind,
    ),
)
