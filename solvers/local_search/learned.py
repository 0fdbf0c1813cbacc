"""A model of the objective over orders, learnt from the evaluations a search makes anyway.

Many objectives of an order are sums of small terms: of successions (tours, set-up times), precedences (rankings),
places (assignment), or pairs of places by pairs of items (quadratic assignment). `Learned` fits these families to what
was evaluated, keeps the one that best predicts evaluations it was not fitted to, and uses it in two ways: to choose
among random moves, and to search for candidates, any number of moves away if it predicts nearly all, else within a
trust region, doubled after a success and halved after a failure. Where nothing predicts, it stays silent.

The idea of searching a quadratic model of a black box is that of BOCS (Baptista and Poloczek, ICML 2018,
arXiv:1806.08838) and FMQA (Kitai et al., 2020, doi:10.1103/PhysRevResearch.2.013319), for bits there.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.kernels import local_moves
from optengine.solvers.local_search.families import Family, families_of

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CAPACITY = 8192  # evaluations kept; a model that needs more would not pay
SMALLEST, LARGEST = 5, 128  # items; below nothing to save, beyond more unknowns than evaluations
GROWTH = 1.25  # of the number of evaluations between two fits
TRUST = 0.3  # share of the variance of new evaluations that a model must explain before it is used
SURE = 0.95  # share from which candidates may lie any number of moves away
EXACT = 1.0 - 1e-6  # share from which a model counts as the objective itself
LAG = 0.15  # behind the best family in that share, at which a family is fitted half as often
SCREENED = 16  # random moves from which the model picks one
STEPS_EACH = 200  # on the model for each evaluation that a search has waited
LARGEST_SEARCH = 200_000  # steps on the model for one candidate
STRONGEST = 6  # moves of a kick in a search on the model
ANYWHERE = 1 << 20  # radius of a trust region without bounds


class Learned:
    """What was evaluated, the families fitted to it, and the trust in the best of them.

    Args:
        n: items of the permutation.
        rng: draws starts of regressions and moves of searches on the model.
    """

    def __init__(self, n: int, rng: Generator) -> None:
        self._n, self._rng = n, rng
        self._X, self._y = np.empty((256, n), dtype=np.int64), np.empty(256)
        self._m = self._seen = 0
        self._due = 4 * n
        self._families = families_of(n)
        self._model: Family | None = None
        self._level, self._scale = 0.0, 1.0
        self._radius = ANYWHERE
        self._failures = self._searches = self._resume = 0
        self._pause = n

    @property
    def trusted(self) -> bool:
        """Whether there is a model that predicts."""
        return self._model is not None

    @property
    def description(self) -> dict[str, object]:
        """The model in use and the share of the variance of new evaluations it explained."""
        if self._model is None:
            return {"model": None}
        return {"model": self._model.name, "explained": round(self._model.score, 6)}

    def warm_up(self) -> None:
        """Compile the kernels."""
        family = Family("places", "P", 3)
        one = np.arange(3)[np.newaxis, :]
        family.fit(one, np.zeros(1), self._rng)
        parts = (*family.matrices, family.wrap)
        local_moves.search_order(one[0], *parts, np.zeros((1, 4)), 1, 2, 1)
        local_moves.screen_order(one[0], *parts, np.ones(3) / 3.0, np.zeros((1, 3)))

    # -- data ------------------------------------------------------------------------------------------------------

    def add(self, x: Floats, y: float) -> None:
        """Remember the value of an order x (n,); refit when enough have come together."""
        self._seen += 1
        if self._m == CAPACITY or not math.isfinite(y):
            return
        if self._m == len(self._y):
            self._X = np.concatenate([self._X, np.empty_like(self._X)])
            self._y = np.concatenate([self._y, np.empty_like(self._y)])
        self._X[self._m], self._y[self._m] = x, y
        self._m += 1
        if self._m >= self._due or self._m == CAPACITY:
            self._fit()
            self._due = math.ceil(self._m * GROWTH)

    def _fit(self) -> None:
        """Fit what is due to the older evaluations, judge by the newer ones, and take the best into use."""
        m = self._m
        if self._model is not None and self._model.score >= EXACT and self._still_exact():
            return
        self._level, self._scale = float(self._y[:m].mean()), float(self._y[:m].std())
        if self._scale <= 1e-12 * max(1.0, abs(self._level)):
            return
        X, y, old = self._X[:m], (self._y[:m] - self._level) / self._scale, m - max(20, m // 6)
        due = sorted((f for f in self._families if f.due <= m), key=lambda f: -f.score)
        best = due[0]
        for family in due:
            family.fit(X[:old], y[:old], self._rng)
            family.attempts += 1
            family.score = _explained(y[m // 2 :], y[old:] - family.values(X[old:]))
            best = max(best, family, key=lambda f: f.score)
            if best.score >= EXACT:
                break
        for family in due:  # what lags behind is tried again when there is twice as much to learn from
            family.due = 2 * m if family.score < best.score - LAG and family.attempts > 2 else m
        self._model = best if best.score >= TRUST else None
        if best.score >= TRUST:
            if best.score < SURE or not best.determined(m):
                best.fit(X, y, self._rng)
            self._failures = self._resume = 0
            self._pause = self._n
            self._radius = ANYWHERE if best.score > SURE else 16

    def _still_exact(self) -> bool:
        """Whether the model predicted what came since the last fit."""
        assert self._model is not None
        recent = slice(int(self._m / GROWTH), self._m)
        residual = self._y[recent] - self._scale * self._model.values(self._X[recent])
        return bool(np.ptp(residual) <= 1e-3 * self._scale)

    # -- candidates ------------------------------------------------------------------------------------------------

    def screen(self, x: Floats, shares: Floats) -> Integers:
        """Random moves of x (n,), those first that the model holds best.

        Args:
            x: the current point.
            shares: (3,) of swaps, insertions and reversals among the moves.

        Returns:
            (m, 3) kinds and positions.
        """
        model = self._model
        assert model is not None
        U = self._rng.random((SCREENED, 3))
        moves, values = local_moves.screen_order(x.astype(np.int64), *model.matrices, model.wrap, shares, U)
        return np.asarray(moves[np.argsort(values, kind="stable")])

    def propose(self, x: Floats) -> Floats | None:
        """An order that the model holds better than x (n,), or None where it knows none or has to wait."""
        model, n = self._model, self._n
        if model is None or self._seen < self._resume:
            return None
        here = x.astype(np.int64)
        self._searches += 1
        astray = model.score >= EXACT and self._searches % 2 == 0  # nothing can be lost by starting elsewhere
        start = self._rng.permutation(n) if astray else here
        U = self._rng.random((min(8 * n * n + STEPS_EACH * self._pause, LARGEST_SEARCH), 4))
        y, value = local_moves.search_order(
            start, *model.matrices, model.wrap, U, n * n, STRONGEST, self._radius
        )
        if not value < float(model.values(here[np.newaxis, :])[0]) - model.constant - 1e-9:
            self.wait()
            return None
        return np.asarray(y, dtype=np.float64)

    def judge(self, x: Floats, y: float, improved: bool) -> None:
        """Learn how a proposal x (n,) turned out."""
        if improved:
            self._radius = min(2 * self._radius, ANYWHERE)
            self._failures, self._pause = 0, self._n
            return
        self._radius = max(1, self._radius // 2)
        self._failures += 1
        if self._model is not None and math.isfinite(y):
            self._model.nudge(x.astype(np.int64), (y - self._level) / self._scale)
        if self._failures >= 3:
            self.wait()

    def wait(self) -> None:
        """Propose nothing for a while, twice as long as the last time."""
        self._resume = self._seen + self._pause
        self._pause, self._failures = 2 * self._pause, 0


def _explained(y: Floats, residual: Floats) -> float:
    """Share of the variance of y that leaves no more than the variance of the residuals."""
    spread = float(y.var())
    return 1.0 - float(residual.var()) / spread if spread > 1e-18 else -math.inf
