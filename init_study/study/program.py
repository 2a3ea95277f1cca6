"""What one compilation serves, and a run in it, as data: programs and members."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

# Whose start, order or augmentation all seeds have where it is fixed.
FIXED_SEED = 0
# The fields of models that a study can set.
MODEL_FIELDS = ("depth", "width", "activation", "norm", "pooling", "padding")


def later(default: Any) -> Any:
    """Declare a field that came after the first runs, with its default.

    At its default it is in no hash: a run that began before it goes on, and a program
    that does without it keeps its name.

    Example:
        >>> Program().id == Program(output=None).id != Program(output="logits").id
        True
    """
    return dataclasses.field(default=default, metadata={"later": True})


def without_defaults(described: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the values of `later` fields that are at their defaults.

    Args:
        described: a study or a program.
        values: its plain values, by field.

    Example:
        >>> kept = without_defaults(Program(), {"depth": None, "output": None})
        >>> list(kept)
        ['depth']
    """
    unused = {
        field.name
        for field in dataclasses.fields(described)
        if field.metadata.get("later")
        and getattr(described, field.name) == field.default
    }
    return {name: value for name, value in values.items() if name not in unused}


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
    output: str | None = later(None)
    image_size: int | None = later(None)
    image_margin: int = later(0)
    precision: str | None = later(None)

    @property
    def id(self) -> str:
        """A name that is the same wherever the program is the same, 12 hex digits."""
        return digest(without_defaults(self, dataclasses.asdict(self)))[:12]

    @property
    def kept_size(self) -> int | None:
        """Height and width of the images that are kept: with the margin for crops.

        Example:
            >>> Program(image_size=224, image_margin=16).kept_size
            256
        """
        size = self.image_size
        return None if size is None else size + 2 * self.image_margin

    @property
    def data_name(self) -> str:
        """What a run calls its data: the data set, with the size that is asked for.

        Example:
            >>> Program(dataset="digits", image_size=16).data_name
            'digits at 16'
        """
        size = self.kept_size
        return self.dataset if size is None else f"{self.dataset} at {size}"

    def model_arguments(self) -> dict[str, Any]:
        """Collect the arguments that the study sets on the model."""
        values = {name: getattr(self, name) for name in MODEL_FIELDS}
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

    def stream_seed(self, stream: str, seed: Any) -> Any:
        """Say which seed a stream comes from: its own, or seed 0 where it is fixed.

        Seed 0 whichever seeds a run has: the stages of a race have others each, and
        share what is fixed.

        Args:
            stream: `init`, `order` or `augmentation`.
            seed: of a member.

        Example:
            >>> program = Program(fixed="order")
            >>> program.stream_seed("order", 3), program.stream_seed("init", 3)
            (0, 3)
        """
        of_data = ("order", "augmentation")
        is_fixed = self.fixed == stream or (self.fixed == "order" and stream in of_data)
        return FIXED_SEED if is_fixed else seed


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
        return f"{self.scheme}/lr={exact(self.learning_rate)}/{self.seed}"


def exact(number: float) -> str:
    """Write a number in few digits if those give it back, else in all of them.

    Example:
        >>> exact(0.1), exact(0.1000001)
        ('0.1', '0.1000001')
    """
    short = f"{number:g}"
    return short if float(short) == number else repr(number)


def digest(values: Mapping[str, Any]) -> str:
    """Hash plain values, whatever the order of their names; 64 hex digits."""
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
