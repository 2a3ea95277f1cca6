"""A traced network: its layers, its residual branches and its graph.

Importing this package is cheap, and its parts do not import it: `network.graph` and
`network.layers` are there without a tracer of Flax. So its names are imported when they
are first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from init_study.network.forward import Forward, trace_forward
    from init_study.network.layers import Branch, Layer, Path
    from init_study.network.network import ModelState, Network, Params
    from init_study.network.precision import Arithmetic, set_for
    from init_study.network.tracing import trace

__all__ = [
    "Arithmetic",
    "Branch",
    "Forward",
    "Layer",
    "ModelState",
    "Network",
    "Params",
    "Path",
    "set_for",
    "trace",
    "trace_forward",
]

_LATER = {
    "Arithmetic": "precision",
    "Branch": "layers",
    "Forward": "forward",
    "Layer": "layers",
    "ModelState": "network",
    "Network": "network",
    "Params": "network",
    "Path": "layers",
    "set_for": "precision",
    "trace": "tracing",
    "trace_forward": "forward",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'init_study.network' has no attribute {name!r}")
    module = importlib.import_module(f"init_study.network.{_LATER[name]}")
    return getattr(module, name)
