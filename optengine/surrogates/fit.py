"""Hyperparameters by maximum a posteriori, with analytic gradients.

The prior of the lengthscales grows with the dimension (Hvarfner, Hellsten and Nardi, Vanilla Bayesian optimization
performs great in high dimensions, ICML 2024, arXiv:2402.02229): log l ~ N(sqrt(2) + log(d) / 2, 3). Fits start from
where the last one ended, and now and then from further points as well: the likelihood has several modes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotri, dpotrs

from optengine.kernels.gp_pairs import MATERN52, RBF, covariances, inner, point_pulls, pulls
from optengine.surrogates.gp import EDGE, Hyper, Shape, factor, noises, warp, warp_slope

Floats = NDArray[np.float64]

LARGEST = 1e25  # value of the objective where the covariance cannot be factorised
WIDE = 1e3  # lengthscales in the unit cube beyond which a column is as good as absent


@dataclass(frozen=True)
class Prior:
    """Normal priors of the logarithms: (mean, standard deviation) each.

    Attributes:
        lengthscale: of numbers, before half the log of the number of groups is added; level: of categories.
        scale: of the variance of the function; None: fixed at 1. noise: of the variance of the noise; None: fixed.
        least_noise, most_noise: bounds of the noise's variance. least_length: of lengthscales.
        mix: of the logit of the weight of the sum. warp: of the exponents.
    """

    lengthscale: tuple[float, float] = (math.sqrt(2.0), math.sqrt(3.0))
    level: tuple[float, float] = (0.0, 1.0)
    scale: tuple[float, float] | None = None
    noise: tuple[float, float] | None = (-4.0, 1.0)
    least_noise: float = 1e-7
    most_noise: float = 2.0
    least_length: float = 0.02
    mix: tuple[float, float] = (0.0, 1.0)
    warp: tuple[float, float] = (0.0, 0.5)


class Fit:
    """The log posterior of the hyperparameters of one model on one set of data, and its maximum.

    Args:
        shape: of the model. prior: of its hyperparameters.
        Z: (n, f) features. y: (n,) targets, about standard. noise: (n,) known variances, NaN where unknown.
        fixed_noise: variance of the noise where the prior leaves it fixed.
    """

    def __init__(
        self,
        shape: Shape,
        prior: Prior,
        Z: Floats,
        y: Floats,
        noise: Floats | None = None,
        fixed_noise: float = 1e-6,
    ) -> None:
        self.shape, self.prior, self.Z, self.y, self.noise = shape, prior, Z, y, noise
        self.fixed_noise = fixed_noise
        g, w = shape.n_groups, len(shape.warped)
        level = np.zeros(g, dtype=bool)
        level[shape.groups[shape.levels]] = True
        growth = 0.5 * math.log(max(g, 1))
        means = [np.where(level, prior.level[0], prior.lengthscale[0]) + growth]
        spreads = [np.where(level, prior.level[1], prior.lengthscale[1])]
        low, high = [np.full(g, math.log(prior.least_length))], [np.full(g, math.log(WIDE))]

        def add(k: int, normal: tuple[float, float], bounds: tuple[float, float]) -> slice:
            start = sum(len(m) for m in means)
            for parts, value in zip((means, spreads, low, high), (*normal, *bounds), strict=True):
                parts.append(np.full(k, value))
            return slice(start, start + k)

        fitted = prior.noise is not None and (noise is None or bool(np.isnan(noise).any()))
        self._noise = (
            add(1, prior.noise, (math.log(prior.least_noise), math.log(prior.most_noise)))
            if fitted and prior.noise is not None
            else None
        )
        self._scale = add(1, prior.scale, (-7.0, 7.0)) if prior.scale is not None else None
        self._mix = add(1, prior.mix, (-6.0, 6.0)) if shape.mixed else None
        self._warp = add(2 * w, prior.warp, (-1.6, 1.6)) if w else None
        self.means, self.spreads = np.concatenate(means), np.concatenate(spreads)
        self.low, self.high = np.concatenate(low), np.concatenate(high)
        self.n_looks = 0

    # -- parameters --------------------------------------------------------------------------------------------

    def hyper(self, t: Floats) -> Hyper:
        """Return the hyperparameters behind a vector of parameters (logarithms and a logit)."""
        return Hyper(
            lengthscales=np.exp(t[: self.shape.n_groups]),
            scale=1.0 if self._scale is None else float(np.exp(t[self._scale][0])),
            noise=self.fixed_noise if self._noise is None else float(np.exp(t[self._noise][0])),
            mix=0.0 if self._mix is None else float(1.0 / (1.0 + np.exp(-t[self._mix][0]))),
            warp=None if self._warp is None else np.exp(t[self._warp]).reshape(2, -1),
        )

    def parameters(self, hyper: Hyper) -> Floats:
        """Return the vector of parameters of `hyper`, inside the bounds."""
        t = self.means.copy()
        t[: self.shape.n_groups] = np.log(hyper.lengthscales)
        if self._noise is not None:
            t[self._noise] = math.log(hyper.noise)
        if self._scale is not None:
            t[self._scale] = math.log(hyper.scale)
        if self._mix is not None:
            mix = min(max(hyper.mix, 1e-6), 1 - 1e-6)
            t[self._mix] = math.log(mix / (1.0 - mix))
        if self._warp is not None and hyper.warp is not None:
            t[self._warp] = np.log(hyper.warp).ravel()
        return np.asarray(np.clip(t, self.low, self.high))

    def usual(self) -> Floats:
        """Return parameters to start from where nothing is known: lengthscales of half the cube a dimension."""
        t = self.means.copy()
        g = self.shape.n_groups
        t[:g] = math.log(0.5 * math.sqrt(max(g, 1)))
        return np.asarray(np.clip(t, self.low, self.high))

    def drawn(self, rng: Generator) -> Floats:
        """Return parameters around the usual ones."""
        t = self.usual() + rng.normal(size=len(self.means)) * np.minimum(self.spreads, 1.0)
        return np.asarray(np.clip(t, self.low, self.high))

    # -- the posterior -----------------------------------------------------------------------------------------

    def objective(self, t: Floats) -> tuple[float, Floats]:
        """Return minus the log posterior at parameters t, up to a constant, and its gradient."""
        self.n_looks += 1
        shape, hyper, n = self.shape, self.hyper(t), len(self.y)
        A = warp(shape, hyper, self.Z) / hyper.lengthscales[shape.groups]
        numbers = np.ascontiguousarray(A[:, ~shape.levels]) if shape.mixed else A
        levels = np.ascontiguousarray(A[:, shape.levels]) if shape.mixed else A
        code = MATERN52 if shape.covariance == "matern52" else RBF
        K, slope_a, slope_b, by_mix = covariances(numbers, levels, code, hyper.scale, hyper.mix, shape.mixed)
        noisy = K.copy()
        noisy.flat[:: n + 1] += noises(hyper, self.noise, n)
        try:
            L = factor(noisy, hyper.scale)
        except np.linalg.LinAlgError:
            return LARGEST, np.zeros_like(t)
        both = dpotrs(L, np.stack([np.ones(n), self.y], axis=1), lower=1)[0]
        mean = float(both[:, 1].sum()) / max(float(both[:, 0].sum()), 1e-300)
        residual, alpha = self.y - mean, both[:, 1] - mean * both[:, 0]
        P = dpotri(L.T, lower=0)[0].T  # lower triangle of the inverse
        P = np.ascontiguousarray(P)
        away = (t - self.means) / self.spreads
        value = 0.5 * float(residual @ alpha) + float(np.log(np.diag(L)).sum()) + 0.5 * float(away @ away)
        gradient = np.zeros_like(t)
        by_feature = np.empty(A.shape[1])
        if shape.mixed:
            by_feature[~shape.levels] = pulls(numbers, slope_a, P, alpha)
            by_feature[shape.levels] = pulls(levels, slope_b, P, alpha)
        else:
            by_feature = pulls(A, slope_a, P, alpha)
        gradient[: shape.n_groups] = np.bincount(shape.groups, -2.0 * by_feature, shape.n_groups)
        if self._noise is not None:
            mine = np.ones(n, dtype=bool) if self.noise is None else ~np.isfinite(self.noise)
            gradient[self._noise] = 0.5 * hyper.noise * float((alpha**2 - np.diag(P))[mine].sum())
        if self._scale is not None:
            gradient[self._scale] = 0.5 * inner(K, P, alpha)
        if self._mix is not None:
            gradient[self._mix] = 0.5 * inner(by_mix, P, alpha) * hyper.mix * (1.0 - hyper.mix)
        if self._warp is not None:
            gradient[self._warp] = self._by_warp(hyper, A, slope_a, P, alpha)
        return value, away / self.spreads - gradient

    def _by_warp(self, hyper: Hyper, A: Floats, slope: Floats, P: Floats, alpha: Floats) -> Floats:
        """Return the derivatives of the log likelihood by the logarithms of the warping's exponents."""
        shape = self.shape
        assert hyper.warp is not None
        per = hyper.lengthscales[shape.groups[shape.warped]]
        pull = 2.0 * point_pulls(np.ascontiguousarray(A[:, shape.warped]), slope, P, alpha) / per
        a, b = hyper.warp
        u = np.clip(self.Z[:, shape.warped], EDGE, 1 - EDGE)
        rest = 1.0 - u**a
        by_log_a = (
            warp_slope(shape, hyper, self.Z)[:, shape.warped] * u * np.log(u)
        )  # a dz/da = u log(u) dz/du
        by_log_b = -b * rest**b * np.log(rest)
        return np.concatenate([(pull * by_log_a).sum(axis=0), (pull * by_log_b).sum(axis=0)])

    def maximum(self, starts: Sequence[Floats], n_iterations: int = 30) -> tuple[Hyper, float]:
        """Return the best hyperparameters found from `starts`, and minus their log posterior."""
        from scipy.optimize import minimize  # slow to import

        best, least = np.clip(starts[0], self.low, self.high), math.inf
        bounds = list(zip(self.low, self.high, strict=True))
        for start in starts:
            found = minimize(
                self.objective,
                np.clip(start, self.low, self.high),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                options={"maxiter": n_iterations, "maxcor": 10},
            )
            if np.isfinite(found.fun) and found.fun < least:
                best, least = np.asarray(found.x), float(found.fun)
        return self.hyper(best), least
