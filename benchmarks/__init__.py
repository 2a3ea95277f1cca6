"""Side-by-side speed of this engine and of what one would use instead."""

import sys

# Python looks for the module of `python -m benchmarks.NAME`, whose imports take
# seconds; whoever imports this package keeps its own signals.
if sys.argv[:1] == ["-m"]:
    from init_study.interrupts import end_at_once

    end_at_once()
