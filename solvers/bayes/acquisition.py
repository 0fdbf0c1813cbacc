"""Expected improvement and probabilities of feasibility on the logarithmic scale, with their gradients.

Ament et al., Unexpected improvements to expected improvement for Bayesian optimization, NeurIPS 2023, arXiv:2310.20708:
EI is zero, and so is its gradient, over most of a space; its logarithm is not. With z = (best - mean) / sigma,

    EI = sigma h(z),  h(z) = phi(z) + z Phi(z),

and log h is computed from erfcx where h would lose its digits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

Floats = NDArray[np.float64]

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)
FAR = -1e5  # below, h(z) = phi(z) / z^2 to all digits


def log_h(z: Floats) -> Floats:
    """Return log(phi(z) + z Phi(z)) for z of any shape, to about 1e-12 relative to h for z >= -40."""
    z = np.asarray(z, dtype=np.float64)
    out = np.empty_like(z)
    right, far = z > -1.0, z < FAR
    middle = ~(right | far)
    x = z[right]
    with np.errstate(under="ignore"):
        out[right] = np.log(np.exp(-0.5 * x * x - HALF_LOG_2PI) + x * np.exp(log_ndtr(x)))
    x = z[middle]
    out[middle] = (
        -0.5 * x * x - HALF_LOG_2PI + np.log1p(x * math.sqrt(0.5 * math.pi) * erfcx(-x * math.sqrt(0.5)))
    )
    x = z[far]
    out[far] = -0.5 * x * x - HALF_LOG_2PI - 2.0 * np.log(-x)
    return out


def log_ei(mean: Floats, variance: Floats, best: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the log of expected improvement averaged over samples (m,), and its derivatives.

    Args:
        mean: (m, s) one column a sample of what is not known. variance: (m,). best: (s,) values to improve upon.

    Returns:
        (m,) values, (m, s) derivatives by the means, (m,) derivatives by the variance.
    """
    sigma = np.sqrt(variance)
    z = (best - mean) / sigma[:, None]
    log = log_h(z)
    with np.errstate(under="ignore"):
        by_z = np.exp(log_ndtr(z) - log)  # Phi / h
        density = np.exp(-0.5 * z * z - HALF_LOG_2PI - log)  # phi / h
        top = log.max(axis=1)
        weight = np.exp(log - top[:, None])
    total = weight.sum(axis=1)
    value = np.log(sigma) + top + np.log(total / mean.shape[1])
    weight /= total[:, None]
    by_mean = -weight * by_z / sigma[:, None]
    by_variance = 0.5 * (weight * density).sum(axis=1) / variance
    return value, by_mean, by_variance


def log_feasible(mean: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
    """Return log P(g <= 0) (m,) of normal g, and its derivatives by mean (m,) and variance (m,)."""
    sigma = np.sqrt(variance)
    z = -mean / sigma
    value = log_ndtr(z)
    with np.errstate(under="ignore"):
        ratio = np.exp(-0.5 * z * z - HALF_LOG_2PI - value)
    return value, -ratio / sigma, -0.5 * ratio * z / variance
