"""A whole comparison, as data. Nothing runs here.

A study is a frozen description that hashes and round-trips through JSON. Its axes
are of two kinds. Scheme, learning rate and seed are *member* axes: members that
differ only in these share one compiled program. Everything that changes the program
(data set, model, depth, batch size, number of steps, ...) is a *program* axis; a
study may list several values of each.
"""

import dataclasses
import itertools
import json
import math
import typing
from collections.abc import Mapping
from typing import Any

from init_study.errors import unknown
from init_study.study import fields
from init_study.study.checks import (
    check_pairing,
    check_readings,
    check_values,
    check_words,
)
from init_study.study.choices import UNTUNED_LEARNING_RATES
from init_study.study.limits import check_sizes
from init_study.study.program import (
    Member,
    Program,
    digest,
    later,
    without_defaults,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A whole comparison, described.

    Single values and lists become tuples, `seeds=5` becomes seeds 0 to 4.

    Member axes:
        schemes: names as `he_normal`, with arguments as `normal(0.02)`.
        learning_rates: positive; every scheme gets every rate, with `pairing="own"`
            the one in its place.
        seeds: replicates; the same seed gives every scheme the same order of data.
        fresh_seeds: how many more each scheme that learned gets, at the rate that
            `seeds` chose for it. They choose nothing; what is said is said of them.
    Program axes (several values each): dataset to precision; see `Program`.
        `fixed` is what all seeds have in common: all three of `FIXED` tell how much of
        the spread over seeds is due to the start, and how much to the order of data.
        `image_size` is the height and width that the pictures of a data set are brought
        to; by default they keep their own.
        `precision` is that of convolutions and matrix products as members train and are
        evaluated, in `PRECISIONS`; parameters, norms, losses and readings are of
        float32. By default it is what the device does: float32 on CPU, tf32 on an
        NVIDIA GPU, bfloat16 on a TPU.
    One value for the whole study:
        momentum: of sgd.
        weight_decay: of adamw, and added to the gradient for sgd and adam.
        warmup: share of the steps during which the cosine schedule warms up.
        evaluations: how often the validation part is measured along the way.
        untuned_learning_rate: what is usual without tuning. The report shows the rate
            of the grid nearest to it beside the best one. By default 0.1 for sgd,
            0.001 for adam and adamw.
        chunk_width: members that a device trains side by side; by default what suits
            the device. A part of a member's identity: it may change last bits.
        image_margin: pixels that are kept on each side beyond `image_size`, for the
            crops of training; evaluation sees the middle.
        feed: how examples come to the devices, in `FEEDS`; by default `resident` for
            sets of up to 1 GiB, `mapped` for larger ones. It changes no bit.
        output: which of a model's outputs are its logits, as `logits`, `0` or `aux.1`;
            by default the first that is `[batch, classes]`.
        instruments: of `instruments.table.INSTRUMENTS`, read of every member on one
            batch as it trains; none by default. They change no bit of the training.
        readings: how often, first before the first step; by default as often as a tenth
            of the training's passes pays for.

    Raises: UserError if a value cannot be meant.

    Example:
        >>> schemes = ["he_normal", "zeros"]
        >>> study = Study(schemes=schemes, learning_rates=0.1, depth=[2, 8])
        >>> study.seeds, len(study.programs()), len(study.members())
        ((0, 1, 2, 3, 4), 2, 10)
    """

    name: str = "study"
    question: str = ""
    schemes: tuple[str, ...] = ()
    learning_rates: tuple[float, ...] = ()
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    dataset: tuple[str, ...] = ("digits",)
    model: tuple[str, ...] = ("cnn",)
    depth: tuple[int | None, ...] = (None,)
    width: tuple[int | None, ...] = (None,)
    activation: tuple[str | None, ...] = (None,)
    norm: tuple[str | None, ...] = (None,)
    pooling: tuple[str | None, ...] = (None,)
    padding: tuple[str | None, ...] = (None,)
    branches: tuple[str, ...] = ("plain",)
    batch_size: tuple[int, ...] = (32,)
    steps: tuple[int, ...] = (200,)
    optimizer: tuple[str, ...] = ("sgd",)
    schedule: tuple[str, ...] = ("constant",)
    augmentation: tuple[str, ...] = ("none",)
    fixed: tuple[str, ...] = ("nothing",)
    image_size: tuple[int | None, ...] = later((None,))
    precision: tuple[str | None, ...] = later((None,))
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.1
    evaluations: int = 10
    untuned_learning_rate: float | None = None
    chunk_width: int | None = None
    image_margin: int = later(0)
    feed: str | None = None
    output: str | None = later(None)
    pairing: str = later("every")
    fresh_seeds: int = later(0)
    instruments: tuple[str, ...] = later(())
    readings: int | None = later(None)

    def __post_init__(self) -> None:
        for field, kind in _FIELD_TYPES.items():
            value = fields.coerce(field, getattr(self, field), kind)
            object.__setattr__(self, field, value)
        check_values(self)
        check_words(self)
        check_pairing(self)
        check_readings(self)
        check_sizes(self, PROGRAM_AXES)

    @property
    def grid(self) -> tuple[float, ...]:
        """The different learning rates, the smallest first.

        Example:
            >>> Study(schemes="zeros", learning_rates=(0.3, 0.1)).grid
            (0.1, 0.3)
        """
        return tuple(sorted(set(self.learning_rates)))

    @property
    def fresh(self) -> tuple[int, ...]:
        """The fresh seeds: the next ones after all others.

        Example:
            >>> study = Study(schemes="zeros", learning_rates=0.1, seeds=3)
            >>> study.replace(fresh_seeds=2).fresh
            (3, 4)
        """
        first = max(self.seeds) + 1
        return tuple(range(first, first + self.fresh_seeds))

    @property
    def hash(self) -> str:
        """SHA-256 of what changes a result: all but `name`, `question` and `feed`."""
        values = without_defaults(self, self.to_dict())
        return digest({k: v for k, v in values.items() if k not in _CHANGE_NOTHING})

    def to_dict(self) -> dict[str, Any]:
        """Turn the study into plain values, lists for tuples; `from_dict` reverses it.

        Example:
            >>> Study(schemes="zeros", learning_rates=0.1).to_dict()["schemes"]
            ['zeros']
        """
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Study":
        """Read a study from plain values.

        Raises: UserError for a field that does not exist.

        Example:
            >>> values = {"schemes": ["zeros"], "learning_rates": [1]}
            >>> Study.from_dict(values).learning_rates
            (1.0,)
        """
        for field in values:
            if field not in _FIELD_TYPES:
                raise unknown("field of a study", field, _FIELD_TYPES, "README.md")
        return cls(**values)

    def replace(self, **changes: Any) -> "Study":
        """Describe the same study with some fields changed.

        Example:
            >>> study = Study(schemes="zeros", learning_rates=0.1)
            >>> study.replace(seeds=2).seeds
            (0, 1)
        """
        return dataclasses.replace(self, **changes)

    def programs(self) -> tuple[Program, ...]:
        """List every combination of the program axes, in the order of the fields.

        Example:
            >>> study = Study(schemes="zeros", learning_rates=0.1, depth=[2, 4])
            >>> [program.depth for program in study.programs()]
            [2, 4]
        """
        axes = [
            getattr(self, f) if f in PROGRAM_AXES else (getattr(self, f),)
            for f in _PROGRAM_FIELDS
        ]
        return tuple(
            Program(**dict(zip(_PROGRAM_FIELDS, values, strict=True)))
            for values in itertools.product(*axes)
        )

    def members(self) -> tuple[Member, ...]:
        """List the members of each program, by scheme, rate and seed.

        The fresh seeds are not among them: what they train is known at the end alone.

        Example:
            >>> study = Study(schemes="zeros", learning_rates=0.1, seeds=2)
            >>> [member.name for member in study.members()]
            ['zeros/lr=0.1/0', 'zeros/lr=0.1/1']
        """
        own = zip(self.schemes, self.learning_rates, strict=False)
        every = itertools.product(self.schemes, self.learning_rates)
        return tuple(
            Member(scheme=scheme, learning_rate=rate, seed=seed)
            for scheme, rate in (own if self.pairing == "own" else every)
            for seed in self.seeds
        )

    def label(self, program: Program) -> str:
        """Name a program by the axes in which the study varies: `depth=8 norm=batch`.

        Example:
            >>> study = Study(schemes="zeros", learning_rates=0.1, depth=[2, 4])
            >>> [study.label(program) for program in study.programs()]
            ['depth=2', 'depth=4']
            >>> study = study.replace(depth=(None, 4))
            >>> [study.label(program) for program in study.programs()]
            ['depth=default', 'depth=4']
        """
        varying = [axis for axis in PROGRAM_AXES if len(getattr(self, axis)) > 1]
        return " ".join(_in_words(program, axis) for axis in varying) or program.model

    def untuned(self, optimizer: str) -> float:
        """Find the rate of the grid that is nearest, in ratio, to the untuned one.

        Example:
            >>> Study(schemes="zeros", learning_rates=(0.01, 0.3)).untuned("sgd")
            0.3
        """
        wanted = self.untuned_learning_rate or UNTUNED_LEARNING_RATES[optimizer]
        return min(self.learning_rates, key=lambda r: abs(math.log(r / wanted)))


def _in_words(program: Program, axis: str) -> str:
    """Write the value that a program has on an axis as the axis's flag takes it."""
    value = getattr(program, axis)
    return f"{axis}={'default' if value is None else value}"


_CHANGE_NOTHING = ("name", "question", "feed")
_FIELD_TYPES: dict[str, Any] = typing.get_type_hints(Study)
_PROGRAM_FIELDS = tuple(f.name for f in dataclasses.fields(Program))
PROGRAM_AXES = tuple(
    f for f in _PROGRAM_FIELDS if typing.get_origin(_FIELD_TYPES[f]) is tuple
)


def parse_field(field: str, text: str) -> Any:
    """Read the value of a field from text, e.g. from a flag: see `fields.parse`.

    Example:
        >>> parse_field("steps", "10,20"), parse_field("depth", "default")
        ((10, 20), (None,))
    """
    return fields.parse(field, text, _FIELD_TYPES[field])


def field_types() -> dict[str, Any]:
    """Give the type of every field of `Study`, by name.

    Example:
        >>> field_types()["steps"]
        tuple[int, ...]
    """
    return dict(_FIELD_TYPES)
