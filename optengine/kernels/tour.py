"""Iterated local search of tours: 2-opt and Or-opt with neighbour lists, kicked by exchanging two short runs.

Johnson, McGeoch, Experimental analysis of heuristics for the STSP (2002), doi:10.1007/0-306-48213-4_9. All changes of
a tour are reversals of runs of positions (the shorter side of two), which are noted, so that a kick that leads to
nothing is taken back at the cost of what it changed. Cities whose surroundings changed wait in a queue: the others
need no look.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw, exponential

Numbers: TypeAlias = NDArray[Any]  # float32 or float64
Lengths: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]

SMALLEST = 8  # cities: below it runs overlap
LONGEST = 3  # cities of a run that Or-opt moves
KICK = 50  # cities of either run that a kick exchanges, at most
EPSILON = 1e-9  # relative size of a gain that rounding may feign
# Slots of `state`.
SEED, N_KICKS, HEAD, WAITING, N_LOG, OVERRUN = 0, 1, 2, 3, 4, 5
STATE = 6


@numba.njit(cache=True, nogil=True)
def tour_length(distance: Numbers, tour: Small) -> float:
    """Length of the closed tour."""
    total = np.float64(distance[tour[-1], tour[0]])
    for k in range(len(tour) - 1):
        total += distance[tour[k], tour[k + 1]]
    return total


@numba.njit(cache=True, nogil=True)
def search_tour(
    distance: Numbers, near: Small, reach: Numbers, tour: Small, place: Small, queue: Small, waits: NDArray[np.bool_],
    log: Small, state: Integers, length: Lengths, best: Small, temperature: float, limit: int,
) -> None:  # fmt: skip
    """Search on for `limit` evaluated moves; symmetric distances only.

    Args:
        distance: (n, n), n >= SMALLEST, float32 where sums of four are exact. near: (n, k) the nearest cities of each,
            nearest first. reach: (n, k) their distances.
        tour: (n,) city at each position, place: (n,) position of each city.
        queue: (n,) ring of cities to look at, waits: (n,) whether a city is in it.
        log: (l, 2) reversals since the last kick; where it is full, the kick is taken for good.
        state: (STATE,) counters. length: (3,) of the tour now, when it was last kicked, and of the best. best: (n,).
            All of these updated.
        temperature: mean growth of a tour that is accepted.
    """
    n, k = len(tour), near.shape[1]
    evaluated = state[OVERRUN]
    while evaluated < limit:
        if state[WAITING]:
            a = queue[state[HEAD]]
            state[HEAD] = _at(state[HEAD] + 1, n)
            state[WAITING] -= 1
            waits[a] = False
            improved = True
            while improved:
                improved, count = _improve(
                    a, distance, near, reach, k, tour, place, queue, waits, log, state, length
                )
                evaluated += count
            continue
        if length[0] < length[2] - EPSILON * abs(length[2]):
            length[2] = length[0]
            best[:] = tour
        if length[0] > length[1] and length[0] - length[1] > temperature * exponential(
            state[SEED], state[N_KICKS], 9
        ):
            while state[N_LOG] > 0:  # take the kick back
                state[N_LOG] -= 1
                _reverse(log[state[N_LOG], 0], log[state[N_LOG], 1], tour, place)
            length[0] = length[1]
        length[1] = length[0]
        state[N_LOG] = 0
        state[N_KICKS] += 1
        evaluated += 1
        _kick(distance, tour, place, queue, waits, log, state, length)
    state[OVERRUN] = evaluated - limit


@numba.njit(cache=True, nogil=True)
def _kick(
    distance: Numbers, tour: Small, place: Small, queue: Small, waits: NDArray[np.bool_], log: Small, state: Integers,
    length: Lengths,
) -> None:  # fmt: skip
    """Exchange two neighbouring runs: a double bridge of one place."""
    n = len(tour)
    word = draw(state[SEED], state[N_KICKS], 1)
    most = min(KICK, (n - 2) // 2)
    one, two = 1 + word % most, 1 + (word >> 12) % most
    i = (word >> 24) % n
    p, s1, s2 = tour[i], tour[_at(i + 1, n)], tour[_at(i + one, n)]
    m1, m2, q = tour[_at(i + one + 1, n)], tour[_at(i + one + two, n)], tour[_at(i + one + two + 1, n)]
    length[0] += distance[p, m1] + distance[m2, s1] + distance[s2, q]
    length[0] -= distance[p, s1] + distance[s2, m1] + distance[m2, q]
    _exchange(s1, s2, one, m1, m2, two, True, tour, place, log, state)
    for c in (p, s1, s2, m1, m2, q):
        _wait(c, queue, waits, state)


@numba.njit(cache=True, nogil=True)
def _wait(c: int, queue: Small, waits: NDArray[np.bool_], state: Integers) -> None:
    if not waits[c]:
        waits[c] = True
        queue[_at(state[HEAD] + state[WAITING], len(queue))] = c
        state[WAITING] += 1


@numba.njit(cache=True, nogil=True)
def _reverse(i: int, j: int, tour: Small, place: Small) -> None:
    """Reverse the run of positions from i on to j, or, where that is shorter, all others: the same tour."""
    n = len(tour)
    inside = j - i if j >= i else j - i + n
    if 2 * (inside + 1) > n:
        i, j, inside = j + 1, i - 1, n - 2 - inside
        i = i if i < n else 0
        j = j if j >= 0 else n - 1
    for _ in range((inside + 1) // 2):
        a, b = tour[i], tour[j]
        tour[i], tour[j] = b, a
        place[b], place[a] = i, j
        i = i + 1 if i + 1 < n else 0
        j = j - 1 if j > 0 else n - 1


@numba.njit(cache=True, nogil=True)
def _noted(i: int, j: int, tour: Small, place: Small, log: Small, state: Integers) -> None:
    """Reverse, and note it; a reversal takes itself back."""
    _reverse(i, j, tour, place)
    if state[N_LOG] < len(log):
        log[state[N_LOG], 0], log[state[N_LOG], 1] = i, j
        state[N_LOG] += 1


@numba.njit(cache=True, nogil=True)
def _run(a: int, b: int, size: int, tour: Small, place: Small, log: Small, state: Integers) -> None:
    """Reverse the run of `size` cities, at most half of all, with the ends a and b, whichever way it lies."""
    i, j = place[a], place[b]
    if _at(j - i, len(tour)) + 1 != size:
        i, j = j, i
    _noted(i, j, tour, place, log, state)


@numba.njit(cache=True, nogil=True)
def _exchange(
    s1: int, s2: int, size: int, m1: int, m2: int, middle: int, straight: bool, tour: Small, place: Small, log: Small,
    state: Integers,
) -> None:  # fmt: skip
    """Turn ... s1..s2 m1..m2 ... into ... m1..m2 s1..s2 ..., the run s reversed unless `straight`."""
    _noted(place[s1], place[m2], tour, place, log, state)
    _run(m1, m2, middle, tour, place, log, state)
    if straight:
        _run(s1, s2, size, tour, place, log, state)


@numba.njit(cache=True, nogil=True, inline="always")
def _at(i: int, n: int) -> int:
    """Position i, from -n to 2 n - 1, on the circle; a division would take longer than a move."""
    return i - n if i >= n else i + n if i < 0 else i


@numba.njit(cache=True, nogil=True)
def _improve(
    a: int,
    distance: Numbers,
    near: Small,
    reach: Numbers,
    k: int,
    tour: Small,
    place: Small,
    queue: Small,
    waits: NDArray[np.bool_],
    log: Small,
    state: Integers,
    length: Lengths,
) -> tuple[bool, int]:
    """Take the first move that shortens the tour and gives city a a new neighbour; whether, and moves evaluated."""
    if state[N_LOG] + 6 > len(log):  # no room to take the kick back: it stays
        length[1], state[N_LOG] = length[0], 0
    least = -EPSILON * abs(length[0]) / len(tour)
    found, count = _two_opt(a, least, distance, near, reach, k, tour, place, queue, waits, log, state, length)
    if found:
        return True, count
    found, more = _or_opt(a, least, distance, near, reach, k, tour, place, queue, waits, log, state, length)
    return found, count + more


@numba.njit(cache=True, nogil=True)
def _two_opt(
    a: int,
    least: float,
    distance: Numbers,
    near: Small,
    reach: Numbers,
    k: int,
    tour: Small,
    place: Small,
    queue: Small,
    waits: NDArray[np.bool_],
    log: Small,
    state: Integers,
    length: Lengths,
) -> tuple[bool, int]:
    """a leaves its successor, or its predecessor, for a nearer city."""
    n, count, i = len(tour), 0, place[a]
    for way in (1, -1):
        b = tour[_at(i + way, n)]
        d_ab = distance[a, b]
        for q in range(k):
            d_ac = reach[a, q]
            if d_ac >= d_ab:
                break
            c = near[a, q]
            d = tour[_at(place[c] + way, n)]
            count += 1
            change = d_ac + distance[b, d] - d_ab - distance[c, d]
            if change < least:
                if way > 0:
                    _noted(place[b], place[c], tour, place, log, state)
                else:
                    _noted(place[c], place[b], tour, place, log, state)
                length[0] += change
                for city in (a, b, c, d):
                    _wait(city, queue, waits, state)
                return True, count
    return False, count


@numba.njit(cache=True, nogil=True)
def _or_opt(
    a: int,
    least: float,
    distance: Numbers,
    near: Small,
    reach: Numbers,
    k: int,
    tour: Small,
    place: Small,
    queue: Small,
    waits: NDArray[np.bool_],
    log: Small,
    state: Integers,
    length: Lengths,
) -> tuple[bool, int]:
    """The run from a to e, away from p, comes to stand beside a city c that is near a."""
    n, count, i = len(tour), 0, place[a]
    for way in (1, -1):
        p = tour[_at(i - way, n)]
        d_pa = distance[p, a]
        for size in range(1, LONGEST + 1):
            e, nx = tour[_at(i + way * (size - 1), n)], tour[_at(i + way * size, n)]
            gain = d_pa + distance[e, nx] - distance[p, nx]
            for q in range(k):
                d_ac = reach[a, q]
                if d_ac >= gain:
                    break
                c = near[a, q]
                off = _at((place[c] - i) * way, n)  # steps from a to c, along the run
                if off < size:
                    continue
                for side in (1, -1):  # a stands beside c; e beside the city on this side of c
                    if (c == p and side == 1) or (c == nx and side == -1):
                        continue  # between c and d lies the run itself
                    d = tour[_at(place[c] + way * side, n)]
                    count += 1
                    change = d_ac + distance[e, d] - distance[c, d] - gain
                    if change < least:
                        _insert(a, e, size, p, nx, c, d, off, way, side, tour, place, log, state)
                        length[0] += change
                        for city in (a, e, p, nx, c, d):
                            _wait(city, queue, waits, state)
                        return True, count
    return False, count


@numba.njit(cache=True, nogil=True)
def _insert(
    a: int, e: int, size: int, p: int, nx: int, c: int, d: int, off: int, way: int, side: int, tour: Small,
    place: Small, log: Small, state: Integers,
) -> None:  # fmt: skip
    """Move the run a..e between c and d. Along `way` the tour reads p a..e nx ... p; d follows c if side = 1."""
    n = len(tour)
    ahead = off - size + 1 if side == 1 else off - size  # cities from nx to the nearer of c and d
    behind = n - size - ahead  # cities from p back to the other
    near_end, far_end = (c, d) if side == 1 else (d, c)
    straight = side == 1  # c a..e d; else d e..a c
    if ahead <= behind:
        x, y, m1, m2, middle = a, e, nx, near_end, ahead
        if way > 0:
            _exchange(x, y, size, m1, m2, middle, straight, tour, place, log, state)
        else:
            _exchange_back(x, y, size, m1, m2, middle, straight, tour, place, log, state)
    elif way > 0:
        _exchange_back(e, a, size, p, far_end, behind, straight, tour, place, log, state)
    else:
        _exchange(e, a, size, p, far_end, behind, straight, tour, place, log, state)


@numba.njit(cache=True, nogil=True)
def _exchange_back(
    s1: int, s2: int, size: int, m1: int, m2: int, middle: int, straight: bool, tour: Small, place: Small, log: Small,
    state: Integers,
) -> None:  # fmt: skip
    """`_exchange` against the sense of the positions: they hold m2..m1 s2..s1."""
    _noted(place[m2], place[s1], tour, place, log, state)
    _run(m1, m2, middle, tour, place, log, state)
    if straight:
        _run(s1, s2, size, tour, place, log, state)
