"""Iterated local search for the p-median problem: a place opened for a place closed.

Whitaker, A fast algorithm for the greedy interchange for large-scale clustering and median location problems (1983);
Resende, Werneck, A fast swap-based local search procedure for location problems (2007), doi:10.1007/s10479-006-0154-0.
Every client knows the nearest and the second nearest open place; then one pass over the clients evaluates the k swaps
that open one place. Maximum coverage is the same problem: with -weight for a distance where a set holds an element.
"""

from __future__ import annotations

from typing import TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw, exponential

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]

EPSILON = 1e-12  # size of a gain that rounding may feign, in units of the value
SEED, N_KICKS, AT, IDLE = 0, 1, 2, 3  # slots of `state`
STATE = 4


def swap_changes_reference(distance: Floats, places: Integers) -> Floats:
    """Change of the total if place f opens and that of slot r closes: (n, k); the definition.

    Args:
        distance: (n, m), from places to clients. places: (k,) open places.
    """
    now = distance[places].min(axis=0).sum()
    changes = np.empty((len(distance), len(places)))
    for f in range(len(distance)):
        for r in range(len(places)):
            other = np.r_[np.delete(places, r), f]
            changes[f, r] = distance[other].min(axis=0).sum() - now
    return changes


@numba.njit(cache=True, nogil=True)
def _two_nearest(i: int, distance: Floats, places: Integers, near: Integers, far: Floats) -> None:
    near[i, 0], near[i, 1], far[i, 0], far[i, 1] = -1, -1, np.inf, np.inf
    for r in range(len(places)):
        d = distance[places[r], i]
        if d < far[i, 0]:
            near[i, 1], far[i, 1] = near[i, 0], far[i, 0]
            near[i, 0], far[i, 0] = r, d
        elif d < far[i, 1]:
            near[i, 1], far[i, 1] = r, d


@numba.njit(cache=True, nogil=True)
def serve(distance: Floats, places: Integers, near: Integers, far: Floats) -> float:
    """Fill near (m, 2), slots of the two nearest places, and far (m, 2), how far they are; returns the total."""
    for i in range(len(near)):
        _two_nearest(i, distance, places, near, far)
    return float(far[:, 0].sum())


@numba.njit(cache=True, nogil=True)
def best_swap(f: int, distance: Floats, near: Integers, far: Floats, loss: Floats) -> tuple[float, int]:
    """The least entry of row f of `swap_changes_reference`, and its slot; O(m + k). loss: (k,) is written over."""
    gain, row = 0.0, distance[f]
    loss[:] = 0.0
    for i in range(len(near)):
        if row[i] < far[i, 0]:
            gain += far[i, 0] - row[i]
        else:
            loss[near[i, 0]] += min(row[i], far[i, 1]) - far[i, 0]
    r = int(np.argmin(loss))
    return loss[r] - gain, r


@numba.njit(cache=True, nogil=True)
def _swap(f: int, r: int, distance: Floats, places: Integers, near: Integers, far: Floats) -> float:
    """Open f in slot r; returns the total."""
    places[r] = f
    total, row = 0.0, distance[f]
    for i in range(len(near)):
        d = row[i]
        if near[i, 0] == r:
            if d <= far[i, 1]:
                far[i, 0] = d
            else:
                _two_nearest(i, distance, places, near, far)
        elif d < far[i, 0]:
            near[i, 1], far[i, 1] = near[i, 0], far[i, 0]
            near[i, 0], far[i, 0] = r, d
        elif near[i, 1] == r:
            if d <= far[i, 1]:
                far[i, 1] = d
            else:
                _two_nearest(i, distance, places, near, far)
        elif d < far[i, 1]:
            near[i, 1], far[i, 1] = r, d
        total += far[i, 0]
    return total


@numba.njit(cache=True, nogil=True)
def search_medians(
    distance: Floats, places: Integers, is_open: NDArray[np.bool_], near: Integers, far: Floats, home: Integers,
    best: Integers, value: Floats, state: Integers, strength: int, temperature: float, steps: int,
) -> None:  # fmt: skip
    """Search on: in each step one closed place looks for the open one to stand in for, and takes it if that wins.

    Args:
        distance: (n, m), from places to clients, k < n. places: (k,) open places, is_open: (n,). near, far: of `serve`.
        home: (k,) the local optimum that is kicked, best: (k,).
        value: (3,) of places, home and best. state: (STATE,) counters. All of these updated.
        strength: random swaps of a kick. temperature: mean growth of the total that is accepted.
        steps: >= 1.
    """
    n, k = len(distance), len(places)
    loss = np.empty(k)
    for _ in range(steps):
        if state[IDLE] >= n - k:  # no swap wins
            if value[0] < value[2]:
                value[2] = value[0]
                best[:] = places
            if value[0] <= value[1] or value[0] - value[1] <= temperature * exponential(
                state[SEED], state[N_KICKS], 3
            ):
                home[:], value[1] = places, value[0]
            else:
                for r in range(k):
                    if places[r] != home[r]:
                        is_open[places[r]] = False
                        value[0] = _swap(home[r], r, distance, places, near, far)
                is_open[home] = True
            state[N_KICKS] += 1
            for kick in range(strength):
                word = draw(state[SEED], state[N_KICKS] * strength + kick, 1)
                f, r = word % n, (word >> 24) % k
                while is_open[f]:
                    f = f + 1 if f + 1 < n else 0
                is_open[places[r]], is_open[f] = False, True
                value[0] = _swap(f, r, distance, places, near, far)
            state[IDLE], state[AT] = 0, draw(state[SEED], state[N_KICKS], 2) % n
        f = state[AT]
        while is_open[f]:
            f = f + 1 if f + 1 < n else 0
        state[AT] = f + 1 if f + 1 < n else 0
        change, r = best_swap(f, distance, near, far, loss)
        state[IDLE] += 1
        if change < -EPSILON * abs(value[0]):
            is_open[places[r]], is_open[f] = False, True
            value[0] = _swap(f, r, distance, places, near, far)
            state[IDLE] = 1
