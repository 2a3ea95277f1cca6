"""Trains populations of CNNs that differ in how they start, and compares them.

    python launch.py                      run the default study and write its report
    python launch.py run --study=NAME     a study of experiments/, a .py or .json file
    python launch.py plan                 what would run, what it costs, what is done
    python launch.py tune                 how fast each execution is on this machine
    python launch.py status               how far a run is
    python launch.py report               render the report of a run again
    python launch.py export --to=FILE     the records as .csv or .parquet
    python launch.py claims               what an introduction to initialization claims,
                                          put to the test; --quick: shorter runs
    python launch.py published            whether results of papers come out again;
                                          --only=NAME: one of experiments/published/
    python launch.py list                 studies, models, data sets, schemes, ...
    python launch.py show                 what --scheme=NAME makes of --model=NAME,
                                          layer by layer
    python launch.py gain                 what activations do to signal and gradients;
                                          of one: --activation=NAME or module:function

Every field of a study can be set: --study.depth=4,8 --study.seeds=10
"""

import contextlib
import errno
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging

from init_study.errors import UserError, unknown
from init_study.study import Study, field_types, parse_field
from init_study.study.files import load_study

EXPERIMENTS = Path(__file__).resolve().parent / "experiments"

_STUDY = flags.DEFINE_string("study", "first_look", "Name in experiments/, or a file.")
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; by default runs/NAME-HASH of the study."
)
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Where TFDS keeps its data sets.")
_CACHE_DIR = flags.DEFINE_string(
    "cache_dir",
    os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "init_study"),
    "Where compiled programs are kept between runs; empty to keep none.",
)
_CHECKPOINT_EVERY = flags.DEFINE_float(
    "checkpoint_every", 30.0, "Seconds between two checkpoints, at least.", 0.0
)
_EXECUTION = flags.DEFINE_string(
    "execution",
    None,
    "How members run, FORM/WIDTH: winograd/1, blocked/4, xla/16, ...; by default what "
    "`tune` would take, if the run is long enough to find out.",
)
_UNTIL = flags.DEFINE_enum(
    "until",
    None,
    ["decided"],
    "Of `run`: screen, then spend fresh seeds until a verdict; --study.seeds is not "
    "used.",
)
_BUDGET = flags.DEFINE_string(
    "budget", None, "Of --until: time for it, e.g. 20m, 2h, 90s; by default no limit."
)
_MARGIN = flags.DEFINE_float(
    "margin",
    None,
    "Of --until: points of accuracy below which a difference does not matter; by "
    "default 0.5, or half the standard error of one test accuracy if that is more.",
)
_LOOKS = flags.DEFINE_list(
    "looks", ["5", "10", "20"], "Of --until: numbers of fresh seeds at which to look."
)
_QUICK = flags.DEFINE_bool(
    "quick", False, "Of `claims`: fewer seeds and steps, the same rules."
)
_ONLY = flags.DEFINE_string(
    "only", None, "Of `published`: one of the results in experiments/published/."
)
_FIGURES = flags.DEFINE_enum(
    "figures",
    None,
    ["pdf", "svg", "png"],
    "Of `report`: write every figure into WORKDIR/figures, too.",
)
_WATCH = flags.DEFINE_bool(
    "watch", False, "Of `report`: draw it again as records come, until the run is done."
)
_TENSORBOARD = flags.DEFINE_bool(
    "tensorboard",
    False,
    "Of `run`: write event files into WORKDIR/tensorboard as records come.",
)
_SPECTRA = flags.DEFINE_bool(
    "spectra",
    False,
    "Of `run`: before the first step, measure the spectra of Jacobian and Hessian and "
    "predict the signals of every layer.",
)
_ACCEPT_DRIFT = flags.DEFINE_bool(
    "accept_drift",
    False,
    "Go on with a run that was begun under other versions or settings of JAX and its "
    "like, which may give other bits.",
)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON document and nothing else.")
_KIND = flags.DEFINE_string("kind", None, "Of `list`: one kind only, e.g. models.")
_TO = flags.DEFINE_string("to", None, "Of `export`: a file, .csv or .parquet.")
_ACTIVATION = flags.DEFINE_string(
    "activation",
    None,
    "Of `gain`: a name, or module:function of your own; by default all names.",
)
_SCHEME = flags.DEFINE_string("scheme", "he_normal", "Of `show`: a scheme.")
_MODEL = flags.DEFINE_string(
    "model", None, "Of `show`: a model, or module:Class; by default the study's."
)
_Q = flags.DEFINE_float("q", 1.0, "Of `gain`: variance of the pre-activations.")
_FIELDS = {
    field: flags.DEFINE_string(f"study.{field}", None, f"Sets {field} of the study.")
    for field in field_types()
}

