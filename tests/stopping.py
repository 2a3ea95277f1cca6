"""Runs that are asked to stop after so many calls to the devices that train."""

from init_study.control import Control


def stopping(calls, **options):
    """A control that asks to stop once so many calls have trained."""
    trained = []

    def watch(now):
        if now.doing == "training":
            trained.append(now.step)

    return Control(watch=watch, stop_requested=lambda: len(trained) >= calls, **options)
