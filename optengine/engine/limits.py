"""When a run ends: budget, clock, target and cost, counted over all sessions of the run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

from optengine.core.errors import OptionError
from optengine.core.result import Status


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What stops a run; the first to run out wins.

    Attributes:
        budget: evaluations. time_limit: seconds. target: value of the first objective, in the user's direction.
        max_cost: sum of the evaluations' costs.
    """

    budget: int | None = None
    time_limit: float | None = None
    target: float | None = None
    max_cost: float | None = None

    def __post_init__(self) -> None:
        if self.budget is not None:
            whole = not isinstance(self.budget, bool) and _number(self.budget, "budget") == int(self.budget)
            if not whole or self.budget < 1:
                raise OptionError(f"budget must be an integer >= 1 or None, got {self.budget!r}")
            object.__setattr__(self, "budget", int(self.budget))
        for name in ("time_limit", "max_cost"):
            value = getattr(self, name)
            if value is not None and not _number(value, name) > 0:
                raise OptionError(f"{name} must be > 0 or None, got {value!r}")
        if self.target is not None:
            object.__setattr__(self, "target", _number(self.target, "target"))

    @property
    def none(self) -> bool:
        """Whether nothing would ever stop the run; a target alone may never be reached."""
        return self.budget is None and self.time_limit is None and self.max_cost is None

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("budget", "time_limit", "target", "max_cost")}


def _number(value: Any, name: str) -> float:
    try:
        if isinstance(value, (str, bytes, bool)):
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise OptionError(f"{name} must be a number or None, got {value!r}") from None
    if math.isnan(number) or (name == "budget" and math.isinf(number)):
        raise OptionError(f"{name} must be a finite number or None, got {value!r}")
    return number


class Clock:
    """Seconds spent by a run: those of earlier sessions and those since this one began."""

    def __init__(self, earlier: float = 0.0) -> None:
        self._earlier = earlier
        self._began: float | None = None

    def start(self) -> None:
        """Start counting; called once the solver has compiled what it needs."""
        if self._began is None:
            self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return self._earlier + (0.0 if self._began is None else time.perf_counter() - self._began)


@dataclass
class Spent:
    """What a run has used so far."""

    evaluations: int = 0
    cost: float = 0.0

    def exhausted(self, limits: Limits, clock: Clock) -> Status | None:
        """Return the status with which the run must end now, or None."""
        if limits.budget is not None and self.evaluations >= limits.budget:
            return Status.BUDGET_EXHAUSTED
        if limits.max_cost is not None and self.cost >= limits.max_cost:
            return Status.BUDGET_EXHAUSTED
        if limits.time_limit is not None and clock.seconds >= limits.time_limit:
            return Status.TIME_LIMIT
        return None
