"""`Adapter`, a module as pure functions, and `adapt`, which finds the one it needs."""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import jax
from jaxtyping import Array, PRNGKeyArray

from init_study.errors import UserError
from init_study.initializers import INITIALIZERS
from init_study.network.adapters.calls import find_axes

# Nested dicts by collection; parameters are in `params`.
Variables = dict[str, Any]
Keys = Mapping[str, PRNGKeyArray]

_FILES = {
    "flax.linen": "linen",
    "flax.nnx": "nnx",
    "haiku": "haiku",
    "equinox": "equinox",
}
# What makes a module of these from a key is called with the key under this name.
_KEYS = {"rngs": "nnx", "key": "equinox"}
_WAYS = (
    "a flax.linen or flax.nnx module, an equinox module, hk.transform_with_state(f), "
    "or a function that makes one"
)


class Adapter(NamedTuple):
    """A module of some framework as pure functions.

    Attributes:
        name: of the module, for people.
        init: (key, images) -> variables, as the module itself asks for.
        apply: (variables, images, train, keys) -> (outputs, state): outputs are an
            array, or arrays by name; state is all variables but the parameters,
            behind the call.
        own: variables -> what the module's framework makes of them: Linen's variables,
            an NNX or Equinox module, Haiku's parameters (and state).
        read: the inverse of `own`; raises whatever it likes for what is none of these.
        streams: names of the random streams that the calls draw from; `keys` must have
            one of each.
        transposed: kernels, by path, that are known to be those of transposed
            convolutions, which at stride 1 compute what others do.
    """

    name: str
    init: Callable[[PRNGKeyArray, Array], Variables]
    apply: Callable[[Variables, Array, bool, Keys], tuple[Any, Variables]]
    own: Callable[[Variables], Any] = lambda variables: variables
    read: Callable[[Any], Variables] = lambda variables: variables
    streams: tuple[str, ...] = ()
    transposed: frozenset[tuple[str, ...]] = frozenset()


def adapt(
    module: Any,
    images: jax.ShapeDtypeStruct,
    num_classes: int | None = None,
    train_argument: str | None = None,
) -> Adapter:
    """Make pure functions of a module of any framework.

    Initialization, the training call and the evaluation call are traced, on shapes
    alone, so that a module that cannot be used is found before anything is computed.

    Args:
        module: a module of Flax Linen or NNX, of Equinox or Haiku, or what makes one: a
            class, a `functools.partial`, a function.
        images: their shape, batch included.
        num_classes: given to what makes a module, if it takes it.
        train_argument: what the module's call names its training flag, `NAME` or
            `NAME=False`; found for the usual names.

    Raises: UserError, in one line, for what is no module or cannot be called on such
        images.

    Example:
        >>> import flax.linen as nn, jax
        >>> images = jax.ShapeDtypeStruct((2, 8, 8, 1), "float32")
        >>> dropout = nn.Dropout(0.5, deterministic=False)
        >>> adapt(nn.Sequential([nn.Conv(4, (3, 3)), dropout]), images).streams
        ('dropout',)
    """
    thing, framework = _framework_of(module, num_classes)
    name = _name(module)
    file = import_module(f"init_study.network.adapters.{framework}")
    made, _ = explained(
        name,
        images,
        lambda: find_axes(lambda axes: file.adapt(thing, images, axes, train_argument)),
    )
    return made._replace(name=name)


def explained(name: str, images: jax.ShapeDtypeStruct, call: Callable[[], Any]) -> Any:
    """Call, and make any error of the user's module one line.

    Args:
        name: of the module.
        images: what it is called on.
        call: what may raise.

    Raises: UserError with the module's name, the images' shape and the first line of
        what was raised.
    """
    try:
        return call()
    except UserError:
        raise
    except Exception as error:
        lines = str(error).strip().splitlines() or ["raised without a message"]
        raise UserError(
            f"{name} cannot be called on images of shape {images.shape[1:]}: "
            f"{type(error).__name__}: {lines[0]}{_way_out(lines[0])}"
        ) from error


def _way_out(message: str) -> str:
    """Say what to do about an initializer that was given without a call."""
    named = re.match(r"(\w+)\(\) (takes|got|missing)", message)
    if named is None or named[1] not in INITIALIZERS:
        return ""
    return f"; an initializer is made by a call, as kernel_init={named[1]}()"


def _framework_of(module: Any, num_classes: int | None) -> tuple[Any, str]:
    """Find a module, or what makes one from a key, and the file of its framework."""
    framework = _framework(type(module))
    # The metaclass of a class may lie in its framework, too.
    if framework and not isinstance(module, type):
        return module, framework
    if not callable(module):
        raise UserError(f"{_name(module)} is no module; give {_WAYS}")
    maker, needed = _maker(module, num_classes)
    origin = _origin(module)
    of_class = _framework(origin) if isinstance(origin, type) else None
    if of_class is not None and of_class in _KEYS.values():
        return maker, of_class
    if of_class == "haiku":
        raise UserError(
            f"{_name(module)} is a Haiku module, which lives in a function: give "
            f"hk.transform_with_state(f), where f makes it and calls it on images"
        )
    if len(needed) == 1 and needed <= set(_KEYS):
        return maker, _KEYS[needed.pop()]
    if needed:
        raise UserError(
            f"{_name(module)} is no module, and needs {', '.join(sorted(needed))} to "
            f"make one; give {_WAYS}"
        )
    made = _made(module, maker)
    framework = _framework(type(made))
    if not framework:
        raise UserError(
            f"{_name(module)} makes {_name(made)}, which is no module; give {_WAYS}"
        )
    return made, framework


def _maker(module: Any, num_classes: int | None) -> tuple[Any, set[str]]:
    """Find the function that makes a module, and the arguments that it still needs."""
    parameters = _parameters(module)
    given: dict[str, Any] = {}
    if num_classes is not None and "num_classes" in parameters:
        given["num_classes"] = num_classes
    needed = {
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        and name not in given
    }
    return partial(module, **given) if given else module, needed


def _parameters(module: Any) -> Mapping[str, inspect.Parameter]:
    """List the parameters of a call; of a class, which may hide them, its `__init__`'s.

    Those that a partial gives are left out.
    """
    origin = _origin(module)
    call = origin.__init__ if isinstance(origin, type) else origin
    try:
        parameters = dict(inspect.signature(call).parameters)
    except (TypeError, ValueError):
        return {}
    if isinstance(origin, type):
        parameters.pop(next(iter(parameters), ""), None)
    while isinstance(module, partial):
        given = [*list(parameters)[: len(module.args)], *module.keywords]
        parameters = {n: p for n, p in parameters.items() if n not in given}
        module = module.func
    return parameters


def _origin(module: Any) -> Any:
    """Find what is called in the end: partials are taken apart."""
    while isinstance(module, partial):
        module = module.func
    return module


def _made(module: Any, maker: Callable[[], Any]) -> Any:
    """Make a module; any error of the user's function is one line."""
    try:
        return maker()
    except UserError:
        raise
    # The user's function runs here: whatever it raises is why it makes no module.
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        raise UserError(
            f"{_name(module)} makes no module: {type(error).__name__}: {lines[0]}"
        ) from error


def _framework(kind: type) -> str | None:
    """Tell a framework by where a class's parents come from; nothing is imported."""
    for parent in kind.__mro__:
        for package, file in _FILES.items():
            if f"{parent.__module__}.".startswith(f"{package}."):
                return file
    return None


def _name(thing: Any) -> str:
    thing = _origin(thing)
    return str(getattr(thing, "__name__", type(thing).__name__))