_EXIT_USER_ERROR = 2
_NO_PLACE_TO_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
# What a shell expects of Ctrl-C, and sysexits' "temporary failure, try again".
_EXIT_STOPPED = {signal.SIGINT: 130, signal.SIGTERM: 75}


def main(words: list[str]) -> None:
    """Do what the first word says."""
    word, *rest = words[1:] or ["run"]
    if word not in WORDS:
        raise unknown("word", word, WORDS, ", ".join(WORDS))
    if rest:
        raise UserError(f"{rest[0]!r} is one word too many; flags begin with --")
    WORDS[word]()


def _run() -> None:
    from init_study.run import run

    if _UNTIL.value:
        return _race()
    workdir, plan = _workdir(), _plan(_study())
    received = _catch_signals()
    with _scalars(workdir) as recorded:
        control = _control(received)._replace(recorded=recorded)
        outcome = run(plan, workdir, _command(), control)
    if not outcome.finished:
        _say_stopped(received)
    _answer(workdir)


@contextlib.contextmanager
def _scalars(workdir: Path) -> Iterator[Callable[[], None]]:
    """What is to be called when records have come."""
    if not _TENSORBOARD.value:
        yield lambda: None
        return
    from init_study.report.scalars import Scalars

    scalars = Scalars(workdir)
    try:
        # What an earlier process has recorded.
        scalars.update()
        yield scalars.update
    finally:
        scalars.close()


def _race() -> None:
    from init_study import load, store
    from init_study.answers.verdicts.protocol import Protocol
    from init_study.race import race
    from init_study.run import run

    if _FIELDS["seeds"].value is not None:
        raise UserError(
            "--until=decided spends seeds as needed; leave out --study.seeds"
        )
    study, received = _study(), _catch_signals()
    control = _control(received)

    def train(stage: Study, folder: Path) -> Any:
        outcome = run(_plan(stage), folder, _command(), control)
        if not outcome.finished:
            return None
        return load(folder), store.read_manifest(folder)

    # A wrong name is found before anything is written.
    _plan(study)
    workdir = _race_workdir()
    margin = None if _MARGIN.value is None else _MARGIN.value / 100
    protocol = Protocol(margin=1.0, looks=_looks())
    race(study, workdir, train, protocol, margin, _seconds(_BUDGET.value))
    _verdicts(workdir)
    if received:
        _say_stopped(received)


def _claims() -> None:
    from experiments import article

    studies = article.studies(_QUICK.value)
    folder = "claims-quick" if _QUICK.value else "claims"
    _examine(article.CLAIMS, studies, article.CHECKS, folder, title=article.TITLE)


def _published() -> None:
    from experiments import published

    results = published.RESULTS
    if _ONLY.value is not None:
        if _ONLY.value not in results:
            raise unknown("result", _ONLY.value, results, ", ".join(results))
        results = {_ONLY.value: results[_ONLY.value]}
    studies = {r.STUDY.name: r.STUDY for r in results.values() if hasattr(r, "STUDY")}
    checks = {
        n: c for r in results.values() for n, c in getattr(r, "CHECKS", {}).items()
    }
    claims = tuple(result.RESULT for result in results.values())
    folder = f"published-{_ONLY.value}" if _ONLY.value else "published"
    _examine(claims, studies, checks, folder, title=published.TITLE, kind="results")


