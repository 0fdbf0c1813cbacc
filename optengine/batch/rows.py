"""One run of a batch as one line of its table."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from optengine.core.result import Result, Status

Key = tuple[str, str, int]  # labels of problem and solver, seed
COLUMNS = ("problem", "solver", "seed", "value", "bound", "status", "n_evaluations", "seconds")


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        problem, solver: labels. seed: of the run.
        value: best feasible value in the user's direction, or what the problem's `judge` says of the result; None where
            nothing was feasible, for several objectives without a judge, and where the run failed.
        bound: proved bound, or None.
        status: of the result; "failed" also for a run that raised.
        n_evaluations, seconds: spent, over all sessions of the run.
        message: why it failed, or what the result says.
    """

    problem: str
    solver: str
    seed: int
    value: float | None
    bound: float | None
    status: str
    n_evaluations: int
    seconds: float
    message: str = ""

    @property
    def key(self) -> Key:
        return self.problem, self.solver, self.seed

    @property
    def done(self) -> bool:
        """Whether the run came to an end of its own: not interrupted, not failed."""
        return self.status not in (Status.STOPPED, Status.FAILED)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def row_of(result: Result, problem: str, solver: str, seed: int, judge: Any = None) -> Row:
    """Return the row that a result makes; `judge` is a function of it that gives its value, or None."""
    value = result.fun if result.feasible else None
    if judge is not None and result.feasible and result.status is not Status.FAILED:
        value = float(judge(result))
    return Row(
        problem,
        solver,
        seed,
        None if value is None or math.isnan(value) else float(value),
        None if result.bound is None else float(result.bound),
        str(result.status),
        int(result.n_evaluations),
        round(float(result.seconds), 6),
        result.message,
    )
