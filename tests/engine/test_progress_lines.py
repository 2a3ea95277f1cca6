"""What a run says of itself: what compiles, how far, how long yet."""

import io

import pytest

from init_study.engine import progress_lines
from init_study.engine.progress import Progress
from init_study.engine.progress_lines import ProgressLines, duration
from init_study.execution import Execution

NOW = Progress(1, 2, "depth=4", 10, Execution(1, "winograd"), "compiling", 0, 200)


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands unless it is moved."""

    class Clock:
        seconds = 100.0

        def monotonic(self):
            return self.seconds

    clock = Clock()
    monkeypatch.setattr(progress_lines, "time", clock)
    return clock


def told(clock, out, stage, events):
    with ProgressLines(stage, out) as lines:
        for seconds, doing, step in events:
            clock.seconds += seconds
            lines(NOW._replace(doing=doing, step=step))
    return out.getvalue().splitlines()


def test_a_log_tells_what_compiles_how_far_and_how_long_yet(clock):
    events = [(0, "choosing", 0), (30, "compiling", 0), (12, "training", 1)]
    events += [(1, "training", 1 + i) for i in range(1, 200)]
    lines = told(clock, io.StringIO(), "screening", events)
    assert lines[:3] == [
        "screening, 1 of 2, depth=4: timing ways to run 10 members",
        "screening, 1 of 2, depth=4: 10 members × 200 steps as winograd/1, compiling",
        "screening, 1 of 2, depth=4: compiled in 12 s",
    ]
    assert lines[3] == (
        "screening, 1 of 2, depth=4: step 11 of 200, 110 of 2,000 member-steps, 10/s, "
        "3 min left"
    )
    assert lines[-1] == "screening, 1 of 2, depth=4: trained in 4 min"
    assert len(lines) == 3 + 19 + 1, "a line in ten seconds"


def test_a_run_that_goes_on_says_from_where(clock):
    events = [(0, "compiling", 150), (3, "training", 151), (1, "training", 200)]
    lines = told(clock, io.StringIO(), "", events)
    assert "10 members × 200 steps from step 150" in lines[0]
    assert lines[1:] == [
        "1 of 2, depth=4: compiled in 3.0 s",
        "1 of 2, depth=4: trained in 4.0 s",
    ]


def test_a_program_of_one_step_is_told_whole(clock):
    with ProgressLines("", io.StringIO()) as lines:
        lines(NOW._replace(steps=1))
        lines(NOW._replace(steps=1, step=1, doing="training"))
        assert "trained in" in lines._out.getvalue()


def test_a_terminal_has_a_bar_in_place_of_lines(clock):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    events = [(0, "compiling", 0), (3, "training", 1)]
    events += [(11, "training", 100), (11, "training", 200)]
    text = "\n".join(told(clock, Terminal(), "", events))
    assert "compiling" in text and "compiled in" in text and "trained in" in text
    assert "left" not in text and "%|" in text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.25, "0.2 s"),
        (9.6, "9.6 s"),
        (75, "75 s"),
        (150, "2 min"),
        (5000, "1 h 23 min"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
