"""A Gaussian process over cheap and dear versions of one function.

With z the features of a point without its fidelities, s the fidelities, and t their distance from the target,

    f(z, s) = (1 + slope t) f_target(z) + t^power e(z, s),

two independent processes: what the versions share, and their error, which vanishes at the target. It is the
autoregression of Kennedy and O'Hagan (Biometrika 87, 2000, doi:10.1093/biomet/87.1.1) seen from its dear end, so that
any number of versions, ordered or continuous, share one error; `e` has a constant of its own, since cheap versions are
often off by one. At the target the process is an ordinary one (`GP`) whose covariances with the data carry `loads`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotri, dpotrs

from optengine.kernels.gp_pairs import MATERN52, RBF, covariances, inner, pulls
from optengine.surrogates.fit import LARGEST, WIDE, Fit, Prior
from optengine.surrogates.gp import GP, Hyper, Shape, covariance, factor, inverse_factor, noises

Floats = NDArray[np.float64]

ERROR_SCALE = (-1.5, 1.5)  # of the log of the error's variance, where the function's is about 1
SLOPE, POWER = (0.0, 0.5), (0.0, 0.5)  # of the slope, and of the log of the power
OFFSET = 1.0  # variance of the error's constant


@dataclass(frozen=True)
class Layout:
    """Where the fidelities stand among the features.

    Attributes:
        shape: of all features; numbers and categories are never mixed here. places: of fidelities. target: (c,) their
            values where results count.
    """

    shape: Shape
    places: NDArray[np.int64]
    target: Floats

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", replace(self.shape, mixed=False, warped=np.empty(0, np.int64)))

    @property
    def groups(self) -> NDArray[np.int64]:
        """Groups of the fidelities."""
        return self.shape.groups[self.places]

    def away(self, Z: Floats) -> Floats:
        """Return the distance (n,) of features Z (n, f) from the target, 1 at most."""
        step = Z[:, self.places] - self.target
        return np.asarray(np.sqrt((step**2).mean(axis=1)))

    def at_target(self, Z: Floats) -> Floats:
        """Return the features with all fidelities at the target."""
        Z = Z.copy()
        Z[:, self.places] = self.target
        return Z


@dataclass(frozen=True)
class FidelityHyper(Hyper):
    """Hyperparameters; those of `Hyper` are the target's, with infinite lengthscales of fidelities.

    Attributes:
        error_lengthscales: (n_groups,) > 0, fidelities included. error_scale: variance at distance 1, beside OFFSET's.
        slope: change of what is shared from the target to distance 1. power: at which errors grow, > 0.
    """

    error_lengthscales: Floats = ()  # type: ignore[assignment]
    error_scale: float = 0.2
    slope: float = 0.0
    power: float = 1.0

    @property
    def error(self) -> Hyper:
        return Hyper(self.error_lengthscales, self.error_scale)

    def loads(self, away: Floats) -> Floats:
        """Return the weights of the target's function in values at distances `away`."""
        return 1.0 + self.slope * away

    def sizes(self, away: Floats) -> Floats:
        """Return the weights of the error."""
        return np.asarray(away**self.power)


def covariance_of(layout: Layout, hyper: FidelityHyper, Z: Floats, W: Floats) -> Floats:
    """Return the covariance (n, m) of values at features Z (n, f) and W (m, f), of any fidelities."""
    total = np.zeros((len(Z), len(W)))
    away, other = layout.away(Z), layout.away(W)
    for part, weigh, more in ((hyper, hyper.loads, 0.0), (hyper.error, hyper.sizes, OFFSET)):
        per = part.lengthscales[layout.shape.groups]
        K = covariance(layout.shape, part, Z / per, W / per)[0]
        total += weigh(away)[:, None] * weigh(other) * (K + more)
    return total


class FidelityGP(GP):
    """The process conditioned on values of any fidelity. Everything that `GP` predicts, it predicts at the target.

    Args:
        layout, hyper: of the covariance. Z, y, noise: as of `GP`.
    """

    def __init__(
        self, layout: Layout, hyper: FidelityHyper, Z: Floats, y: Floats, noise: Floats | None = None
    ) -> None:
        self.layout, self.shape, self.hyper, self.Z = layout, layout.shape, hyper, Z
        self._per = hyper.lengthscales[self.shape.groups]
        self.A = Z / self._per
        self.Y = y[:, None] if y.ndim == 1 else y
        self.loads = hyper.loads(layout.away(Z))
        K = covariance_of(layout, hyper, Z, Z)
        K.flat[:: len(K) + 1] += noises(hyper, noise, len(K))
        self.L = factor(K, hyper.scale)
        self.inverse = inverse_factor(self.L)
        self._settle(None)

    def told_by(self, Z: Floats) -> Floats:
        """Return the share (m,) of the target's variance that a value at features Z (m, f) explains, noise counted."""
        assert isinstance(self.hyper, FidelityHyper)
        layout, hyper = self.layout, self.hyper
        T = layout.at_target(Z)
        V = covariance_of(layout, hyper, Z, self.Z) @ self.inverse.T
        W = covariance_of(layout, hyper, T, self.Z) @ self.inverse.T
        away = layout.away(Z)
        loads, sizes = hyper.loads(away), hyper.sizes(away)
        own = loads**2 * hyper.scale + sizes**2 * (hyper.error_scale + OFFSET) - (V * V).sum(axis=1)
        target = hyper.scale - (W * W).sum(axis=1)
        both = loads * hyper.scale - (V * W).sum(axis=1)
        least = 1e-12 * hyper.scale
        return np.asarray(both**2 / (np.maximum(own, least) + hyper.noise) / np.maximum(target, least))


