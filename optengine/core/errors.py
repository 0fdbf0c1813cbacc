"""The errors that users meet.

Every message is one sentence: which argument, which value, what would be right. Each class is also the nearest
builtin, so that code which catches `ValueError` or `ImportError` keeps working.
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable
from types import ModuleType
from typing import Any

_LINE_BREAKS = re.compile(r"\s*[\r\n]\s*")


class OptEngineError(Exception):
    """Base of every error raised on purpose by optengine."""

    def __init__(self, message: str = "") -> None:
        # Values in a message may have a repr of several lines, as arrays do, and a message is one line.
        super().__init__(_LINE_BREAKS.sub(" ", str(message)))


class SpaceError(OptEngineError, ValueError):
    """A variable, a space or a known constraint that cannot be."""


class ProblemError(OptEngineError, ValueError):
    """A problem that is stated wrongly, or an objective that breaks its contract."""


class OptionError(OptEngineError, ValueError):
    """An unknown option or a value outside its range."""


class SolverNotSuitable(OptEngineError, ValueError):
    """The solver asked for cannot treat this problem."""


class EvaluationFailed(OptEngineError, RuntimeError):
    """The objective raised, returned NaN or timed out, and `catch` did not cover it.

    Attributes:
        candidate: the x that was being evaluated, as the user sees it; None where unknown.
        result: the `Result` of everything evaluated before; None when raised outside a run.
    """

    def __init__(self, message: str, candidate: Any = None, result: Any = None) -> None:
        super().__init__(message)
        self.candidate = candidate
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.candidate, self.result)


class StorageError(OptEngineError, OSError):
    """The journal cannot be opened, read or written, or belongs to another run."""


class DeviceError(OptEngineError, RuntimeError):
    """The device asked for is absent or too small."""


class MissingDependency(OptEngineError, ImportError):
    """An optional package is needed that is not installed."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `"; did you mean 'x'?"` for the nearest of `known`, or an empty string."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""


def require(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of optengine installs it.

    Raises:
        MissingDependency: the module, or something that it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependency(
            f"{module} is needed here and cannot be imported ({error}); "
            f"install it with: pip install 'optengine[{extra}]'"
        ) from error
