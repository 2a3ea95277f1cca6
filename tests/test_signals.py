"""Ctrl-C, SIGTERM and SIGHUP, from the first line of a program on."""

import os
import signal

import pytest
from calling import ROOT, start

from init_study.engine.cutting import cut
from init_study.engine.progress import Progress
from init_study.engine.progress_lines import ProgressLines
from init_study.execution import Execution
from init_study.interrupts import EXIT_CODES, noted_signals

KINDS = pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 75), (signal.SIGHUP, 75)],
)
# A minute in which Python runs no handler: as compiling, it lets other threads run.
BUSY = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**8)"
HEAD = "import hashlib, os, signal, sys\nfrom init_study.interrupts import *\n"


READY = "print('ready', flush=True)"


def script(*lines, **options):
    """A process of a few lines that have come to `READY`."""
    code = "\n".join([HEAD, *lines])
    process = start(cwd=ROOT, launcher=("-c", code), **options)
    assert process.stdout.readline() == "ready\n", process.communicate()
    return process


@KINDS
def test_a_signal_while_modules_are_imported(number, code, tmp_path):
    """Also where Python itself would wait: within a module that is compiled code."""
    fake = tmp_path / "absl" / "__init__.py"
    fake.parent.mkdir()
    fake.write_text(f"import hashlib\nprint('here', flush=True)\n{BUSY}\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = start("list", cwd=tmp_path, env=environment)
    assert process.stdout.readline() == "here\n"
    process.send_signal(number)
    assert process.communicate() == ("", "stopped\n")
    assert process.returncode == code


@pytest.mark.parametrize("is_inside", [True, False])
def test_the_one_line_can_say_what_is_kept(is_inside):
    inside = [f"    {READY}", f"    {BUSY}"] if is_inside else ["    pass", READY, BUSY]
    process = script("end_at_once()", "with ending_with('half is kept'):", *inside)
    process.send_signal(signal.SIGTERM)
    said = "half is kept" if is_inside else "stopped"
    assert process.communicate() == ("", f"{said}\n")
    assert process.returncode == 75


@pytest.mark.parametrize("first", EXIT_CODES)
@pytest.mark.parametrize("second", EXIT_CODES)
def test_a_second_signal_of_any_kind_ends_the_process(first, second):
    process = script("with noted_signals():", f"    {READY}", f"    {BUSY}")
    process.send_signal(first)
    assert process.stderr.readline() == "saving; once more to stop at once\n"
    process.send_signal(second)
    _, err = process.communicate()
    assert err.startswith("stopped at once;") and err.count("\n") == 1
    assert process.returncode == EXIT_CODES[second]


def test_what_comes_twice_at_once_is_one_request():
    """As `timeout` and a terminal that closes send it."""
    wait = "    while len(received) < 2: pass"
    process = script("with noted_signals() as received:", f"    {READY}", wait)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGHUP)
    assert process.communicate() == ("", "") and process.returncode == 0


@pytest.mark.parametrize("number", EXIT_CODES)
@pytest.mark.parametrize("way", ["end_at_once()", "noted_signals().__enter__()"])
def test_what_was_ignored_at_the_start_stays_so(number, way):
    """SIGHUP under `nohup`, Ctrl-C for a job in the background of a script."""
    ignore = f"signal.signal({int(number)}, signal.SIG_IGN)"
    wait = "print(sys.stdin.readline(), end='')"
    pipe = {"stdin": -1}
    process = script(ignore, way, READY, wait, **pipe)
    process.send_signal(number)
    assert process.communicate("done\n") == ("done\n", "")
    assert process.returncode == 0


@KINDS
def test_a_program_that_is_over_hears_no_signal(number, code):
    """It has its exit code, whatever Python still tidies up."""
    late = f"os.kill(os.getpid(), {int(number)})"
    short = BUSY.replace("10**8", "10**5")
    # What is registered before the rest runs after it.
    early = f"atexit.register(lambda: ({late}, {short}))"
    process = script("import atexit", early, "end_at_once()", READY, "sys.exit(3)")
    assert process.communicate() == ("", "") and process.returncode == 3
    process = script("import atexit", "end_at_once()", READY, late, BUSY)
    assert process.communicate() == ("", "stopped\n") and process.returncode == code


def test_no_reader_is_left_for_the_one_line():
    """As after SIGHUP: the terminal is gone, or whatever was behind the pipe."""
    process = script("end_at_once()", READY, BUSY)
    process.stderr.close()
    process.send_signal(signal.SIGHUP)
    assert process.stdout.read() == "" and process.wait() == 75
    process.stdout.close()


def test_lines_of_progress_need_no_reader():
    class Gone:
        def write(self, _):
            raise BrokenPipeError

        def isatty(self):
            return True

        flush = write

    now = Progress(1, 1, "cnn", 2, Execution(1, "xla"), "compiling", 0, 9)
    with ProgressLines(out=Gone()) as lines:
        for doing, step in (("compiling", 0), ("training", 1), ("training", 2)):
            lines(now._replace(doing=doing, step=step))


def test_a_notebook_gets_its_own_handlers_back_for_the_second():
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with noted_signals(ends=False) as received:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert received == [signal.SIGINT] and heard == [signal.SIGTERM]


def test_signals_do_afterwards_what_they_did_before():
    before = [signal.getsignal(number) for number in EXIT_CODES]
    with noted_signals() as received:
        for number in EXIT_CODES:
            signal.raise_signal(number)
    assert received == list(EXIT_CODES)
    assert [signal.getsignal(number) for number in EXIT_CODES] == before


def test_pieces_of_a_range_are_whole_batches_that_cover_it():
    pieces = list(cut(7, 1234, 100, lambda: False))
    assert [first for first, _ in pieces] == [7, *(end for _, end in pieces[:-1])]
    assert pieces[-1][1] == 1234
    assert all((end - first) % 100 == 0 for first, end in pieces[:-1])


def test_a_stop_leaves_the_rest_of_a_range_out():
    given = []
    for piece in cut(0, 10**9, 100, lambda: len(given) == 3):
        given.append(piece)
    assert len(given) == 3
