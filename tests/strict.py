"""What the tests ask of the code beyond their claims; `conftest.py` has it done first.

Warnings are errors; annotations hold, with their shapes; JAX promotes no dtype and no
rank by itself. Each list of exceptions has its reasons, and must only shrink.
"""

import sys
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name

import jax
import jaxtyping
from jaxtyping import install_import_hook

ROOT = Path(__file__).resolve().parents[1]
# Modules whose annotations are not checked. A study takes one value for several and
# makes of them the types that it names, or refuses in one line. `io.StringIO` is text
# to write to, and no `typing.TextIO` where that is asked at run time.
UNCHECKED = {"study.description", "engine.progress_lines"}
# A whole number will do for a float, as type checkers have it.
_BEARTYPE = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
# Functions of other packages that rely on promotion, where we call them. What relies on
# it in a test because users write it so is made `leniently` there.
LENIENT = {
    # It divides by a whole number of pixels.
    "flax.linen.avg_pool",
    # It compares the count of steps, which is whole, with floats.
    "optax.warmup_cosine_decay_schedule",
    # Adam's: it takes a power with a whole exponent.
    "optax.tree.bias_correction",
    # Of its norms: it takes a power with a whole exponent, too.
    "haiku.ExponentialMovingAverage.__call__",
    # It multiplies by a mask, which is of truth values.
    "haiku.dropout",
}


def checked_modules():
    """All parts of the package, and of a part in which one is exempt the others."""
    package = ROOT / "init_study"
    for path in sorted(package.iterdir()):
        exempt = [name for name in UNCHECKED if name.split(".")[0] == path.stem]
        files = sorted(path.glob("[!_]*.py")) if exempt else [path]
        for file in files:
            name = ".".join(file.relative_to(package).with_suffix("").parts)
            if name not in UNCHECKED and not name.startswith("_"):
                yield f"init_study.{name}"


def check_annotations():
    """Call it before anything of the package is imported; users do not pay for it."""
    early = [name for name in sys.modules if name.startswith("init_study.")]
    assert not early, f"imported before their annotations could be checked: {early}"
    install_import_hook([*checked_modules()], _BEARTYPE)


def hold(types):
    """From here on JAX promotes nothing, and annotations are checked if `types`."""
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jaxtyping.config.update("jaxtyping_disable", not types)


def excuse_others():
    """Other people's functions may promote."""
    for name in LENIENT:
        holder_name, _, function_name = name.rpartition(".")
        # A module, or a class in one.
        holder = resolve_name(holder_name)
        setattr(holder, function_name, leniently(getattr(holder, function_name)))


def leniently(function):
    """The function with JAX's own defaults."""

    @wraps(function)
    def lenient(*args, **kwargs):
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            result = function(*args, **kwargs)
        return leniently(result) if callable(result) else result

    return lenient
