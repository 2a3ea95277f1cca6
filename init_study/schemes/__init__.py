"""Schemes: a named recipe for a whole network, `(key, network, batch) -> params`."""

import ast
import inspect
from collections.abc import Callable
from typing import Any

from init_study.errors import UserError, unknown
from init_study.initializers import INITIALIZERS, Initializer
from init_study.initializers.draws import Number
from init_study.initializers.fans import NOMINAL, OPERATION
from init_study.network import Layer
from init_study.schemes.branch_factors import (
    layerscale,
    skipinit,
    stable_resnet,
)
from init_study.schemes.by_rule import by_rule
from init_study.schemes.data_dependent import (
    krahenbuhl,
    krahenbuhl_within,
    lsuv,
    weight_norm,
)
from init_study.schemes.frameworks import (
    alexnet,
    convnext,
    flax,
    haiku,
    keras,
    module,
    tensorflow1,
    timm_efficientnet,
    timm_resnet,
    torch,
    torchvision_vgg,
)
from init_study.schemes.gradinit import gradinit
from init_study.schemes.heads import mup, prior_bias, small_head, zero_head
from init_study.schemes.noise import noisy
from init_study.schemes.optimized import metainit
from init_study.schemes.per_layer import per_layer
from init_study.schemes.propagated import autoinit, edge_of_chaos, gaussian
from init_study.schemes.residual import (
    branch_gain,
    depth_scaled,
    fixup,
    zero_branch,
    zero_gamma,
)
from init_study.schemes.scaled_rule import multiplied
from init_study.schemes.scheme import Batch, Cost, Refinement, Rule, Scheme
from init_study.schemes.whitening import whitened

__all__ = [
    "SCHEMES",
    "Batch",
    "Cost",
    "Refinement",
    "Rule",
    "Scheme",
    "parse_scheme",
    "per_layer",
]


def parse_scheme(text: str) -> Scheme:
    """Find the scheme that a text means: a name, or a name with arguments.

    For example `he_normal`, `normal(0.02)`, `he_normal(negative_slope=0.1)`,
    `zero_head(rest="orthogonal")`. Arguments are numbers and words, with quotes or
    without; nothing is executed.

    Raises: UserError for an unknown name or arguments that the scheme does not take.

    Example:
        >>> scheme = parse_scheme("zero_head(rest='orthogonal')")
        >>> explain(nn.Dense(3), jnp.ones((2, 5)), scheme)["kernel"]
        'zeros: head; 5 in, 3 out; linear'
    """
    name, args, kwargs = parse_call(text)
    if name not in SCHEMES and name not in ALIASES:
        way_out = "python launch.py list --kind=schemes"
        raise unknown("scheme", name, (*SCHEMES, *ALIASES), way_out)
    factory = SCHEMES[ALIASES.get(name, name)]
    args = [_inner(factory, place, arg) for place, arg in enumerate(args)]
    kwargs = {word: _inner(factory, word, arg) for word, arg in kwargs.items()}
    signature = inspect.signature(factory).replace(
        return_annotation=inspect.Signature.empty
    )
    try:
        return factory(*args, **kwargs)
    except UserError as error:
        raise UserError(f"scheme {text!r}: {error}") from None
    except TypeError as error:
        raise UserError(
            f"scheme {text!r}: {error}; it is called as {name}{signature}"
        ) from None


def _inner(factory: Callable[..., Scheme], which: int | str, value: Any) -> Any:
    """Parse an argument `rest`, which is a scheme itself; others stay as they are."""
    parameters = list(inspect.signature(factory).parameters.values())
    name: Any = which
    if isinstance(which, int) and which < len(parameters):
        # Rules, of which there may be any number, take all places.
        takes_all = parameters[0].kind is inspect.Parameter.VAR_POSITIONAL
        name = parameters[0 if takes_all else which].name
    if name != "rest":
        return value
    if not isinstance(value, str):
        raise UserError(f"rest={value!r} is no scheme; write rest='he_normal'")
    return parse_scheme(value)


