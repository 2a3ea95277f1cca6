"""What a scheme is: a rule for every parameter, and refinements of what they draw."""

import dataclasses
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

from init_study.errors import UserError, nearest
from init_study.initializers import Initializer
from init_study.keys import threefry
from init_study.network import Layer, Network, Params, Path
from init_study.network.branch_scalars import ADDED
from init_study.network.stacks import slice_path

OWN = "the module's own"


class Rule(NamedTuple):
    """A rule that sets one parameter.

    Attributes:
        text: for people, e.g. `he_normal`.
        initializer: of a kernel in the layout `[..., in / groups, out]`, whatever the
            module stores; None keeps the module's own numbers.
    """

    text: str
    initializer: Initializer | None = None


class Batch(NamedTuple):
    """What a scheme may look at: training images, standardized, and their labels.

    Attributes:
        images: `[n, ...]`, most often `[n, height, width, channels]`.
        labels: `[n]`, for the schemes that need them.
    """

    images: Float[Array, "n ..."] | Any
    labels: Int[Array, " n"] | Any = None


class Cost(NamedTuple):
    """Number of passes through the network, on one batch each, before the first step.

    Attributes:
        forward: passes forward.
        backward: passes backward.
    """

    forward: int = 0
    backward: int = 0


class Refinement(NamedTuple):
    """What is done to parameters after they are drawn.

    Attributes:
        name: for people.
        stream: names its random stream, whatever it is called and however long it is;
            no two of one scheme may have the same.
        function: (key, network, params, batch) -> params; pure, vmappable. The batch
            is a `Batch`, or None if it needs nothing.
        changes: which parameters it may change.
        cost: of one member, at most.
        needs: what it looks at: nothing, `images`, or `labels` as well.
        rescales: whether it undoes factors, as it finds scales of its own.
    """

    name: str
    stream: str
    function: Callable[[PRNGKeyArray, Network, Params, Any], Params]
    changes: Callable[[Network], Collection[Path]]
    cost: Callable[[Network], Cost]
    needs: str = "images"
    rescales: bool = True


