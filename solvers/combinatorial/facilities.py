"""Iterated local search by swaps for p-median and maximum coverage (Whitaker 1983; Resende, Werneck 2007).

doi:10.1007/s10479-006-0154-0. What differs from the paper: a kick of random swaps instead of path relinking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Pieces, Pool, check_count, check_share

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SEED = 2**31
CLIENT_SECONDS = 2e-9  # of one client in one step
MOST = 200_000_000  # distances that are kept as a matrix: 1.6 GB


@dataclass(frozen=True, slots=True, kw_only=True)
class FacilitySearch:
    """Swaps on a PMedian or a MaxCoverage: a place opens and another closes, while that wins; then a kick.

    Update: home <- local optimum of home with `strength` random swaps; accepted if no worse, or worse by less than the
    temperature times a standard exponential. A step evaluates the k swaps that open one place, in O(clients + k), some
    two nanoseconds a client; they count as k evaluations. Memory: 8 bytes a pair of place and client.

    Attributes:
        strength: random swaps of a kick, >= 1.
        temperature: mean loss accepted, in units of the mean distance (weight) of a client, >= 0 and <= 100.
        pool: distinct good points kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    strength: int = 2
    temperature: float = 0.3
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("strength", self.strength)
        check_share("temperature", self.temperature, 100.0)
        check_count("pool", self.pool)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a PMedian or a MaxCoverage of a size whose distances fit into memory."""
        from optengine.problems.facilities import MaxCoverage, PMedian

        if not isinstance(problem, (PMedian, MaxCoverage)):
            return "it reads the distances of a PMedian or the sets of a MaxCoverage"
        m, n = problem.distance.shape if isinstance(problem, PMedian) else problem.covers.shape
        return (
            None if m * n <= MOST else f"it keeps a matrix of at most {MOST} numbers, and there are {m * n}"
        )

    def start(self, problem: Problem, rng: Generator) -> FacilityRun:
        """Return a new run."""
        return FacilityRun(self, problem, rng)


class FacilityRun:
    """State of one run: the open places, home and best."""

    def __init__(self, options: FacilitySearch, problem: Any, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._pool = Pool(problem, options.pool)
        self._n_kicks = 0

    def warm_up(self) -> None:
        """Compile or load the kernel."""
        _Places(np.ones((2, 1)), np.zeros(1, dtype=np.int64), 0).advance(1, 0.0, 1)

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and the number of kicks."""
        return {"pool": self._pool.details(), "n_kicks": self._n_kicks}

    def search(self, control: Control) -> None:
        """Search until told to stop; where all places are open there is nothing to search."""
        distance, k = self._distance(), self._problem.k
        n, m = distance.shape
        places = self._rng.permutation(n)[:k]
        if control.x0 is not None:  # those of the point, filled up or cut to k
            given = np.flatnonzero(control.x0[0][:n] > 0.5)
            places = np.r_[
                given, np.setdiff1d(places, given), np.setdiff1d(np.arange(n), np.r_[given, places])
            ][:k]
        search = _Places(distance, places, int(self._rng.integers(SEED)))
        control.incumbent(self._point(search.places))
        if k == n:
            control.spend(1)
            control.conclude("converged", "every place is open")  # type: ignore[attr-defined]
            return
        heat = self._options.temperature * abs(search.value[0]) / m
        pieces, told = Pieces(control, k, m * CLIENT_SECONDS), search.value[0]
        while steps := pieces.steps(1 << 60):
            search.advance(steps, heat, self._options.strength)
            pieces.took(steps)
            self._n_kicks = search.n_kicks
            if search.value.min() < told:  # the places now may be better than the best local optimum
                told = float(search.value.min())
                x = self._point(search.best if search.value[2] == told else search.places)
                self._pool.add(x, told)
                control.incumbent(x)
            self._pool.add(self._point(search.home), float(search.value[1]))

    def _distance(self) -> Floats:
        """(places, clients)."""
        from optengine.problems.facilities import PMedian

        problem = self._problem
        if isinstance(problem, PMedian):
            return np.ascontiguousarray(problem.distance.T)
        return np.ascontiguousarray((problem.covers.toarray() > 0).T * -problem.weights)

    def _point(self, places: Integers) -> Floats:
        """The columns of the model that belong to open places."""
        return np.asarray(self._problem.point(places))


class _Places:
    """The arrays of the kernel."""

    def __init__(self, distance: Floats, places: Integers, seed: int) -> None:
        from optengine.kernels import facilities as kernel

        self._kernel, self._distance, m = kernel, distance, distance.shape[1]
        self.places = np.array(places, dtype=np.int64)
        self.home, self.best = self.places.copy(), self.places.copy()
        self._open = np.zeros(len(distance), dtype=bool)
        self._open[self.places] = True
        self._near, self._far = np.empty((m, 2), dtype=np.int64), np.empty((m, 2))
        self.value = np.full(3, kernel.serve(distance, self.places, self._near, self._far))
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._state[kernel.SEED] = seed

    @property
    def n_kicks(self) -> int:
        return int(self._state[self._kernel.N_KICKS])

    def advance(self, steps: int, heat: float, strength: int) -> None:
        """Search on for so many steps."""
        self._kernel.search_medians(
            self._distance, self.places, self._open, self._near, self._far, self.home, self.best, self.value,
            self._state, strength, heat, steps,
        )  # fmt: skip
