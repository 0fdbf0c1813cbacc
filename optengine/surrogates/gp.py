"""Exact Gaussian process regression on features, without torch.

Rasmussen and Williams, Gaussian processes for machine learning, 2006, chapters 2 and 5. With a lengthscale a group of
features, a constant mean (profiled out by generalised least squares), and noise:

    mean(z) = m + k(z, Z) (K + noise)^-1 (y - m),    variance(z) = k(z, z) - k(z, Z) (K + noise)^-1 k(Z, z).

Between numbers and categories the covariance is (1 - mix) k_numbers k_levels + mix (k_numbers + k_levels) / 2 (Ru et
al., ICML 2020, arXiv:1906.08878). Numbers may pass through Kumaraswamy distributions (Snoek et al., 2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dtrtri

from optengine.kernels.gp import COVARIANCES, squared_distances
from optengine.surrogates.features import LEVEL, NUMBER, Features

Floats = NDArray[np.float64]
JITTERS = (
    0.0,
    1e-10,
    1e-8,
    1e-6,
    1e-4,
    1e-2,
)  # relative to the scale, tried until the factorisation succeeds
EDGE = 1e-9  # warped coordinates keep this distance from 0 and 1, where the warping has no derivative


@dataclass(frozen=True)
class Shape:
    """What is settled before any hyperparameter.

    Attributes:
        groups: (f,) group of each feature; n_groups. levels: (f,) whether a feature is one of a category.
        warped: places of the features that pass through the warping. covariance: "rbf" or "matern52".
        mixed: whether sums and products of numbers and categories are mixed.
    """

    groups: NDArray[np.int64]
    n_groups: int
    levels: NDArray[np.bool_]
    warped: NDArray[np.int64]
    covariance: str = "matern52"
    mixed: bool = False

    @staticmethod
    def of(features: Features, covariance: str = "matern52", warping: bool = False) -> Shape:
        """Return the shape of a model on `features`."""
        levels = features.kind == LEVEL
        return Shape(
            features.groups,
            features.n_groups,
            levels,
            np.flatnonzero(features.kind == NUMBER) if warping else np.empty(0, dtype=np.int64),
            covariance,
            bool(levels.any() and not levels.all()),
        )


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters.

    Attributes:
        lengthscales: (n_groups,) > 0. scale: variance of the function. noise: variance of the noise.
        mix: weight of the sum beside the product, in [0, 1]. warp: (2, w) exponents a and b of the warping.
    """

    lengthscales: Floats
    scale: float = 1.0
    noise: float = 1e-6
    mix: float = 0.0
    warp: Floats | None = None


def warp(shape: Shape, hyper: Hyper, Z: Floats) -> Floats:
    """Return features (m, f) after the warping u -> 1 - (1 - u^a)^b of their numbers."""
    if hyper.warp is None or not len(shape.warped):
        return Z
    Z = Z.copy()
    u = np.clip(Z[:, shape.warped], EDGE, 1 - EDGE)
    Z[:, shape.warped] = 1.0 - (1.0 - u ** hyper.warp[0]) ** hyper.warp[1]
    return Z


def warp_slope(shape: Shape, hyper: Hyper, Z: Floats) -> Floats:
    """Return (m, f) the derivative of each warped feature by itself."""
    slope = np.ones_like(Z)
    if hyper.warp is not None and len(shape.warped):
        a, b = hyper.warp
        u = np.clip(Z[:, shape.warped], EDGE, 1 - EDGE)
        slope[:, shape.warped] = a * b * u ** (a - 1) * (1.0 - u**a) ** (b - 1)
    return slope


def covariance(
    shape: Shape, hyper: Hyper, A: Floats, B: Floats, slopes: bool = False
) -> tuple[Floats, Floats | None, Floats | None, tuple[Floats, Floats] | None]:
    """Covariances (n, m) of warped features divided by their lengthscales, A (n, f) and B (m, f).

    Returns the covariance, its derivatives by the squared distances over numbers and over levels (None where not asked
    for or there are none of them), and the two factors where they are mixed.
    """
    k = COVARIANCES[shape.covariance]
    s = hyper.scale
    if not shape.mixed:
        K, slope = k(squared_distances(A, B))
        return s * K, (s * slope if slopes else None), None, None
    numbers = ~shape.levels
    Ka, slope_a = k(squared_distances(A[:, numbers], B[:, numbers]))
    Kb, slope_b = k(squared_distances(A[:, shape.levels], B[:, shape.levels]))
    product, half = s * (1.0 - hyper.mix), 0.5 * s * hyper.mix
    K = product * Ka * Kb + half * (Ka + Kb)
    if not slopes:
        return K, None, None, None
    return K, slope_a * (product * Kb + half), slope_b * (product * Ka + half), (Ka, Kb)


