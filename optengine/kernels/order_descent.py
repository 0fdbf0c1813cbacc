"""Descents of many orders at once: restarts of an order search, one independent of the other.

Each order is improved by the exact neighbourhoods of `order_search`: every node in turn goes to its best place, until
no insertion lowers the score; then the exchange of two nodes that lowers it most, if one does, and insertions again.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optengine.kernels.order_search import best_swap, factor, invert, score, scores_numpy, shift, sweep

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Bools = NDArray[np.bool_]


def descend_orders_numpy(
    G: Floats, orders: Integers, before: Bools, nodes: Integers, swaps: bool, tolerance: float
) -> tuple[Integers, Floats]:
    """`descend_orders` by factorizing anew for each move, to the end; the definition."""
    ended = [
        _descend_numpy(G, x.copy(), before, sequence, swaps, tolerance)
        for x, sequence in zip(orders, nodes, strict=True)
    ]
    return np.array(ended), scores_numpy(G, np.array(ended))


def _descend_numpy(
    G: Floats, order: Integers, before: Bools, nodes: Integers, swaps: bool, tolerance: float
) -> Integers:
    """One order of `descend_orders_numpy`."""
    d, value = len(order), float(scores_numpy(G, order[None, :])[0])
    least = tolerance * value

    def best_of(moved: list[Integers]) -> bool:
        """Take the best of some orders that obey, if it is better; the first of equals."""
        nonlocal order, value
        places = [np.argsort(x) for x in moved]
        obey = [x for x, p in zip(moved, places, strict=True) if not (before & (p[:, None] > p)).any()]
        if not obey:
            return False
        after = scores_numpy(G, np.array(obey))
        if after.min() - value >= -least:
            return False
        order, value = obey[int(np.argmin(after))], float(after.min())
        return True

    while True:
        moved = False
        for node in nodes:
            a = int(np.flatnonzero(order == node)[0])
            places = [*range(a - 1, -1, -1), *range(a + 1, d)]
            moved |= best_of([np.insert(np.delete(order, a), j, node) for j in places])
        if moved:
            continue
        pairs = [(i, j) for i in range(d) for j in range(i + 1, d)]
        exchanged = []
        for i, j in pairs:
            exchanged.append(order.copy())
            exchanged[-1][[i, j]] = order[[j, i]]
        if not swaps or not best_of(exchanged):
            return order


@njit(cache=True, nogil=True)
def descend(
    order: Integers,
    U: Floats,
    M: Floats,
    before: Bools,
    nodes: Integers,
    swaps: bool,
    limit: int,
    least: float,
) -> tuple[int, bool]:
    """Improve one order and its factors in place until neither an insertion nor, with `swaps`, an exchange helps.

    A sweep of insertions costs O(d^2) and O(d) for each position that a node crosses, all exchanges O(d^3 / 6).

    Args:
        order, U, M: the order and its factors.
        before: (d, d).
        nodes: (d,) whom a sweep visits, in turn.
        swaps: look at exchanges as well.
        limit: places and pairs to look at, at most.
        least: a smaller change is rounding.

    Returns:
        Places and pairs seen, and whether it came to the end.
    """
    seen, rows = 0, np.arange(len(order))
    while seen < limit:
        n, moved = sweep(order, U, M, before, nodes, limit - seen, least)
        seen += n
        if moved:
            continue
        if not swaps:
            return seen, seen < limit
        if seen >= limit:
            break
        change, i, j, n = best_swap(order, U, M, before, rows, limit - seen)
        seen += n
        if not change < -least:  # NaN ends it, too
            return seen, seen < limit
        shift(order, U, M, before, j, i)
        shift(order, U, M, before, i + 1, j)
    return seen, False


@njit(cache=True, nogil=True)
def descend_orders(
    G: Floats, orders: Integers, before: Bools, nodes: Integers, swaps: bool, tolerance: float, limit: int
) -> tuple[Integers, Floats, Integers, Bools]:
    """Descend from each of several orders.

    Args:
        G: (d, d) Gram matrix.
        orders: (r, d), each obeying `before`.
        before: (d, d), before[u, v]: u stands before v.
        nodes: (r, d), permutations: whom the sweeps of each order visit, in turn.
        swaps: look at exchanges as well where no insertion helps.
        tolerance: a smaller change, relative to the first score of an order, is rounding.
        limit: places and pairs to look at for each order, at most; who stopped there goes on in another call.

    Returns:
        Orders (r, d), their scores (r,), places and pairs seen (r,), and which descents came to the end (r,).
    """
    found, values = orders.copy(), np.empty(len(orders))
    seen, ended = np.zeros(len(orders), np.int64), np.zeros(len(orders), np.bool_)
    U, M = np.empty(G.shape), np.empty(G.shape)
    for r in range(len(orders)):
        least = tolerance * factor(G, found[r], U)
        invert(U, M)
        while True:
            value = score(U)
            n, done = descend(found[r], U, M, before, nodes[r], swaps, limit - seen[r], least)
            seen[r] += n
            moved = score(U) < value - least
            values[r] = factor(G, found[r], U)  # anew, so that rounding does not add up
            if not done or not moved:
                ended[r] = done
                break
            invert(U, M)
            if seen[r] >= limit:
                break
    return found, values, seen, ended
