"""CONFIG: lower confidence bounds of the objective under lower confidence bounds of the constraints.

Xu, Jiang, Svetozarevic and Jones, Constrained efficient global optimization of expensive black-box functions, ICML
2023, arXiv:2211.00162: with LCB = mean - b sigma of each process, ask argmin LCB_f subject to LCB_g <= 0; where no
point satisfies that, the problem is infeasible as far as the bounds hold. Hyperparameters are fitted, which the theory
does not know: a declaration takes `PATIENCE` asks in a row, with values told in between and hyperparameters fitted
anew, `VALUES` values a column or more, and must hold for constraints that vary `MARGIN` times faster than fitted.
A declaration is no proof: a region narrower than the gaps between the values, which nothing told hints at, is missed.

The point asked lies where a constraint's bound is 0, so its mean is above 0 there: what CONFIG evaluates at an active
constraint is hardly ever feasible. Once something is, every second point therefore settles: it minimises the
objective's bound of one standard deviation where the constraints' means plus one are below 0. Not in the paper.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.solver import StopAsking
from optengine.core.space import Batch
from optengine.solvers.bayes.model import Model
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.search import Searcher
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.gp import GP

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

SETTLED = 1.0  # standard deviations of the points that settle
PATIENCE = 3  # declarations in a row
VALUES, FEWEST = 5, 13  # told for each free column, and at least, before infeasibility is declared
TOLERANCE = 1e-3  # by which a bound must exceed 0, in standard deviations of the constraint's values
MARGIN = 3.0  # by which fitted lengthscales of constraints may be too long where infeasibility is declared
PENALTY = 30.0  # of a bound that exceeds 0, in standard deviations of the objective
SMOOTH = 0.02  # temperature of the largest bound where it is minimised


class ConfigScore(Score):
    """Minus the objective's lower bound, less a penalty for each constraint's lower bound above 0.

    Args:
        main, limits, failing: as of `Score`. confidence: b, standard deviations below the mean.
        known: whether something feasible is known.
        objective_confidence: b of the objective where that is another one.
    """

    def __init__(
        self,
        main: GP,
        limits: list[GP],
        confidence: float,
        known: bool,
        failing: bool,
        objective_confidence: float | None = None,
    ) -> None:
        super().__init__(main, limits, None, failing)
        self._failures = Score(main, limits[-1:], None, True) if failing else None
        self.constraints = limits[: len(limits) - failing]
        self.confidence, self.known = confidence, known
        self._of_objective = confidence if objective_confidence is None else objective_confidence

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        total: Floats = -self._bound(self.main, Z, self._of_objective)
        total -= PENALTY * np.maximum(self.bounds(Z), 0.0).sum(axis=1)
        return total if self._failures is None else total + self._failures(Z)

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        value, slope = self._bound_slope(self.main, Z, self._of_objective)
        total, gradient = -value, -slope
        for limit in self.constraints:
            value, slope = self._bound_slope(limit, Z, self.confidence)
            total -= PENALTY * np.maximum(value, 0.0)
            gradient -= PENALTY * (value > 0)[:, None] * slope
        if self._failures is not None:
            value, slope = self._failures.with_gradient(Z)
            total, gradient = total + value, gradient + slope
        return total, gradient

    def cautious(self) -> ConfigScore:
        """Return the score whose constraints vary MARGIN times faster than fitted, and no less than their values do."""
        limits = []
        for limit in self.limits:
            hyper = limit.hyper
            hyper = replace(hyper, lengthscales=hyper.lengthscales / MARGIN, scale=max(hyper.scale, 1.0))
            limits.append(
                GP(limit.shape, hyper, limit.A * limit.hyper.lengthscales[limit.shape.groups], limit.Y)
            )
        return ConfigScore(self.main, limits, self.confidence, self.known, self.failing)

    def bounds(self, Z: Floats) -> Floats:
        """Return the lower bound of each constraint (m, constraints) at features Z (m, f)."""
        parts = [self._bound(limit, Z, self.confidence) for limit in self.constraints]
        return np.stack(parts, axis=1) if parts else np.zeros((len(Z), 0))

    @staticmethod
    def _bound(process: GP, Z: Floats, confidence: float) -> Floats:
        look = process.look(Z)
        return np.asarray(look.mean.mean(axis=1) - confidence * np.sqrt(look.variance))

    @staticmethod
    def _bound_slope(process: GP, Z: Floats, confidence: float) -> tuple[Floats, Floats]:
        look = process.look(Z, slopes=True)
        sigma = np.sqrt(look.variance)
        by_mean = np.full(look.mean.shape, 1.0 / look.mean.shape[1])
        gradient = process.backward(look, by_mean, -0.5 * confidence / sigma)
        return look.mean.mean(axis=1) - confidence * sigma, gradient


class LeastBound(ConfigScore):
    """Minus the largest lower bound of a constraint, smoothed: where it is largest, the problem may be feasible."""

    def __init__(self, score: ConfigScore) -> None:
        super().__init__(score.main, score.limits, score.confidence, score.known, score.failing)

    def __call__(self, Z: Floats) -> Floats:
        """Return the score (m,) of features Z (m, f)."""
        bounds = self.bounds(Z)
        top = bounds.max(axis=1)
        return np.asarray(-top - SMOOTH * np.log(np.exp((bounds - top[:, None]) / SMOOTH).sum(axis=1)))

    def with_gradient(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the score (m,) and its gradient by features (m, f)."""
        pairs = [self._bound_slope(limit, Z, self.confidence) for limit in self.constraints]
        bounds = np.stack([value for value, _ in pairs], axis=1)
        top = bounds.max(axis=1)
        weights = np.exp((bounds - top[:, None]) / SMOOTH)
        total = weights.sum(axis=1)
        gradient = sum((w / total)[:, None] * slope for w, (_, slope) in zip(weights.T, pairs, strict=True))
        return -top - SMOOTH * np.log(total), -np.asarray(gradient)


