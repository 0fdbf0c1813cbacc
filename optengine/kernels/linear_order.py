"""Iterated local search of linear orders by insertions.

Schiavinotto, Stuetzle, The linear ordering problem: instances, search space analysis and algorithms (2004),
doi:10.1023/B:JMMA.0000049426.06305.d8. `skew[a, b]` is what a wins by standing before b and not behind it. An item that
passes its neighbours one by one changes the value by one entry of its row each time: all n - 1 insertions of an item
are evaluated in one pass over the order. What differs from the paper: worse orders are accepted now and then.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw, exponential

Numbers: TypeAlias = NDArray[Any]  # int32 where all sums of a row fit, else float64
Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]

EPSILON = 1e-12  # size of a gain that rounding may feign, in units of the value
SEED, N_KICKS, AT, IDLE = 0, 1, 2, 3  # slots of `state`
STATE = 4


def insertion_gains_reference(skew: Numbers, order: NDArray[Any]) -> Floats:
    """What is won if the item at position i is taken out and stands at j: (n, n); the definition.

    Args:
        skew: (n, n), W - W.T. order: (n,) item at each position.
    """
    n = len(order)
    gains = np.zeros((n, n))
    for i in range(n):
        row = skew[order[i], order].astype(np.float64)
        for j in range(n):
            gains[i, j] = row[j:i].sum() - row[i + 1 : j + 1].sum()
    return gains


@numba.njit(cache=True, nogil=True)
def best_insertion(skew: Numbers, order: Small, i: int) -> tuple[float, int]:
    """The largest entry of row i of `insertion_gains_reference`, and its position; O(n)."""
    a, n = order[i], len(order)
    zero = skew[0, 0]  # the diagonal: 0, of the type of the sums
    best, to, total = zero, i, zero
    for j in range(i + 1, n):
        total = skew.dtype.type(total - skew[a, order[j]])
        if total > best:
            best, to = total, j
    total = zero
    for j in range(i - 1, -1, -1):
        total = skew.dtype.type(total + skew[a, order[j]])
        if total > best:
            best, to = total, j
    return np.float64(best), to


@numba.njit(cache=True, nogil=True)
def _insert(i: int, j: int, order: Small, place: Small) -> None:
    a, step = order[i], 1 if j > i else -1
    while i != j:
        order[i] = order[i + step]
        place[order[i]] = i
        i += step
    order[j] = a
    place[a] = j


@numba.njit(cache=True, nogil=True)
def search_linear_order(
    skew: Numbers, order: Small, place: Small, home: Small, best: Small, value: Floats, state: Integers, strength: int,
    temperature: float, steps: int,
) -> None:  # fmt: skip
    """Search on: in each step one item looks at its n - 1 insertions and takes the best one that wins.

    Args:
        skew: (n, n), W - W.T with 0 on the diagonal. order: (n,) item at each position, place: (n,) its inverse.
        home: (n,) the local optimum that is kicked, best: (n,).
        value: (3,) of order, home and best, maximised. state: (STATE,) counters. All of these updated.
        strength: random insertions of a kick. temperature: mean loss of an order that is accepted.
        steps: >= 1.
    """
    n = len(order)
    for _ in range(steps):
        if state[IDLE] >= n:  # every item stands best where it stands
            if value[0] > value[2]:
                value[2] = value[0]
                best[:] = order
            if value[0] >= value[1] or value[1] - value[0] <= temperature * exponential(
                state[SEED], state[N_KICKS], 3
            ):
                home[:], value[1] = order, value[0]
            else:
                order[:], value[0] = home, value[1]
                for p in range(n):
                    place[order[p]] = p
            state[N_KICKS] += 1
            for kick in range(strength):
                word = draw(state[SEED], state[N_KICKS] * strength + kick, 1)
                i, j = word % n, (word >> 20) % n
                a = order[i]
                for p in range(min(i, j), max(i, j) + 1):
                    value[0] += skew[a, order[p]] if j < i else -skew[a, order[p]]
                _insert(i, j, order, place)
            state[IDLE], state[AT] = 0, draw(state[SEED], state[N_KICKS], 2) % n
        i = place[state[AT]]
        state[AT] = state[AT] + 1 if state[AT] + 1 < n else 0
        gain, to = best_insertion(skew, order, i)
        if gain > EPSILON * abs(value[0]):
            _insert(i, to, order, place)
            value[0] += gain
            state[IDLE] = 0
        state[IDLE] += 1