def parse_call(text: str) -> tuple[str, list[Any], dict[str, Any]]:
    """Read a name with arguments, all of them plain values; nothing is executed.

    Raises: UserError for what is none.

    Example:
        >>> parse_call("normal(0.02)")
        ('normal', [0.02], {})
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Name):
            return node.id, [], {}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            args = [_plain(arg) for arg in node.args]
            named = [(str(k.arg), _plain(k.value)) for k in node.keywords]
            if len(dict(named)) == len(named):
                return node.func.id, args, dict(named)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        # What is no Python expression, what is no plain value and what is nested
        # without end have the same way out, below.
        pass
    raise UserError(
        f"scheme {text!r} cannot be read; write a name as 'he_normal' or a call as "
        "'normal(0.02)'"
    )


def _plain(node: ast.expr) -> Any:
    """Read a plain value; a name alone is the word that it is."""
    return node.id if isinstance(node, ast.Name) else ast.literal_eval(node)


# What a network's layer knows, so that no text of a scheme has to say it.
_OF_LAYERS = {
    *("key", "shape", "dtype", "groups", "tap"),
    *("in_axis", "out_axis", "batch_axis", "column_axis"),
}


def _in_text(parameter: inspect.Parameter) -> inspect.Parameter:
    """Describe an argument as a text can give it."""
    if parameter.name == "fans":
        return parameter.replace(default=OPERATION, annotation=str)
    is_number = parameter.annotation == Number
    return parameter.replace(annotation=float) if is_number else parameter


def _of_initializer(factory: Callable[..., Any]) -> Callable[..., Scheme]:
    """Make the scheme that gives every kernel this law, and every bias zero.

    The law gets what the layer knows: its groups, the fans that its operation has on
    average, the tap that moves no image. For the user the scheme has the initializer's
    other arguments; `fans="nominal"` counts by the kernel's shape, as papers do.
    """
    parameters = inspect.signature(factory).parameters
    shown = (p for p in parameters.values() if p.name not in _OF_LAYERS)
    signature = inspect.Signature([_in_text(parameter) for parameter in shown])

    def scheme_of(*args: Any, **kwargs: Any) -> Scheme:
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        counting = arguments.pop("fans", OPERATION)
        if counting not in (OPERATION, NOMINAL):
            both = (OPERATION, NOMINAL)
            raise unknown("fans", str(counting), both, ", ".join(both))
        # Now, so that a wrong argument is an error before there is a network.
        factory(**arguments)

        def rule(layer: Layer) -> Initializer:
            known = {"groups": layer.groups, "tap": layer.tap}
            if counting == OPERATION:
                known["fans"] = layer.mean_fans
            own = {name: known[name] for name in known if name in parameters}
            law = factory(**arguments, **own)
            # Laws that count fans count the factor with them; isometries have none.
            exact = "fans" not in parameters and {"gain", "tap"} & parameters.keys()
            if exact and layer.multiplier != 1:
                law = multiplied(law, 1 / layer.multiplier)
            return law

        given = [*map(repr, args), *(f"{k}={v!r}" for k, v in kwargs.items())]
        name = f"{factory.__name__}({', '.join(given)})" if given else factory.__name__
        return per_layer(rule, name=name)

    scheme_of.__doc__ = factory.__doc__
    scheme_of.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess]
    return scheme_of


SCHEMES: dict[str, Callable[..., Scheme]] = {
    **{name: _of_initializer(factory) for name, factory in INITIALIZERS.items()},
    "flax": flax,
    "torch": torch,
    "keras": keras,
    "haiku": haiku,
    "tensorflow1": tensorflow1,
    "alexnet": alexnet,
    "torchvision_vgg": torchvision_vgg,
    "timm_resnet": timm_resnet,
    "timm_efficientnet": timm_efficientnet,
    "convnext": convnext,
    "module": module,
    "zero_head": zero_head,
    "small_head": small_head,
    "mup": mup,
    "prior_bias": prior_bias,
    "zero_gamma": zero_gamma,
    "zero_branch": zero_branch,
    "depth_scaled": depth_scaled,
    "branch_gain": branch_gain,
    "stable_resnet": stable_resnet,
    "skipinit": skipinit,
    "layerscale": layerscale,
    "fixup": fixup,
    "lsuv": lsuv,
    "weight_norm": weight_norm,
    "krahenbuhl_within": krahenbuhl_within,
    "krahenbuhl": krahenbuhl,
    "whitened": whitened,
    "autoinit": autoinit,
    "edge_of_chaos": edge_of_chaos,
    "gaussian": gaussian,
    "noisy": noisy,
    "by_rule": by_rule,
    "metainit": metainit,
    "gradinit": gradinit,
}
ALIASES = {
    "glorot_normal": "xavier_normal",
    "glorot_uniform": "xavier_uniform",
    "kaiming_normal": "he_normal",
    "kaiming_uniform": "he_uniform",
    "rezero": "skipinit",
}
