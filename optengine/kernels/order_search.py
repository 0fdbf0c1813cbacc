"""Least squares over all predecessors in an order of nodes: scores, insertions and swaps from one factorization.

G (d, d) is the Gram matrix X'X / n of the data, L the Cholesky factor of G[order, order], M its inverse. The residual
variance of the node at position k given all nodes before it is L[k, k]^2, so that the score of an order, half the sum
of residual variances, needs no data. What an insertion or a swap changes follows from L and M without a new
factorization (`*_numpy` say what is computed, by factorizing anew):

    var(b | first k) = tail_b(k) = sum_{l >= k} L[b, l]^2,      cov(b, k | first k) = L[b, k] L[k, k],
    var(a | first k but a) = 1 / sum_{l < k} M[l, a]^2,         coefficient of a for k = -M[k, a] L[k, k].

U = L' and M are kept with their rows contiguous; exchanging neighbours in the order is one reflection of two rows of
each, O(d). `before[u, v]` says that node u must stand before node v.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def scores_numpy(G: Floats, X: Integers) -> Floats:
    """Half the sum of residual variances of each node given all before it, for orders X (m, d); the definition."""
    return np.array([0.5 * (np.diagonal(np.linalg.cholesky(G[np.ix_(x, x)])) ** 2).sum() for x in X])


def insertions_numpy(G: Floats, order: Integers) -> Floats:
    """Changes (d, d) of the score where the node at position i is put so that it stands at j; the definition."""
    d = len(order)
    moved = [np.insert(np.delete(order, i), j, order[i]) for i in range(d) for j in range(d)]
    return (scores_numpy(G, np.array(moved)) - scores_numpy(G, order[None, :])).reshape(d, d)


def swaps_numpy(G: Floats, order: Integers) -> Floats:
    """Changes (d, d) of the score where the nodes at positions i and j are exchanged; the definition."""
    d = len(order)
    moved = np.repeat(order[None, :], d * d, axis=0)
    rows, (i, j) = np.arange(d * d), np.divmod(np.arange(d * d), d)
    moved[rows, i], moved[rows, j] = order[j], order[i]
    return (scores_numpy(G, moved) - scores_numpy(G, order[None, :])).reshape(d, d)


@njit(cache=True, nogil=True)
def factor(G: Floats, order: Integers, U: Floats) -> float:
    """Fill U (d, d), upper triangular with U' U = G[order, order]; returns the score, NaN if G is not definite."""
    d = len(order)
    total = 0.0
    for k in range(d):
        row = G[order[k]]
        for j in range(k):
            U[k, j] = 0.0
        for j in range(k, d):
            U[k, j] = row[order[j]]
        for l in range(k):  # noqa: E741
            c = U[l, k]
            for j in range(k, d):
                U[k, j] -= c * U[l, j]
        pivot = U[k, k]
        if not pivot > 0.0:
            return np.nan
        total += pivot
        r = 1.0 / np.sqrt(pivot)
        for j in range(k, d):
            U[k, j] *= r
    return 0.5 * total


@njit(cache=True, nogil=True)
def invert(U: Floats, M: Floats) -> None:
    """Fill M (d, d), lower triangular, with the inverse of U'. O(d^3 / 3)."""
    d = len(U)
    for k in range(d):
        M[k, :] = 0.0
        for l in range(k):  # noqa: E741
            c = U[l, k]
            for j in range(l + 1):
                M[k, j] -= c * M[l, j]
        r = 1.0 / U[k, k]
        for j in range(k):
            M[k, j] *= r
        M[k, k] = r


@njit(cache=True, nogil=True)
def scores(G: Floats, X: Integers) -> Floats:
    """`scores_numpy`, compiled; O(d^3 / 3) a row."""
    values = np.empty(len(X))
    U = np.empty(G.shape)
    for r in range(len(X)):
        values[r] = factor(G, X[r], U)
    return values


@njit(cache=True, nogil=True)
def insertions(U: Floats, M: Floats) -> Floats:
    """`insertions_numpy` from the factors; O(d^2)."""
    d = len(U)
    change = np.zeros((d, d))
    for a in range(d):
        own = U[a, a] * U[a, a]
        tail, lost = own, 0.0
        for k in range(a - 1, -1, -1):  # the node at k gains a predecessor
            tail += U[k, a] * U[k, a]
            lost += (U[k, k] * U[k, a]) ** 2 / tail
            change[a, k] = 0.5 * (tail - own - lost)
        total, gained = M[a, a] * M[a, a], 0.0
        for k in range(a + 1, d):  # the node at k loses one
            gained += (U[k, k] * M[k, a]) ** 2 / total
            total += M[k, a] * M[k, a]
            change[a, k] = 0.5 * (gained + 1.0 / total - own)
    return change


