"""Tree-structured Parzen estimator: where the good points are dense and the others are not.

Bergstra, Bardenet, Bengio and Kegl, Algorithms for hyper-parameter optimization, NeurIPS 2011; multivariate and with
pending points as bad ones as in Falkner et al., ICML 2018, arXiv:1807.01774, and Optuna; Watanabe, 2023,
arXiv:2304.11127, on what each part does. Differs: a column that does not count in a point is uniform in its kernel, so
that one density covers a conditional space; bandwidths follow the spread of the points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.solver import StopAsking
from optengine.core.space import BINARY, CATEGORICAL, REAL, SIMPLEX, SUBSET, Batch, Space
from optengine.kernels.parzen import Mixture, draw, log_densities

if TYPE_CHECKING:
    from optengine.backends.repair import Repair
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

LARGEST_LISTED = 4096  # points of a discrete space that is gone through when draws bring nothing new
MOST_KERNELS = 2000  # of the bad density; more points are thinned out, the best ones kept closest
MOST_GOOD = 25  # points, as in Optuna
NARROWING = 0.7  # of Scott's bandwidths; like the constants of levels tuned on fourteen functions beside the benchmark
MOVE, MOVE_DECAY = 0.8, 0.3  # probability of another level: 0.8 m^-0.3 of what the uniform distribution has
WIDEST = 0.3  # standard deviation of a kernel in the unit cube: that of the uniform distribution
ROUNDS = 4  # of draws for a point not seen before


@dataclass(frozen=True, slots=True, kw_only=True)
class TPE:
    """Tree-structured Parzen estimator (Bergstra et al., NeurIPS 2011), multivariate, pending-aware.

    Update: the told points are ranked (feasible by value, infeasible by violation, failed last; several objectives by
    Pareto rank and crowding), the first ones are the good ones; densities l of the good and g of the others, pending
    points among them, are mixtures of kernels around them; the next point is, of some drawn from l, the one with the
    largest l / g. Discrete spaces: no point twice, unless the problem is noisy; failed points never again. Cost of an
    ask with n told: O(n_candidates n d), about 1 ms at n = 500, d = 20.

    Attributes:
        n_initial: points spread evenly before, >= 1; values known beforehand count.
        good: share of the told points that are the good ones, in (0, 1); never more than 25 of them.
        n_candidates: points drawn from l for each that is asked, >= 1.
        prior: weight of the uniform component, in points, > 0.
        batch: points asked together, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    n_initial: int = 10
    good: float = 0.15
    n_candidates: int = 24
    prior: float = 2.0
    batch: int = 1

    def __post_init__(self) -> None:
        for name in ("n_initial", "n_candidates", "batch"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
        for name, high in (("good", 1.0), ("prior", math.inf)):
            value = getattr(self, name)
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not (number and 0 < value < high):
                raise OptionError(f"{name} must be a number > 0 and < {high}, got {value!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Nothing: every kind of variable has a kernel."""
        return None

    def start(self, problem: Problem, rng: Generator) -> TPERun:
        """Return a new run."""
        return TPERun(self, problem, rng)


class TPERun:
    """State of one run: the told points, those pending, and what was seen already."""

    def __init__(self, options: TPE, problem: Problem, rng: Generator) -> None:
        self.batch = int(options.batch)
        self._options, self._space, self._rng = options, problem.space, rng
        self._view = View(problem.space)
        self._repair: Repair | None = None
        if problem.space.constrained:
            from optengine.backends.repair import Repair

            self._repair = Repair(problem.space)
        self._discrete = not problem.noisy and not _continuous(problem.space)
        self._evaluation: list[Evaluation] = []
        self._points = np.empty((0, self._view.d))
        self._counts = np.empty((0, self._view.d), dtype=bool)
        self._waiting: dict[bytes, list[Floats]] = {}  # pending rows by their bytes
        self._barred: set[bytes] = set()  # rows not to be asked again
        self._design: Floats = np.empty((0, problem.space.width))
        self._listed: Floats | None = None

    # -- the two verbs -----------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width), fewer where a discrete space is nearly used up; None: a batch.

        Raises:
            StopAsking: every point of a discrete space has been asked for.
        """
        rows: list[Floats] = []
        for _ in range(self.batch if n is None else n):
            row = self._next()
            if row is None:
                break
            self._waiting.setdefault(_key(row), []).append(row)
            if self._discrete:
                self._barred.add(_key(row))
            rows.append(row)
        if not rows:
            raise StopAsking
        return np.stack(rows)

    def pend(self, X: Batch) -> None:
        """Note rows (n, width) that somebody else is evaluating."""
        for row in X:
            self._waiting.setdefault(_key(row), []).append(row)
            if self._discrete:
                self._barred.add(_key(row))

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width); points never asked count as well."""
        if not len(X):
            return
        points, counts = self._view.points(X)
        self._points = np.concatenate([self._points, points])
        self._counts = np.concatenate([self._counts, counts])
        bare = Evaluation(evaluation.F, evaluation.G, evaluation.failed)
        self._evaluation = [Evaluation.concatenate([*self._evaluation, bare])]
        for row, failed in zip(X, evaluation.failed, strict=True):
            key = _key(row)
            waiting = self._waiting.get(key)
            if waiting:
                waiting.pop()
                if not waiting:
                    del self._waiting[key]
            if failed or self._discrete:
                self._barred.add(key)

    # -- one point ---------------------------------------------------------------------------------------------

    def _next(self) -> Floats | None:
        """Return a point (width,), or None where nothing is left."""
        n = len(self._points) + sum(map(len, self._waiting.values()))
        early = n < self._options.n_initial or not len(self._points)
        densities = None if early else self._densities()
        for _ in range(ROUNDS):
            X = self._spread_out() if densities is None else self._drawn(densities[0])
            row = self._first_new(X, densities)
            if row is not None:
                return row
        every = self._all_points()
        if every is None:  # too many to list: anything new, near or far
            X = self._feasible(self._space.sample(256, self._rng))
            row = self._first_new(X, densities)
            return X[0] if row is None else row
        return self._first_new(every, densities)

    def _first_new(self, X: Floats, densities: tuple[Mixture, Mixture] | None) -> Floats | None:
        """Return the row of X with the largest l / g (None: the first one) that may be asked, or None."""
        if self._barred:
            X = X[[_key(row) not in self._barred for row in X]]
        if not len(X):
            return None
        if densities is None:
            return np.ascontiguousarray(X[0])
        points, counts = self._view.points(X)
        gain = log_densities(densities[0], points, counts) - log_densities(densities[1], points, counts)
        return np.ascontiguousarray(X[int(np.argmax(gain))])

    def _spread_out(self) -> Floats:
        """The rest of a Latin hypercube over the unit cube; points inside where known constraints hold."""
        if not len(self._design):
            k = max(self._options.n_initial, 2)
            if self._repair is not None:
                self._design = self._repair.feasible_sample(k, self._rng)
            else:
                strata = self._rng.permuted(np.tile(np.arange(k), (self._space.width, 1)), axis=1).T
                self._design = self._space.from_unit((strata + self._rng.random(strata.shape)) / k)
            self._design = self._view.at_target(self._design)
        X, self._design = self._design[:1], self._design[1:]
        return X

    def _drawn(self, good: Mixture) -> Floats:
        """Draw candidates (c, width) from the good points' density."""
        c, d = self._options.n_candidates, self._view.d
        return self._feasible(self._view.rows(draw(good, self._rng.random((c, 2 * d + 1))), self._rng))

    def _feasible(self, X: Floats) -> Floats:
        X = self._view.at_target(X)
        return X if self._repair is None else self._repair.repair(X, self._rng)

    def _all_points(self) -> Floats | None:
        """Every point of a small discrete space (m, width) that keeps the known constraints; None: too many."""
        if self._listed is None:
            size = self._space.cardinality()
            if size is None or size > LARGEST_LISTED or not self._discrete:
                return None
            X = self._space.canonical(_grid(self._space))
            X = np.unique(self._view.at_target(X), axis=0)
            self._listed = self._rng.permutation(X[self._space.satisfies(X)])
        return self._listed

    # -- the two densities -------------------------------------------------------------------------------------

    def _densities(self) -> tuple[Mixture, Mixture]:
        """Return the densities of the good points and of the others with those pending."""
        order = best_first(self._evaluation[0])
        n_good = min(math.ceil(self._options.good * len(order)), MOST_GOOD)
        good, bad = order[:n_good], order[n_good:]
        if len(bad) > MOST_KERNELS:
            bad = bad[np.unique(np.geomspace(1, len(bad), MOST_KERNELS).astype(np.int64)) - 1]
        points, counts = self._points[bad], self._counts[bad]
        pending = [row for rows in self._waiting.values() for row in rows]
        if pending:
            more, on = self._view.points(np.stack(pending))
            points, counts = np.concatenate([points, more]), np.concatenate([counts, on])
        return self._mixture(self._points[good], self._counts[good]), self._mixture(points, counts)

    def _mixture(self, points: Floats, counts: Mask) -> Mixture:
        """Return kernels around points (m, d), their bandwidths from the points' spread."""
        m, prior = len(points), self._options.prior
        weight = 1.0 / (m + prior)
        return Mixture(
            points,
            counts,
            self._view.n_levels,
            self._spread(points, counts),
            np.full(m, weight),
            prior * weight,
        )

    def _spread(self, points: Floats, counts: Mask) -> Floats:
        """Return the bandwidth of each column: Scott's rule, shrunk towards that of the uniform distribution."""
        prior, n_levels = self._options.prior, self._view.n_levels
        m = counts.sum(axis=0)
        mean = (points * counts).sum(axis=0) / np.maximum(m, 1)
        squares = (((points - mean) ** 2) * counts).sum(axis=0)
        deviation = np.sqrt((squares + prior * WIDEST**2) / (m + prior))
        scott = NARROWING * deviation * (m + 1.0) ** (-1.0 / (self._view.d + 4))
        uniform = 1.0 - 1.0 / np.maximum(n_levels, 2)
        move = MOVE * uniform * np.maximum(m, 1.0) ** -MOVE_DECAY
        sigma = np.maximum(scott, self._view.finest)
        return np.asarray(np.where(n_levels > 0, move, sigma))


class View:
    """A space as the densities see it: free columns only, numbers in [0, 1], levels by index.

    Attributes:
        d: number of free columns. n_levels: (d,) levels, 0 for numbers; finest: (d,) least bandwidth of numbers.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        free = space.lower < space.upper
        for block in space.blocks:
            free[block.start : block.stop] = block.stop - block.start > 1
        self._targets = list(space.fidelity.values())
        for column, _ in self._targets:
            free[column] = False
        self._columns = np.flatnonzero(free)
        self.d = len(self._columns)
        kind, levels = space.kind[self._columns], space.n_levels[self._columns]
        is_level = np.isin(kind, (CATEGORICAL, BINARY, SUBSET))
        self.n_levels: Indices = np.where(is_level, np.where(kind == CATEGORICAL, levels, 2), 0)
        whole = (levels > 1) & ~is_level
        self.finest: Floats = np.where(whole, 1.0 / np.maximum(levels, 1), 0.01)
        self._subset = kind == SUBSET

    def points(self, X: Batch) -> tuple[Floats, Mask]:
        """Return the points (n, d) of a batch (n, width) and which columns count in them."""
        U = self._space.to_unit(X)[:, self._columns]
        levels = self.n_levels > 0
        U[:, levels] = X[:, self._columns[levels]]
        if not self._space.conditional:
            return U, np.ones(U.shape, dtype=bool)
        return U, self._space.active(X)[:, self._columns]

    def rows(self, points: Floats, rng: Generator) -> Batch:
        """Return the batch (n, width) of points (n, d); subsets of a wrong size are completed at random."""
        U = np.full((len(points), self._space.width), 0.5)
        k = self.n_levels
        values = np.where(k > 0, (points + 0.5) / np.maximum(k, 1), points)
        if self._subset.any():
            keys = 0.5 * (points + rng.random(points.shape))  # members above one half
            values = np.where(self._subset, keys, values)
        U[:, self._columns] = values
        return self._space.from_unit(U)

    def at_target(self, X: Batch) -> Batch:
        """Return X with the fidelities at their targets."""
        for column, target in self._targets:
            X[:, column] = target
        return X


def _key(row: Floats) -> bytes:
    """Return what a row is known again by; -0.0 is 0.0."""
    return (row + 0.0).tobytes()


def _continuous(space: Space) -> bool:
    """Whether some column takes infinitely many values."""
    real = np.isin(space.kind, (REAL, SIMPLEX)) & (space.lower < space.upper)
    return bool(real.any())


def _grid(space: Space) -> Floats:
    """Every combination of a discrete space's columns, with permutations and subsets item by item."""
    from itertools import combinations, permutations, product

    parts: list[list[tuple[float, ...]]] = []
    blocks = {block.start: block for block in space.blocks}
    column = 0
    while column < space.width:
        block = blocks.get(column)
        if block is None:
            parts.append([(float(v),) for v in np.arange(space.lower[column], space.upper[column] + 1)])
            column += 1
            continue
        k = block.stop - block.start
        if block.kind == SUBSET:
            sizes = range(block.size_low, block.size_high + 1)
            chosen = [c for size in sizes for c in combinations(range(k), size)]
            parts.append([tuple(float(i in c) for i in range(k)) for c in chosen])
        else:
            parts.append([tuple(map(float, p)) for p in permutations(range(k))])
        column = block.stop
    return np.array([sum(combination, ()) for combination in product(*parts)])