def _examine(
    claims: Any, studies: Any, checks: Any, folder: str, **options: str
) -> None:
    from init_study import load, store
    from init_study.examine import examine
    from init_study.run import run

    given = [field for field, flag in _FIELDS.items() if flag.value is not None]
    if given:
        raise UserError(
            f"--study.{given[0]} changes no rule: claims have studies of their own, in "
            "experiments/"
        )
    received = _catch_signals()
    control = _control(received)

    def train(study: Study, folder: Path) -> Any:
        outcome = run(_plan(study), folder, _command(), control)
        if not outcome.finished:
            return None
        return load(folder), store.load_layers(folder), store.read_manifest(folder)

    workdir = Path(_WORKDIR.value or f"runs/{folder}")
    judged = examine(
        claims, studies, checks, workdir, train, command=_command(), **options
    )
    if judged is None:
        _say_stopped(received)
    _ledger(workdir)


def _ledger(workdir: Path) -> None:
    """The verdicts on claims, on the terminal and in the report."""
    from init_study import store
    from init_study.cli.terminal import ledger_text
    from init_study.report import write_report

    report = write_report(workdir)
    ledger = json.loads((workdir / store.LEDGER).read_text())
    if _JSON.value:
        return _print_json({"report": str(report), **ledger})
    print(ledger_text(ledger))
    print(f"ledger: {workdir / store.LEDGER}\nreport: {report}")


def _race_workdir() -> Path:
    return Path(_WORKDIR.value or f"{_workdir()}-decided")


def _verdicts(workdir: Path) -> None:
    """The verdicts of a race on the terminal and in the report."""
    from init_study import store
    from init_study.answers.verdicts.heats import from_document, to_document
    from init_study.cli.terminal import race_text
    from init_study.report import write_report

    report = write_report(workdir)
    heats = from_document(json.loads((workdir / store.DECISION).read_text()))
    if _JSON.value:
        return _print_json({"report": str(report), "programs": to_document(heats)})
    if text := race_text(heats):
        print(text)
    for heat in heats:
        if heat.stopped:
            print(f"{heat.label}: {heat.stopped}", file=sys.stderr)
    print(f"report: {report}")


def _looks() -> tuple[int, ...]:
    try:
        return tuple(int(look) for look in _LOOKS.value)
    except ValueError:
        given = ",".join(_LOOKS.value)
        raise UserError(f"--looks={given} are not whole numbers, as 5,10,20") from None


def _seconds(text: str | None) -> float | None:
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    if unit not in units or not number.replace(".", "", 1).isdigit():
        raise UserError(f"--budget={text} is no time; write 90s, 20m or 2h")
    return float(number) * units[unit]


def _control(received: list[signal.Signals]) -> Any:
    from init_study.run import Control

    return Control(
        progress=logging.get_verbosity() >= logging.WARNING,
        checkpoint_every=_CHECKPOINT_EVERY.value,
        stop_requested=lambda: bool(received),
        given_execution=_EXECUTION.value is not None,
        spectra=_SPECTRA.value,
        accept_drift=_ACCEPT_DRIFT.value,
    )


def _say_stopped(received: list[signal.Signals]) -> NoReturn:
    print(f"stopped and saved; go on with: {_command()}", file=sys.stderr)
    sys.exit(_EXIT_STOPPED[received[0]])


def _print_plan() -> None:
    from init_study.cli.overviews import plan_overview

    if _UNTIL.value:
        return _print_race_plan()
    overview = plan_overview(_plan(_study()), _workdir())
    _print_table(
        overview,
        "{members} members, {compilations} compilations, about {seconds:.0f} s, "
        "{disk_bytes} bytes in {workdir}",
    )


