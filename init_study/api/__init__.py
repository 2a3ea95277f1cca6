"""What a notebook calls: the launcher's words as functions, without flags."""

from init_study.api.compare import compare
from init_study.api.initialize import explain, initialize
from init_study.api.result import Result

__all__ = ["Result", "compare", "explain", "initialize"]
