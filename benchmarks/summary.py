"""From turns to rates, ratios and a Markdown table. Pure."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.crews import Turn
from benchmarks.groups import WAYS

Spread = dict[str, Any]


def spread(values: Sequence[float]) -> Spread | None:
    """Median, least and greatest; None of nothing."""
    if not values:
        return None
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "n": len(values),
    }


def summarize(
    turns: Mapping[str, Mapping[int, Turn]],
    problems: Mapping[str, str],
    step_gflop: float,
    platform: str,
) -> dict[str, Any]:
    """Compute the figures of one case.

    Args:
        turns: by way (or `way/layout/threads`) and round.
        problems: by the same names, why one did not run or stopped.
        step_gflop: the work of one member-step.
        platform: JAX's; off the CPU the share of the matrix product's rate is taken
            per wall second, as CPU seconds say nothing there.

    Returns: `ours`, `peers`, `best_peer`, `ratio_*` and `*gflops*`; None for what was
        not measured.
    """
    rates = {name: _rates(of_rounds) for name, of_rounds in turns.items() if of_rounds}
    peers = {}
    for way in WAYS:
        if way not in ("ours", "matmul"):
            peers |= _peer(way, rates, problems)
    fitting = {way: peer for way, peer in peers.items() if "median" in peer}
    best = max(fitting, key=lambda way: fitting[way]["median"], default=None)
    own = turns.get("ours", {})
    ratios = {
        way: spread(_ratios(own, turns[peer["variant"]]))
        for way, peer in fitting.items()
    }
    return {
        "ours": rates.get("ours", _missing("ours", problems)),
        "peers": peers,
        "best_peer": best,
        "ratio_best": ratios[best] if best else None,
        "ratio_vmap": ratios.get("flax_vmap"),
        "ratio_scan": ratios.get("flax_scan"),
        "ratios": ratios,
        **_against_matmul(rates, step_gflop, platform),
    }


def _rates(of_rounds: Mapping[int, Turn]) -> Spread:
    turns = list(of_rounds.values())
    return {
        **(spread([turn.rate for turn in turns]) or {}),
        "cpu_seconds_per_member_step": statistics.median(t.cpu_seconds for t in turns),
    }


def _peer(
    way: str, rates: Mapping[str, Spread], problems: Mapping[str, str]
) -> dict[str, Any]:
    """Choose the best variant of a way to stand for it."""
    variants = {name: rate for name, rate in rates.items() if name.split("/")[0] == way}
    failed = {
        name: text for name, text in problems.items() if name.split("/")[0] == way
    }
    if not variants:
        return {way: {"problem": next(iter(failed.values()))}} if failed else {}
    best = max(variants, key=lambda name: variants[name]["median"])
    return {
        way: {
            **variants[best],
            "variant": best,
            "variants": variants,
            "problems": failed,
        }
    }


def _missing(way: str, problems: Mapping[str, str]) -> dict[str, str] | None:
    return {"problem": problems[way]} if way in problems else None


def _ratios(own: Mapping[int, Turn], peer: Mapping[int, Turn]) -> list[float]:
    """Round by round, so that what slows the machine for a while slows both."""
    return [own[i].rate / peer[i].rate for i in own if i in peer]


def _against_matmul(
    rates: Mapping[str, Spread], step_gflop: float, platform: str
) -> dict[str, Any]:
    """GFLOP per CPU and per wall second of the engine and of a matrix product."""
    found: dict[str, Any] = {}
    for way, gflop in (("matmul", 1.0), ("ours", step_gflop)):
        rate = rates.get(way)
        cpu = rate["cpu_seconds_per_member_step"] if rate else None
        found[f"{way}_gflops_per_cpu_s"] = gflop / cpu if cpu else None
        found[f"{way}_gflops_per_s"] = gflop * rate["median"] if rate else None
    per = "cpu_s" if platform == "cpu" else "s"
    most, own = found[f"matmul_gflops_per_{per}"], found[f"ours_gflops_per_{per}"]
    found["fraction_of_matmul"] = own / most if own and most else None
    return found


_HEAD = (
    "case",
    "this engine",
    "best peer",
    "ratio",
    "to flax_vmap",
    "to flax_scan",
    "share of matmul",
)


def header() -> str:
    """Write the head of the table."""
    return f"{_row(_HEAD)}\n{_row(['---'] * len(_HEAD))}"


def row_of(record: Mapping[str, Any]) -> str:
    """Write the row of a case."""
    best = record["best_peer"]
    peer = record["peers"][best] if best else None
    share = record["fraction_of_matmul"]
    return _row(
        (
            record["case"],
            show(record["ours"]),
            f"{peer['variant']}: {show(peer)}" if peer else "—",
            *(show(record[f"ratio_{x}"]) for x in ("best", "vmap", "scan")),
            f"{share:.0%}" if share else "—",
        )
    )


def problems_of(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name each way that did not run, and why."""
    return [
        f"{record['case']}: {way}: {found['problem']}"
        for record in records
        for way, found in (("ours", record["ours"]), *record["peers"].items())
        if found and "problem" in found
    ]


def show(found: Mapping[str, Any] | None) -> str:
    """`median (least to greatest)`, or a dash."""
    if not found or "median" not in found:
        return "—"
    middle, least, most = (f"{found[key]:.3g}" for key in ("median", "min", "max"))
    return middle if found["n"] == 1 else f"{middle} ({least} to {most})"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