def _print_race_plan() -> None:
    from init_study.answers.verdicts.protocol import Protocol, check_protocol
    from init_study.cli.overviews import plan_overview

    protocol = Protocol(margin=1.0, looks=_looks())
    check_protocol(protocol)
    study = _study().replace(seeds=protocol.screening)
    overview = plan_overview(_plan(study), _race_workdir())
    screened, programs = overview["members"], len(overview["programs"])
    fresh = programs * len(study.schemes) * protocol.looks[-1]
    overview["fresh_members"] = fresh
    overview["most_seconds"] = round(overview["seconds"] * (1 + fresh / screened), 1)
    _print_table(
        overview,
        "screening: {members} members, about {seconds:.0f} s; with fresh seeds, at "
        "most {fresh_members} members, about {most_seconds:.0f} s in all; rates beyond "
        "the grid come on top; in {workdir}",
    )


def _tune() -> None:
    from init_study.cli.overviews import tuning_overview

    _print_table(tuning_overview(_plan(_study())), "{members} members in each program")


def _print_status() -> None:
    from init_study.cli.overviews import status_overview

    _print_table(status_overview(_workdir()), "{study} in {workdir}")


def _report() -> None:
    from init_study import store
    from init_study.report import export_figures

    workdir = _workdir()
    if _WATCH.value:
        _watch(workdir)
    if _FIGURES.value:
        written = export_figures(workdir, _FIGURES.value)
        print(f"figures: {len(written)} in {workdir / 'figures'}", file=sys.stderr)
    if (workdir / store.RACE).exists():
        return _verdicts(workdir)
    if (workdir / store.RULES).exists():
        return _ledger(workdir)
    _answer(workdir)


def _watch(workdir: Path) -> None:
    from init_study.report import watch

    try:
        for drawn, path in enumerate(watch(workdir)):
            if not drawn:
                print(f"report: {path}, drawn again as records come", file=sys.stderr)
    except KeyboardInterrupt:
        sys.exit(_EXIT_STOPPED[signal.SIGINT])


def _answer(workdir: Path) -> None:
    """The comparison on the terminal and in the report."""
    from init_study import load, store
    from init_study.answers import compare, to_json
    from init_study.cli.terminal import comparison_text
    from init_study.report import write_report

    comparisons = compare(load(workdir), store.read_manifest(workdir))
    report = write_report(workdir)
    if _JSON.value:
        return _print_json({"report": str(report), "programs": to_json(comparisons)})
    print(comparison_text(comparisons))
    print(f"report: {report}")


def _export() -> None:
    from init_study import load

    target = Path(_TO.value or "")
    if target.suffix not in (".csv", ".parquet"):
        raise UserError(f"--to={_TO.value} is not a .csv or .parquet file")
    if target.exists():
        raise UserError(f"--to={target} exists; name a new file")
    records = load(_workdir())
    if target.suffix == ".csv":
        records.to_csv(target, index=False)
    else:
        records.to_parquet(target, index=False)
    print(f"{len(records)} records: {target}")


def _list() -> None:
    from init_study.cli.catalogue import describe_all
    from init_study.cli.terminal import kinds_text

    kinds = describe_all(EXPERIMENTS)
    if _KIND.value is not None:
        if _KIND.value not in kinds:
            raise unknown("kind", _KIND.value, kinds, ", ".join(kinds))
        kinds = {_KIND.value: kinds[_KIND.value]}
    if _JSON.value:
        return _print_json(kinds)
    print(kinds_text(kinds))


def _show() -> None:
    from init_study.audit.layer_table import scheme_overview
    from init_study.cli.terminal import scheme_text
    from init_study.engine.devices import prepare_jax
    from init_study.plan import make_plan

    fields: dict[str, Any] = {"schemes": (_SCHEME.value,)}
    if _MODEL.value is not None:
        # A shape that the study gives is that of its own model.
        shape = [f for f in ("depth", "width", "norm") if _FIELDS[f].value is None]
        fields |= {"model": (_MODEL.value,), **{field: (None,) for field in shape}}
    prepare_jax(_compiled())
    shown = scheme_overview(make_plan(_study().replace(**fields), _DATA_DIR.value))
    if _JSON.value:
        return _print_json(shown)
    print(scheme_text(shown))


