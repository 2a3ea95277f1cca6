"""What one compilation serves, and a run in it, as data: programs and members."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Introduced when there were runs already: at its default a field is in no hash, so that
# what was begun before goes on.
_LATER_FIELDS = ("image_size",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Program:
    """One value of every program axis: what one compilation serves.

    `None` leaves an argument of the model at the model's own default.

    Example:
        >>> Program(model="cnn", depth=4, norm="batch").model_arguments()
        {'depth': 4, 'norm': 'batch'}
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
    image_size: int | None = None

    @property
    def id(self) -> str:
        """A name that is the same wherever the program is the same, 12 hex digits."""
        return digest(without_later(self, dataclasses.asdict(self)))[:12]

    @property
    def data_name(self) -> str:
        """What a run calls its data: the data set, with the size that is asked for.

        Example:
            >>> Program(dataset="digits", image_size=16).data_name
            'digits at 16'
        """
        size = self.image_size
        return self.dataset if size is None else f"{self.dataset} at {size}"

    def model_arguments(self) -> dict[str, Any]:
        """Collect the arguments that the study sets on the model."""
        names = ("depth", "width", "activation", "norm", "pooling", "padding")
        values = {name: getattr(self, name) for name in names}
        return {name: value for name, value in values.items() if value is not None}

    def evaluation_steps(self) -> tuple[int, ...]:
        """List the steps after which the population is evaluated, the last included.

        Evenly spaced; step 0, the untrained net, is always evaluated too.

        Example:
            >>> Program(steps=100, evaluations=4).evaluation_steps()
            (25, 50, 75, 100)
        """
        count = min(self.evaluations, self.steps)
        return tuple(round(self.steps * i / count) for i in range(1, count + 1))

    def stream_seed(self, stream: str, seed: Any, first: Any) -> Any:
        """Say which seed a stream comes from: its own, or the first where it is fixed.

        Args:
            stream: `init`, `order` or `augmentation`.
            seed: of a member.
            first: the first seed of the study.

        Example:
            >>> program = Program(fixed="order")
            >>> program.stream_seed("order", 3, 0), program.stream_seed("init", 3, 0)
            (0, 3)
        """
        of_data = ("order", "augmentation")
        is_fixed = self.fixed == stream or (self.fixed == "order" and stream in of_data)
        return first if is_fixed else seed


@dataclasses.dataclass(frozen=True, kw_only=True)
class Member:
    """One training run: a scheme, a learning rate and a seed, in one program.

    Example:
        >>> Member(scheme="he_normal", learning_rate=0.1, seed=3).name
        'he_normal/lr=0.1/3'
    """

    scheme: str
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """The name of the member, for example `he_normal/lr=0.1/3`."""
        return f"{self.scheme}/lr={self.learning_rate:g}/{self.seed}"


def without_later(described: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the fields that came later and are at their defaults.

    Args:
        described: a study or a program.
        values: of its fields, plain.

    Example:
        >>> sorted(without_later(Program(), {"image_size": None, "steps": 1}))
        ['steps']
    """
    fields = {field.name: field.default for field in dataclasses.fields(described)}
    at_default = {f for f in _LATER_FIELDS if getattr(described, f) == fields[f]}
    return {name: value for name, value in values.items() if name not in at_default}


def digest(values: Mapping[str, Any]) -> str:
    """Hash plain values, whatever the order of their names; 64 hex digits."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
