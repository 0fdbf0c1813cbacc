"""Posterior mean of a Gaussian process with a quadratic trend, chosen by how well it extrapolates.

Rasmussen and Williams, Gaussian processes for machine learning, 2006, chapter 2: covariance
exp(-|z - z'|^2 / 2l^2) + t q(z) q(z')^T with q the standardised coordinates and their squares, a constant mean by
generalised least squares, and noise. With few hyperparameters shared by all features there is nothing to fit but a
choice, and half of it is made for the purpose: fit the low three quarters of y and rank the rest (Spearman), since
proposals are to lie above the data; the other half is how random rows left out are ranked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from optengine.kernels.rbf_sums import rbf_gram, rbf_sums

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LENGTHSCALES = (0.15, 0.22, 0.33, 0.5, 0.8)  # in units of the diagonal of the features' box
NOISES = (1e-3, 1e-2, 1e-1)
TRENDS = (0.0, 1.0)
JITTERS = (0.0, 1e-8, 1e-6, 1e-4, 1e-2)


@dataclass(frozen=True)
class Setting:
    """Hyperparameters, in units of the targets' variance.

    Attributes:
        lengthscale: as a share of the diagonal of the features' box. noise: variance.
        trend: variance of the weights of the quadratic trend; 0: none.
    """

    lengthscale: float
    noise: float
    trend: float = 0.0


class Quadratic:
    """The trend's features: coordinates that vary, standardised, and their squares where they take over two values."""

    def __init__(self, Z: Floats) -> None:
        self._centre, spread = Z.mean(axis=0), Z.std(axis=0)
        self._kept = np.flatnonzero(spread > 1e-9)
        self._centre, self._spread = self._centre[self._kept], spread[self._kept]
        first = (Z[:, self._kept] - self._centre) / self._spread
        self._curved = np.flatnonzero((first**2).std(axis=0) > 1e-9)

    def of(self, Z: Floats) -> Floats:
        """Return the features (m, q) of Z (m, f)."""
        first = (Z[:, self._kept] - self._centre) / self._spread
        return np.concatenate([first, first[:, self._curved] ** 2 - 1.0], axis=1)

    def slope(self, Z: Floats, weights: Floats) -> Floats:
        """Return the gradient (m, f) of the features' sum with weights (q,)."""
        k, gradient = len(self._kept), np.zeros_like(Z)
        first = (Z[:, self._kept] - self._centre) / self._spread
        part = np.broadcast_to(weights[:k], first.shape).copy()
        part[:, self._curved] += 2.0 * first[:, self._curved] * weights[k:]
        gradient[:, self._kept] = part / self._spread
        return gradient


