"""What the solvers of this folder share: searches cut into short calls, and a pool of good solutions.

A call of a kernel is cut by the work it does and not by the clock: so the same seed and budget give the same run on
every machine, while deadlines, Ctrl-C and callbacks are seen every few hundredths of a second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.problem import Problem
from optengine.core.solver import Control

Floats = NDArray[np.float64]

PIECE = 20e-3  # seconds of one call of a kernel, by what a step is expected to take
FIRST = 1 / 32  # length of the first piece, in units of the later ones: incumbents come early


class Pieces:
    """How long the next call of a kernel may be.

    Args:
        control: the run's.
        cost: evaluations that one step counts as.
        seconds: what one step is expected to take.
    """

    def __init__(self, control: Control, cost: int, seconds: float) -> None:
        self._control, self._cost = control, cost
        self._full = max(1, int(PIECE / seconds))
        self._next = max(1, int(FIRST * self._full))

    def steps(self, wanted: int) -> int:
        """Steps of the next call, at most `wanted`; 0 where the run is over."""
        if self._control.stop():
            return 0
        left: int | None = getattr(self._control, "remaining", None)
        if left is not None and left < self._cost:
            self._control.spend(left)  # too few for one more step
            self._control.stop()
            return 0
        steps = min(self._next, wanted) if left is None else min(self._next, wanted, left // self._cost)
        self._next = min(self._full, 2 * self._next)
        return max(1, steps)

    def took(self, steps: int) -> None:
        """Count the steps of a call."""
        self._control.spend(steps * self._cost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Options of a search that begins anew when it has found nothing better for a while.

    Attributes:
        patience: steps without a better point before it does, >= 1. None: by the size of the problem.
        pool: distinct good points kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    patience: int | None = None
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("patience", self.patience, optional=True)
        check_count("pool", self.pool)


class Pool:
    """The best distinct points met, for `Result.details["pool"]`.

    Args:
        problem: whose points. size: how many are kept, at least one.
    """

    def __init__(self, problem: Problem, size: int) -> None:
        self._problem, self._size = problem, size
        self.values: list[float] = []  # minimised, ascending
        self.points: list[NDArray[np.int64]] = []

    def __len__(self) -> int:
        return len(self.values)

    def add(self, x: NDArray[Any], value: float) -> bool:
        """Keep x (width,) if it is new and good enough; `value` is minimised."""
        if len(self) == self._size and value >= self.values[-1]:
            return False
        if any(np.array_equal(point, x) for point in self.points):
            return False
        at = int(np.searchsorted(self.values, value, side="right"))
        self.values.insert(at, float(value))
        self.points.insert(at, np.array(x, dtype=np.int64))
        del self.values[self._size :], self.points[self._size :]
        return True

    def details(self) -> dict[str, Any]:
        """`x` (k, width), best first, and `fun` (k,) in the user's direction, evaluated anew."""
        if not self.points:
            return {"x": np.empty((0, self._problem.space.width)), "fun": np.empty(0)}
        X = np.array(self.points, dtype=np.float64)
        return {"x": X, "fun": self._problem.signs[0] * self._problem.evaluate(X).F[:, 0]}


def check_count(name: str, value: object, least: int = 1, *, optional: bool = False) -> None:
    """Raise OptionError unless `value` is an integer of at least `least` (or None where `optional`)."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(
            f"{name} must be an integer >= {least}{' or None' if optional else ''}, got {value!r}"
        )


def check_share(name: str, value: object, high: float = 1.0) -> None:
    """Raise OptionError unless `value` is a number in [0, high]."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0.0 <= float(value) <= high:  # type: ignore[arg-type]
        raise OptionError(f"{name} must be in [0, {high:g}], got {value!r}")
