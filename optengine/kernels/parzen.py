"""Mixtures of product kernels around points: the two densities of a tree-structured Parzen estimator.

A point has d columns: numbers in [0, 1], with a normal kernel truncated to [0, 1], and levels 0 ... k - 1, with a
kernel that keeps the level or moves to any other one (Aitchison and Aitken, Biometrika 63, 1976). A column that does
not count in a kernel is uniform there; one that does not count in the point whose density is asked for is left out.
One more component is uniform: the prior. Plain NumPy: the logarithm of a kernel is an inner product of what depends on
the point and what depends on the centre, so that all of them are one matrix product.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from optengine.kernels.sampling import truncated_normal

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Mixture:
    """A mixture of m kernels and a uniform component.

    Attributes:
        centres: (m, d) numbers in [0, 1], level indices. counts: (m, d) columns that count in each kernel.
        n_levels: (d,) number of levels; 0 where the column is a number.
        spread: (d,) standard deviation of a number's kernel, > 0; of levels the probability of moving to another one.
        weights: (m,) > 0; prior: weight of the uniform component, > 0; they sum to 1.
    """

    centres: Floats
    counts: Mask
    n_levels: Indices
    spread: Floats
    weights: Floats
    prior: float


def log_densities_reference(mixture: Mixture, points: Floats, active: Mask) -> Floats:
    """Return (c,) the logarithm of the density at each point, kernel by kernel: the definition of `log_densities`."""
    result = np.empty(len(points))
    for i, (point, on) in enumerate(zip(points, active, strict=True)):
        uniform = np.array([1.0 / k if k else 1.0 for k in mixture.n_levels])
        total = mixture.prior * uniform[on].prod()
        for centre, counts, weight in zip(mixture.centres, mixture.counts, mixture.weights, strict=True):
            density = uniform.copy()
            for j in np.flatnonzero(counts):
                s, k = mixture.spread[j], mixture.n_levels[j]
                if k:
                    density[j] = 1.0 - s if point[j] == centre[j] else s / (k - 1)
                else:
                    mass = ndtr((1.0 - centre[j]) / s) - ndtr(-centre[j] / s)
                    normal = math.exp(-0.5 * ((point[j] - centre[j]) / s) ** 2) / (
                        s * math.sqrt(2.0 * math.pi)
                    )
                    density[j] = normal / mass
            total += weight * density[on].prod()
        result[i] = math.log(total)
    return result


def log_densities(mixture: Mixture, points: Floats, active: Mask) -> Floats:
    """Return the logarithm of the density at each point.

    Args:
        mixture: the density.
        points: (c, d) numbers in [0, 1], level indices. active: (c, d) columns that count.

    Returns:
        (c,). O(c m d), one matrix product.
    """
    left, right = _factors(mixture, points, active)
    logs = np.empty((len(points), len(mixture.centres) + 1))
    np.matmul(left, right.T, out=logs[:, :-1])
    logs[:, :-1] += np.log(mixture.weights)
    levels = mixture.n_levels > 0
    logs[:, -1] = math.log(mixture.prior) - active[:, levels] @ np.log(mixture.n_levels[levels])
    top = logs.max(axis=1)
    logs -= top[:, None]
    return np.asarray(np.log(np.exp(logs, out=logs).sum(axis=1)) + top)


def _factors(mixture: Mixture, points: Floats, active: Mask) -> tuple[Floats, Floats]:
    """Arrays (c, f) and (m, f) whose inner products are the logarithms of the kernels."""
    numbers, places = mixture.n_levels == 0, np.flatnonzero(mixture.n_levels)
    s = mixture.spread[numbers]
    x, on = points[:, numbers] / s, active[:, numbers].astype(np.float64)
    mu, counts = mixture.centres[:, numbers], mixture.counts[:, numbers].astype(np.float64)
    norm = np.log(s * (ndtr((1.0 - mu) / s) - ndtr(-mu / s))) + HALF_LOG_2PI
    mu = mu / s
    # On columns that count in both: -(x - mu)^2 / 2 - norm.
    left = [on * x * x, on * x, on]
    right = [-0.5 * counts, counts * mu, -counts * (0.5 * mu * mu + norm)]
    for j in places:
        k, move = int(mixture.n_levels[j]), mixture.spread[j]
        other, same, counted = math.log(move / (k - 1)), math.log(1.0 - move), mixture.counts[:, j]
        hot = (points[:, j : j + 1] == np.arange(k)) & active[:, j : j + 1]
        table = np.where(mixture.centres[:, j : j + 1] == np.arange(k), same, other)
        left.append(hot.astype(np.float64))
        right.append(np.where(counted[:, None], table, -math.log(k)))  # where it does not count it is uniform
    return np.concatenate(left, axis=1), np.concatenate(right, axis=1)


def draw(mixture: Mixture, U: Floats) -> Floats:
    """Draw points from a mixture.

    Args:
        mixture: the density.
        U: (c, 2 d + 1) uniform numbers in [0, 1): one chooses the kernel, two a column its value.

    Returns:
        (c, d) numbers in [0, 1], level indices. O(c (m + d)).
    """
    m, d = mixture.centres.shape
    first, second = U[:, 1 : d + 1], U[:, d + 1 :]
    chosen = np.searchsorted(np.cumsum(mixture.weights), U[:, 0], side="right")
    uniform = np.where(mixture.n_levels > 0, np.floor(first * np.maximum(mixture.n_levels, 1)), first)
    inside = chosen < m
    rows = np.minimum(chosen, m - 1)
    kept = mixture.counts[rows] & inside[:, None]
    numbers = mixture.n_levels == 0
    points = uniform.copy()
    near = truncated_normal(mixture.centres[rows][:, numbers], mixture.spread[numbers], first[:, numbers])
    points[:, numbers] = np.where(kept[:, numbers], near, uniform[:, numbers])
    for j in np.flatnonzero(mixture.n_levels):
        k = int(mixture.n_levels[j])
        centre = mixture.centres[rows, j]
        other = np.floor(first[:, j] * (k - 1))
        moved = np.where(second[:, j] < mixture.spread[j], other + (other >= centre), centre)
        points[:, j] = np.where(kept[:, j], moved, uniform[:, j])
    return points
