"""The settings on which advice is measured: what races found, shipped as one table.

A row of the table is one scheme in one setting: what the race found of it, and the
evidence that was measured of its starts, by other draws than the race had.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from init_study.activations import name_activation
from init_study.advice.evidence_of_start import StartEvidence
from init_study.errors import ExitCode, UserError, extra
from init_study.network import Network

with extra("data"):
    import pyarrow as pa
    import pyarrow.parquet as pq

COMMAND = "python launch.py advise --settings=runs/settings"
# Of the table. A reader of another one has other columns.
_FORMAT = "1"
# Those that are used with He's law as ReLU is, and those that saturate on both sides.
RELU_LIKE = ("relu", "leaky_relu", "gelu", "gelu_exact", "silu", "elu", "mish")
_SATURATING = ("tanh", "sigmoid", "softsign", "hard_tanh")


class NetKind(NamedTuple):
    """What makes one setting near to another.

    Attributes:
        layers: with weights.
        activation: that follows most of them.
        normed: whether a norm follows some.
        residual: whether there are branches.
        pixels: of an image, all channels counted.
        classes: how many there are.
    """

    layers: int
    activation: str
    normed: bool
    residual: bool
    pixels: int
    classes: int


class RacedScheme(NamedTuple):
    """What a race found of a scheme, and what was measured before.

    Attributes:
        scheme: its name.
        accuracy: on validation data after the last step, mean over seeds at the best
            rate; a run that diverged or is not above chance counts as chance.
        of_seeds: of each seed, at its own best rate.
        rate: the best.
        evidence: of its starts.
    """

    scheme: str
    accuracy: float
    of_seeds: tuple[float, ...]
    rate: float
    evidence: StartEvidence


class Setting(NamedTuple):
    """A network on data, and what its race found.

    Attributes:
        name: of its study.
        family: of nets that are no independent evidence.
        dataset: its name.
        described: the network and the images.
        chance: validation accuracy of a constant answer.
        schemes: in the order of the study.
    """

    name: str
    family: str
    dataset: str
    described: NetKind
    chance: float
    schemes: tuple[RacedScheme, ...]


class SettingsTable(NamedTuple):
    """The table and how it was made.

    Attributes:
        settings: in the order of the table.
        about: command, versions, machine, seconds, date, all as texts.
    """

    settings: tuple[Setting, ...]
    about: Mapping[str, str]


def describe_net(network: Network, classes: int) -> NetKind:
    """Describe a network as the settings are described.

    Args:
        network: a traced network.
        classes: of the data.
    """
    follow = [layer.activation for layer in network.layers]
    names = ["unknown" if one is None else name_activation(one) for one in follow]
    hidden = [name for name in names if name != "linear"] or ["linear"]
    names, counts = np.unique(hidden, return_counts=True)
    return NetKind(
        layers=len(network.layers),
        activation=str(names[counts.argmax()]),
        normed=any(layer.normalized for layer in network.layers),
        residual=bool(network.branches),
        pixels=int(np.prod(network.image_shape)),
        classes=classes,
    )


def distance(one: NetKind, other: NetKind) -> float:
    """Say how far two settings are from each other; what trains otherwise is far.

    A norm or branches that one alone has count 2, another activation 1, or ½ of the
    same kind, a factor of two in depth ½, of ten in pixels or classes ½.

    Example:
        >>> one = NetKind(4, "relu", False, False, 64, 10)
        >>> distance(one, one._replace(layers=8, normed=True))
        2.5
    """
    far = 2.0 * (one.normed != other.normed) + 2.0 * (one.residual != other.residual)
    if one.activation != other.activation:
        kinds = (RELU_LIKE, _SATURATING)
        names = {one.activation, other.activation}
        far += 0.5 if any(names <= set(kind) for kind in kinds) else 1.0
    far += abs(np.log2(one.layers / other.layers)) / 2
    far += abs(np.log10(one.pixels / other.pixels)) / 2
    return float(far + abs(np.log10(one.classes / other.classes)) / 2)


def nearest_settings(
    settings: Iterable[Setting], described: NetKind, count: int = 3
) -> list[Setting]:
    """Find the settings that are nearest to a network.

    Args:
        settings: of the table.
        described: the network.
        count: how many.
    """
    return sorted(settings, key=lambda one: distance(one.described, described))[:count]


def shipped_path() -> Path:
    """Name the file of the table that comes with the package."""
    return Path(str(resources.files("init_study.advice") / "settings.parquet"))


def read_settings(path: Path | None = None) -> SettingsTable:
    """Read a table of settings; by default the shipped one.

    Args:
        path: of a Parquet file.

    Raises: UserError for a file that is not there, is damaged, or is another table.

    Example:
        >>> read_settings().settings[0].schemes[0].scheme
        'he_normal'
    """
    path = path or shipped_path()
    try:
        table = pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path} is not there; make it: {COMMAND}") from None
    except (pa.ArrowException, OSError) as error:
        said = " ".join(str(error).split())
        raise UserError(
            f"{path} is damaged: {said}; make it again: {COMMAND}",
            exit_code=ExitCode.DAMAGED,
        ) from None
    about = {
        key.decode(): value.decode()
        for key, value in (table.schema.metadata or {}).items()
    }
    if about.get("format") != _FORMAT or set(table.column_names) != set(_COLUMNS):
        raise UserError(f"{path} is no table of settings; make one: {COMMAND}")
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row["setting"], []).append(row)
    return SettingsTable(tuple(map(_setting, rows.values())), about)


def write_settings(path: Path, table: SettingsTable) -> None:
    """Write a table of settings as one Parquet file.

    Args:
        path: whose folder is there.
        table: what to write.
    """
    rows = [row for one in table.settings for row in _rows(one)]
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    about = {**table.about, "format": _FORMAT}
    # Half a table would be taken for a damaged one.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(pa.table(columns).replace_schema_metadata(about), beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


_COLUMNS = (
    *("setting", "family", "dataset", *NetKind._fields, "chance"),
    *("scheme", "accuracy", "of_seeds", "rate", *StartEvidence._fields),
)


def _rows(setting: Setting) -> Iterable[dict[str, Any]]:
    for one in setting.schemes:
        yield {
            "setting": setting.name,
            "family": setting.family,
            "dataset": setting.dataset,
            **setting.described._asdict(),
            "chance": setting.chance,
            "scheme": one.scheme,
            "accuracy": one.accuracy,
            "of_seeds": list(one.of_seeds),
            "rate": one.rate,
            **one.evidence._asdict(),
        }


def _setting(rows: Sequence[dict[str, Any]]) -> Setting:
    first = rows[0]
    return Setting(
        name=first["setting"],
        family=first["family"],
        dataset=first["dataset"],
        described=NetKind(*(first[name] for name in NetKind._fields)),
        chance=first["chance"],
        schemes=tuple(
            RacedScheme(
                scheme=row["scheme"],
                accuracy=row["accuracy"],
                of_seeds=tuple(row["of_seeds"]),
                rate=row["rate"],
                evidence=StartEvidence(*(row[name] for name in StartEvidence._fields)),
            )
            for row in rows
        ),
    )
