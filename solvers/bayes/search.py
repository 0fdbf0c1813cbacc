"""Where the acquisition function is largest: candidates, gradients over reals, single changes of everything else."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.repair import Repair
from optengine.core.space import INTEGER, ORDINAL, REAL, Batch, Space
from optengine.solvers.bayes.ascent import ascend
from optengine.solvers.bayes.basins import Away
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features

if TYPE_CHECKING:
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

BEST_ROWS = 5  # evaluated rows around which candidates are drawn
ROUNDS = 4  # of gradients and single changes by turns
MOST_CHANGES = 60  # single changes looked at for one start and round
APART = 0.05  # distance of starts in the unit cube, times the root of the dimension


class Searcher:
    """Maximises scores over one space."""

    def __init__(self, options: BO, space: Space, features: Features, repair: Repair, rng: Generator) -> None:
        self._options, self._space, self._features = options, space, features
        self._repair, self._rng = repair, rng
        free = space.lower < space.upper
        for column, _ in space.fidelity.values():
            free[column] = False
        self._free = free
        place = {int(c): int(p) for c, p in zip(features.columns, features.places, strict=True)}
        self.columns = np.array([c for c in features.columns if free[c]], dtype=np.int64)
        self.places = np.array([place[int(c)] for c in self.columns], dtype=np.int64)
        self._rest = bool((free & (space.kind != REAL)).any())  # something that gradients do not move

    def best(
        self,
        score: Score,
        told: Told,
        box: tuple[Floats, Floats] | None,
        deadline: float | None,
        away: Away | None = None,
        centres: NDArray[np.int64] | None = None,
    ) -> tuple[Batch, Floats]:
        """Return local maxima (k, width) of the score with their values (k,), best first.

        Args:
            score, told: to maximise, and what is known.
            box: (d,) bounds of the reals in the unit cube. deadline: `time.monotonic()` after which to settle.
            away: places that points must keep out of.
            centres: rows told around which to look, best first; None: the best by their values.
        """
        n, starts = self._options.n_raw, self._options.n_starts
        if away is not None:  # looked for several times in one ask
            n, starts = max(n // 3, 1), max(starts // 2, 1)
        X = self.candidates(told, box, n, centres)
        if away is not None:
            X = X[away.outside(self._features.of(X))]
            if not len(X):
                return X, np.empty(0)
        values = score.at(self._features, X)
        X, values = self._starts(X, values, starts)
        for turn in range(ROUNDS if away is None else 1):
            before = values.copy()
            if len(self.columns):
                X, values = self._climb(score, X, values, box, deadline, away)
            if not self._rest or (deadline is not None and time.monotonic() > deadline):
                break
            X, values = self._change(score, X, values)
            if turn and (values - before).max() < 1e-6:
                break
        if away is not None:
            outside = away.outside(self._features.of(X))
            X, values = X[outside], values[outside]
        order = np.argsort(-values, kind="stable")
        return X[order], values[order]

    def spread(self, n: int) -> Batch:
        """Return n points (n, width) spread over the space."""
        return self._kept(self._repair.feasible_sample(n, self._rng))

    # -- candidates --------------------------------------------------------------------------------------------

    def candidates(
        self,
        told: Told,
        box: tuple[Floats, Floats] | None,
        n: int,
        order: NDArray[np.int64] | None = None,
    ) -> Batch:
        """Return n points to look at first: spread over the space, and around the best rows known (`order`)."""
        if order is None:
            good = np.flatnonzero(~told.failed)
            order = good[np.argsort(self._merit(told)[good], kind="stable")]
        centres = told.X[order[:BEST_ROWS]]
        parts = [self._around(centres, n // 2)] if len(centres) else []
        rest = n - sum(len(p) for p in parts)
        spread = (
            self._repair.feasible_sample(rest, self._rng) if box is None else self._inside(box, centres, rest)
        )
        return self._kept(np.concatenate([spread, *parts]))

    @staticmethod
    def _merit(told: Told) -> Floats:
        """A number a row that sorts feasible rows by value and the others behind them by violation."""
        violation = np.maximum(told.G, 0.0)
        size = (
            np.maximum(np.nanmedian(np.abs(told.G), axis=0), 1e-300) if told.G.shape[1] and len(told) else 1.0
        )
        total = (violation / size).sum(axis=1)
        rank = np.empty(len(told))
        rank[np.lexsort((told.F[:, 0], total))] = np.arange(len(told))
        return rank

    def _around(self, centres: Batch, n: int) -> Batch:
        """Return n points near the rows `centres`: steps of all sizes, over few columns or many."""
        rng, space = self._rng, self._space
        X = centres[rng.integers(len(centres), size=n)]
        if self._rest:
            hops = rng.geometric(0.5, size=n)
            for hop in range(1, 4):
                rows = np.flatnonzero(hops >= hop)
                X[rows] = space.neighbours(X[rows], rng, 0.1)
        if not len(self.columns):
            return X
        U = space.to_unit(X)
        scale = 10.0 ** rng.uniform(-3.0, -0.3, size=(n, 1))
        share = rng.choice([0.2, 0.5, 1.0], size=(n, 1))
        step = rng.normal(size=(n, len(self.columns))) * scale
        step[rng.random(step.shape) > share] = 0.0
        return self._moved(X, np.clip(U[:, self.columns] + step, 0.0, 1.0))

    def _inside(self, box: tuple[Floats, Floats], centres: Batch, n: int) -> Batch:
        """Return n points whose reals lie in a box around the incumbent, few columns changed (TuRBO)."""
        rng = self._rng
        X = centres[np.zeros(n, dtype=np.int64)]
        if self._rest:
            X = self._space.neighbours(X, rng, 0.1)
        d = max(len(self.columns), 1)
        U = self._space.to_unit(X)[:, self.columns]
        low, high = box
        new = low + rng.random(U.shape) * (high - low)
        keep = rng.random(U.shape) > min(20.0 / d, 1.0)
        return self._moved(X, np.where(keep, U, new))

    def _moved(self, X: Batch, U: Floats) -> Batch:
        """Return X with its real columns at the unit coordinates U (m, k)."""
        V = np.full((len(X), self._space.width), 0.5)
        V[:, self.columns] = U
        out = np.array(X)
        scaled = self._space._unit.from_unit(V)[:, self.columns]
        out[:, self.columns] = scaled
        return self._space.canonical(out)

    def _kept(self, X: Batch) -> Batch:
        """Return X with fidelities at their targets and the known constraints kept."""
        X = np.array(X)
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return X if self._repair.trivial else self._repair.repair(X, self._rng)

    def _starts(self, X: Batch, values: Floats, n: int) -> tuple[Batch, Floats]:
        """Return the best candidates that are not all in one place."""
        order = np.argsort(-values, kind="stable")
        U = self._space.to_unit(X)
        least = APART * np.sqrt(X.shape[1])
        taken: list[int] = []
        for i in order[: 40 * n]:
            if not taken or (((U[taken] - U[i]) ** 2).sum(axis=1) > least**2).all():
                taken.append(int(i))
            if len(taken) == n:
                break
        return X[taken], values[taken]

    # -- local search ------------------------------------------------------------------------------------------

    def _climb(
        self,
        score: Score,
        X: Batch,
        values: Floats,
        box: tuple[Floats, Floats] | None,
        deadline: float | None,
        away: Away | None = None,
    ) -> tuple[Batch, Floats]:
        """Move the reals uphill, all starts together."""
        space, places = self._space, self.places
        Z = self._features.of(X)
        active = (
            space.active(X)[:, self.columns] if space.conditional else np.ones((len(X), len(places)), bool)
        )
        U = space.to_unit(X)[:, self.columns]
        low = np.where(active, 0.0 if box is None else box[0], U)
        high = np.where(active, 1.0 if box is None else box[1], U)
        inside = np.where(active, 0.0, 0.5)  # a column that does not count stands at the middle

        def function(V: Floats, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
            W = Z[rows]
            W[:, places] = np.where(active[rows], V, inside[rows])
            value, gradient = score.with_gradient(W)
            if away is not None:
                wall, slope = away.wall(W)
                value, gradient = value - wall, gradient - slope
            return value, np.where(active[rows], gradient[:, places], 0.0)

        U, _ = ascend(function, U, low, high, deadline=deadline)
        Y = self._kept(self._moved(X, U))
        reached = score.at(self._features, Y)
        better = reached > values
        return np.where(better[:, None], Y, X), np.where(better, reached, values)

    def _change(self, score: Score, X: Batch, values: Floats) -> tuple[Batch, Floats]:
        """Take the best single change of each row as long as one improves."""
        X, values = X.copy(), values.copy()
        live = np.arange(len(X))
        for _ in range(10):
            rows = [self._changes(X[i]) for i in live]
            sizes = np.array([len(r) for r in rows])
            if not sizes.sum():
                break
            all_values = score.at(self._features, np.concatenate(rows))
            still = []
            for i, part, part_values in zip(
                live, rows, np.split(all_values, np.cumsum(sizes)[:-1]), strict=True
            ):
                if len(part) and part_values.max() > values[i] + 1e-9:
                    j = int(part_values.argmax())
                    X[i], values[i] = part[j], part_values[j]
                    still.append(int(i))
            live = np.array(still, dtype=np.int64)
            if not len(live):
                break
        return X, values

    def _changes(self, row: Batch) -> Batch:
        """Return points (k, width) that differ from a row by one change of something that is no real."""
        space, rng = self._space, self._rng
        out: list[Batch] = []
        for column in np.flatnonzero(self._free & (space.kind != REAL)):
            if any(b.start <= column < b.stop for b in space.blocks):
                continue
            kind, low, high, now = space.kind[column], space.lower[column], space.upper[column], row[column]
            if kind in (INTEGER, ORDINAL) and high - low > 6:
                span = high - low
                steps = np.unique(np.rint([1, 2, 0.05 * span, 0.2 * span * rng.random() + 1]))
                levels = np.concatenate([now - steps, now + steps])
                levels = levels[(levels >= low) & (levels <= high)]
            else:
                levels = np.arange(low, high + 1)
                levels = levels[levels != now]
                if len(levels) > MOST_CHANGES // 2:
                    levels = rng.choice(levels, MOST_CHANGES // 2, replace=False)
            Y = np.repeat(row[None, :], len(levels), axis=0)
            Y[:, column] = levels
            out.append(Y)
        if space.blocks:
            out.append(space.neighbours(np.repeat(row[None, :], MOST_CHANGES // 2, axis=0), rng, 0.1))
        Y = np.concatenate(out) if out else np.empty((0, space.width))
        if len(Y) > MOST_CHANGES:
            Y = Y[rng.choice(len(Y), MOST_CHANGES, replace=False)]
        return self._kept(space.canonical(Y)) if len(Y) else Y
