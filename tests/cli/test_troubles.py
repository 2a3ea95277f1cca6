import gc
import sys

from init_study.cli.troubles import hide_echoes


class Ends:
    """Raises where nothing can be raised."""

    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error


def test_a_closed_loop_is_not_shown_beside_the_error(monkeypatch):
    shown = []
    monkeypatch.setattr(
        sys, "unraisablehook", lambda found: shown.append(str(found.exc_value))
    )
    hide_echoes()
    for error in (RuntimeError("Event loop is closed"), RuntimeError("another")):
        Ends(error)
    gc.collect()
    assert shown == ["another"]