def _gain() -> None:
    from init_study.activations import ACTIVATIONS
    from init_study.cli.terminal import gain_text
    from init_study.theory.gain_table import gain_overview

    if _ACTIVATION.value is None:
        found: Any = [gain_overview(name, _Q.value) for name in ACTIVATIONS]
    else:
        found = gain_overview(_ACTIVATION.value, _Q.value)
    if _JSON.value:
        return _print_json(found)
    print(gain_text(found))


WORDS = {
    "run": _run,
    "claims": _claims,
    "published": _published,
    "plan": _print_plan,
    "tune": _tune,
    "status": _print_status,
    "report": _report,
    "export": _export,
    "list": _list,
    "show": _show,
    "gain": _gain,
}


def _study() -> Study:
    study = load_study(_STUDY.value, EXPERIMENTS)
    given = {f: flag.value for f, flag in _FIELDS.items() if flag.value is not None}
    return study.replace(**{f: parse_field(f, text) for f, text in given.items()})


def _workdir() -> Path:
    if _WORKDIR.value:
        return Path(_WORKDIR.value)
    study = _study()
    name = "".join(c if c.isalnum() or c in "-_" else "_" for c in study.name)
    return Path("runs") / f"{name[:80]}-{study.hash[:8]}"


def _plan(study: Study) -> Any:
    from init_study.engine.devices import prepare_jax
    from init_study.execution import parse_execution
    from init_study.plan import make_plan

    prepare_jax(_compiled())
    execution = parse_execution(_EXECUTION.value) if _EXECUTION.value else None
    return make_plan(study, _DATA_DIR.value, execution)


def _compiled() -> Path | None:
    cache = _CACHE_DIR.value
    return Path(cache).expanduser() / "compiled" if cache else None


def _catch_signals() -> list[signal.Signals]:
    """Filled by the first Ctrl-C or SIGTERM; the second one ends the process."""
    received: list[signal.Signals] = []

    def note(number: int, _: Any) -> None:
        received.append(signal.Signals(number))
        signal.signal(number, signal.SIG_DFL)
        print("\nsaving; once more to stop at once", file=sys.stderr, flush=True)

    for number in _EXIT_STOPPED:
        signal.signal(number, note)
    return received


def _command() -> str:
    return shlex.join(["python", *sys.argv])


def _print_table(overview: dict[str, Any], summary: str) -> None:
    from init_study.cli.terminal import table_text

    if _JSON.value:
        return _print_json(overview)
    print(table_text(overview, summary))


def _print_json(document: Any) -> None:
    print(json.dumps(document, indent=1, allow_nan=False))


def _parse_flags(argv: list[str]) -> list[str]:
    flags.FLAGS.set_gnu_getopt(True)
    try:
        words = flags.FLAGS(argv)
    except flags.Error as error:
        _fail(error)
    if flags.FLAGS["verbosity"].using_default_value:
        # At absl's own default Orbax tells of every step of every save.
        flags.FLAGS.verbosity = logging.WARNING
    # Orbax's threads log the tracebacks of errors that Orbax raises as well.
    logging.get_absl_logger().addFilter(
        lambda record: not (record.exc_info and "orbax" in record.pathname)
    )
    return words


def _main_or_fail(words: list[str]) -> None:
    # A model of the user's own, `--study.model=module:Class`, lies where they are.
    sys.path.append(os.getcwd())
    try:
        main(words)
    except UserError as error:
        _fail(error)
    except OSError as error:
        if error.errno not in _NO_PLACE_TO_WRITE:
            raise
        where = error.filename or "the disk"
        _fail(
            f"{where}: {error.strerror}; make room or allow writing, then run the same "
            "command again to go on"
        )


def _fail(message: object) -> NoReturn:
    print(f"error: {' '.join(str(message).split())}", file=sys.stderr)
    sys.exit(_EXIT_USER_ERROR)


if __name__ == "__main__":
    app.run(_main_or_fail, flags_parser=_parse_flags)
