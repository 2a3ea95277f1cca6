"""From a command line to an answer, printed in one place."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from logging import ERROR, LogRecord, getLogger

from absl import flags, logging

from init_study.cli.command_line import read_command_line
from init_study.cli.help_text import word_help, words_help
from init_study.cli.invocation import Answer, make_invocation, program_name
from init_study.cli.troubles import (
    check_here,
    let_go_of_output,
    say_trouble,
    steady_streams,
)
from init_study.cli.words import answer
from init_study.errors import UserError
from init_study.interrupts import EXIT_CODES
from init_study.printable import printable

# What a shell sees of a process that SIGPIPE ended.
_EXIT_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Do what a command line says, and print the answer.

    Args:
        argv: the program and its arguments; `sys.argv` by default.

    Returns: the exit code: 0, one of `ExitCode` for what the user can mend, 130 after
        Ctrl-C, 75 after SIGTERM and SIGHUP.
    """
    argv = sys.argv if argv is None else argv
    steady_streams()
    try:
        return _answer(argv)
    except UserError as error:
        return _fail(error, argv)
    except KeyboardInterrupt as stop:
        print(": ".join(["stopped", *map(str, stop.args)]), file=sys.stderr)
        return EXIT_CODES[signal.SIGINT]
    except BrokenPipeError:
        # Whoever read the answer has seen enough.
        let_go_of_output()
        return _EXIT_BROKEN_PIPE
    except OSError as error:
        return _fail(say_trouble(error), argv)


def _answer(argv: Sequence[str]) -> int:
    line, program = read_command_line(argv[1:]), program_name(argv[0])
    if line.wants_help:
        help_text = word_help(line.word, program) if line.word else words_help(program)
        print(help_text)
        return 0
    _set_up(line.values)
    invocation = make_invocation(line.word, line.values, argv)
    return _print(answer(invocation), line.values.json)


def _set_up(values: flags.FlagValues) -> None:
    check_here()
    # A model of the user's own, `--study.model=module:NAME`, lies where they are.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    # Libraries read their own flags, none of which are on this command line.
    flags.FLAGS.mark_as_parsed()
    logging.use_absl_handler()
    # At absl's own default Orbax tells of every step of every save.
    quiet = values.verbosity if "verbosity" in values else logging.WARNING
    logging.set_verbosity(quiet)
    logging.get_absl_logger().addFilter(_is_told_once)
    logging.get_absl_logger().addFilter(_is_shown_plain)
    # A download that fails for good is an error of its own, in one line.
    getLogger("urllib3").setLevel(ERROR)


def _is_told_once(record: LogRecord) -> bool:
    """Orbax's threads log the tracebacks of errors that Orbax raises as well."""
    return not (record.exc_info and "orbax" in record.pathname)


def _is_shown_plain(record: LogRecord) -> bool:
    """Write with escapes what a terminal would obey of the names in a message."""
    record.msg, record.args = printable(record.getMessage(), keep="\n\t"), ()
    return True


def _print(answer: Answer, as_json: bool) -> int:
    """Print an answer: the only place that does."""
    if answer.document is not None:
        document = json.dumps(answer.document, indent=1, allow_nan=False)
        try:
            shown = printable(answer.text, keep="\n\t")
            print(document if as_json else shown, flush=True)
        except OSError as error:
            let_go_of_output()
            if error.filename is None and not isinstance(error, BrokenPipeError):
                error.filename = "standard output"
            raise
    for note in answer.notes:
        # Ctrl-C in a terminal also ends what reads it, as `2>&1 | tee`.
        with contextlib.suppress(OSError):
            print(printable(note, keep="\n\t"), file=sys.stderr)
    return int(answer.exit_code)


def _fail(error: UserError, argv: Sequence[str]) -> int:
    # Messages name the launcher of a checkout, which a wheel does not have.
    line = " ".join(printable(str(error), keep="\n\t").split())
    line = line.replace("python launch.py", program_name(argv[0]))
    print(f"error: {line}", file=sys.stderr)
    return int(error.exit_code)