@njit(cache=True, nogil=True)
def tails(U: Floats) -> tuple[Floats, Floats]:
    """L (d, d), and T[j, k] = sum over l from k to j of L[j, l]^2."""
    d = len(U)
    L, T = np.zeros((d, d)), np.zeros((d, d))
    for j in range(d):
        total = 0.0
        for k in range(j, -1, -1):
            L[j, k] = U[k, j]
            total += U[k, j] * U[k, j]
            T[j, k] = total
    return L, T


@njit(cache=True, nogil=True)
def swap_change(i: int, j: int, U: Floats, M: Floats, L: Floats, T: Floats) -> float:
    """Change of the score where positions i < j are exchanged; O(j - i)."""
    inverse = M[i, i] * M[i, i]  # 1 / var(i | first k but i)
    coefficient = L[j, i] * M[i, i]  # of i for j, given the first k
    total = T[j, i] - T[i, i] - T[j, j]
    for k in range(i + 1, j):
        q = 1.0 / inverse
        beta = -M[k, i] * U[k, k]
        covariance = L[j, k] * U[k, k] + coefficient * beta * q
        total += beta * beta * q - covariance * covariance / (T[j, k] + coefficient * coefficient * q)
        inverse += M[k, i] * M[k, i]
        coefficient += L[j, k] * M[k, i]
    return 0.5 * (total + 1.0 / (inverse + M[j, i] * M[j, i]))


@njit(cache=True, nogil=True)
def swaps(U: Floats, M: Floats) -> Floats:
    """`swaps_numpy` from the factors; O(d^3 / 6)."""
    d = len(U)
    L, T = tails(U)
    change = np.zeros((d, d))
    for i in range(d):
        for j in range(i + 1, d):
            change[i, j] = swap_change(i, j, U, M, L, T)
            change[j, i] = change[i, j]
    return change


@njit(cache=True, nogil=True)
def changes(U: Floats, M: Floats, moves: Integers, swapped: bool) -> Floats:
    """Changes (k,) of the score under moves (k, 2): swaps, or insertions."""
    values = np.zeros(len(moves))
    if not swapped:
        table = insertions(U, M)
        for m in range(len(moves)):
            values[m] = table[moves[m, 0], moves[m, 1]]
        return values
    L, T = tails(U)
    for m in range(len(moves)):
        i, j = min(moves[m, 0], moves[m, 1]), max(moves[m, 0], moves[m, 1])
        if i < j:
            values[m] = swap_change(i, j, U, M, L, T)
    return values


# -- moves in place ----------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def exchange(order: Integers, U: Floats, M: Floats, k: int) -> None:
    """Exchange positions k and k + 1 of an order and its factors, in place; O(d)."""
    d = len(order)
    p, q = U[k, k + 1], U[k + 1, k + 1]
    r = np.sqrt(p * p + q * q)
    c, s = p / r, q / r
    own = U[k, k]
    for j in range(k + 2, d):
        a, b = U[k, j], U[k + 1, j]
        U[k, j] = c * a + s * b
        U[k + 1, j] = s * a - c * b
    U[k, k], U[k, k + 1], U[k + 1, k + 1] = r, c * own, s * own
    for j in range(k):
        a, b = M[k, j], M[k + 1, j]
        M[k, j] = c * a + s * b
        M[k + 1, j] = s * a - c * b
    for l in range(k):  # noqa: E741
        U[l, k], U[l, k + 1] = U[l, k + 1], U[l, k]
    for l in range(k + 2, d):  # noqa: E741
        M[l, k], M[l, k + 1] = M[l, k + 1], M[l, k]
    a, low, b = M[k, k], M[k + 1, k], M[k + 1, k + 1]
    M[k, k], M[k + 1, k], M[k + 1, k + 1] = s * b, -c * b, s * a - c * low
    order[k], order[k + 1] = order[k + 1], order[k]


@njit(cache=True, nogil=True)
def shift(order: Integers, U: Floats, M: Floats, before: Bools, i: int, j: int) -> int:
    """Carry the node at position i towards j as far as `before` allows; returns where it stands. O(d) a position."""
    while i > j and not before[order[i - 1], order[i]]:
        exchange(order, U, M, i - 1)
        i -= 1
    while i < j and not before[order[i], order[i + 1]]:
        exchange(order, U, M, i)
        i += 1
    return i


@njit(cache=True, nogil=True)
def score(U: Floats) -> float:
    """Score of the order that U belongs to; O(d)."""
    total = 0.0
    for k in range(len(U)):
        total += U[k, k] * U[k, k]
    return 0.5 * total


