"""Operations that do not do what their layer looks like: strides, taps, widths."""

from collections.abc import Iterator
from math import prod

import numpy as np

from init_study.diagnosis.finding import Sign, Trap
from init_study.diagnosis.flow import RESULT, flow_of
from init_study.diagnosis.seen import Seen
from init_study.network import Layer

# Of a kernel's square sum: on one tap alone, as for an identity and for its kin.
_ALONE = 0.99
# Taps that meet pixels anywhere: below half the fan counts twice of what there is.
_HALF = 0.5


def _moved_image(seen: Seen) -> Iterator[Sign]:
    """Give kernels of one tap that is not the one by which an image stays in place."""
    for layer in seen.set_up.network.layers:
        if layer.kind != "conv":
            continue
        kernel = layer.plain(seen.leaves[layer.kernel]).astype(np.float64)
        taps = (kernel**2).sum((-2, -1))
        if taps.size == 1 or not taps.sum() > 0 or taps.max() < _ALONE * taps.sum():
            continue
        tap = tuple(int(one) for one in np.unravel_index(taps.argmax(), taps.shape))
        moved = [
            (own - neutral) * apart
            for own, neutral, apart in zip(
                tap, layer.tap, layer.kernel_dilation, strict=True
            )
        ]
        if any(moved):
            yield Sign(
                "warning",
                layer.name,
                f"the image comes through tap {tap} alone, and is moved by {moved} "
                f"pixels (wanted 0: tap {layer.tap} at stride {layer.strides})",
            )


def _unread_pixels(seen: Seen) -> Iterator[Sign]:
    """Give convolutions whose windows leave pixels out.

    On the trunk nothing else reads these.
    """
    flow = flow_of(seen)
    for index, layer in enumerate(seen.set_up.network.layers):
        if layer.kind != "conv":
            continue
        sizes = zip(layer.image_shape, layer.kernel_shape, layer.strides, strict=False)
        # A tap reads one pixel, however far apart taps are.
        read = prod(min(1.0, taps / step) for size, taps, step in sizes if size > 1)
        if read < 1:
            yield Sign(
                "warning" if index in flow.trunk else "info",
                layer.name,
                f"its windows of {layer.kernel_shape[:-2]} at strides {layer.strides} "
                f"read {read:.0%} of the pixels (wanted 100 %)",
            )


def _used_again(seen: Seen) -> Iterator[Sign]:
    for layer in seen.set_up.network.layers:
        if layer.uses > 1:
            yield Sign("info", layer.name, f"used {layer.uses} times (wanted: known)")


def _narrow(seen: Seen) -> Iterator[Sign]:
    """Give the narrowest layer through which all goes, if it has too few numbers."""
    flow, layers = flow_of(seen), seen.set_up.network.layers
    result = seen.first.result
    if result.ndim != 2 or not flow.hidden:
        return
    classes = result.shape[1]
    # A mean over places leaves a number for each channel.
    pooled = {at: prod(layers[at].image_shape) for at in range(len(layers))}
    widths = {
        index: min(
            prod(layers[index].output_shape),
            *(pooled[at] for at in flow.read_by[index] if at != RESULT),
        )
        for index in flow.hidden
        if len(flow.read_by[index]) == 1
    }
    if not widths:
        return
    index = min(widths, key=lambda one: widths[one])
    # Differences between logits have one dimension less than there are classes.
    if widths[index] < classes - 1:
        yield Sign(
            "warning" if widths[index] == 1 else "info",
            layers[index].name,
            f"all goes through {widths[index]} numbers an image, to give {classes} "
            f"logits (told below {classes - 1}; a warning at 1)",
        )


def _idle_taps(seen: Seen) -> Iterator[Sign]:
    """Give the convolution with the most taps that meet no pixel at any place."""
    found = {}
    for layer in seen.set_up.network.layers:
        if layer.kind == "conv":
            share = _taps_in_use(layer)
            if share < _HALF:
                found[layer.name] = (share, layer)
    if found:
        name = min(found, key=lambda one: found[one][0])
        share, layer = found[name]
        yield Sign(
            "info",
            name,
            f"{share:.0%} of its {layer.kernel_shape[:-2]} taps ever meet a pixel of "
            f"its {layer.image_shape[:-1]} map (told below {_HALF:.0%}); so it is for "
            f"{len(found)} layers",
        )


def _taps_in_use(layer: Layer) -> float:
    """Compute the share of taps that meet a pixel at some place of the output."""
    shares = []
    for axis, (low, _) in enumerate(layer.padding):
        size, made = layer.image_shape[axis], layer.output_shape[axis]
        taps = np.arange(layer.kernel_shape[axis]) * layer.kernel_dilation[axis]
        at = np.arange(made)[:, None] * layer.strides[axis] + taps - low
        shares.append(((at >= 0) & (at < size)).any(0).mean())
    return float(np.prod(shares))


def _unmixed(seen: Seen) -> Iterator[Sign]:
    """Give depthwise layers that read a depthwise layer."""
    layers = seen.set_up.network.layers
    for before, index in flow_of(seen).pairs:
        if _is_depthwise(layers[before]) and _is_depthwise(layers[index]):
            yield Sign(
                "info",
                layers[index].name,
                f"{layers[index].groups} groups of one channel, behind as many of "
                f"{layers[before].name} (wanted: a layer between them that mixes)",
            )


def _is_depthwise(layer: Layer) -> bool:
    channels = layer.image_shape[-1]
    return layer.kind == "conv" and layer.groups == channels > 1


OPERATION_TRAPS = (
    Trap(
        "image-moves",
        "an identity moves the image",
        "At even sizes and at strides the middle tap is not the one that XLA's padding "
        "lays on the pixel itself; every such layer moves the image on, and its border "
        "is lost.",
        "scheme='identity' or 'delta_orthogonal': these sit on the pixel's own tap",
        "derived: an impulse through the operation comes out where the tap lies",
        _moved_image,
    ),
    Trap(
        "unread-pixels",
        "a stride is larger than the kernel",
        "Pixels between its windows are read by no weight, and what they show is lost.",
        "a kernel as large as the stride, or a mean over the window before it",
        "He et al. 2019, arXiv:1812.01187, their section 4",
        _unread_pixels,
    ),
    Trap(
        "used-again",
        "a kernel is used several times",
        "Gradients of all uses are summed, so that its steps are larger than other "
        "layers', and factors multiply over the uses.",
        "count it as so many layers, or give each use a layer of its own",
        "derived: the derivative of a sum",
        _used_again,
    ),
    Trap(
        "narrow-passage",
        "all goes through fewer numbers than there are classes",
        "Logits then lie in a space of so many dimensions; of one number behind a "
        "rectifier half of the draws are dead.",
        "a wider layer",
        "derived: the rank of a product",
        _narrow,
    ),
    Trap(
        "idle-taps",
        "most of a kernel's taps lie beyond the border",
        "They meet zeros only and never learn, and a law that counts them makes the "
        "others too small.",
        "a kernel no larger than the map, or larger images",
        "derived: taps that meet a pixel",
        _idle_taps,
    ),
    Trap(
        "unmixed-groups",
        "two depthwise layers follow each other",
        "Channels do not meet in between; without an activation both are one larger "
        "kernel.",
        "nn.Conv(channels, (1, 1)) between them",
        "Howard et al. 2017, arXiv:1704.04861; derived",
        _unmixed,
    ),
)
