"""Modules of Flax Linen."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import flax.linen as nn
import jax
from absl import logging
from flax.core import DenyList, unfreeze
from flax.core.scope import Scope
from jaxtyping import Array, PRNGKeyArray

from init_study.keys import fixed_key
from init_study.network.adapters.adapter import Adapter, Keys, Variables
from init_study.network.adapters.both_calls import check_calls
from init_study.network.adapters.calls import TrainingFlag, training_flag, with_axes
from init_study.network.adapters.outputs import named_outputs

# What modules note for an onlooker grows with every call, and is no state.
_NOTES = ("intermediates", "perturbations")


def adapt(
    module: nn.Module,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    train_argument: str | None,
) -> Adapter:
    """Make pure functions of a Linen module, with some axis names bound.

    Variables are Linen's own collections. All but the parameters may change in a call.
    """
    flag = training_flag(type(module).__call__, train_argument)
    streams, in_evaluation = (
        _find_streams(module, flag, images, axes, train) for train in (True, False)
    )
    in_evaluation = frozenset(in_evaluation)
    streams = tuple(dict.fromkeys((*streams, *sorted(in_evaluation))))

    def init(key: PRNGKeyArray, images: Array) -> Variables:
        keys = dict.fromkeys(("params", "dropout", *streams), key)
        return read(module.init(keys, images, **flag.arguments(True)))

    def read(own: Any) -> Variables:
        kept = {name: v for name, v in unfreeze(own).items() if name not in _NOTES}
        return {"params": {}, **kept}

    def apply(
        variables: Variables, images: Array, train: bool, keys: Keys
    ) -> tuple[Any, Variables]:
        def call(variables: Variables, images: Array, keys: Keys) -> Any:
            outputs, changed = module.apply(
                variables,
                images,
                rngs={n: k for n, k in keys.items() if train or n in in_evaluation},
                mutable=DenyList("params"),
                **flag.arguments(train),
            )
            return named_outputs(outputs), changed

        outputs, changed = with_axes(call, axes)(variables, images, keys)
        state = {name: changed[name] for name in variables if name != "params"}
        return outputs, state

    adapter = Adapter(
        type(module).__name__,
        with_axes(init, axes),
        apply,
        read=read,
        streams=streams,
    )
    seen = _Seen()
    with nn.intercept_methods(seen.note):
        jax.eval_shape(adapter.init, fixed_key(0), images)
        seen.idle.clear()
        check_calls(adapter, images, flag, lambda: None)
    _name_idle(adapter.name, flag, seen)
    return adapter._replace(transposed=frozenset(seen.transposed))


def _find_streams(
    module: nn.Module,
    flag: TrainingFlag,
    images: jax.ShapeDtypeStruct,
    axes: tuple[str, ...],
    train: bool,
) -> tuple[str, ...]:
    """Find the random streams, but the parameters' own, that a call asks for.

    A module may ask whether there is a stream and do without: it is told that there is
    in training, and that there is none in evaluation, as with Flax's own calls.
    """
    asked: dict[str, None] = {}

    def calls(key: PRNGKeyArray, images: Array) -> None:
        with _recorded(asked if train else {}, True):
            variables = module.init({"params": key}, images, **flag.arguments(True))
        with _recorded(asked, train):
            module.apply(
                variables,
                images,
                rngs={"params": key},
                mutable=DenyList("params"),
                **flag.arguments(train),
            )

    jax.eval_shape(with_axes(calls, axes), fixed_key(0), images)
    return tuple(name for name in asked if name != "params")


@contextlib.contextmanager
def _recorded(asked: dict[str, None], is_there: bool) -> Iterator[None]:
    """Note what is asked of scopes: Flax has no other place where streams pass.

    Args:
        asked: grows.
        is_there: what a module hears that asks for a stream.
    """
    make_rng: Callable[..., Any] = Scope.make_rng

    def make(scope: Scope, name: str = "params") -> Any:
        asked[name] = None
        return make_rng(scope, name)

    def has(scope: Scope, name: str) -> bool:
        # `make_rng` itself asks here, and falls back to the parameters' stream.
        return name in scope.rngs

    def has_for_modules(module: nn.Module, name: str) -> bool:
        if is_there:
            asked[name] = None
        return is_there

    with (
        mock.patch.object(Scope, "make_rng", make),
        mock.patch.object(Scope, "has_rng", has),
        mock.patch.object(nn.Module, "has_rng", has_for_modules),
    ):
        yield


class _Seen:
    """What interceptors note of the modules that are called in training."""

    def __init__(self) -> None:
        self.transposed: set[tuple[str, ...]] = set()
        self.idle: dict[str, bool] = {}

    def note(
        self,
        next_function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: nn.module.InterceptorContext,
    ) -> Any:
        """Note what is to be known of a module, and pass the call on."""
        module = context.module
        if isinstance(module, nn.ConvTranspose):
            # At stride 1 a graph does not tell a transposed convolution from another.
            self.transposed.add((*module.path, "kernel"))
        if context.method_name == "__call__":
            idle = _is_idle(module, args, kwargs)
            if idle is not None:
                path = "/".join(module.path) or type(module).__name__
                self.idle[path] = idle and self.idle.get(path, True)
        return next_function(*args, **kwargs)


def _is_idle(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> bool | None:
    """Tell whether dropout or a batch norm does in a call what it does in evaluation.

    None for other modules.
    """
    if isinstance(module, nn.Dropout):
        given = kwargs.get("deterministic", args[1] if len(args) > 1 else None)
        off = module.deterministic if given is None else given
        return bool(off) if module.rate > 0 else None
    if isinstance(module, nn.BatchNorm):
        given = kwargs.get("use_running_average", args[1] if len(args) > 1 else None)
        return bool(module.use_running_average if given is None else given)
    return None


def _name_idle(name: str, flag: TrainingFlag, seen: _Seen) -> None:
    """Say which parts of a module never train, however it is called."""
    idle = [path for path, always in seen.idle.items() if always]
    if idle:
        how = f"{flag.name}={flag.value}" if flag.name else "no training flag"
        logging.warning(
            "%s: %s does nothing in the training call (%s was passed); if that is not "
            "meant, say train_argument='NAME', or 'NAME=False' for one that is false "
            "in training",
            name,
            ", ".join(idle),
            how,
        )
