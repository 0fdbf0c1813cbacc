"""Models of a user who believes something beforehand: piBO's and ColaBO's scores on our own engine's processes.

ColaBO draws functions from the prior, weighs each by the beliefs about its optimum, draws some again by their weights,
brings those to the data by Matheron's rule, and averages the expected improvement over them. Different from the
paper, functions are drawn exactly at some hundred points, not as sums of random features everywhere: between these
points the process itself stands for each of them, and gradients go through it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.repair import Repair
from optengine.core.space import Batch
from optengine.solvers.bayes.design import Design
from optengine.solvers.bayes.fidelity import Below
from optengine.solvers.bayes.model import Model
from optengine.solvers.bayes.place import Place
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP, covariance, factor
from optengine.surrogates.outcomes import Scaling

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.beliefs import Beliefs
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

BELIEVED, SPREAD, AROUND, BEST = (
    64,
    64,
    32,
    8,
)  # points at which functions are drawn: by the belief, over the space,
# around the best rows known, and those rows themselves
KEPT = 48  # functions drawn again by their weights
FEW = 64  # effective number of functions below which `details` says so


class PlaceScore(Score):
    """A score plus `power` times the log density of the believed place (piBO)."""

    def __init__(self, score: Score, place: Place, power: float) -> None:
        super().__init__(score.main, score.limits, score.best, score.failing)
        self._inner, self._place, self._power = score, place, power

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        return self._inner(Z) + self._power * self._place.log(Z)[0]

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        value, gradient = self._inner.with_gradient(Z)
        log, slope = self._place.log(Z)
        return value + self._power * log, gradient + self._power * slope


class BelievedDesign(Design):
    """First points by turns from the belief, beginning with the point believed in most, and over the space."""

    def __init__(self, design_of: tuple[Any, Generator, Repair], place: Place) -> None:
        super().__init__(*design_of)
        self._place, self._turn = place, 0

    def _next(self, told: Told) -> Batch:
        self._turn += 1
        if self._turn == 1 and not len(told):
            return self._kept(self._place.mode())
        return self._kept(self._place.sample(1, self._rng)) if self._turn % 2 == 1 else super()._next(told)


class BelievedModel(Model):
    """Everything a run believes, the user's beliefs among it; arguments as of `Model`.

    Attributes:
        effective: effective number of the functions drawn for the last score, None where none are.
    """

    def __init__(
        self, options: BO, problem: Problem, features: Features, rng: Generator, below: Below | None, repair: Repair
    ) -> None:  # fmt: skip
        super().__init__(options, problem, features, rng, below)
        assert options.stated is not None
        self.beliefs: Beliefs = options.stated
        self.place = Place(problem.space, features, self.beliefs)
        self._problem, self._repair = problem, repair
        self.effective: float | None = None
        pairs = [(problem.space.encode(a), problem.space.encode(b)) for a, b in self.beliefs.preferences]
        self._pairs = np.concatenate([row for pair in pairs for row in pair]) if pairs else None

    @property
    def facts(self) -> dict[str, Any]:
        """How the beliefs are used, and whether the functions drawn bear them."""
        if not self.beliefs.weighs_paths:
            return {"beliefs": {"method": "pibo"}}
        n = self.effective
        facts = {"method": "colabo", "effective_sample_size": n, "enough": n is None or n >= FEW}
        return {"beliefs": facts}

    def score(self, told: Told, confirming: bool = False) -> Score:
        """Fit what is due and return the score of points, given what is pending and believed."""
        score = super().score(told, confirming)
        if not self.beliefs.weighs_paths:
            return PlaceScore(score, self.place, self.beliefs.decay / max(len(told), 1))
        if score.best is None or self.main is None:
            return PlaceScore(score, self.place, 1.0) if self.place else score
        return self._weighed(score, self.main, told)

    def _weighed(self, score: Score, main: GP, told: Told) -> Score:
        """ColaBO: condition on functions drawn at anchors, kept by the weights of their optima."""
        assert score.best is not None
        if len(told.pending):
            P = self.features.of(told.pending)
            main = main.extended(P, main.look(P).mean)
        X, n_best = self._anchors(told)
        Z, n = self.features.of(X), len(main)
        prior = self._prior_paths(main, Z)  # (n + anchors, paths): at what is known, then at the anchors
        paths = prior[n:]
        weights = np.exp(self.log_weights(Z, paths))
        self.effective = float(weights.sum() ** 2 / (weights @ weights))
        drawn = self._systematic(weights / weights.sum())
        some = prior[:, drawn]
        some = some[n:] + main.look(Z).mean - self._mean_given(main, Z, some[:n])
        best = some[:n_best].min(axis=0) if self.noisy else np.full(KEPT, float(score.best.min()))
        return Score(main.extended(Z, some), score.limits, best, score.failing)

    def _prior_paths(self, main: GP, Z: Floats) -> Floats:
        """Draw functions from the prior at the rows of `main`, noise added, and at features Z: (n + p, n_paths)."""
        n = len(main)
        A = np.concatenate([main.A, main.look(Z).A])
        K = covariance(main.shape, main.hyper, A, A)[0]
        half = self._rng.standard_normal((len(A), self.beliefs.n_paths // 2))
        noise = np.maximum((main.L**2).sum(axis=1) - np.diag(K)[:n], 0.0)
        drawn = factor(K, main.hyper.scale) @ half
        drawn[:n] += np.sqrt(noise)[:, None] * self._rng.standard_normal((n, half.shape[1]))
        return np.asarray(main.mean[0] + np.concatenate([drawn, -drawn], axis=1))

    @staticmethod
    def _mean_given(main: GP, Z: Floats, Y: Floats) -> Floats:
        """Return the mean (p, l) at features Z (p, f), had the rows of `main` had the values Y (n, l)."""
        V = main.look(Z).V
        return np.asarray(main.mean[0] + V @ (main.inverse @ (Y - main.mean[0])))

    def log_weights(self, Z: Floats, paths: Floats) -> Floats:
        """Return the log of what functions (p, l) at features Z (p, f) are believed, at most 0.

        The last rows of Z are the points of the preferences, better and worse by turns.
        """
        mix, total = self.beliefs.mix, np.zeros(paths.shape[1])
        if self.place:
            total += self.place.log(Z)[0][paths.argmin(axis=0)]
        if self.beliefs.value is not None:
            mean, spread = self.beliefs.value
            sign = float(self._problem.signs[0])
            assert isinstance(self.scaling, Scaling)
            z = (self.scaling.inverse(paths.min(axis=0)) - sign * mean) / spread
            total += np.log((1.0 - mix) * np.exp(-0.5 * z * z) + mix)
        if self._pairs is not None:
            of_pairs = paths[-len(self._pairs) :]
            kept = of_pairs[::2] < of_pairs[1::2]
            total += (np.log(mix) + kept * (np.log(1.0 - mix) - np.log(mix))).sum(axis=0)
        return np.asarray(total - total.max())

    def _anchors(self, told: Told) -> tuple[Batch, int]:
        """Return the points at which functions are drawn, the best rows known first, and how many those are."""
        good = np.flatnonzero(~told.failed & (told.G <= 0).all(axis=1))
        best = good[np.argsort(told.F[good, 0], kind="stable")[:BEST]]
        space, rng = self._problem.space, self._rng
        near = told.X[rng.choice(best, AROUND)]
        parts = [told.X[best], self._repair.feasible_sample(SPREAD, rng)]
        parts += [space.neighbours(near, rng, s) for s in (0.02, 0.1)]
        if self.place:
            parts.append(self.place.sample(BELIEVED, rng))
        if not self._repair.trivial:
            parts[2:] = [self._repair.repair(part, rng) for part in parts[2:]]
        if self._pairs is not None:
            parts.append(self._pairs)
        return np.concatenate(parts), len(best)

    def _systematic(self, p: Floats) -> NDArray[np.int64]:
        """Draw KEPT indices by probabilities p, systematically (Kitagawa, 1996)."""
        at = (np.arange(KEPT) + self._rng.random()) / KEPT
        return np.asarray(np.minimum(np.searchsorted(np.cumsum(p), at), len(p) - 1))
