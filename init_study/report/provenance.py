"""Where the numbers come from: what ran, on what, from which data, for how long."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from init_study.answers.spent import spent_in_words
from init_study.answers.words import rate
from init_study.report.tables import Rows, definitions
from init_study.study import PROGRAM_AXES, Study

# Whether the kernels that it began with give the same bits each time; before it was
# noted nobody knows.
_BITS = {
    True: "the same each time",
    False: "may differ from run to run: without --deterministic",
    None: None,
}
Pairs = Sequence[tuple[str, Any]]


class Provenance(NamedTuple):
    """The last section of the page. What the manifest does not say is left out."""

    command: str
    scope: Pairs
    programs: Rows
    data: Rows
    work: Rows
    software: Pairs


def provenance(study: Study, manifest: Mapping[str, Any]) -> Provenance:
    """Collect what study and manifest say of a run."""
    return Provenance(
        manifest.get("command", ""),
        definitions(_scope(study)),
        _programs(manifest),
        _data(manifest),
        _sessions(manifest),
        definitions(_software(manifest)),
    )


def _scope(study: Study) -> list[tuple[str, str]]:
    values = study.to_dict()
    names = [*PROGRAM_AXES, "learning_rates", "seeds", "schemes"]
    names += ["momentum", "weight_decay", "warmup"]
    return [(name.replace("_", " "), _listed(values[name])) for name in names]


def _listed(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    words = [rate(v) if isinstance(v, float) else v for v in values]
    return ", ".join("model’s own" if word is None else str(word) for word in words)


def _programs(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    names = ("label", "parameters", "members", "chunk_width", "convolution")
    return [
        {"id": key} | {n.replace("_", " "): facts.get(n, "–") for n in names}
        for key, facts in manifest.get("programs", {}).items()
    ]


def _data(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for name, facts in manifest["data"].items():
        sums = facts.get("checksums") or {}
        for part in ("train", "validation", "test"):
            row = {"data set": name, "part": part, "images": facts.get(part, "–")}
            rows.append(row | {"SHA-256": sums.get(part, "–")})
    return rows


def _sessions(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "started": session.get("started", "–"),
            "seconds": _number(session.get("seconds")),
            "spent on": spent_in_words([session]) or "–",
            "member-steps": _number(session.get("member_steps")),
            "per second": _number(session.get("member_steps_per_second")),
            "devices": _joined(session.get("devices")),
        }
        for session in manifest.get("sessions", [])
    ]


def _software(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    git = manifest.get("git") or {}
    changed = " with uncommitted changes" if git.get("dirty") else ""
    return [
        ("study", manifest.get("study_hash")),
        ("code", f"{git['commit']}{changed}" if git.get("commit") else None),
        ("devices", _joined(manifest.get("devices"))),
        ("bits", _BITS.get(manifest.get("repeats_bits"))),
        *(manifest.get("versions") or {}).items(),
        *(manifest.get("jax") or {}).items(),
        *_accepted(manifest),
    ]


def _accepted(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Find what a run went on with, though it was begun with something else."""
    began = (manifest.get("versions") or {}) | (manifest.get("jax") or {})
    for later in manifest.get("accepted_drift", []):
        for name, value in later.items():
            if name != "steps" and str(began.get(name)) != value:
                yield f"{name}, later", value


def _joined(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value or "–")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}"