def factor(K: Floats, scale: float) -> Floats:
    """Return the lower Cholesky factor of K (n, n), with the least jitter that lets it succeed.

    Raises:
        np.linalg.LinAlgError: K is not positive definite with the largest jitter either, or not finite.
    """
    for jitter in JITTERS:
        A = K.copy()
        if jitter:
            A.flat[:: len(A) + 1] += jitter * scale
        L, info = dpotrf(A, lower=1, clean=1, overwrite_a=1)
        if info == 0 and np.isfinite(L[-1, -1] if len(L) else 0.0):
            return np.ascontiguousarray(L)
    raise np.linalg.LinAlgError("covariance matrix is not positive definite")


def inverse_factor(L: Floats) -> Floats:
    """Return the inverse of a lower triangular matrix (n, n)."""
    if not len(L):
        return L
    inverse, info = dtrtri(L, lower=1)
    if info:
        raise np.linalg.LinAlgError("triangular matrix is singular")
    return np.ascontiguousarray(inverse)


@dataclass
class Look:
    """What `GP.look` computed at some points, and `GP.backward` needs.

    Attributes:
        mean: (m, s) one column a vector of targets. variance: (m,) of the function, without noise, >= 0.
    """

    mean: Floats
    variance: Floats
    Z: Floats
    A: Floats
    V: Floats
    slope_a: Floats | None
    slope_b: Floats | None