class Posterior:
    """A Gaussian process with given settings, conditioned on data.

    Args:
        Z: (n, f) features. y: (n,) targets of about unit variance. setting: hyperparameters.
        length: unit of the lengthscale; default the diagonal of the features' box.
    """

    def __init__(self, Z: Floats, y: Floats, setting: Setting, length: float | None = None) -> None:
        self.setting = setting
        length = diagonal(Z) if length is None else length
        self._scale = 1.0 / (setting.lengthscale * length)
        self._A = Z * self._scale
        self._quadratic = Quadratic(Z) if setting.trend else None
        K = rbf_gram(self._A, self._A)
        P = np.empty((len(Z), 0))
        if self._quadratic is not None:
            P = self._quadratic.of(Z)
            K += setting.trend * (P @ P.T)
        self._P = P
        K.flat[:: len(K) + 1] += setting.noise
        self._L = _factor(K)
        ones, alpha = self._solve(np.ones(len(y))), self._solve(y)
        self._mean = float(alpha.sum() / ones.sum())
        self._alpha = alpha - self._mean * ones
        self._weights = setting.trend * (P.T @ self._alpha)

    def _solve(self, y: Floats) -> Floats:
        x, _ = dpotrs(self._L, y, lower=1)
        return np.asarray(x, dtype=np.float64)

    def mean(self, Z: Floats) -> Floats:
        """Return the posterior mean (m,) at Z (m, f)."""
        value: Floats = rbf_gram(Z * self._scale, self._A) @ self._alpha + self._mean
        if self._quadratic is not None:
            value += self._quadratic.of(Z) @ self._weights
        return value

    def slope(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return the posterior mean (m,) and its gradient (m, f)."""
        value, gradient = rbf_sums(Z * self._scale, self._A, self._alpha)
        value, gradient = value + self._mean, gradient * self._scale
        if self._quadratic is not None:
            value += self._quadratic.of(Z) @ self._weights
            gradient += self._quadratic.slope(Z, self._weights)
        return value, gradient

    def deviation(self, Z: Floats) -> Floats:
        """Return the posterior standard deviation (m,) of the function at Z (m, f)."""
        K = rbf_gram(Z * self._scale, self._A)
        prior = np.ones(len(Z))
        if self._quadratic is not None:
            Q = self._quadratic.of(Z)
            K += self.setting.trend * (Q @ self._P.T)
            prior += self.setting.trend * (Q * Q).sum(axis=1)
        explained = (K * np.asarray(dpotrs(self._L, K.T, lower=1)[0]).T).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(prior - explained, 0.0)))


def diagonal(Z: Floats) -> float:
    """Return the length of the diagonal of the smallest box around the rows of Z, 1 where they are one point."""
    return float(np.sqrt((np.ptp(Z, axis=0) ** 2).sum())) or 1.0


def _factor(K: Floats) -> Floats:
    """Return the lower Cholesky factor of K (n, n), with the least jitter that lets it succeed."""
    size = float(K.flat[:: len(K) + 1].mean())
    for jitter in JITTERS:
        A = np.asfortranarray(K.T) if jitter == 0.0 else np.asfortranarray(K)
        A.flat[:: len(A) + 1] += jitter * size
        L, info = dpotrf(A, lower=1, clean=0, overwrite_a=0)
        if info == 0:
            return np.asarray(L)
    raise np.linalg.LinAlgError("covariance matrix is not positive definite")


# -- choosing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Trial:
    """A setting and how it ranks rows that it was not fitted to (Spearman).

    Attributes:
        extrapolation: of the highest quarter of y, fitted to rows of the others. holdout: of random rows, fitted to
            others.
    """

    setting: Setting
    extrapolation: float
    holdout: float

    @property
    def merit(self) -> float:
        """Mean of the two: where nothing extrapolates, what interpolates best is taken."""
        return 0.5 * (self.extrapolation + self.holdout)


def grid() -> list[Setting]:
    """The settings that `try_settings` tries by default."""
    return [Setting(length, noise, trend) for length in LENGTHSCALES for noise in NOISES for trend in TRENDS]


def spread_rows(y: Floats, n: int, rng: Generator) -> Ints:
    """Return at most n rows: the highest half of that number, and a random half of the others."""
    if len(y) <= n:
        return np.arange(len(y))
    order = np.argsort(-y, kind="stable")
    rest = rng.choice(order[n - n // 2 :], n // 2, replace=False)
    return np.sort(np.concatenate([order[: n - n // 2], rest]))


def try_settings(
    Z: Floats, y: Floats, rng: Generator, settings: Sequence[Setting] | None = None, most: int = 600
) -> list[Trial]:
    """Try settings on rows left out, high ones and random ones; best merit first.

    Args:
        Z: (n, f) features. y: (n,) standardised targets, maximised. rng: draws the rows.
        settings: default `grid()`. most: rows fitted to, and rows ranked.
    """
    order = np.argsort(y, kind="stable")
    cut = max(4, math.floor(0.75 * len(y)))
    splits = [(order[:cut], order[cut:])]
    mixed = rng.permutation(len(y))
    splits.append((mixed[:cut], mixed[cut:]))
    drawn = [
        tuple(rng.choice(part, min(most, len(part)), replace=False) for part in split) for split in splits
    ]
    length, trials = diagonal(Z), []
    for setting in settings or grid():
        found = []
        for fitted, left in drawn:
            try:
                model = Posterior(Z[fitted], y[fitted], setting, length)
                found.append(spearman(model.mean(Z[left]), y[left]))
            except np.linalg.LinAlgError:
                found.append(-1.0)
        trials.append(Trial(setting, found[0], found[1]))
    return sorted(trials, key=lambda t: -t.merit)


def spearman(a: Floats, b: Floats) -> float:
    """Return the rank correlation of two samples (n,); 0 where one of them is constant."""
    ra, rb = _ranks(a), _ranks(b)
    size = math.sqrt(float(ra @ ra) * float(rb @ rb))
    return float(ra @ rb) / size if size > 0 else 0.0


def _ranks(a: Floats) -> Floats:
    """Centred ranks (n,), equal values sharing their mean rank; scipy.stats takes a second to load."""
    _, place, count = np.unique(a, return_inverse=True, return_counts=True)
    ranks: Floats = (np.cumsum(count) - 0.5 * (count - 1))[place.reshape(-1)]
    ranks -= ranks.mean()
    return ranks
