"""Evolution paths of a full Gaussian, and the factors of its covariance: definitions and Numba forms."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FASTEST = 1.0  # largest change of log sigma in one generation


def follow_numpy(
    step: Floats,
    moment: Floats,
    C: Floats,
    paths: Floats,
    inverse_root: Floats,
    effective: float,
    generation: int,
) -> float:
    """What `follow` does."""
    d = len(step)
    c_1, c_mu = rates(d, effective)
    chi = math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))
    c_sigma = (effective + 2) / (d + effective + 5)
    damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (d + 1)) - 1) + c_sigma
    c_c = (4 + effective / d) / (d + 4 + 2 * effective / d)
    paths[0] = (1 - c_sigma) * paths[0] + math.sqrt(c_sigma * (2 - c_sigma) * effective) * (
        inverse_root @ step
    )
    norm = float(np.linalg.norm(paths[0]))
    moving = norm < (1.4 + 2 / (d + 1)) * chi * math.sqrt(1 - (1 - c_sigma) ** (2 * generation))
    paths[1] = (1 - c_c) * paths[1] + moving * math.sqrt(c_c * (2 - c_c) * effective) * step
    lost = (not moving) * c_c * (2 - c_c)
    C[:] = (1 - c_1 - c_mu + c_1 * lost) * C + c_mu * moment + c_1 * np.outer(paths[1], paths[1])
    return math.exp(min(FASTEST, c_sigma / damping * (norm / chi - 1)))


@njit(cache=True, nogil=True)
def rates(d: int, effective: float) -> tuple[float, float]:
    """c_1 and c_mu of the CMA-ES for `effective` = 1 / sum w^2 elites, tutorial equations (57) and (58)."""
    c_1 = 2.0 / ((d + 1.3) ** 2 + effective)
    c_mu = 2 * (effective - 2 + 1 / effective) / ((d + 2) ** 2 + effective)
    return c_1, min(1 - c_1, max(0.0, c_mu))


@njit(cache=True, nogil=True)
def follow(
    step: Floats,
    moment: Floats,
    C: Floats,
    paths: Floats,
    inverse_root: Floats,
    effective: float,
    generation: int,
) -> float:
    """Update paths and shape of a Gaussian N(mean, sigma^2 C) in place and return the factor of sigma. O(d^2).

    Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772, equations (24), (27) to (30), (43).

    Args:
        step: (d,) move of the mean in sigmas.
        moment: (d, d) weighted second moment of the elites about the old mean, in sigmas squared.
        C: (d, d), in place.
        paths: (2, d) of the step size and of the covariance, in place.
        inverse_root: (d, d) C^(-1/2).
        effective: 1 / sum w^2.
        generation: 1, 2, ...
    """
    d = len(step)
    c_1, c_mu = rates(d, effective)
    chi = math.sqrt(d) * (1 - 1 / (4 * d) + 1 / (21 * d * d))  # E |N(0, I)|
    c_sigma = (effective + 2) / (d + effective + 5)
    damping = 1 + 2 * max(0.0, math.sqrt((effective - 1) / (d + 1)) - 1) + c_sigma
    c_c = (4 + effective / d) / (d + 4 + 2 * effective / d)
    pull, squared = math.sqrt(c_sigma * (2 - c_sigma) * effective), 0.0
    for i in range(d):
        total = 0.0
        for j in range(d):
            total += inverse_root[i, j] * step[j]
        paths[0, i] = (1 - c_sigma) * paths[0, i] + pull * total
        squared += paths[0, i] ** 2
    norm = math.sqrt(squared)
    moving = norm < (1.4 + 2 / (d + 1)) * chi * math.sqrt(1 - (1 - c_sigma) ** (2 * generation))
    pull = math.sqrt(c_c * (2 - c_c) * effective) if moving else 0.0
    for i in range(d):
        paths[1, i] = (1 - c_c) * paths[1, i] + pull * step[i]
    kept = 1 - c_1 - c_mu + (0.0 if moving else c_1 * c_c * (2 - c_c))
    for i in range(d):
        for j in range(d):
            C[i, j] = kept * C[i, j] + c_mu * moment[i, j] + c_1 * paths[1, i] * paths[1, j]
    return math.exp(min(FASTEST, c_sigma / damping * (norm / chi - 1)))


def factors_numpy(C: Floats, largest_condition: float) -> tuple[Floats, Floats, Floats, Floats]:
    """What `factors` computes."""
    values, vectors = np.linalg.eigh(C)
    roots = np.sqrt(np.maximum(values, values[-1] / largest_condition))
    return vectors, roots, (vectors * roots).T, (vectors / roots) @ vectors.T


@njit(cache=True, nogil=True)
def factors(C: Floats, largest_condition: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the factors of a covariance (d, d); O(d^3).

    Args:
        C: symmetric, positive semi-definite.
        largest_condition: smaller eigenvalues than the largest over this count as that.

    Returns:
        eigenvectors (d, d) in columns, standard deviations (d,), a root whose rows z @ root ~ N(0, C), and C^(-1/2).
    """
    values, vectors = np.linalg.eigh(C)
    roots = np.sqrt(np.maximum(values, values[-1] / largest_condition))
    return (
        np.ascontiguousarray(vectors),
        roots,
        np.ascontiguousarray((vectors * roots).T),
        np.dot(vectors / roots, vectors.T),
    )
