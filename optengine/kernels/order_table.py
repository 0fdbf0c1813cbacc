"""Orders of few nodes whose parents are chosen: a table of the best parents among every set, and what reads it.

table[v, S] is the least of base(var(v | P)) + weight |P| over the sets P of parents within S (bit u: node u) that
contain the required ones of v and none of the forbidden, inf where there is none; base is half the variance, or half
its logarithm. The score of an order is the sum of table[v, nodes before v], O(d).
"""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optengine.kernels.order_exact import eliminate

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def best_parents_numpy(
    G: Floats, v: int, S: list[int], weight: float, log: bool, must: list[int]
) -> tuple[float, list[int]]:
    """Least local score of node v with parents among S, and the parents; the definition, O(2^|S|)."""
    least: tuple[float, list[int]] = (np.inf, [])
    for size in range(len(S) + 1):
        for P in map(list, itertools.combinations(S, size)):
            if set(must) <= set(P):
                variance = G[v, v]
                if P:
                    variance -= G[v, P] @ np.linalg.solve(G[np.ix_(P, P)], G[P, v])
                least = min(least, (0.5 * (np.log(variance) if log else variance) + weight * size, P))
    return least


@njit(cache=True, nogil=True)
def parents_table(
    G: Floats, weight: float, log: bool, must: Integers, never: Integers
) -> tuple[Floats, NDArray[np.int32]]:
    """`best_parents_numpy` of every node and set: scores and parents, (d, 2^d). O(d^2 2^d).

    Args:
        G: (d, d) Gram matrix.
        weight: of each parent.
        log: half the logarithm of the variance in place of half the variance.
        must, never: (d,) bits of the required and the forbidden parents of each node.
    """
    d = len(G)
    table, parents = np.full((d, 1 << d), np.inf), np.zeros((d, 1 << d), np.int32)
    stack = np.empty((d + 1, d, d))
    stack[0] = G
    for S in range(1 << d):
        size, changed = 0, d - 1
        for bit in range(d):
            size += (S >> bit) & 1
        if S > 0:
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
        for v in range(d):
            if (S >> v) & 1:
                continue
            if S & never[v] == 0 and S & must[v] == must[v]:
                variance = stack[d, v, v]
                table[v, S] = 0.5 * (np.log(variance) if log else variance) + weight * size
                parents[v, S] = S
            for bit in range(d):
                less = S & ~(1 << bit)
                if less != S and table[v, less] < table[v, S]:
                    table[v, S] = table[v, less]
                    parents[v, S] = parents[v, less]
    return table, parents


@njit(cache=True, nogil=True)
def table_scores(table: Floats, X: Integers) -> Floats:
    """Scores (m,) of orders X (m, d)."""
    values = np.zeros(len(X))
    for r in range(len(X)):
        S = 0
        for v in X[r]:
            values[r] += table[v, S]
            S |= 1 << v
    return values


@njit(cache=True, nogil=True)
def table_sweep(
    order: Integers, table: Floats, before: Bools, nodes: Integers, limit: int, tolerance: float
) -> tuple[int, int]:
    """Insert each of `nodes` at its best place in turn, in place; returns places seen (<= limit), nodes moved.

    O(1) a place: where two neighbours change sides, only theirs change.
    """
    d = len(order)
    seen = moved = 0
    for node in nodes:
        if seen >= limit:
            break
        a, S = 0, 0
        while order[a] != node:
            S |= 1 << order[a]
            a += 1
        own, place, least, looked = table[node, S], a, -tolerance, seen
        prefix, change = S, 0.0
        for k in range(a - 1, -1, -1):
            u = order[k]
            if before[u, node] or seen >= limit:
                break
            prefix &= ~(1 << u)
            change += table[u, prefix | (1 << node)] - table[u, prefix]
            seen += 1
            if change + table[node, prefix] - own < least:
                least, place = change + table[node, prefix] - own, k
        prefix, change = S, 0.0
        for k in range(a + 1, d):
            u = order[k]
            if before[node, u] or seen >= limit:
                break
            change += table[u, prefix] - table[u, prefix | (1 << node)]
            prefix |= 1 << u
            seen += 1
            if change + table[node, prefix] - own < least:
                least, place = change + table[node, prefix] - own, k
        seen = max(seen, looked + 1)
        if place != a:
            moved += 1
            step = 1 if place > a else -1
            while a != place:
                order[a] = order[a + step]
                a += step
            order[place] = node
    return seen, moved


@njit(cache=True, nogil=True)
def table_extend(
    table: Floats, forerunners: Integers, first: int, last: int, best: Floats, node: NDArray[np.int8]
) -> None:
    """`order_exact.extend` where the local scores come from the table; O(d) a subset."""
    d = len(table)
    for S in range(first, last):
        if best[S] == np.inf:
            continue
        for v in range(d):
            if not (S >> v) & 1 and forerunners[v] & S == forerunners[v]:
                T = S | (1 << v)
                if best[S] + table[v, S] < best[T]:
                    best[T] = best[S] + table[v, S]
                    node[T] = v
