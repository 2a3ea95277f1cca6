"""Executions: how the members of a program run. Descriptions, which name no device."""

from typing import NamedTuple

from init_study.conv import FORMS, default_form
from init_study.errors import UserError, unknown
from init_study.study.limits import MOST_MEMBERS


class Execution(NamedTuple):
    """A chunk width and a convolution form: how the members of a program run.

    Attributes:
        chunk_width: members that one device trains side by side.
        convolution: in `init_study.conv.FORMS`.

    Example:
        >>> str(Execution(chunk_width=4, convolution="winograd"))
        'winograd/4'
    """

    chunk_width: int
    convolution: str

    def __str__(self) -> str:
        return f"{self.convolution}/{self.chunk_width}"


def parse_execution(text: str) -> Execution:
    """Read an execution from `FORM/WIDTH`, e.g. `winograd/1`.

    Raises: UserError for a form that is not there or a width below 1.

    Example:
        >>> parse_execution("winograd/1")
        Execution(chunk_width=1, convolution='winograd')
    """
    form, _, width = text.partition("/")
    if form not in FORMS:
        raise unknown(
            "execution", text, FORMS, f"{', '.join(FORMS)}, each as FORM/WIDTH"
        )
    is_whole = width.isascii() and width.isdecimal() and width.strip("0")
    if not is_whole:
        wrong = f"the chunk width {width!r}" if width else "no chunk width"
        raise UserError(
            f"execution {text!r} has {wrong}; give FORM/WIDTH with a whole number of "
            f"at least 1, e.g. {form}/1"
        )
    if len(width) > len(f"{MOST_MEMBERS}") or int(width) > MOST_MEMBERS:
        raise UserError(
            f"execution {text!r} is wider than any study has members; the widest is "
            f"{form}/{MOST_MEMBERS}"
        )
    return Execution(int(width), form)


def default_execution(
    chunk_width: int | None, platform: str, members: int
) -> Execution:
    """Choose what runs where nothing has been measured.

    On CPU one member at a time is fastest: `vmap` over kernels is a grouped
    convolution, which outgrows the caches. On the GPU that was measured 64 were the
    fastest (docs/why/execution.md); for a TPU the width is a guess.

    Args:
        chunk_width: the given one, if any.
        platform: of `jax.default_backend`.
        members: in all.

    Example:
        >>> default_execution(None, "cpu", members=30).chunk_width
        1
    """
    most = {"cpu": 1, "gpu": 64}.get(platform, 16)
    width = min(most, max(1, members))
    return Execution(chunk_width or width, default_form(platform))


def candidates(
    chunk_width: int | None, platform: str, members: int
) -> tuple[Execution, ...]:
    """List the executions that are worth timing, the default first.

    XLA's own gradients are left out on CPU: inside a loop they are a hundred times
    slower; canonical ones are level with blocked ones at best. On the GPU that was
    measured fewer than 16 members side by side were never the fastest. A given chunk
    width stays as it is; others are no wider than there are members on a device,
    which would compute the rest for nothing.

    Args:
        chunk_width: the given one, if any.
        platform: of `jax.default_backend`.
        members: on one device.

    Example:
        >>> [str(execution) for execution in candidates(None, "cpu", members=2)]
        ['winograd/1', 'blocked/1']
    """
    first = default_execution(chunk_width, platform, members)
    cpu = platform == "cpu"
    forms = ("winograd", "blocked") if cpu else ("patches", "canonical", "xla")
    widths = (1, 4) if cpu else (64, 16, 256)
    narrow = [width for width in widths if width <= max(members, 1)]
    kept = [chunk_width] if chunk_width else narrow or [first.chunk_width]
    rest = [Execution(width, form) for width in kept for form in forms]
    return (first, *(one for one in rest if one != first))


def every_candidate(
    chunk_width: int | None, platform: str, members: int
) -> tuple[Execution, ...]:
    """List the executions that `tune` times, the default first, then by width.

    On CPU those of `candidates`. On an accelerator all forms that `vmap` turns into
    products or grouped convolutions, from one member at a time to all of them: which is
    fastest hangs on the net, and only one GPU has been measured.

    Args:
        chunk_width: the given one, if any.
        platform: of `jax.default_backend`.
        members: on one device.

    Example:
        >>> [str(one) for one in every_candidate(None, "tpu", members=4)][:3]
        ['xla/4', 'patches/1', 'winograd/1']
    """
    if platform == "cpu":
        return candidates(chunk_width, platform, members)
    first = default_execution(chunk_width, platform, members)
    few = sorted({*(w for w in (1, 4, 16, 64, 256) if w < members), min(members, 1024)})
    forms = ("patches", "winograd", "canonical", "xla")
    widths = [chunk_width] if chunk_width else few
    rest = [Execution(width, form) for width in widths for form in forms]
    return (first, *(one for one in rest if one != first))