@njit(cache=True, nogil=True)
def best_insertion(
    order: Integers, U: Floats, M: Floats, before: Bools, a: int, limit: int
) -> tuple[float, int, int]:
    """Best change over the places that the node at position a may be inserted at, the place, places seen. O(d)."""
    d = len(order)
    node, own = order[a], U[a, a] * U[a, a]
    least, place, seen = 0.0, a, 0
    tail, lost = own, 0.0
    for k in range(a - 1, -1, -1):
        if before[order[k], node] or seen >= limit:
            break
        tail += U[k, a] * U[k, a]
        lost += (U[k, k] * U[k, a]) ** 2 / tail
        seen += 1
        if 0.5 * (tail - own - lost) < least:
            least, place = 0.5 * (tail - own - lost), k
    total, gained = M[a, a] * M[a, a], 0.0
    for k in range(a + 1, d):
        if before[node, order[k]] or seen >= limit:
            break
        gained += (U[k, k] * M[k, a]) ** 2 / total
        total += M[k, a] * M[k, a]
        seen += 1
        if 0.5 * (gained + 1.0 / total - own) < least:
            least, place = 0.5 * (gained + 1.0 / total - own), k
    return least, place, max(seen, 1)


@njit(cache=True, nogil=True)
def sweep(
    order: Integers, U: Floats, M: Floats, before: Bools, nodes: Integers, limit: int, tolerance: float
) -> tuple[int, int]:
    """Insert each of `nodes` at its best place in turn, in place; returns places seen (<= limit), nodes moved."""
    seen = moved = 0
    position = np.empty(len(order), np.int64)
    for k in range(len(order)):
        position[order[k]] = k
    for node in nodes:
        if seen >= limit:
            break
        a = position[node]
        change, place, n = best_insertion(order, U, M, before, a, limit - seen)
        seen += n
        if change < -tolerance:
            shift(order, U, M, before, a, place)
            moved += 1
            for k in range(min(a, place), max(a, place) + 1):
                position[order[k]] = k
    return seen, moved


@njit(cache=True, nogil=True)
def best_swap(
    order: Integers, U: Floats, M: Floats, before: Bools, rows: Integers, limit: int
) -> tuple[float, int, int, int]:
    """Best change over the exchanges of a position i in `rows` with any j > i that `before` allows; i, j, pairs."""
    d = len(order)
    L, T = tails(U)
    least, first, second, seen = 0.0, 0, 0, 0
    for i in rows:
        for j in range(i + 1, d):
            if before[order[i], order[j]] or seen >= limit:
                break
            seen += 1
            allowed = True
            for k in range(i + 1, j):
                if before[order[k], order[j]]:
                    allowed = False
                    break
            if allowed:
                change = swap_change(i, j, U, M, L, T)
                if change < least:
                    least, first, second = change, i, j
    return least, first, second, max(seen, 1)


@njit(cache=True, nogil=True)
def kicks(
    order: Integers,
    U: Floats,
    M: Floats,
    before: Bools,
    nodes: Integers,
    draws: Floats,
    limit: int,
    tolerance: float,
) -> tuple[int, int, int]:
    """Rounds of an iterated local search by insertions, in place.

    Each round carries a few random nodes to random places, improves the order until no insertion does, and goes back
    if the score became worse. One round costs O(d^2) and O(d) for each position that a node crosses.

    Args:
        order, U, M: the order and its factors.
        before: (d, d).
        nodes: (rounds, d), permutations: whom each round's sweeps visit.
        draws: (rounds, strength, 2) in [0, 1): the node, and how far it goes, -1 to 1 of the whole order for 0 to 1.
        limit: places to look at, at most.
        tolerance: a change below it is rounding.

    Returns:
        Places seen, rounds that improved the score, rounds made.
    """
    d = len(order)
    home, home_U, home_M = order.copy(), U.copy(), M.copy()
    value = score(U)
    seen = better = 0
    for r in range(len(nodes)):
        if seen >= limit:
            return seen, better, r
        for k in range(draws.shape[1]):
            i = int(draws[r, k, 0] * d)
            j = i + int(np.round((2.0 * draws[r, k, 1] - 1.0) * d))
            shift(order, U, M, before, i, min(max(j, 0), d - 1))
        while seen < limit:
            n, moved = sweep(order, U, M, before, nodes[r], limit - seen, tolerance)
            seen += n
            if moved == 0:
                break
        now = score(U)
        if now <= value + tolerance:
            better += now < value - tolerance
            value = now
            home[:], home_U[:], home_M[:] = order, U, M
        else:
            order[:], U[:], M[:] = home, home_U, home_M
    return seen, better, len(nodes)
