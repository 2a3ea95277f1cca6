"""What a run spends its time on: each part alone, compiling apart."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import jax.monitoring

# What JAX notes of each program that it lowers, and then compiles or finds compiled.
_COMPILING = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)


class Stopwatch:
    """Adds up the seconds of parts with names, what JAX compiles in them apart.

    Used as a context, in which it listens to JAX.

    Example:
        >>> with Stopwatch() as clock:
        ...     with clock.timed("training"):
        ...         found = jax.jit(lambda x: x + 1)(1)
        >>> sorted(clock.spent())
        ['compiling', 'training']
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = defaultdict(float)
        self._compiling = 0.0

    def __enter__(self) -> "Stopwatch":
        """Begin to listen."""
        jax.monitoring.register_event_duration_secs_listener(self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        jax.monitoring.unregister_event_duration_listener(self._note)

    def _note(self, event: str, duration_secs: float, **_: Any) -> None:
        if event in _COMPILING:
            self._compiling += duration_secs

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add what the block takes to a part, less what is compiled in it.

        Args:
            name: of the part; no part is timed inside another.
        """
        began, compiling = time.monotonic(), self._compiling
        try:
            yield
        finally:
            compiled = self._compiling - compiling
            took = time.monotonic() - began
            self._seconds[name] += max(0.0, took - compiled)

    def spent(self) -> dict[str, float]:
        """Give the seconds of each part so far, the longest first, two digits."""
        parts = {**self._seconds, "compiling": self._compiling}
        longest = sorted(parts.items(), key=lambda part: -part[1])
        return {name: round(seconds, 2) for name, seconds in longest}
