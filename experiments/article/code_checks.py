"""What the article's own code does to a model, measured by running it."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from init_study.examine import CannotCheck

_SNIPPET = Path(__file__).with_name("keras_snippet.py")


def snippet_zeros() -> list[float]:
    """Measure the share of kernel weights that are zero after the code for "Zeros"."""
    return _snippet()["zeros"]


def snippet_random() -> list[float]:
    """Measure the share of weights that change when RandomNormal(0.02) is set."""
    return _snippet()["random"]


def snippet_glorot() -> list[float]:
    """Measure the share of weights that change when `glorot_uniform` is set."""
    return _snippet()["glorot"]


@functools.cache
def _snippet() -> dict[str, list[float]]:
    """Run the article's code in a process of its own.

    Raises: CannotCheck without Keras.
    """
    done = subprocess.run(
        [sys.executable, str(_SNIPPET)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "No module named 'keras'" in done.stderr:
        raise CannotCheck(
            "it is about Keras, which is not installed here: pip install keras (the "
            "extra claims), then run this again"
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise CannotCheck(f"Keras does not run here: {last}")
    return json.loads(done.stdout.splitlines()[-1])
