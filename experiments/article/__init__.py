"""Is an introduction to weight initialization right? Its 63 claims, each with its rule.

The article lists zeros, uniform and Gaussian draws, and Xavier, what each is good for
and what is bad about it. Here every sentence that claims something has an experiment
or an exact check, and a rule that says what would be seen if it were true. The rules
stand in this folder; the numbers come later.

Command:  python launch.py claims          (--quick: shorter runs, the same rules)
Cost:     see the README; studies are shared, so that one feeds many claims.
Expected: about a quarter of them do not hold, and of another quarter a part does not.
          Zeros never learn where something is hidden; the fixed sizes of the article's
          code do not train a net of four convolutions; Xavier, praised for deep nets,
          stalls in deep ones with ReLU; the code sets nothing.
"""

from . import (
    basics,
    code_and_outlook,
    random_draws,
    random_effects,
    xavier,
    xavier_summary,
    zeros,
    zeros_training,
)
from .checks import CHECKS
from .studies import studies

__all__ = ["CHECKS", "CLAIMS", "TITLE", "studies"]

TITLE = "Is what an introduction to weight initialization claims so?"

_PARTS = (
    basics,
    zeros,
    zeros_training,
    random_draws,
    xavier,
    code_and_outlook,
    random_effects,
    xavier_summary,
)
CLAIMS = tuple(
    sorted((claim for part in _PARTS for claim in part.CLAIMS), key=lambda c: c.number)
)
