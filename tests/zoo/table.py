"""All nets of the zoo, each traced once, and their names as truth has them."""

from functools import cache

from zoo import (
    block_nets,
    convolution_nets,
    residual_nets,
    shared_nets,
    token_nets,
    twin_nets,
    unit_nets,
)

from init_study.network import trace

ZOO = {
    **residual_nets.NETS,
    **block_nets.NETS,
    **convolution_nets.NETS,
    **unit_nets.NETS,
    **token_nets.NETS,
    **shared_nets.NETS,
    **twin_nets.NETS,
}
# What other frameworks call a kernel.
_KERNELS = ("/w", "/weight")


@cache
def network(name, branches="plain"):
    net = ZOO[name]
    return trace(net.make(), net.shape, 3, branches)


def truth_of(name, layer):
    """The row of a layer that was found; None if truth has none of this name."""
    found = layer.name
    rows = {row.name: row for row in ZOO[name].layers}
    while found not in rows:
        # Parts of a kernel may be layers of their own, as slices of a loop are.
        shorter = found[: found.rindex("[")] if found.endswith("]") else found
        for word in _KERNELS:
            shorter = shorter.removesuffix(word)
        if shorter == found:
            return None
        found = shorter
    return rows[found]


def pieces(name):
    """The parts of all layers that were found, as (layer, place), by truth's names."""
    found = {row.name: [] for row in ZOO[name].layers}
    for layer in network(name).layers:
        row = truth_of(name, layer)
        if row is not None:
            found[row.name] += [layer] * layer.parts
    return found


def outputs_of(row, found):
    """The outputs of each part: those that truth allows and the code found, or None."""
    sizes = [layer.kernel_shape[-1] for layer in found]
    for way in row.parts.split("|"):
        wanted = [int(size) for size in way.split("+")]
        equal = len(wanted) == 1 and sizes == [sizes[0]] * wanted[0] if sizes else False
        if equal or (len(wanted) > 1 and sizes == wanted):
            return sizes
    return None


def backward_fans(row, sizes):
    """What of the backward fan each part of these many outputs has."""
    return [row.fans[1] * size / sum(sizes) for size in sizes]
