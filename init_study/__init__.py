"""How the numbers a CNN starts from change what it becomes.

Importing this package is cheap: JAX starts when something that needs it is used, and
nothing at all is imported before that, so that signals are handled from the start.

Example:
    >>> import init_study
    >>> init_study.explain(nn.Dense(3), jnp.ones((2, 5)), "he_normal")
    {'bias': 'zeros', 'kernel': 'he_normal; 5 in, 3 out; linear'}
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from init_study.api.advise import Advice, advise
    from init_study.api.arguments import RunOptions
    from init_study.api.audit import Audit, audit
    from init_study.api.compare import compare
    from init_study.api.initialize import explain, initialize
    from init_study.api.result import Result
    from init_study.errors import UserError
    from init_study.network import Network, trace
    from init_study.store import load
    from init_study.study import Member, Program, Study

__version__ = "0.1.0"
__all__ = [
    "Advice",
    "Audit",
    "Member",
    "Network",
    "Program",
    "Result",
    "RunOptions",
    "Study",
    "UserError",
    "advise",
    "audit",
    "compare",
    "explain",
    "initialize",
    "load",
    "trace",
]

_LATER = {
    "Advice": "init_study.api.advise",
    "Audit": "init_study.api.audit",
    "Member": "init_study.study",
    "Network": "init_study.network",
    "Program": "init_study.study",
    "Result": "init_study.api.result",
    "RunOptions": "init_study.api.arguments",
    "Study": "init_study.study",
    "UserError": "init_study.errors",
    "advise": "init_study.api.advise",
    "audit": "init_study.api.audit",
    "compare": "init_study.api.compare",
    "explain": "init_study.api.initialize",
    "initialize": "init_study.api.initialize",
    "load": "init_study.store",
    "trace": "init_study.network",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module 'init_study' has no attribute {name!r}")
    return getattr(importlib.import_module(_LATER[name]), name)
