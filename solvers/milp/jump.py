"""A weighted local search for incumbents within tenths of seconds; by itself, or as the first phase of other searches.

Luteberget and Sartor, Feasibility Jump: an LP-free Lagrangian MIP heuristic, Mathematical Programming Computation 15
(2023), doi:10.1007/s12532-023-00234-8. What differs: once a point is feasible the objective gains weight like a broken
row, so that the search goes on below its value; see `optengine.kernels.feasibility_jump`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.polish import completed
from optengine.core.solver import Control
from optengine.problems.milp import MILP
from optengine.solvers.milp.options import check_count
from optengine.solvers.milp.reporting import Desk

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

JUMP = 0.05  # share of the time limit for a first phase, where no option says otherwise
TURN = 0.01  # seconds of moves between two looks at the clock
FIRST_MOVES, MOST_MOVES = 100, 100_000  # of a turn
SETTLED = 3.0  # a first phase ends after so many times the moves that it needed for its best point,
LEAST_MOVES = 20_000  # and not before so many
POLISHED = 0.1  # share of the time that linear programmes for the real columns may take
UNLIMITED = 20.0  # seconds that a share counts of where a run has no limit
MOST_POLISH = 1.0  # seconds of one of them


@dataclass(frozen=True, slots=True, kw_only=True)
class FeasibilityJump:
    """Local search on the rows of a MILP: one column a move, rows and objective by weights that adapt. No bound.

    For models of which good solutions are wanted soon, or at all: it solves no linear programme, except for the best
    real columns of a new incumbent. A move looks at up to 90 columns and costs O(nonzeros of each), microseconds to
    tens of them; the budget counts moves.

    Attributes:
        patience: moves without a better point after which it starts again from the best with fresh weights.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False  # turns are cut by the clock
    needs_limit: ClassVar[bool] = True

    patience: int = 2_000_000

    def __post_init__(self) -> None:
        check_count(self.patience, "patience")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MILP."""
        return None if isinstance(problem, MILP) else "it reads the rows of a MILP"

    def start(self, problem: Problem, rng: Generator) -> FeasibilityJumpRun:
        """Return a new run."""
        assert isinstance(problem, MILP)
        return FeasibilityJumpRun(self, problem, rng)


class FeasibilityJumpRun:
    """One search until the run ends."""

    def __init__(self, options: FeasibilityJump, problem: MILP, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self.details: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Load the compiled kernel before the clock starts."""
        warm()

    def search(self, control: Control) -> None:
        """Search; see the class."""
        desk = Desk(self._problem, control)
        if desk.stop():
            return
        jumper = Jumper(self._problem, desk, self._rng, patience=self._options.patience)
        jumper.run()
        self.details |= jumper.told
        desk.close()


def warm() -> None:
    """Load or compile the kernel."""
    kernel = import_module("optengine.kernels.feasibility_jump")
    tiny = MILP([1.0, -1.0, 1.0], [[1.0, 1.0, -1.0]], lower=1.0, bounds=(0, 3), integrality=[1, 1, 0])
    rows = kernel.prepare(tiny.model)
    kernel.search(rows, kernel.begin(rows), 10, 0)


def first_incumbent(
    problem: MILP, desk: Desk, rng: Generator, share: float, details: dict[str, Any], x: Floats | None = None
) -> None:
    """Search locally for a share of the time, or as long as it pays; the first phase of other searches.

    Args:
        share: of the seconds that are left, or of `UNLIMITED` seconds without a limit. x: (n,) where to start.
        details: where to note what was done.
    """
    left = desk.seconds_left
    if share <= 0 or desk.nodes_left is not None:  # a budget of nodes is not for moves
        return
    jumper = Jumper(problem, desk, rng, x=x)
    jumper.run(share * (left if np.isfinite(left) else UNLIMITED))
    details["start"] = {**jumper.told, "value": None if desk.best is None else desk.value + problem.shift}


class Jumper:
    """The local search of one run; hands what it finds to the desk.

    Args:
        problem, desk, rng: of the run. x: (n,) where to start, NaN where it says nothing; default the incumbent, else
            the cheapest bounds. patience: moves without a better point after which weights start afresh.

    Attributes:
        told: `moves`, `moves_per_second`, `restarts`.
    """

    def __init__(
        self,
        problem: MILP,
        desk: Desk,
        rng: Generator,
        *,
        x: Floats | None = None,
        patience: int | None = None,
    ) -> None:
        kernel: Any = import_module("optengine.kernels.feasibility_jump")
        self._kernel, self._problem, self._desk = kernel, problem, desk
        self._rows, self._seed = kernel.prepare(problem.model), int(rng.integers(2**31))
        start = desk.best if x is None and desk.best is not None else kernel.starting(self._rows, x)
        self._state = kernel.begin(self._rows, start)
        self._patience = patience
        self._mixed = not problem.integrality.all()
        self._polishing, self._seconds, self._n_moves = 0.0, 0.0, 0
        self.told: dict[str, Any] = {"moves": 0, "moves_per_second": 0.0, "restarts": 0}

    def run(self, seconds: float = np.inf) -> None:
        """Search for so long at most; with `patience` None, no longer than it pays."""
        desk, kernel, began, moves = self._desk, self._kernel, time.perf_counter(), FIRST_MOVES
        value = np.inf  # of the best point handed over
        while not desk.stop() and time.perf_counter() - began < seconds and not self._settled():
            left = desk.nodes_left
            moves = moves if left is None else min(moves, left)
            turn = time.perf_counter()
            kernel.search(self._rows, self._state, moves, self._seed)
            took = max(time.perf_counter() - turn, 1e-6)
            desk.spend(moves)
            self._note(moves, took)
            if self._state.numbers[kernel.BEST] < value:
                value = self._state.numbers[kernel.BEST]
                desk.incumbent(self._state.best + 0.0)  # no -0.0, which is another point to some
                self._polish()
            moves = int(np.clip(moves * TURN / took, moves / 4 + 1, min(4 * moves, MOST_MOVES)))
            if time.perf_counter() - turn > 100 * TURN or moves % 7 == 0:
                kernel.refresh(self._rows, self._state)

    def _note(self, moves: int, took: float) -> None:
        self._n_moves += moves
        self._seconds += took
        self.told |= {"moves": self._n_moves, "moves_per_second": round(self._n_moves / self._seconds)}

    def _settled(self) -> bool:
        """Whether more moves do not pay; a search with patience starts afresh then."""
        clock, last = (int(self._state.counts[i]) for i in (self._kernel.CLOCK, self._kernel.LAST))
        if self._patience is None:
            found = np.isfinite(self._state.numbers[self._kernel.BEST])
            return found and clock > max(LEAST_MOVES, (1 + SETTLED) * last)
        if clock - last > self._patience and np.isfinite(self._state.numbers[self._kernel.BEST]):
            best = self._state.numbers[self._kernel.BEST]
            self._state = self._kernel.begin(self._rows, self._state.best)
            self._state.numbers[self._kernel.BEST] = best
            self._seed += 1
            self.told["restarts"] += 1
        return False

    def _polish(self) -> None:
        """Choose the real columns of a new incumbent anew, as long as that takes little of the time."""
        if not self._mixed or self._polishing > POLISHED * (self._seconds + self._polishing):
            return
        began = time.perf_counter()
        better = completed(
            self._problem.model, self._state.best, max(1e-3, min(MOST_POLISH, self._desk.seconds_left))
        )
        if better is not None:
            self._desk.incumbent(better)
        self._polishing += time.perf_counter() - began
