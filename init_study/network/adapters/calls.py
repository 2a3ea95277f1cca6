"""How a module is called: its training flag, and the axis names that it expects."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from init_study.errors import UserError

# What modules call the argument that tells training from evaluation, and its value
# during training.
TRAINING_ARGUMENTS = {
    "train": True,
    "training": True,
    "is_training": True,
    "is_train": True,
    "deterministic": False,
    "inference": False,
    "is_inference": False,
    "eval": False,
    "is_eval": False,
    "evaluation": False,
    "test": False,
    "is_test": False,
    "use_running_average": False,
}


class TrainingFlag(NamedTuple):
    """The argument by which a module is told that it trains.

    Attributes:
        name: of the argument; None for a module that has none.
        value: what it is during training; the opposite in evaluation.
    """

    name: str | None
    value: bool = True

    def arguments(self, train: bool) -> dict[str, Any]:
        """Make the keyword arguments of one call.

        Example:
            >>> TrainingFlag("deterministic", False).arguments(train=True)
            {'deterministic': False}
        """
        return {} if self.name is None else {self.name: self.value == train}


def training_flag(call: Callable[..., Any], given: str | None) -> TrainingFlag:
    """Find the training flag of a module's call.

    Args:
        call: the function whose arguments count.
        given: by the user: `NAME`, or `NAME=False` for one that is false in training.

    Raises: UserError for a name that the call does not take.

    Example:
        >>> training_flag(lambda images, training: images, None)
        TrainingFlag(name='training', value=True)
    """
    parameters = inspect.signature(call).parameters
    if given is None:
        name = next((n for n in TRAINING_ARGUMENTS if n in parameters), None)
        return TrainingFlag(name, TRAINING_ARGUMENTS.get(name or "", True))
    name, _, value = given.partition("=")
    if value not in ("", "True", "False"):
        raise UserError(
            f"train_argument={given!r} cannot be read; write 'NAME', or 'NAME=False' "
            "for an argument that is false in training"
        )
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if name not in parameters and not takes_any:
        raise UserError(
            f"train_argument={given!r}: the module's call takes no such argument; it "
            f"takes ({', '.join(parameters)})"
        )
    known = TRAINING_ARGUMENTS.get(name, True)
    return TrainingFlag(name, value == "True" if value else known)


def with_axes(
    function: Callable[..., Any], names: tuple[str, ...]
) -> Callable[..., Any]:
    """Bind axis names at size 1, so that means over them are the values themselves.

    A norm that averages over devices, `nn.BatchNorm(axis_name="batch")`, is then the
    plain one. Nothing is batched over the axis: the operations stay what they are.

    Example:
        >>> mean = with_axes(lambda x: jax.lax.pmean(x, "batch"), ("batch",))
        >>> float(mean(3.0))
        3.0
    """
    for name in names:
        function = _with_axis(function, name)
    return function


def _with_axis(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def bound(*args: Any) -> Any:
        options: Any = {"axis_name": name, "axis_size": 1, "in_axes": None}
        try:
            return jax.vmap(function, out_axes=None, **options)(*args)
        except ValueError as error:
            if "mapped output" not in str(error):
                raise
        # A result that depends on the place along the axis has the axis itself.
        made = jax.vmap(function, out_axes=0, **options)(*args)
        return jax.tree.map(lambda leaf: leaf[0], made)

    return bound


def find_axes(trace: Callable[[tuple[str, ...]], Any]) -> tuple[Any, tuple[str, ...]]:
    """Trace, and once more for each axis name that turns out to be unbound.

    Args:
        trace: a function of the names that are bound.

    Returns: what `trace` gave, and the names that it needed.

    Example:
        >>> def traced(names):
        ...     mean = with_axes(lambda x: jax.lax.pmean(x, "batch"), names)
        ...     return jax.eval_shape(mean, 3.0).shape
        >>> find_axes(traced)
        ((), ('batch',))
    """
    names: tuple[str, ...] = ()
    while True:
        try:
            return trace(names), names
        except NameError as error:
            found = re.search(r"unbound axis name: ([^\s.,]+)", str(error))
            if found is None or found[1] in names:
                raise
            names = (*names, found[1])
