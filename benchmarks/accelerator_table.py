"""What rows of `benchmarks.accelerator` come to: a summary and a table. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.summary import show

Row = Mapping[str, Any]

_HEAD = (
    *("measured", "case", "member-steps/s", "this engine / it"),
    *("compile, s", "program, GB", "peak, GB", "remark"),
)


def summarize_rows(rows: Sequence[Row]) -> dict[str, Any]:
    """Find the fastest execution of each case, and compare the studies that ran twice.

    Returns: `best` by case; `ratios` of this engine to a peer or a variant of itself,
        by case and name; `studies` by name, with the wall seconds of the one that ran
        alone, and whether both have the same records (None unless both ended).
    """
    timed = [row for row in rows if row.get("rate")]
    best: dict[str, Any] = {}
    for row in timed:
        case, rate = row["case"], row["rate"]["median"]
        if row["part"] == "ours" and rate > best.get(case, {"rate": 0.0})["rate"]:
            best[case] = {"execution": row["name"], "rate": rate}
    ratios: dict[str, dict[str, Any]] = {}
    for row in timed:
        if row.get("ratio"):
            found = {**row["ratio"], "against": row["against"]}
            ratios.setdefault(row["case"], {})[row["name"]] = found
    return {"best": best, "ratios": ratios, "studies": _studies(rows)}


def _studies(rows: Sequence[Row]) -> dict[str, Any]:
    runs: dict[str, list[Row]] = {}
    for row in rows:
        if row["part"] == "study":
            runs.setdefault(row["name"].split("/")[0], []).append(row)
    studies = {}
    for name, of_name in runs.items():
        whole = [row for row in of_name if row.get("sha256") and "problem" not in row]
        alone = [row["wall_seconds"] for row in whole if row["alone"]]
        same = len({tuple(sorted(row["sha256"].items())) for row in whole}) == 1
        studies[name] = {
            "wall_seconds": alone[0] if alone else None,
            "same_records": same if len(whole) > 1 else None,
        }
    return studies


def line_of(row: Row) -> str:
    """Say in one line what came out of an item."""
    what = f"{row['part']} {row['case']} {row['name']}"
    if row.get("rate"):
        ratio = f", ratio {show(row['ratio'])}" if row.get("ratio") else ""
        said = f"{show(row['rate'])} member-steps/s{ratio}"
    elif "wall_seconds" in row:
        said = f"{row['wall_seconds']:.1f} s"
    else:
        said = "nothing"
    return "; ".join([f"{what}: {said}", *_problem(row)])


def table(document: Mapping[str, Any]) -> str:
    """One row for each item that began, in Markdown, and what all of it comes to."""
    rows, summary = document["rows"], document["summary"]
    begun = [row for row in rows if "seconds" in row]
    lines = [_cells(_HEAD), _cells(["---"] * len(_HEAD))]
    lines += [_cells(_row(row)) for row in begun]
    lines.append("")
    for case, best in summary["best"].items():
        lines.append(f"{case}: {best['execution']} is the fastest that was timed")
    same = {None: "not known to be the same", True: "the same", False: "different"}
    for name, study in summary["studies"].items():
        wall = study["wall_seconds"]
        took = f", {wall:.1f} s alone" if wall else ""
        lines.append(f"study, {name}: records {same[study['same_records']]}{took}")
    if len(begun) < len(rows):
        lines.append(f"{len(rows) - len(begun)} of {len(rows)} items did not begin")
    return "\n".join([*lines, f"ended: {document['ended']}"])


def _row(row: Row) -> list[str]:
    alone = ["alone"] if row["alone"] else []
    beside = [f"compiled beside {row['beside']}"] if row.get("beside") else []
    study = f"{row['wall_seconds']:.1f} s" if "wall_seconds" in row else "—"
    execution = f" as {row['execution']}" if row["part"] == "precision" else ""
    seconds = row.get("compile_seconds")
    program = row.get("argument_bytes")
    return [
        f"{row['part']}: {row['name']}{execution}",
        row["case"],
        show(row["rate"]) if row.get("rate") else study,
        show(row.get("ratio")),
        "—" if seconds is None else f"{seconds:.1f}",
        _gigabytes(None if program is None else program + row["temporary_bytes"]),
        _gigabytes(row.get("peak_bytes_in_use")),
        "; ".join([*alone, *beside, *_problem(row)]),
    ]


def _problem(row: Row) -> list[str]:
    return [row["problem"].replace("|", "/")] if "problem" in row else []


def _gigabytes(size: int | None) -> str:
    return "—" if size is None else f"{size / 1e9:.2f}"


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
