"""Local search for multi-dimensional knapsacks: drop some items, fill up, exchange, accept as in annealing.

Items stand in the order of their profit per price, the prices being those of the linear relaxation; the search works
mostly where that order is undecided, the core (Puchinger, Raidl, Pferschy, The multidimensional knapsack problem:
structure and algorithms, INFORMS Journal on Computing 22 (2010), doi:10.1287/ijoc.1090.0344).
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw, exponential

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

STEP, SEED, BARREN = 0, 1, 2
STATE = 3
SKIPPED = 4  # one item in so many is passed over when filling
ROUNDS = 50  # exchanges after one fill, at most


@numba.njit(cache=True, nogil=True)
def search_knapsack(  # noqa: C901 - one compiled loop
    profits: Floats, weights: Floats, low: int, high: int, temperature: float, patience: int, chosen: Integers,
    slack: Floats, state: Integers, value: Floats, home: Integers, best: Integers, steps: int,
) -> None:  # fmt: skip
    """`steps` rounds of drop, fill and exchange.

    Args:
        profits: (n,), weights: (n, m), both in the order of efficiency, best first.
        low, high: the core is items low to high - 1.
        temperature: mean loss of profit that is accepted. patience: rounds without a better home before best is home.
        chosen: (n,) 0 or 1, slack: (m,), both of the present point; scratch between calls.
        state: (STATE,) counters. value: (2,) profit of home and of best. home, best: (n,). All updated.
    """
    n, m = weights.shape
    seed = state[SEED]
    for step in range(state[STEP], state[STEP] + steps):
        now = value[0]
        chosen[:] = home
        slack_of(chosen, weights, slack)
        k = 1 + draw(seed, step, 0) % 4
        if draw(seed, step, 1) % 16 == 0:
            k += 4
        word = 2
        for _ in range(k):  # drop, mostly in the core, of two the less efficient
            j = -1
            for _ in range(2):
                w = draw(seed, step, word)
                word += 1
                begin, end = (low, high) if w % 8 else (0, n)
                at = begin + (w >> 8) % (end - begin)
                while at >= 0 and not chosen[at]:
                    at -= 1
                j = max(j, at)
            if j >= 0:
                _take(j, -1, profits, weights, chosen, slack)
                now -= profits[j]
        for turn in range(2):  # fill: passing over some, then none
            for j in range(n):
                if not chosen[j] and _fits(j, weights, slack):
                    if turn == 0:
                        word += 1
                        if draw(seed, step, word) % SKIPPED == 0:
                            continue
                    _take(j, 1, profits, weights, chosen, slack)
                    now += profits[j]
        for _ in range(ROUNDS):  # the best exchange in the core of one for one
            gain, out, into = 0.0, -1, -1
            for j in range(low, high):
                if not chosen[j]:
                    for i in range(low, high):
                        if chosen[i] and profits[j] - profits[i] > gain:
                            ok = True
                            for r in range(m):
                                if weights[j, r] - weights[i, r] > slack[r]:
                                    ok = False
                                    break
                            if ok:
                                gain, out, into = profits[j] - profits[i], i, j
            if out < 0:
                break
            _take(out, -1, profits, weights, chosen, slack)
            _take(into, 1, profits, weights, chosen, slack)
            now += gain
            for j in range(n):
                if not chosen[j] and _fits(j, weights, slack):
                    _take(j, 1, profits, weights, chosen, slack)
                    now += profits[j]
        state[BARREN] += 1
        if now > value[1]:
            value[1] = now
            best[:] = chosen
            state[BARREN] = 0
        if now >= value[0] or value[0] - now < temperature * exponential(seed, step, 1 << 20):
            value[0] = now
            home[:] = chosen
        elif state[BARREN] > patience:
            state[BARREN] = 0
            value[0] = value[1]
            home[:] = best
    state[STEP] += steps


@numba.njit(cache=True, nogil=True)
def slack_of(chosen: Integers, weights: Floats, slack: Floats) -> None:
    """Subtract the weights of the chosen items from the capacities, which stand behind the slacks: slack is (2 m,)."""
    m = weights.shape[1]
    slack[:m] = slack[m:]
    for j in range(len(chosen)):
        if chosen[j]:
            for r in range(m):
                slack[r] -= weights[j, r]


@numba.njit(cache=True, nogil=True)
def _fits(j: int, weights: Floats, slack: Floats) -> bool:
    for r in range(weights.shape[1]):  # noqa: SIM110 - compiled
        if weights[j, r] > slack[r]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _take(j: int, way: int, profits: Floats, weights: Floats, chosen: Integers, slack: Floats) -> None:
    chosen[j] += way
    for r in range(weights.shape[1]):
        slack[r] -= way * weights[j, r]
