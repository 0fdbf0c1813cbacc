"""The best order of nodes by dynamic programming over subsets (Silander and Myllymäki, 2006, arXiv:1206.6875).

best(S) = min over v in S of best(S without v) + var(v | S without v), for the residual variances of least squares.
Subsets are visited in the order of their numbers (bit v: node v), so that best(S) is final when S comes up; the
residual covariance of the rest given S is updated by one elimination a bit, 2 d^2 operations a subset on average.
"""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def best_orders_numpy(G: Floats, before: Bools) -> tuple[float, list[int]]:
    """Least score and its order over all orders that obey `before`; the definition, O(d!)."""
    from optengine.kernels.order_search import scores_numpy

    least: tuple[float, list[int]] = (np.inf, [])
    for order in itertools.permutations(range(len(G))):
        place = np.argsort(order)
        if not (before & (place[:, None] > place[None, :])).any():
            least = min(least, (float(scores_numpy(G, np.array([order]))[0]), list(order)))
    return least


@njit(cache=True, nogil=True)
def eliminate(C: Floats, v: int, out: Floats) -> None:
    """Fill out (d, d) with the residual covariance after regression on v as well."""
    d = len(C)
    r = 1.0 / C[v, v]
    for i in range(d):
        f = C[i, v] * r
        for j in range(d):
            out[i, j] = C[i, j] - f * C[v, j]


@njit(cache=True, nogil=True)
def extend(
    G: Floats, forerunners: NDArray[np.int64], first: int, last: int, best: Floats, node: NDArray[np.int8]
) -> None:
    """Extend every subset `first` <= S < `last` by each node that may come next, in place.

    Args:
        G: (d, d) Gram matrix.
        forerunners: (d,) bits of the nodes that must stand before each node.
        best: (2^d,) least sum of residual variances of the nodes of S, inf at first but 0 for the empty set.
        node: (2^d,) the last node of the best order of S.
    """
    d = len(G)
    stack = np.empty((d + 1, d, d))  # stack[l]: given those of the l highest bits that are set
    stack[0] = G
    changed = d - 1  # highest bit that differs from the subset before
    for S in range(first, last):
        if S > first:
            differs, changed = S ^ (S - 1), -1
            while differs:
                differs >>= 1
                changed += 1
        for bit in range(changed, -1, -1):
            level = d - 1 - bit
            if (S >> bit) & 1:
                eliminate(stack[level], bit, stack[level + 1])
            else:
                stack[level + 1] = stack[level]
        if best[S] == np.inf:
            continue
        for v in range(d):
            if not (S >> v) & 1 and forerunners[v] & S == forerunners[v]:
                value = best[S] + stack[d, v, v]
                T = S | (1 << v)
                if value < best[T]:
                    best[T] = value
                    node[T] = v


def order_of(node: NDArray[np.int8]) -> list[int]:
    """The best order of all nodes, from the last nodes of the subsets."""
    S, order = len(node) - 1, []
    while S:
        order.append(int(node[S]))
        S ^= 1 << int(node[S])
    return order[::-1]
