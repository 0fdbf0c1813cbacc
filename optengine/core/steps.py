"""Values on the way: what a long evaluation reports while it runs, and whether it should stop.

An objective reports by `intermediate(step, value)`, or by being a generator that yields (step, value). Outside a run
with a rule for early stopping both do nothing.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

from optengine.core.errors import ProblemError


class Reporter(Protocol):
    """Takes the values of one evaluation.

    Attributes:
        stopped: whether the evaluation should stop. step: the last one reported, None before the first.
    """

    stopped: bool
    step: float | None

    def report(self, step: float, value: float) -> bool:
        """Take a value in the user's direction; return whether the evaluation should stop."""
        ...


CURRENT: ContextVar[Reporter | None] = ContextVar("optengine_reporter", default=None)


class EvaluationStopped(Exception):
    """Raised by `intermediate` where the evaluation should stop; leave it to pass through the objective.

    Attributes:
        step, value: the last ones reported.
    """

    def __init__(self, step: float, value: float) -> None:
        super().__init__(f"stopped early at step {step} with value {value}")
        self.step, self.value = step, value


@contextmanager
def following(reporter: Reporter | None) -> Iterator[None]:
    """Send what the objective reports inside the block to `reporter`."""
    token = CURRENT.set(reporter)
    try:
        yield
    finally:
        CURRENT.reset(token)


def intermediate(step: float, value: float, *, raises: bool = True) -> bool:
    """Report a value of the running evaluation.

    Args:
        step: epochs, samples, seconds: any number that rises from report to report.
        value: of the objective so far, in its own direction.
        raises: leave the objective by `EvaluationStopped` where it should stop; False: return True there, so that a
            training loop can end in its own way, and what the objective then returns is its value.

    Returns:
        Whether the evaluation should stop; False outside a run with `early_stopping`.

    Raises:
        EvaluationStopped: it should, and `raises`.
    """
    reporter = CURRENT.get()
    if reporter is None or not reporter.report(step, value):
        return False
    if raises:
        raise EvaluationStopped(step, value)
    return True


def exhaust(steps: Generator[Any, Any, Any]) -> Any:
    """Run an objective that yields (step, value); return what it returns, or else its last value.

    Raises:
        ProblemError: it yielded something else, or nothing.
        EvaluationStopped: it should stop.
    """
    last: Any = None
    while True:
        try:
            item = next(steps)
        except StopIteration as end:
            if end.value is None and last is None:
                raise ProblemError("the objective is a generator and yielded no (step, value)") from None
            return last if end.value is None else end.value
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            steps.close()
            raise ProblemError(f"a generator objective must yield (step, value), got {item!r}")
        last = item[1]
        try:
            intermediate(item[0], last)
        except EvaluationStopped:
            steps.close()
            raise
