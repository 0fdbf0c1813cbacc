"""What Gaussian families share: reflection, heavy tails, coloured noise, divergences."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HALVINGS = 12  # of the interval in which the share of a step is sought: to 1/4000


def reflected(U: Floats) -> Floats:
    """Fold numbers at 0 and 1 until they lie inside [0, 1]; in place, any shape. O(n d)."""
    if (U < 0.0).any() or (U > 1.0).any():
        np.abs(U, out=U)
        np.remainder(U, 2.0, out=U)
        np.subtract(U, 1.0, out=U)
        np.abs(U, out=U)
        np.subtract(1.0, U, out=U)
    return U


def student_scales(n: int, nu: float, rng: Generator) -> Floats:
    """Factors (n, 1) that turn normal rows into Student-t rows with nu degrees of freedom."""
    return np.sqrt(nu / rng.chisquare(nu, (n, 1)))


def student_weights(weights: Floats, squared: Floats, d: int, nu: float) -> Floats:
    """Elite weights (k,) of a Student-t fit: far rows say less (Liu and Rubin, Stat. Sinica 5, 1995, ECM step).

    Args:
        weights: (k,) summing to 1.
        squared: (k,) squared distances from the mean in units of the scale.
        d, nu: dimension and degrees of freedom.
    """
    lowered = weights * (nu + d) / (nu + squared)
    return np.asarray(lowered / lowered.sum())


def coloured_normals(n: int, steps: int, series: int, beta: float, rng: Generator) -> Floats:
    """Standard normal series (n, steps, series) whose power falls with frequency f as 1 / f^beta along the steps.

    Timmer and Koenig, Astron. Astrophys. 300, 1995: independent normal Fourier coefficients, scaled; the mean over
    time is free, as the lowest frequency is. beta = 0 is white noise. O(n steps series log steps).
    """
    frequencies = np.fft.rfftfreq(steps)
    frequencies[0] = 1.0 / steps
    scales = frequencies ** (-beta / 2)
    normals = rng.standard_normal((2, n, series, len(frequencies)))
    real, imaginary = scales * normals[0], scales * normals[1]
    imaginary[..., 0] = 0.0
    power = 2 * scales**2  # of each coefficient and its mirror image
    power[0] /= 2  # real, without a mirror image
    if steps % 2 == 0:
        imaginary[..., -1] = 0.0
        power[-1] /= 2
    normal = np.fft.irfft(real + 1j * imaginary, steps, axis=-1) * (steps / math.sqrt(_total(power, steps)))
    return np.ascontiguousarray(normal.transpose(0, 2, 1))


def _total(power: NDArray[Any], steps: int) -> float:
    """Variance of a sample of `steps` times the unscaled series."""
    middle = power[1:-1] if steps % 2 == 0 else power[1:]
    ends = power[0] + (power[-1] if steps % 2 == 0 else 0.0)
    return float(ends + 2 * middle.sum())


def kl_diagonal(mean: Floats, variance: Floats, old_mean: Floats, old_variance: Floats) -> float:
    """KL(N(mean, variance) || N(old_mean, old_variance)) of independent columns, in nats."""
    ratio = variance / old_variance
    return float(0.5 * (ratio - 1.0 - np.log(ratio) + (mean - old_mean) ** 2 / old_variance).sum())


def kl_full(mean: Floats, covariance: Floats, old_mean: Floats, old_covariance: Floats) -> float:
    """KL(N(mean, covariance) || N(old_mean, old_covariance)), in nats; infinite where one is singular."""
    sign, new_log = np.linalg.slogdet(covariance)
    old_sign, old_log = np.linalg.slogdet(old_covariance)
    if sign <= 0 or old_sign <= 0:
        return math.inf
    step = mean - old_mean
    solved = np.linalg.solve(old_covariance, np.column_stack([covariance, step]))
    return float(0.5 * (np.trace(solved[:, :-1]) - len(mean) + step @ solved[:, -1] + old_log - new_log))


def step_share(divergence: Callable[[float], float], limit: float) -> float:
    """The largest share t in (0, 1] of a step with divergence(t) <= limit, by halving; divergence grows with t."""
    if divergence(1.0) <= limit:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if divergence(middle) <= limit else (low, middle)
    return low
