"""The two contracts between a solver and the engine.

A solver is a frozen, keyword-only dataclass of options, validated when it is made. `start` returns the run that owns
the search state: either one that is asked and told, or one that searches by itself and reports incumbents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from numpy.random import Generator

if TYPE_CHECKING:
    from optengine.core.evaluation import Evaluation
    from optengine.core.problem import Problem
    from optengine.core.space import Batch


class StopAsking(Exception):
    """Raised by `ask` when there is nothing left to propose; the run ends with status `converged`.

    Attributes:
        infeasible: whether that is because nothing can be feasible; the run then ends with status `infeasible`, and
            its certificate is in the run's `details`.
    """

    def __init__(self, message: str = "", *, infeasible: bool = False) -> None:
        super().__init__(message)
        self.infeasible = infeasible


@runtime_checkable
class AskTell(Protocol):
    """A run that proposes points and is told their values.

    The engine repairs asked points to satisfy known constraints and tells the repaired ones. `tell` may carry fewer
    rows than were asked, rows of several asks, rows in any order, failed rows, and rows that were never asked
    (`evaluation.ids` == -1: x0 and warm-start data).

    A run whose asks depend on nothing but what was told and what is pending may offer `pend(X)`: rows that somebody
    else is evaluating. Hosts that keep the history themselves, as Optuna does, then rebuild it by one tell.
    """

    batch: int  # rows of a natural batch: what `ask(None)` returns

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width) inside the space; None asks for a natural batch."""
        ...

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width)."""
        ...


class Control(Protocol):
    """What a searching run may use and must obey."""

    rng: Generator
    device: str
    threads: int
    x0: Batch | None  # (k, width) starting points, the first one being the best known

    def incumbent(self, x: Batch) -> float | None:
        """Offer one point (width,); it is evaluated by the problem. Returns its value if it is the new incumbent."""
        ...

    def bound(self, value: float) -> None:
        """Report a proved bound on the first objective, minimising."""
        ...

    def spend(self, n: int) -> None:
        """Count n moves or nodes as evaluations."""
        ...

    def stop(self) -> bool:
        """Whether the run must end now; to be looked at least every 100 ms."""
        ...


@runtime_checkable
class Search(Protocol):
    """A run that searches by itself. It returns when it is done or told to stop."""

    def search(self, control: Control) -> None: ...


class Solver(Protocol):
    """A frozen dataclass of options."""

    replayable: ClassVar[bool]  # the same asks and tells rebuild the same run, bit for bit

    def refuses(self, problem: Problem) -> str | None:
        """Return why this solver cannot treat `problem`, or None if it can."""
        ...

    def start(self, problem: Problem, rng: Generator) -> Any:
        """Return a new run, an `AskTell` or a `Search`, that draws all its randomness from `rng`."""
        ...
