"""The models of a run: the objective, each constraint, and what fails; and the score of points under them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.bayes.acquisition import log_feasible
from optengine.solvers.bayes.basins import Basins
from optengine.solvers.bayes.design import n_initial
from optengine.solvers.bayes.fidelity import Below
from optengine.solvers.bayes.score import Score
from optengine.solvers.bayes.told import Told
from optengine.surrogates.features import Features
from optengine.surrogates.fidelity import FidelityFit, FidelityGP, FidelityHyper, Layout
from optengine.surrogates.fit import Fit, Prior
from optengine.surrogates.gp import GP, Hyper, Shape
from optengine.surrogates.outcomes import Scaling, constraint_scaling, objective_scaling

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.bayes.bo import BO

Floats = NDArray[np.float64]

EXACT = Prior(lengthscale=(0.0, 1.0), scale=(0.0, 1.0), noise=(-10.0, 2.0), least_noise=1e-8, most_noise=1e-1)
NOISY = Prior(lengthscale=(0.0, 1.0), scale=(0.0, 1.0), noise=(-4.0, 1.5), least_noise=1e-6, most_noise=2.0)
LABELS = Prior(noise=(-6.0, 1.0), least_noise=1e-4, most_noise=1.0)
FAILED, SUCCEEDED = 1.6, -0.4  # labels: half way between a failure and a success counts as likely to fail

COLD_ITERATIONS = 40
COLD_POINTS = 100  # of a first fit: hyperparameters of a subset start the fit to all
WARM_ITERATIONS, FEW_ITERATIONS = 12, 6  # of a fit that starts from the last one; of one to many values
EVERY_LARGE = 5  # values between fits beyond LARGE points
LARGE = 120
AGAIN, AGAIN_MOST = 10, 80  # values between fits from several starts, and up to how many of them
MOST_POINTS = 2000  # of a model: beyond, the best half and the latest half


@dataclass
class Part:
    """One model and what is kept of it between fits."""

    shape: Shape
    prior: Prior
    hyper: Hyper | None = None
    fitted: int = -(10**9)  # values known at the last fit
    restarted: int = -(10**9)  # and at the last one from several starts

    def fit(self, Z: Floats, y: Floats, noise: Floats | None, rng: Generator) -> GP:
        """Return the process conditioned on (Z, y), with hyperparameters fitted if it is time."""
        n = len(y)
        if self.hyper is None or n - self.fitted >= (1 if n <= LARGE else EVERY_LARGE) or n < self.fitted:
            self._refit(Z, y, noise, rng)
        assert self.hyper is not None
        return self._process(self.hyper, Z, y, noise)

    def _posterior(self, Z: Floats, y: Floats, noise: Floats | None) -> Fit:
        return Fit(self.shape, self.prior, Z, y, noise)

    def _process(self, hyper: Hyper, Z: Floats, y: Floats, noise: Floats | None) -> GP:
        return GP(self.shape, hyper, Z, y, noise)

    def _refit(self, Z: Floats, y: Floats, noise: Floats | None, rng: Generator) -> None:
        n = len(y)
        if self.hyper is None and n > COLD_POINTS:  # a subset shows where to start
            some = np.sort(rng.choice(n, COLD_POINTS, replace=False))
            self._anew(self._posterior(Z[some], y[some], None if noise is None else noise[some]), rng)
            self.restarted = n
        fit = self._posterior(Z, y, noise)
        if self.hyper is None or (n <= AGAIN_MOST and n - self.restarted >= AGAIN):
            self._anew(fit, rng)
            self.restarted = n
        else:
            iterations = WARM_ITERATIONS if n <= LARGE else FEW_ITERATIONS
            self.hyper = fit.maximum([fit.parameters(self.hyper)], iterations)[0]
        self.fitted = n

    def _anew(self, fit: Fit, rng: Generator) -> None:
        """Fit from several starts, among them what there is."""
        starts = [fit.usual(), fit.drawn(rng), fit.drawn(rng)]
        if self.hyper is not None:
            starts[-1] = fit.parameters(self.hyper)
        self.hyper = fit.maximum(starts, COLD_ITERATIONS)[0]


@dataclass
class LayeredPart(Part):
    """The model of an objective with fidelities."""

    layout: Layout | None = None

    def _posterior(self, Z: Floats, y: Floats, noise: Floats | None) -> Fit:
        assert self.layout is not None
        return FidelityFit(self.layout, self.prior, Z, y, noise)

    def _process(self, hyper: Hyper, Z: Floats, y: Floats, noise: Floats | None) -> GP:
        assert self.layout is not None
        assert isinstance(hyper, FidelityHyper)
        return FidelityGP(self.layout, hyper, Z, y, noise)


class Model:
    """Everything a run believes.

    Args:
        options, problem: of the run. features: of the space. rng: of fits and samples.
        below: cheap versions of the objective, if they are used.

    Attributes:
        main: the objective's process of the last ask. centres: rows told that are best by it, best first, where the
            values themselves do not say so because they are of several fidelities.
    """

    def __init__(
        self,
        options: BO,
        problem: Problem,
        features: Features,
        rng: Generator,
        below: Below | None = None,
    ) -> None:
        self._options, self.features, self._rng = options, features, rng
        self._n_first = 2 * n_initial(problem.space, options.n_initial)
        self.noisy = problem.noisy or bool(options.noise)
        self._sampled = options.acquisition == "qlognei" or (options.acquisition == "auto" and self.noisy)
        kernel = "matern52" if options.kernel == "auto" else options.kernel
        shape = Shape.of(features, kernel, options.warping)
        plain = Shape.of(features, kernel)
        prior = NOISY if self.noisy else EXACT
        self._layout = None if below is None else below.layout(plain)
        self.objective = (
            Part(shape, prior) if below is None else LayeredPart(plain, prior, layout=self._layout)
        )
        self.main: GP | None = None
        self.centres: NDArray[np.int64] | None = None
        self.constraints = [
            Part(plain, EXACT if not self.noisy else NOISY) for _ in range(problem.n_constraints)
        ]
        self.failure = Part(plain, LABELS)
        self.data: tuple[Floats, Floats, Floats | None] | None = None  # of the objective's last fit
        self.scaling: Scaling | None = None  # of its values

    @property
    def facts(self) -> dict[str, Any]:
        """What a result tells of the model beside its hyperparameters."""
        return {}

    def score(self, told: Told, confirming: bool = False) -> Score:
        """Fit what is due and return the score of points, given what is pending.

        With fidelities it is the score of points at the target; `confirming`: to improve on the best value told there,
        and else on the best of what the function may be there at the points told.
        """
        good = self._kept(told)
        Z, y = self.features.of(told.X[good]), told.F[good, 0]
        self.scaling = scaling = objective_scaling(y, max(self._n_first, int((~told.own[good]).sum())))
        noise = self._noise(told.noise[good, 0], y, scaling)
        self.main = main = self.objective.fit(Z, scaling(y), noise, self._rng)
        self.data = (Z, scaling(y), noise)
        limits, failing = self._limits(told, good, Z)
        feasible: NDArray[np.bool_] = np.asarray((told.G[good] <= 0).all(axis=1))
        pending = self.features.of(told.pending) if len(told.pending) else None
        sampled = self._sampled
        if self._layout is not None:
            exact = confirming & feasible & (self._layout.away(Z) == 0)
            sampled = self.noisy or not exact.any()
            self.centres = self._believed_best(main, Z, good, feasible)
            feasible = exact if exact.any() else feasible
            Z = self._layout.at_target(Z)
            pending = None if pending is None else self._layout.at_target(pending)
        score = self._conditioned(main, limits, scaling(y), feasible, Z, pending, sampled)
        return Score(score.main, score.limits, score.best, failing)

    def _limits(self, told: Told, good: NDArray[np.int64], Z: Floats) -> tuple[list[GP], bool]:
        """Return the processes of the constraints and, as the last one, of failures, and whether there are any."""
        limits = [
            part.fit(Z, constraint_scaling(told.G[good, i]), None, self._rng)
            for i, part in enumerate(self.constraints)
        ]
        failing = bool(told.failed.any())
        if failing:
            every = self.features.of(told.X)
            labels = np.where(told.failed, FAILED, SUCCEEDED)
            limits.append(self.failure.fit(every, labels, None, self._rng))
        return limits, failing

    def _kept(self, told: Told) -> NDArray[np.int64]:
        """Rows that the models are conditioned on: all that succeeded, or of very many the best and the latest."""
        good = np.flatnonzero(~told.failed)
        if len(good) > MOST_POINTS:
            best = good[np.argsort(told.F[good, 0], kind="stable")[: MOST_POINTS // 2]]
            good = np.union1d(best, good[-MOST_POINTS // 2 :])
        return good

    def _noise(self, reported: Floats, y: Floats, scaling: object) -> Floats | None:
        """Known variances of the noise on the model's scale, NaN where unknown; None: nothing is known."""
        deviation = np.where(np.isfinite(reported), reported, np.nan)
        if self._options.noise is not None:
            deviation = np.where(np.isfinite(deviation), deviation, self._options.noise)
        if np.isnan(deviation).all():
            return None
        variance = scaling.noise(y, deviation**2)  # type: ignore[attr-defined]
        return np.asarray(np.maximum(variance, 1e-8))

    def _conditioned(
        self,
        main: GP,
        limits: list[GP],
        y: Floats,
        feasible: NDArray[np.bool_],
        Z: Floats,
        pending: Floats | None,
        sampled: bool,
    ) -> Score:
        """Sample what is not known, the values behind noise and those still to come, and condition on it."""
        best = float(y[feasible].min()) if feasible.any() else None
        anchors = []
        noisy = sampled and best is not None
        if noisy:
            places = np.unique(Z[feasible], axis=0) if self._layout is not None else Z[feasible]
            believed = main.look(places)
            order = np.argsort(believed.mean[:, 0] - 0.5 * np.sqrt(believed.variance), kind="stable")
            anchors.append(places[order[:ANCHORS]])
        if pending is not None:
            anchors.append(pending)
        if not anchors:
            return Score(main, limits, None if best is None else np.array([best]))
        P = np.concatenate(anchors)
        mean, cov = main.joint(P)
        values, axes = np.linalg.eigh(0.5 * (cov + cov.T))
        root = axes * np.sqrt(np.maximum(values, 0.0))
        samples = mean[:, None] + root @ self._normals(len(P))
        main = main.extended(P, samples)
        if pending is not None:
            limits = [each.extended(pending, each.look(pending).mean) for each in limits]
        if best is None:
            return Score(main, limits, None)
        hopeful = samples if noisy else np.concatenate([np.full((1, samples.shape[1]), best), samples])
        if (
            limits and pending is not None
        ):  # a pending point counts as the best only if it is likely to be allowed
            chance = np.zeros(len(pending))
            for each in limits:
                look = each.look(pending)
                chance += log_feasible(look.mean[:, 0], look.variance)[0]
            hopeful = np.concatenate([hopeful[: -len(pending)], hopeful[-len(pending) :][chance > -0.7]])
        return Score(main, limits, hopeful.min(axis=0))

    @staticmethod
    def _believed_best(
        main: GP, Z: Floats, good: NDArray[np.int64], feasible: NDArray[np.bool_]
    ) -> NDArray[np.int64]:
        """Rows told, those first whose values at the target are believed to be low, feasible ones before all others."""
        return np.asarray(good[np.lexsort((main.look(Z).mean[:, 0], ~feasible))])

    def basins(self, told: Told) -> Basins:
        """Return what is needed to leave the places that are exhausted; after `score`."""
        return Basins(self, told)

    def _normals(self, p: int) -> Floats:
        """Return (p, n_samples) standard normals, half of them the others' opposites."""
        s = self._options.n_samples
        half = self._rng.standard_normal((p, (s + 1) // 2))
        return np.concatenate([half, -half], axis=1)[:, :s]


ANCHORS = 12  # evaluated points whose true value may be the best, where values are noisy
