"""Iterated local search of tours by 2-opt and Or-opt (Johnson, McGeoch 2002, doi:10.1007/0-306-48213-4_9).

What differs from the textbook: a kick exchanges two neighbouring runs of at most 50 cities, so that only their ends
need a look afterwards, and what a useless kick changed is taken back.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.solver import Control
from optengine.solvers.combinatorial.pieces import Pieces, Pool, check_count, check_share

if TYPE_CHECKING:
    from optengine.core.problem import Problem

SEED = 2**31
MOST = 8000  # cities whose distances are kept as a matrix: 512 MB
EXACT_32 = 2.0**24  # whole numbers below it are exact in float32, which halves the memory that moves wait for
MOVE_SECONDS = 30e-9  # of one evaluated move, with all that goes with it


@dataclass(frozen=True, slots=True, kw_only=True)
class TourSearch:
    """2-opt and Or-opt with neighbour lists and a queue of cities to look at, for symmetric TSPs up to 8000 cities.

    Update: x <- local optimum of x with two neighbouring runs exchanged; kept if it is no longer, or longer by less
    than `temperature` times a standard exponential. A move counts as one evaluation and takes some 25 nanoseconds;
    memory 8 n^2 bytes.

    Attributes:
        neighbours: of each city that a move may bring next to it, >= 1.
        temperature: in units of the mean length of a way, >= 0 and <= 10.
        pool: distinct good tours kept in `details["pool"]`, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    neighbours: int = 6
    temperature: float = 0.2
    pool: int = 10

    def __post_init__(self) -> None:
        check_count("neighbours", self.neighbours)
        check_share("temperature", self.temperature, 10.0)
        check_count("pool", self.pool)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a symmetric TSP of a size whose distances fit into memory."""
        from optengine.problems.tsp import TSP

        if not isinstance(problem, TSP):
            return "it reads the distances of a TSP"
        if not problem.symmetric:
            return "it reverses parts of tours, and the distances are asymmetric"
        if problem.n_cities > MOST:
            return (
                f"it keeps the matrix of distances of at most {MOST} cities, and there are {problem.n_cities}"
            )
        return None

    def start(self, problem: Problem, rng: Generator) -> TourRun:
        """Return a new run."""
        return TourRun(self, problem, rng)


class TourRun:
    """State of one run: the tour, the queue, the best tour."""

    def __init__(self, options: TourSearch, problem: Any, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._n = problem.n_cities
        self._pool = Pool(problem, options.pool)
        self._n_kicks = 0

    def warm_up(self) -> None:
        """Compile or load the kernels."""
        from optengine.kernels.tour import SMALLEST

        books = _Tour(np.ones((SMALLEST, SMALLEST)), 2, 0)
        books.begin(np.arange(SMALLEST))
        books.advance(1, 0.0)

    @property
    def details(self) -> dict[str, Any]:
        """The pool, and the number of kicks."""
        return {"pool": self._pool.details(), "n_kicks": self._n_kicks}

    def search(self, control: Control) -> None:
        """Search until told to stop; few cities are enumerated."""
        from optengine.kernels.tour import SMALLEST

        if self._n < SMALLEST:
            self._enumerate(control)
            return
        distance = np.ascontiguousarray(self._problem.distance, dtype=np.float64)
        books = _Tour(distance, self._options.neighbours, int(self._rng.integers(SEED)))
        start = None if control.x0 is None else np.rint(control.x0[0]).astype(np.int64)
        books.begin(nearest_tour(distance, int(self._rng.integers(self._n))) if start is None else start)
        temperature = self._options.temperature * abs(books.length[2]) / self._n
        control.incumbent(books.best.astype(np.float64))
        pieces, told = Pieces(control, 1, MOVE_SECONDS), books.length[2]
        while steps := pieces.steps(1 << 60):
            books.advance(steps, temperature)
            pieces.took(steps)
            self._n_kicks = books.n_kicks
            if books.length[2] < told:
                told = books.length[2]
                self._pool.add(_turned(books.best), told)
                control.incumbent(books.best.astype(np.float64))
            self._pool.add(_turned(books.tour), books.length[0])

    def _enumerate(self, control: Control) -> None:
        tours = [(0, *rest) for rest in itertools.permutations(range(1, self._n))]
        left: int | None = getattr(control, "remaining", None)
        X = np.array(tours if left is None else tours[: max(0, left)], dtype=np.float64)
        if not len(X) or control.stop():
            return
        values = self._problem.evaluate(X).F[:, 0]
        control.spend(len(X))
        control.incumbent(X[int(np.argmin(values))])
        if len(X) == len(tours):
            control.bound(float(values.min()))


class _Tour:
    """The arrays of the kernel; inside, cities are numbered along a short tour, so that near ones share cache lines."""

    def __init__(self, distance: NDArray[np.float64], neighbours: int, seed: int) -> None:
        from optengine.kernels import tour as kernel

        n, self._kernel, self._names = len(distance), kernel, nearest_tour(distance, 0)
        whole = bool((distance == np.rint(distance)).all() and 8 * np.abs(distance).max() < EXACT_32)
        self._distance = distance[np.ix_(self._names, self._names)].astype(
            np.float32 if whole else np.float64
        )
        k = min(neighbours, n - 1)
        near = np.empty((n, k), dtype=np.int32)
        for i in range(n):
            row = self._distance[i].copy()
            row[i] = np.inf
            some = np.argpartition(row, k - 1)[:k]
            near[i] = some[np.argsort(row[some], kind="stable")]
        self._near, self._reach = (
            near,
            np.take_along_axis(self._distance, near.astype(np.int64), axis=1),
        )
        self._state = np.zeros(kernel.STATE, dtype=np.int64)
        self._state[kernel.SEED] = seed
        self.length = np.zeros(3)
        self._log = np.zeros((max(1000, n), 2), dtype=np.int32)

    def begin(self, tour: NDArray[Any]) -> None:
        """Start at a tour (n,)."""
        n, kernel = len(tour), self._kernel
        self._tour = np.argsort(self._names)[np.asarray(tour, dtype=np.int64)].astype(np.int32)
        self._best = self._tour.copy()
        self._place = np.empty(n, dtype=np.int32)
        self._place[self._tour] = np.arange(n)
        self._queue, self._waits = self._tour.copy(), np.ones(n, dtype=bool)
        self._state[kernel.HEAD], self._state[kernel.WAITING], self._state[kernel.N_LOG] = 0, n, 0
        self.length[:] = kernel.tour_length(self._distance, self._tour)

    @property
    def tour(self) -> NDArray[np.int64]:
        """The tour now, (n,)."""
        return self._names[self._tour]

    @property
    def best(self) -> NDArray[np.int64]:
        """The best tour, (n,)."""
        return self._names[self._best]

    @property
    def n_kicks(self) -> int:
        return int(self._state[self._kernel.N_KICKS])

    def advance(self, limit: int, temperature: float) -> None:
        """Search on for so many moves; the best tour so far is offered even if the search is not at an optimum."""
        self._kernel.search_tour(
            self._distance, self._near, self._reach, self._tour, self._place, self._queue, self._waits, self._log,
            self._state, self.length, self._best, temperature, limit,
        )  # fmt: skip


def nearest_tour(distance: NDArray[np.float64], city: int) -> NDArray[np.int64]:
    """A tour from a city on that always goes to the nearest one left."""
    left = np.ones(len(distance), dtype=bool)
    tour = [city]
    for _ in range(len(distance) - 1):
        left[city] = False
        city = int(np.argmin(np.where(left, distance[city], np.inf)))
        tour.append(city)
    return np.array(tour)


def _turned(tour: NDArray[Any]) -> NDArray[np.int64]:
    """The tour from city 0 on, towards the smaller of its two neighbours: equal tours become equal arrays."""
    turned = np.roll(np.asarray(tour, dtype=np.int64), -int(np.argmin(tour)))
    return turned if turned[1] <= turned[-1] else np.roll(turned[::-1], 1)
