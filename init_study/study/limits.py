"""How large a study may be: far beyond use, so that no number is taken at its word.

A number that no machine could serve is refused before anything is listed by it.
"""

from math import prod
from typing import TYPE_CHECKING

from init_study.errors import UserError

if TYPE_CHECKING:
    from init_study.study.description import Study

# What counts steps, examples and seeds on the devices is an int32.
LARGEST = 2**31 - 1
MOST_MEMBERS = 100_000
_MOST_PROGRAMS = 1_000
_MOST_EVALUATIONS = 100_000
_COUNTED = ("batch_size", "steps", "width", "depth", "image_size")


def check_sizes(study: "Study", program_axes: tuple[str, ...]) -> None:
    """Refuse numbers beyond what devices count, and studies of too many parts.

    Args:
        study: whose values are of the right types; axes are tuples.
        program_axes: the fields whose values are combined to programs.

    Raises: UserError naming the number, the most, and the way out.
    """
    for field in _COUNTED:
        for value in getattr(study, field):
            _at_most(field, value or 0, LARGEST)
    _at_most("image_margin", study.image_margin, LARGEST)
    _at_most("chunk_width", study.chunk_width or 1, MOST_MEMBERS)
    _at_most("fresh_seeds", study.fresh_seeds, MOST_MEMBERS)
    evaluated = min(study.evaluations, max(study.steps))
    if evaluated > _MOST_EVALUATIONS:
        raise UserError(
            f"study.evaluations={study.evaluations} measures {evaluated:,} times; the "
            f"most are {_MOST_EVALUATIONS:,}: give fewer"
        )
    pairs = len(study.schemes) * len(study.learning_rates)
    pairs = len(study.schemes) if study.pairing == "own" else pairs
    members = pairs * len(study.seeds)
    if members > MOST_MEMBERS:
        raise UserError(
            f"the study has {members:,} members: {pairs:,} of schemes and learning "
            f"rates, each with {len(study.seeds):,} seeds; the most are "
            f"{MOST_MEMBERS:,}: give fewer of them, or several studies"
        )
    programs = prod(len(getattr(study, axis)) for axis in program_axes)
    if programs > _MOST_PROGRAMS:
        raise UserError(
            f"the study has {programs:,} programs, each compiled for itself; the most "
            f"are {_MOST_PROGRAMS:,}: give fewer values, or several studies"
        )


def check_seeds(count: int, name: str = "study.seeds") -> None:
    """Refuse a number of seeds before they are listed.

    Args:
        count: that is asked for.
        name: of what asks for it.

    Raises: UserError with the most there may be.

    Example:
        >>> check_seeds(10**9)
        Traceback (most recent call last):
        init_study.errors.UserError: study.seeds=1000000000 is too large; ...
    """
    if count > MOST_MEMBERS:
        raise UserError(f"{name}={count} is too large; the most is {MOST_MEMBERS:,}")


def _at_most(field: str, value: int, most: int) -> None:
    if value > most:
        raise UserError(f"study.{field}={value} is too large; the most is {most:,}")