class ConfigModel(Model):
    """Everything a run of CONFIG believes; arguments as of `Model`.

    Attributes:
        certificate: where the largest lower bound of a constraint is least, if that is above 0.
    """

    def __init__(self, options: BO, problem: Problem, features: Features, rng: Generator) -> None:
        super().__init__(options, problem, features, rng)
        self._space, self._confidence = problem.space, float(options.confidence)
        columns = int((problem.space.lower < problem.space.upper).sum())
        self._least = max(VALUES * columns, FEWEST)
        self.certificate: dict[str, Any] | None = None
        self._row, self._at = 0, -1  # declarations in a row; values known at the last one

    @property
    def facts(self) -> dict[str, Any]:
        """The certificate of infeasibility, once it has been declared."""
        declared = self.certificate is not None and self._row >= PATIENCE
        return {"certificate": self.certificate} if declared else {}

    def score(self, told: Told, confirming: bool = False) -> ConfigScore:
        """Fit what is due and return the score of points, given what is pending."""
        score = super().score(told, confirming)
        known = bool((~told.failed & (told.G <= 0).all(axis=1)).any())
        if known and self.constraints and len(told) % 2:
            return ConfigScore(score.main, score.limits, -SETTLED, True, score.failing, SETTLED)
        return ConfigScore(score.main, score.limits, self._confidence, known, score.failing)

    def allowed(self, score: ConfigScore, X: Batch, searcher: Searcher, told: Told) -> Batch:
        """Return the rows of X (k, width) within the bounds, or where the bounds are least; may end the run.

        Raises:
            StopAsking: no point is within the bounds, for the third time in a row.
        """
        if not score.constraints:
            return X
        if len(X):
            worst = score.bounds(self.features.of(X)).max(axis=1)
            inside = worst <= TOLERANCE
            if inside.any() or score.known:
                self._row = 0
                return np.concatenate([X[inside], X[~inside]])
        Y = searcher.best(LeastBound(score.cautious()), told, None, None)[0]
        self.judge(score, Y[0], told)
        return Y

    def judge(self, score: ConfigScore, row: Batch, told: Told) -> None:
        """Note what the row (width,) of the least bound says of the whole space.

        Raises:
            StopAsking: its bound was above 0 for the third time in a row.
        """
        bound = float(score.cautious().bounds(self.features.of(row[None, :])).max())
        if bound <= TOLERANCE or score.known:
            self._row = 0
        elif self._at != len(told) and len(told) > self._least - PATIENCE:
            self._row += 1
            self._at = len(told)
            x = self._space.decode_one(row)
            self.certificate = {"x": x, "bound": bound, "confidence": self._confidence, "values": len(told)}
        if self._row >= PATIENCE:
            raise StopAsking(
                f"no point keeps the constraints: at the most hopeful one the largest lower bound "
                f"({self._confidence:g} standard deviations) is {bound:.3g} > 0",
                infeasible=True,
            )