# (network, params, batch) of concrete numbers: refuses, in one line, what breaks a
# promise.
Promise = Callable[[Network, Params, Batch | None], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scheme:
    """A recipe for a whole network, called as `scheme(key, network, batch) -> params`.

    Pure, and vmappable over keys and batches of standardized images. The key of a leaf
    comes from its path alone: another layer or scheme never changes an existing draw,
    and schemes with one kind of law share the standard draws of a seed, so that their
    comparison is paired.

    Attributes:
        rules: by path, for every kernel and bias; others may be left out and are then
            the module's own.
        refinements: one after the other.
        checks: of what the scheme promises, on what it drew.

    Example:
        >>> from init_study.schemes import parse_scheme
        >>> scheme, network = parse_scheme("he_normal"), trace(nn.Dense(3), (5,))
        >>> jax.tree.map(jnp.shape, scheme(jax.random.key(0), network))
        {'bias': (3,), 'kernel': (5, 3)}
    """

    rules: Callable[[Network], Mapping[Path, Rule]]
    refinements: tuple[Refinement, ...] = ()
    checks: tuple[Promise, ...] = ()

    def __call__(
        self,
        key: PRNGKeyArray,
        network: Network,
        batch: Batch | None = None,
    ) -> Params:
        """Draw the parameters of a network, and refine them.

        Args:
            key: everything comes from it.
            network: as `trace` finds it.
            batch: for schemes that look at data.

        Raises: UserError for a parameter without a rule, or without a batch where one
            is needed.
        """
        key = threefry(key)
        params = draw(self.rules(network), key, network)
        for step in self.refinements:
            _check_batch(step, batch)
            # A stream of its own: no draw of the rules is used twice.
            own_key = jax.random.fold_in(key, zlib.crc32(step.stream.encode()))
            params = step.function(own_key, network, params, batch)
        return params

    def check(
        self, network: Network, params: Params, batch: Batch | None = None
    ) -> None:
        """Refuse drawn parameters that do not keep what the scheme promises.

        A pass or a few on one batch, for schemes that promise; none where the
        parameters are traced and have no numbers.

        Raises: UserError with the layer or branch, and what stands in the way.
        """
        if any(isinstance(v, Tracer) for v in jax.tree.leaves(params)):
            return
        if self.checks:
            params, batch = jax.tree.map(jnp.asarray, (params, batch))
        for check in self.checks:
            check(network, params, batch)

    def explain(self, network: Network) -> dict[Path, str]:
        """Say in words what sets each parameter, by path; refuse as a draw does."""
        _check_paths(rules := self.rules(network), network)
        network.check_complete(rules)
        said = {path: _said(path, rules) for path in network.shapes}
        for step in self.refinements:
            for path in step.changes(network):
                said[path] += f", then {step.name}"
        return said

    def cost(self, network: Network) -> Cost:
        """Count the passes for one member, at most: what a comparison has to charge."""
        costs = [step.cost(network) for step in self.refinements]
        return Cost(sum(c.forward for c in costs), sum(c.backward for c in costs))


def _check_batch(step: Refinement, batch: Batch | None) -> None:
    wanted = {"nothing": None, "images": batch, "labels": batch and batch.labels}
    if step.needs != "nothing" and wanted[step.needs] is None:
        raise UserError(
            f"{step.name} looks at {step.needs} and was given none; give a batch of "
            "training data, as in init_study.initialize(module, images, scheme, key, "
            "labels=labels)"
        )


def draw(rules: Mapping[Path, Rule], key: PRNGKeyArray, network: Network) -> Params:
    """Draw the parameters that the rules give, before anything is refined.

    Raises: UserError for a rule of a parameter that is not there.
    """
    _check_paths(rules, network)
    layers = {layer.kernel: layer for layer in network.layers}
    leaves: dict[Path, Array] = {}
    for path, rule in rules.items():
        if rule.initializer is not None:
            leaves[path] = _draw(rule.initializer, path, key, network, layers.get(path))
    kept = [path for path, rule in rules.items() if rule.initializer is None]
    return network.complete(key, leaves, kept)


def _check_paths(rules: Mapping[Path, Rule], network: Network) -> None:
    names = ["/".join(path) for path in network.shapes]
    for name in ("/".join(path) for path in rules if path not in network.shapes):
        near = nearest(name, names)
        hint = f"; did you mean {near!r}?" if near else ""
        raise UserError(f"the network has no parameter {name!r}{hint}")


def override(
    rest: Scheme,
    change: Callable[[Network, dict[Path, Rule]], Mapping[Path, Rule]],
    *checks: Promise,
) -> Scheme:
    """Replace some rules of a scheme.

    Args:
        rest: the scheme.
        change: from the network and all the rules to the new ones.
        checks: of what that promises, besides the scheme's own.
    """

    def rules(network: Network) -> dict[Path, Rule]:
        before = dict(rest.rules(network))
        return {**before, **change(network, before)}

    return dataclasses.replace(rest, rules=rules, checks=(*rest.checks, *checks))


def end_layer(network: Network, place: int) -> Layer:
    """Find the layer that sees the images, at place 0, or gives the logits, at -1.

    Raises: UserError for a network in which no layer was found.
    """
    if not network.layers:
        which = "last" if place else "first"
        raise UserError(
            f"it sets the {which} layer, and tracing found no layer in this network; "
            "take a scheme that sets none, e.g. 'module'"
        )
    return network.layers[place]


def leaf_key(key: PRNGKeyArray, path: Path) -> PRNGKeyArray:
    """Derive the key of one parameter from its path."""
    return jax.random.fold_in(key, zlib.crc32("/".join(path).encode()))


def leaf_of(params: Params, path: Path) -> Array:
    """Find one leaf of a tree by its path."""
    for name in path:
        params = params[name]
    leaf: Any = params
    return leaf


def replace_leaf(params: Params, path: Path, leaf: Array) -> Params:
    """Replace one leaf of a tree; the new one is cast to the type of the old."""
    name, *inner = path
    below = params[name]
    new = replace_leaf(below, tuple(inner), leaf) if inner else leaf.astype(below.dtype)
    return {**params, name: new}


def _said(path: Path, rules: Mapping[Path, Rule]) -> str:
    if path in rules:
        return rules[path].text
    return "neutral: changes nothing" if path[0] == ADDED else OWN


def _draw(
    initializer: Initializer,
    path: Path,
    key: PRNGKeyArray,
    network: Network,
    layer: Layer | None,
) -> Array:
    leaf = network.shapes[path]
    if layer is None:
        return initializer(leaf_key(key, path), leaf.shape, leaf.dtype)
    paths = [path]
    if layer.parts > 1:
        paths = [slice_path(path, part) for part in range(layer.parts)]
    kernels = [_kernel(initializer, leaf_key(key, p), layer, leaf) for p in paths]
    whole = kernels[0] if layer.parts == 1 else jnp.concatenate(kernels, -1)
    return layer.stored(whole).reshape(leaf.shape)


def _kernel(
    initializer: Initializer, key: PRNGKeyArray, layer: Layer, leaf: Any
) -> Array:
    """Draw the kernel of a layer, or of a part; name it where the law does not fit."""
    try:
        kernel = initializer(key, layer.kernel_shape, leaf.dtype)
    except UserError as error:
        raise UserError(f"layer {layer.name}: {error}") from error
    if kernel.shape != layer.kernel_shape:
        raise UserError(
            f"layer {layer.name} needs a kernel of shape {layer.kernel_shape}, and "
            f"the rule gave {kernel.shape}"
        )
    return kernel
