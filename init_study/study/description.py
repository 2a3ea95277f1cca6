"""What is compared: a study, its programs and its members. Nothing runs here.

A study is a frozen description that hashes and round-trips through JSON. Its axes
are of two kinds. Scheme, learning rate and seed are *member* axes: members that
differ only in these share one compiled program. Everything that changes the program
(data set, model, depth, batch size, number of steps, ...) is a *program* axis; a
study may list several values of each.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import typing
from collections.abc import Mapping
from typing import Any

from init_study.errors import unknown
from init_study.study import fields
from init_study.study.checks import check_values

OPTIMIZERS = {
    "sgd": "stochastic gradient descent with momentum",
    "adam": "Adam (Kingma & Ba 2015)",
    "adamw": "Adam with decoupled weight decay (Loshchilov & Hutter 2019)",
}
SCHEDULES = {
    "constant": "the learning rate as given",
    "cosine": "linear warm-up, then half a cosine down to zero",
}
FIXED = {
    "nothing": "every seed has its own draws and its own order of data",
    "init": "all seeds start from the draws of the first one",
    "order": "all seeds see the data as the first one does",
}
_TABLES = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES, "fixed": FIXED}
# What one tries first without tuning, by optimizer: the usual textbook rates.
_UNTUNED_LEARNING_RATE = {"sgd": 0.1, "adam": 0.001, "adamw": 0.001}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """One value of every program axis: what one compilation serves.

    `None` leaves an argument of the model at the model's own default.
    """

    dataset: str = "digits"
    model: str = "cnn"
    depth: int | None = None
    width: int | None = None
    activation: str | None = None
    norm: str | None = None
    pooling: str | None = None
    padding: str | None = None
    branches: str = "plain"
    batch_size: int = 32
    steps: int = 200
    optimizer: str = "sgd"
    schedule: str = "constant"
    augmentation: str = "none"
    fixed: str = "nothing"
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.1
    evaluations: int = 10
    chunk_width: int | None = None

    @property
    def id(self) -> str:
        """A name that is the same wherever the program is the same."""
        return _digest(dataclasses.asdict(self))[:12]

    def model_arguments(self) -> dict[str, Any]:
        """The arguments that the study sets on the model."""
        names = ("depth", "width", "activation", "norm", "pooling", "padding")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def evaluation_steps(self) -> tuple[int, ...]:
        """The steps after which the population is evaluated, the last one included.

        Evenly spaced; step 0, the untrained net, is always evaluated too.
        """
        count = min(self.evaluations, self.steps)
        return tuple(round(self.steps * i / count) for i in range(1, count + 1))

    def stream_seed(self, stream: str, seed: Any, first: Any) -> Any:
        """Which seed gives `seed` its stream, `init`, `order` or `augmentation`: its
        own, or the first one's where the program fixes that."""
        of_data = ("order", "augmentation")
        is_fixed = self.fixed == stream or (self.fixed == "order" and stream in of_data)
        return first if is_fixed else seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """One training run: a scheme, a learning rate and a seed, in one program."""

    scheme: str
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """For example `he_normal/lr=0.1/3`."""
        return f"{self.scheme}/lr={self.learning_rate:g}/{self.seed}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A whole comparison. Single values and lists become tuples, `seeds=5` becomes
    seeds 0 to 4.

    Member axes:
        schemes: names as `he_normal`, with arguments as `normal(0.02)`.
        learning_rates: positive; every scheme gets every rate.
        seeds: replicates; the same seed gives every scheme the same order of data.
    Program axes (several values each): dataset to fixed; see `Program`. `fixed` is what
        all seeds have in common: all three of `FIXED` tell how much of the spread over
        seeds is due to the start, and how much to the order of data.
    One value for the whole study:
        momentum: of sgd.
        weight_decay: of adamw, and added to the gradient for sgd and adam.
        warmup: share of the steps during which the cosine schedule warms up.
        evaluations: how often the validation part is measured along the way.
        untuned_learning_rate: what one would take without tuning. The report shows
            the rate of the grid nearest to it beside the best one. By default 0.1
            for sgd, 0.001 for adam and adamw.
        chunk_width: members that a device trains side by side; by default what suits
            the device. A part of a member's identity: it may change last bits.

    Raises: UserError if a value cannot be meant.
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
    momentum: float = 0.9
    weight_decay: float = 0.0
    warmup: float = 0.1
    evaluations: int = 10
    untuned_learning_rate: float | None = None
    chunk_width: int | None = None

    def __post_init__(self) -> None:
        for field, kind in _FIELD_TYPES.items():
            value = fields.coerce(field, getattr(self, field), kind)
            object.__setattr__(self, field, value)
        check_values(self, _TABLES)

    @property
    def hash(self) -> str:
        """Of everything but the labels `name` and `question`."""
        values = self.to_dict()
        return _digest({k: v for k, v in values.items() if k not in _LABELS})

    def to_dict(self) -> dict[str, Any]:
        """Plain values, lists for tuples; `from_dict` reverses it."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Study":
        """Raises: UserError for a field that does not exist."""
        for field in values:
            if field not in _FIELD_TYPES:
                raise unknown("field of a study", field, _FIELD_TYPES, "README.md")
        return cls(**values)

    def replace(self, **changes: Any) -> "Study":
        """The same study with some fields changed."""
        return dataclasses.replace(self, **changes)

    def programs(self) -> tuple[Program, ...]:
        """Every combination of the program axes, in the order of the fields."""
        axes = [
            getattr(self, f) if f in PROGRAM_AXES else (getattr(self, f),)
            for f in _PROGRAM_FIELDS
        ]
        return tuple(
            Program(**dict(zip(_PROGRAM_FIELDS, values, strict=True)))
            for values in itertools.product(*axes)
        )

    def members(self) -> tuple[Member, ...]:
        """The members of each program: scheme by scheme, rate by rate, seed by seed."""
        axes = itertools.product(self.schemes, self.learning_rates, self.seeds)
        return tuple(
            Member(scheme=scheme, learning_rate=rate, seed=seed)
            for scheme, rate, seed in axes
        )

    def label(self, program: Program) -> str:
        """The program axes in which the study varies, e.g. `depth=8 norm=batch`."""
        varying = [axis for axis in PROGRAM_AXES if len(getattr(self, axis)) > 1]
        words = [f"{axis}={getattr(program, axis)}" for axis in varying]
        return " ".join(words) or program.model

    def untuned(self, optimizer: str) -> float:
        """The rate of the grid that is nearest, in ratio, to the untuned one."""
        wanted = self.untuned_learning_rate or _UNTUNED_LEARNING_RATE[optimizer]
        return min(self.learning_rates, key=lambda r: abs(math.log(r / wanted)))


_LABELS = ("name", "question")
_FIELD_TYPES: dict[str, Any] = typing.get_type_hints(Study)
_PROGRAM_FIELDS = tuple(f.name for f in dataclasses.fields(Program))
PROGRAM_AXES = tuple(
    f for f in _PROGRAM_FIELDS if typing.get_origin(_FIELD_TYPES[f]) is tuple
)


def parse_field(field: str, text: str) -> Any:
    """The value of a field from text, e.g. from a flag: see `fields.parse`."""
    return fields.parse(field, text, _FIELD_TYPES[field])


def field_types() -> dict[str, Any]:
    """The type of every field of `Study`, by name."""
    return dict(_FIELD_TYPES)


def _digest(values: Mapping[str, Any]) -> str:
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
