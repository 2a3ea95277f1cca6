"""Does faults of every kind to small studies, and counts what is lost or wrong.

python -m tests.faults                     the short form, a few minutes
python -m tests.faults --long --json=FILE  the long one, hours
python -m tests.faults --rows=R1,R5 --n=200 --seed=0
python -m tests.faults --rows=R5 --trial=17    one trial again, as a failure names it
python -m tests.faults --table=FILE,FILE       results as a Markdown table

A row ends with a line. The exit code is 1 if anything was lost, silently wrong or not
passed, or a row did not end; 64 for a wrong flag. The JSON is a list of rows: `row`,
`what`, `tried`, `passed`, `lost`, `silently_wrong`, `not_passed`, `skipped`, `seconds`,
`complete`, `kinds`, `notes` and `failures`, each with the command that repeats it.
"""

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

from faults.matrix import (  # noqa: E402
    ROWS,
    is_clean,
    line_of,
    run_rows,
    table_of,
    write_results,
)

_USAGE = 64


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(_USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the flags ask for."""
    asked = _asked(arguments)
    if asked.table:
        for line in table_of(_read(asked.table)):
            print(line)
        return 0
    counts = {name: _numbers(name, asked) for name in asked.rows}
    results: list[dict[str, Any]] = []
    received: list[int] = []

    def stop(number: int, frame: Any) -> NoReturn:
        received.append(number)
        raise KeyboardInterrupt

    before = {n: signal.signal(n, stop) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for result in run_rows(counts, asked.seed, results, received=received):
            _tell(result)
            _write(asked.json, results)
    except KeyboardInterrupt:
        _tell(results[-1])
        print("stopped", file=sys.stderr)
    finally:
        _write(asked.json, results)
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0 if is_clean(results) and len(results) == len(counts) else 1


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _Parser(prog="python -m tests.faults", allow_abbrev=False)
    parser.add_argument("--rows", type=_row_names, default=list(ROWS))
    parser.add_argument("--n", type=_count, help="trials of each row")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trial", type=int, help="only the one of this number")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    parser.add_argument("--table", help="print files of results as Markdown")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--short", action="store_true", help="the default")
    length.add_argument("--long", action="store_true")
    return parser.parse_args(arguments)


def _row_names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in ROWS:
            raise argparse.ArgumentTypeError(f"no row {name!r}; all: {', '.join(ROWS)}")
    return names


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


def _numbers(name: str, asked: argparse.Namespace) -> Sequence[int]:
    if asked.trial is not None:
        return [asked.trial]
    row = ROWS[name]
    return range(asked.n or (row.long if asked.long else row.short))


def _read(names: str) -> list[dict[str, Any]]:
    try:
        found = [
            row
            for name in names.split(",")
            for row in json.loads(Path(name).read_text())
        ]
        return sorted(found, key=lambda row: int(row["row"][1:]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        print(f"error: --table={names}: {error}", file=sys.stderr)
        raise SystemExit(_USAGE) from None


def _tell(result: dict[str, Any]) -> None:
    print(line_of(result), flush=True)
    for failure in result["failures"][:20]:
        print(f"     {failure['verdict']}: {failure['command']}", flush=True)
        print(f"     {failure['seen'].strip()}", flush=True)


def _write(path: Path | None, results: list[dict[str, Any]]) -> None:
    if path:
        write_results(path, results)


if __name__ == "__main__":
    sys.exit(main())
