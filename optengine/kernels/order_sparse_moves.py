"""Orders whose parents are chosen by `order_sparse`: scores, insertions in place, sweeps, and kicks with descents.

A node that passes another changes the predecessors of these two alone, and `order_sparse.picks` sees in O(m^2) whether
that changes their parents: most places cost no fit.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optengine.kernels.order_sparse import Paths, Rules, fit, picked, picks

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


@njit(cache=True, nogil=True)
def fit_all(G: Floats, order: Integers, rules: Rules, paths: Paths) -> float:
    """Fit every node among its predecessors, each into its own row; returns the score."""
    total = 0.0
    for k in range(len(order)):
        total += fit(G, order[k], order[:k], rules, paths, order[k])
    return total


@njit(cache=True, nogil=True)
def copy_row(source: Paths, i: int, target: Paths, j: int) -> None:
    """Copy one path."""
    m = source.length[i]
    target.length[j], target.rest[j], target.value[j] = m, source.rest[i], source.value[i]
    target.idle[j] = source.idle[i]
    target.nodes[j, :m] = source.nodes[i, :m]
    target.cross[j, :m] = source.cross[i, :m]
    target.mark[j, :m] = source.mark[i, :m]
    target.stage[j, : m + 1, :m] = source.stage[i, : m + 1, :m]


@njit(cache=True, nogil=True)
def carry(
    G: Floats, order: Integers, rules: Rules, paths: Paths, before: Bools, dirty: Bools, a: int, b: int
) -> int:
    """Carry the node at position a towards b as far as `before` allows, with all paths; returns where it stands."""
    x, start = order[a], a
    changed = False
    while a > b and not before[order[a - 1], x]:
        u = order[a - 1]
        order[a - 1], order[a] = x, u
        if picks(G, u, x, rules, paths, u):
            fit(G, u, order[:a], rules, paths, u)
            dirty[u] = True
        changed = changed or picked(u, paths, x)
        a -= 1
    while a < b and not before[x, order[a + 1]]:
        u = order[a + 1]
        order[a], order[a + 1] = u, x
        if picked(x, paths, u):
            fit(G, u, order[:a], rules, paths, u)
            dirty[u] = True
        changed = changed or picks(G, x, u, rules, paths, x)
        a += 1
    if changed and a != start:
        fit(G, x, order[:a], rules, paths, x)
        dirty[x] = True
    return a


@njit(cache=True, nogil=True)
def best_place(
    G: Floats, order: Integers, rules: Rules, paths: Paths, before: Bools, a: int, limit: int, least: float
) -> tuple[float, int, int]:
    """Best change, below -least, over the places of the node at position a, the place, and places seen."""
    d, x, S = len(order), order[a], paths.members
    trial, other = d, d + 1
    best, place, seen = -least, a, 0
    copy_row(paths, x, paths, trial)
    change, own = 0.0, paths.value[x]
    for k in range(a - 1, -1, -1):
        u = order[k]
        if before[u, x] or seen >= limit:
            break
        seen += 1
        if picks(G, u, x, rules, paths, u):
            S[:k] = order[:k]
            S[k] = x
            change += fit(G, u, S[: k + 1], rules, paths, other) - paths.value[u]
        if picked(u, paths, trial):
            fit(G, x, order[:k], rules, paths, trial)
        if change + paths.value[trial] - own < best:
            best, place = change + paths.value[trial] - own, k
    copy_row(paths, x, paths, trial)
    change = 0.0
    S[:a] = order[:a]
    for k in range(a + 1, d):
        u = order[k]
        if before[x, u] or seen >= limit:
            break
        seen += 1
        if picked(x, paths, u):
            change += fit(G, u, S[: k - 1], rules, paths, other) - paths.value[u]
        S[k - 1] = u
        if picks(G, x, u, rules, paths, trial):
            fit(G, x, S[:k], rules, paths, trial)
        if change + paths.value[trial] - own < best:
            best, place = change + paths.value[trial] - own, k
    return best, place, max(seen, 1)


@njit(cache=True, nogil=True)
def sparse_sweep(
    G: Floats,
    order: Integers,
    rules: Rules,
    paths: Paths,
    before: Bools,
    dirty: Bools,
    nodes: Integers,
    limit: int,
    least: float,
) -> tuple[int, int]:
    """Insert each of `nodes` at its best place in turn, in place; returns places seen (<= limit), nodes moved."""
    seen = moved = 0
    for node in nodes:
        if seen >= limit:
            break
        a = 0
        while order[a] != node:
            a += 1
        _, place, n = best_place(G, order, rules, paths, before, a, limit - seen, least)
        seen += n
        if place != a:
            carry(G, order, rules, paths, before, dirty, a, place)
            moved += 1
    return seen, moved


@njit(cache=True, nogil=True)
def total(paths: Paths) -> float:
    """Score of the order that the paths belong to."""
    return paths.value[: len(paths.value) - 2].sum()


@njit(cache=True, nogil=True)
def sparse_kicks(
    G: Floats,
    order: Integers,
    rules: Rules,
    paths: Paths,
    home: Paths,
    before: Bools,
    nodes: Integers,
    draws: Floats,
    limit: int,
    least: float,
) -> tuple[int, int, int]:
    """`order_search.kicks` for chosen parents: rounds of a kick and a descent, in place.

    A sweep visits the nodes whose parents the kick, or the sweep before, changed; the others hardly ever move.

    Args:
        G, order, rules, paths, before: the order and its paths. home: memory for the paths of the best order.
        nodes: (rounds, d), permutations: whom each round's sweeps visit.
        draws: (rounds, strength, 2) in [0, 1): the node, and how far it goes, -1 to 1 of the whole order for 0 to 1.
        limit: places to look at, at most. least: a smaller change is rounding.

    Returns:
        Places seen, rounds that improved the score, rounds made.
    """
    d = len(order)
    best = order.copy()
    for v in range(d):
        copy_row(paths, v, home, v)
    value, seen, better = total(paths), 0, 0
    dirty, look = np.zeros(d, np.bool_), np.zeros(d, np.bool_)
    for r in range(len(nodes)):
        if seen >= limit:
            return seen, better, r
        dirty[:] = False
        look[:] = False
        for k in range(draws.shape[1]):
            i = int(draws[r, k, 0] * d)
            j = i + int(np.round((2.0 * draws[r, k, 1] - 1.0) * d))
            look[order[i]] = True
            carry(G, order, rules, paths, before, look, i, min(max(j, 0), d - 1))
        while seen < limit:
            visited = nodes[r][look[nodes[r]]]
            dirty |= look
            look[:] = False
            n, moved = sparse_sweep(G, order, rules, paths, before, look, visited, limit - seen, least)
            seen += n
            if moved == 0:
                break
        dirty |= look
        now = total(paths)
        keep = now <= value + least
        if keep:
            better += now < value - least
            value = now
            best[:] = order
        else:
            order[:] = best
        for v in range(d):
            if dirty[v]:
                if keep:
                    copy_row(paths, v, home, v)
                else:
                    copy_row(home, v, paths, v)
    return seen, better, len(nodes)


@njit(cache=True, nogil=True)
def terms(G: Floats, order: Integers, first: int, last: int, rules: Rules, paths: Paths) -> Floats:
    """Local scores (last - first,) of the nodes at positions first <= k < last of an order."""
    values = np.empty(last - first)
    for k in range(first, last):
        values[k - first] = fit(G, order[k], order[:k], rules, paths, len(G))
    return values


@njit(cache=True, nogil=True)
def coefficients(G: Floats, order: Integers, rules: Rules, paths: Paths) -> Floats:
    """Weights (d, d) of an order, W[i, j] of the edge i -> j."""
    d = len(G)
    W = np.zeros((d, d))
    for k in range(d):
        fit(G, order[k], order[:k], rules, paths, d)
        for i in range(paths.length[d]):
            if paths.kept[d, i]:
                W[paths.nodes[d, i], order[k]] = paths.weights[d, i]
    return W


@njit(cache=True, nogil=True)
def sparse_table(G: Floats, rules: Rules, paths: Paths) -> Floats:
    """Local scores (d, 2^d) of every node among every set of others (bit u: node u), inf without a required one."""
    d = len(G)
    table, S = np.full((d, 1 << d), np.inf), paths.members
    for bits in range(1 << d):
        n = 0
        for u in range(d):
            if (bits >> u) & 1:
                S[n] = u
                n += 1
        for v in range(d):
            whole = not (bits >> v) & 1
            for u in range(d):
                whole = whole and not (rules.must[v, u] and not (bits >> u) & 1)
            if whole:
                table[v, bits] = fit(G, v, S[:n], rules, paths, d)
    return table