class FidelityFit(Fit):
    """The log posterior of the hyperparameters of a `FidelityGP`, and its maximum; arguments as of `Fit`."""

    def __init__(
        self, layout: Layout, prior: Prior, Z: Floats, y: Floats, noise: Floats | None = None
    ) -> None:
        if prior.scale is None:
            prior = replace(prior, scale=(0.0, 1.0))
        super().__init__(layout.shape, prior, Z, y, noise)
        self.layout, self._away = layout, layout.away(Z)
        with np.errstate(divide="ignore"):
            self._log_away = np.where(self._away > 0, np.log(self._away), 0.0)
        g, start = self.shape.n_groups, len(self.means)
        self._error = slice(start, start + g)
        self._rest = slice(start + g, start + g + 3)  # log of the error's scale, slope, log of the power
        more = (
            (self.means[:g], [ERROR_SCALE[0], SLOPE[0], POWER[0]]),
            (self.spreads[:g], [ERROR_SCALE[1], SLOPE[1], POWER[1]]),
            (np.full(g, math.log(prior.least_length)), [-12.0, -3.0, -1.5]),
            (np.full(g, math.log(WIDE)), [5.0, 3.0, 1.5]),
        )
        for name, (of_groups, of_rest) in zip(("means", "spreads", "low", "high"), more, strict=True):
            setattr(self, name, np.concatenate([getattr(self, name), of_groups, of_rest]))

    def hyper(self, t: Floats) -> FidelityHyper:
        """Return the hyperparameters behind a vector of parameters."""
        base = super().hyper(t)
        lengths = base.lengthscales.copy()
        lengths[self.layout.groups] = np.inf
        size, slope, power = t[self._rest]
        return FidelityHyper(
            lengths, base.scale, base.noise, 0.0, None,
            np.exp(t[self._error]), float(np.exp(size)), float(slope), float(np.exp(power)),
        )  # fmt: skip

    def parameters(self, hyper: Hyper) -> Floats:
        """Return the vector of parameters of `hyper`, inside the bounds."""
        assert isinstance(hyper, FidelityHyper)
        lengths = np.where(np.isinf(hyper.lengthscales), 1.0, hyper.lengthscales)
        t = super().parameters(replace(hyper, lengthscales=lengths))
        t[self.layout.groups] = self.means[self.layout.groups]  # they play no part
        t[self._error] = np.log(hyper.error_lengthscales)
        t[self._rest] = math.log(hyper.error_scale), hyper.slope, math.log(hyper.power)
        return np.asarray(np.clip(t, self.low, self.high))

    def usual(self) -> Floats:
        """Return parameters to start from where nothing is known."""
        t = super().usual()
        t[self._error] = t[: self.shape.n_groups]
        t[self.layout.groups] = self.means[self.layout.groups]
        return t

    def objective(self, t: Floats) -> tuple[float, Floats]:
        """Return minus the log posterior at parameters t, up to a constant, and its gradient."""
        self.n_looks += 1
        shape, hyper, n, g = self.shape, self.hyper(t), len(self.y), self.shape.n_groups
        code, none = MATERN52 if shape.covariance == "matern52" else RBF, np.empty((n, 0))
        A = self.Z / hyper.lengthscales[shape.groups]
        B = self.Z / hyper.error_lengthscales[shape.groups]
        Ka, slope_a, _, _ = covariances(A, none, code, hyper.scale, 0.0, False)
        Kb, slope_b, _, _ = covariances(B, none, code, hyper.error_scale, 0.0, False)
        loads, sizes = hyper.loads(self._away), hyper.sizes(self._away)
        slope_a, slope_b = np.tril(slope_a), np.tril(slope_b)  # above the diagonal nothing is set
        R, D = np.outer(loads, loads), np.outer(sizes, sizes)
        noisy = R * Ka + D * (Kb + OFFSET)
        noisy.flat[:: n + 1] += noises(hyper, self.noise, n)
        try:
            L = factor(noisy, hyper.scale)
        except np.linalg.LinAlgError:
            return LARGEST, np.zeros_like(t)
        both = dpotrs(L, np.stack([loads, self.y], axis=1), lower=1)[0]
        mean = float(loads @ both[:, 1]) / max(float(loads @ both[:, 0]), 1e-300)
        residual, alpha = self.y - mean * loads, both[:, 1] - mean * both[:, 0]
        P = np.ascontiguousarray(dpotri(L.T, lower=0)[0].T)  # lower triangle of the inverse
        spread = (t - self.means) / self.spreads
        value = 0.5 * float(residual @ alpha) + float(np.log(np.diag(L)).sum()) + 0.5 * float(spread @ spread)
        gradient = np.zeros_like(t)
        gradient[:g] = np.bincount(shape.groups, -2.0 * pulls(A, R * slope_a, P, alpha), g)
        gradient[self._error] = np.bincount(shape.groups, -2.0 * pulls(B, D * slope_b, P, alpha), g)
        if self._noise is not None:
            mine = np.ones(n, dtype=bool) if self.noise is None else ~np.isfinite(self.noise)
            gradient[self._noise] = 0.5 * hyper.noise * float((alpha**2 - np.diag(P))[mine].sum())
        gradient[self._scale] = 0.5 * inner(R * Ka, P, alpha)
        by_load = np.outer(self._away, loads)
        logs = hyper.power * (self._log_away[:, None] + self._log_away)
        gradient[self._rest] = (
            0.5 * inner(D * Kb, P, alpha),
            0.5 * inner((by_load + by_load.T) * Ka, P, alpha) + mean * float(self._away @ alpha),
            0.5 * inner(D * logs * (Kb + OFFSET), P, alpha),
        )
        return value, spread / self.spreads - gradient
