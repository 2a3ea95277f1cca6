"""The launcher of an installed package: `python -m init_study`, and `init-study`."""

import sys

from init_study.interrupts import end_at_once


def start() -> None:
    """Run the launcher as the program of this process, which signals end properly."""
    end_at_once()
    # A second or more of imports, in which signals come as well.
    from init_study.cli import main
    from init_study.cli.troubles import hide_echoes

    hide_echoes()
    sys.exit(main())


if __name__ == "__main__":
    start()
