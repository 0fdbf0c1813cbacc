"""Annealing on the sum of squares: for equalities, where a move's effect is known from A'A without a look at the rows.

With e = A x - b and g = A'e, x_j += d changes sum e^2 by d (2 g_j + d G_jj), G = A'A, and two moves together by
2 d_i d_j G_ij more: O(1) a proposal, O(n) an accepted one. At the temperatures that matter one proposal in hundreds is
accepted. (The same table of gains serves searches on quadratic binary problems: Glover, Lewis, Rochat 1998.)
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw, exponential

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROWS = 256  # of G looked at together
LARGEST_EXPONENTIAL = (
    38.0  # no draw of `exponential` is larger: most proposals are refused without a logarithm
)


def partners(G: Floats, k: int) -> tuple[Integers, Floats]:
    """For each variable the k others whose columns are most alike, up to sign, and their entries of G, both (n, k).

    A partner is coded as 2 i + 1 if variable i makes up for a move by going the opposite way, which is where
    G_ij > 0, and as 2 i if it goes the same way; a variable without partners is its own.
    """
    n = len(G)
    k = max(1, min(k, n - 1))
    norm = np.sqrt(np.maximum(np.diag(G), 1e-300))
    codes = np.empty((n, k), dtype=np.int64)
    for first in range(0, n, ROWS):
        rows = np.arange(first, min(n, first + ROWS))
        strength = np.abs(G[rows]) / norm
        strength[np.arange(len(rows)), rows] = -1.0
        near = np.argpartition(-strength, k - 1, axis=1)[:, :k]
        mates = 2 * near + (np.take_along_axis(G[rows], near, axis=1) > 0)
        codes[rows] = np.where(np.take_along_axis(strength, near, axis=1) > 0, mates, 2 * rows[:, None])
    return codes, np.take_along_axis(G, codes >> 1, axis=1)


@numba.njit(cache=True, nogil=True)
def anneal_quadratic(
    G: Floats,
    g: Floats,
    idx: Integers,
    values: Floats,
    start: Integers,
    count: Integers,
    tau: float,
    pairs: float,
    partners: Integers,
    links: Floats,
    seed: int,
    first_move: int,
    n_moves: int,
    best: Integers,
) -> tuple[float, float, int]:
    """Metropolis steps at one temperature on sum e^2: moves of one variable, or of two that make up for each other.

    Args:
        G: (n, n) A'A, symmetric. g: (n,) A'e, changed with idx (n,). tau: temperature, in units of e^2.
        pairs: share of moves with two variables. partners, links: (n, k) as of `partners`.
        seed, first_move: number the random draws. best: (n,) point with the least sum, changed.

    Returns:
        Change of the sum, its least change so far (<= 0, that of `best`), and how many moves were accepted.
    """
    n, k = partners.shape
    own = np.diag(G).copy()
    change_now, lowest, accepted = 0.0, 0.0, 0
    for move in range(first_move, first_move + n_moves):
        bits = draw(seed, move, 1)
        j = ((bits >> 32) * n) >> 31
        step = 1 if (bits & 15) else 1 + ((bits >> 8) & 3)
        up = (bits >> 4) & 1
        level = idx[j] + (step if up else -step)
        if level < 0 or level >= count[j]:
            continue
        d = values[start[j] + level] - values[start[j] + idx[j]]
        change = d * (2.0 * g[j] + d * own[j])
        i, other, d2 = -1, 0, 0.0
        if ((bits >> 10) & 1023) < pairs * 1024:
            more = draw(seed, move, 2)
            i, way = ((more >> 32) * n) >> 31, (more >> 4) & 1
            if more & 3:  # one that makes up for the first; any other one in a quarter
                place = ((more >> 32) * k) >> 31
                i, way = partners[j, place] >> 1, up ^ (partners[j, place] & 1)
                link = links[j, place]
            else:
                link = G[j, i]
            other = idx[i] + (1 if way else -1)
            if i == j or other < 0 or other >= count[i]:
                continue
            d2 = values[start[i] + other] - values[start[i] + idx[i]]
            change += d2 * (2.0 * (g[i] + d * link) + d2 * own[i])
        if change > 0.0 and (change > LARGEST_EXPONENTIAL * tau or change > tau * exponential(seed, move, 0)):
            continue
        accepted += 1
        change_now += change
        idx[j] = level
        for t in range(n):
            g[t] += d * G[j, t]
        if i >= 0:
            idx[i] = other
            for t in range(n):
                g[t] += d2 * G[i, t]
        if change_now < lowest:
            lowest = change_now
            best[:] = idx
    return change_now, lowest, accepted