class GP:
    """A Gaussian process with given hyperparameters, conditioned on data.

    Args:
        shape, hyper: of the covariance.
        Z: (n, f) features. y: (n,) or (n, s) targets, s of them at once.
        noise: (n,) variance of each value in place of `hyper.noise`, NaN where that holds.
        mean: constant mean (s,); None: by generalised least squares.
    """

    loads: Floats | None = None  # (n,) factors of the covariances with each row; None: 1 (see `fidelity`)

    def __init__(
        self,
        shape: Shape,
        hyper: Hyper,
        Z: Floats,
        y: Floats,
        noise: Floats | None = None,
        mean: Floats | float | None = None,
    ) -> None:
        self.shape, self.hyper = shape, hyper
        self._per = hyper.lengthscales[shape.groups]
        self.A = warp(shape, hyper, Z) / self._per
        self.Y = y[:, None] if y.ndim == 1 else y
        K = covariance(shape, hyper, self.A, self.A)[0]
        K.flat[:: len(K) + 1] += noises(hyper, noise, len(K))
        self.L = factor(K, hyper.scale)
        self.inverse = inverse_factor(self.L)
        self._settle(mean)

    def _settle(self, mean: Floats | float | None) -> None:
        """Compute mean and weights from the inverse factor."""
        ones = self.inverse.sum(axis=1) if self.loads is None else self.inverse @ self.loads  # L^-1 1
        T = self.inverse @ self.Y
        if mean is None:
            mean = ones @ T / max(float(ones @ ones), 1e-300) if len(ones) else np.zeros(self.Y.shape[1])
        self.mean: Floats = np.broadcast_to(np.asarray(mean, dtype=np.float64), (self.Y.shape[1],))
        self.weights = self.inverse.T @ (T - ones[:, None] * self.mean)  # (n, s)

    def __len__(self) -> int:
        return len(self.A)

    def look(self, Z: Floats, slopes: bool = False) -> Look:
        """Predict at features Z (m, f); `slopes` prepares `backward`."""
        A = warp(self.shape, self.hyper, Z) / self._per
        K, slope_a, slope_b, _ = covariance(self.shape, self.hyper, A, self.A, slopes)
        if self.loads is not None:
            K = K * self.loads
            slope_a = None if slope_a is None else slope_a * self.loads
        V = K @ self.inverse.T
        variance = np.maximum(self.hyper.scale - np.einsum("ij,ij->i", V, V), 1e-14 * self.hyper.scale)
        return Look(self.mean + K @ self.weights, variance, Z, A, V, slope_a, slope_b)

    def predict(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return mean (m,) and variance (m,) of the function at features Z (m, f), for one vector of targets."""
        look = self.look(Z)
        return look.mean[:, 0], look.variance

    def joint(self, Z: Floats) -> tuple[Floats, Floats]:
        """Return mean (m,) and covariance (m, m) of the function at features Z (m, f)."""
        look = self.look(Z)
        K = covariance(self.shape, self.hyper, look.A, look.A)[0]
        return look.mean[:, 0], K - look.V @ look.V.T

    def backward(self, look: Look, by_mean: Floats, by_variance: Floats) -> Floats:
        """Return the gradient by features (m, f) of a quantity with derivatives by mean (m, s) and variance (m,)."""
        assert look.slope_a is not None
        C = by_mean @ self.weights.T - (2.0 * by_variance)[:, None] * (look.V @ self.inverse)
        if look.slope_b is None:
            gradient = towards(C * look.slope_a, look.A, self.A)
        else:
            gradient = np.empty_like(look.A)
            for slope, part in ((look.slope_a, ~self.shape.levels), (look.slope_b, self.shape.levels)):
                gradient[:, part] = towards(C * slope, look.A[:, part], self.A[:, part])
        gradient /= self._per
        if len(self.shape.warped):
            gradient *= warp_slope(self.shape, self.hyper, look.Z)
        return gradient

    def extended(self, Z: Floats, Y: Floats, noise: float = 0.0) -> GP:
        """Return the process conditioned on p more rows Z (p, f), in O(n^2 p).

        Args:
            Z: features. Y: (p, s) targets; where the old ones are one vector, it is repeated s times.
            noise: variance of the new values, beside a jitter.
        """
        n, p, s = len(self), len(Z), Y.shape[1]
        look = self.look(Z)
        K = covariance(self.shape, self.hyper, look.A, look.A)[0] - look.V @ look.V.T
        K.flat[:: p + 1] += noise + 1e-9 * self.hyper.scale
        corner = factor(K, self.hyper.scale)
        other = GP.__new__(GP)
        other.shape, other.hyper, other._per = self.shape, self.hyper, self._per
        other.A = np.concatenate([self.A, look.A])
        other.Y = np.concatenate([np.broadcast_to(self.Y, (n, s)), Y])
        other.loads = None if self.loads is None else np.append(self.loads, np.ones(p))
        other.L = np.block([[self.L, np.zeros((n, p))], [look.V, corner]])
        below = inverse_factor(corner)
        other.inverse = np.zeros((n + p, n + p))
        other.inverse[:n, :n] = self.inverse
        other.inverse[n:, n:] = below
        other.inverse[n:, :n] = -below @ look.V @ self.inverse
        other._settle(np.broadcast_to(self.mean, (s,)))
        return other

    def scaled(self, **changes: float) -> Hyper:
        """Return the hyperparameters with some of them changed."""
        return replace(self.hyper, **changes)  # type: ignore[arg-type]


def noises(hyper: Hyper, noise: Floats | None, n: int) -> Floats:
    """Return (n,) the variance of the noise of each row."""
    if noise is None:
        return np.full(n, hyper.noise)
    return np.where(np.isfinite(noise), noise, hyper.noise)


def towards(C: Floats, A: Floats, B: Floats) -> Floats:
    """Return (m, f) 2 sum_i C_mi (a_m - b_i): the gradient of sums over squared distances."""
    return np.asarray(2.0 * (C.sum(axis=1)[:, None] * A - C @ B))


def log_marginal_likelihood(gp: GP) -> float:
    """Return the log marginal likelihood of the data of a process with one vector of targets."""
    residual = gp.Y[:, 0] - gp.mean[0]
    n = len(residual)
    return float(
        -0.5 * residual @ gp.weights[:, 0] - np.log(np.diag(gp.L)).sum() - 0.5 * n * math.log(2.0 * math.pi)
    )
