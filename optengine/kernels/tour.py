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
RUNS = 2 * LONGEST - 1  # runs from a city on, either way; those of one city are the same
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


@numba.njit(cache=True, nogil=True, inline="always")
def _at(i: int, n: int) -> int:
    """Position i, from -n to 2 n - 1, on the circle; a division would take longer than a move."""
    return i - n if i >= n else i + n if i < 0 else i


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
def _change(
    i: int, j: int, m1: int, m2: int, middle: int, s1: int, s2: int, size: int, tour: Small, place: Small, log: Small,
    n_log: int,
) -> int:  # fmt: skip
    """Reverse the positions from i to j, then the run of `middle` cities with the ends m1 and m2, then that of `size`.

    Runs of 0 cities are left. Each reversal is noted, since it takes itself back. Returns the reversals noted so far.
    """
    n = len(tour)
    for step in range(3):
        if step > 0:
            a, b, run = (m1, m2, middle) if step == 1 else (s1, s2, size)
            if run == 0:
                continue
            i, j = place[a], place[b]
            if _at(j - i, n) + 1 != run:
                i, j = j, i
        _reverse(i, j, tour, place)
        if n_log < len(log):
            log[n_log, 0], log[n_log, 1] = i, j
            n_log += 1
    return n_log


@numba.njit(cache=True, nogil=True)
def _insert(
    a: int, e: int, size: int, p: int, nx: int, c: int, d: int, off: int, way: int, side: int, tour: Small,
    place: Small, log: Small, n_log: int,
) -> int:  # fmt: skip
    """Move the run a..e between c and d. Along `way` the tour reads p a..e nx ... p; d follows c if side = 1."""
    ahead = off - size + 1 if side == 1 else off - size  # cities from nx to the nearer of c and d
    behind = len(tour) - size - ahead  # cities from p back to the other
    near_end, far_end = (c, d) if side == 1 else (d, c)
    x, y, m1, m2, middle, forth = (
        (a, e, nx, near_end, ahead, way > 0) if ahead <= behind else (e, a, p, far_end, behind, way < 0)
    )
    start, stop = (place[x], place[m2]) if forth else (place[m2], place[x])
    straight = size if side == 1 else 0  # c a..e d; else d e..a c
    return int(_change(start, stop, m1, m2, middle, x, y, straight, tour, place, log, n_log))


@numba.njit(cache=True, nogil=True, inline="always")
def _await(
    touched: Integers, count: int, queue: Small, waits: NDArray[np.bool_], head: int, waiting: int
) -> int:
    """Queue the first `count` of the cities touched; returns how many wait."""
    for t in range(count):
        city = touched[t]
        if not waits[city]:
            waits[city] = True
            queue[_at(head + waiting, len(queue))] = city
            waiting += 1
    return waiting


@numba.njit(cache=True, nogil=True)
def _take(
    a: int, c: int, way: int, size: int, side: int, n: int, tour: Small, place: Small, log: Small, n_log: int,
    touched: Integers,
) -> tuple[int, int]:  # fmt: skip
    """Make the move that `_look` found; returns the reversals noted and how many cities it touched."""
    i, pc = place[a], place[c]
    if size == 0:
        b, d = tour[_at(i + way, n)], tour[_at(pc + way, n)]
        start, stop = (place[b], pc) if way > 0 else (pc, place[b])
        touched[0], touched[1], touched[2], touched[3] = a, b, c, d
        return _change(start, stop, 0, 0, 0, 0, 0, 0, tour, place, log, n_log), 4
    p, d = tour[_at(i - way, n)], tour[_at(pc + way * side, n)]
    e, nx = tour[_at(i + way * (size - 1), n)], tour[_at(i + way * size, n)]
    touched[0], touched[1], touched[2], touched[3], touched[4], touched[5] = a, e, p, nx, c, d
    return _insert(a, e, size, p, nx, c, d, _at((pc - i) * way, n), way, side, tour, place, log, n_log), 6


@numba.njit(cache=True, nogil=True)
def search_tour(
    distance: Numbers, near: Small, reach: Numbers, tour: Small, place: Small, queue: Small, waits: NDArray[np.bool_],
    log: Small, state: Integers, length: Lengths, best: Small, temperature: float, limit: int,
) -> None:  # fmt: skip
    """Search on for `limit` evaluated moves; symmetric distances only.

    Evaluated is a move whose change of the length is computed; those that the neighbour lists cut off do not count.

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
    evaluated, head, waiting, n_log = state[OVERRUN], state[HEAD], state[WAITING], state[N_LOG]
    now, home = length[0], length[1]
    gains, ends = np.empty(RUNS), np.empty(RUNS, np.int64)
    touched = np.empty(6, np.int64)
    while evaluated < limit:
        if waiting:
            a = queue[head]
            head = head + 1 if head + 1 < n else 0
            waiting -= 1
            waits[a] = False
            while True:
                change, way, size, c, side, count = _look(
                    a, -EPSILON * abs(now) / n, distance, near, reach, k, n, tour, place, gains, ends
                )
                evaluated += count
                if size < 0:
                    break
                if n_log + 6 > len(log):  # no room to take the kick back: it stays
                    home, n_log = now, 0
                n_log, n_touched = _take(a, c, way, size, side, n, tour, place, log, n_log, touched)
                now += change
                waiting = _await(touched, n_touched, queue, waits, head, waiting)
            continue
        if now < length[2] - EPSILON * abs(length[2]):
            length[2] = now
            best[:] = tour
        if now > home and now - home > temperature * exponential(state[SEED], state[N_KICKS], 9):
            while n_log > 0:  # take the kick back
                n_log -= 1
                _reverse(log[n_log, 0], log[n_log, 1], tour, place)
            now = home
        home, n_log = now, 0
        state[N_KICKS] += 1
        evaluated += 1
        # A double bridge of one place: two neighbouring runs change places.
        word = draw(state[SEED], state[N_KICKS], 1)
        most = min(KICK, (n - 2) // 2)
        one, two = 1 + word % most, 1 + (word >> 12) % most
        i = (word >> 24) % n
        p, s1, s2 = tour[i], tour[_at(i + 1, n)], tour[_at(i + one, n)]
        m1, m2, q = tour[_at(i + one + 1, n)], tour[_at(i + one + two, n)], tour[_at(i + one + two + 1, n)]
        now += distance[p, m1] + distance[m2, s1] + distance[s2, q]
        now -= distance[p, s1] + distance[s2, m1] + distance[m2, q]
        n_log = _change(place[s1], place[m2], m1, m2, two, s1, s2, one, tour, place, log, n_log)
        touched[0], touched[1], touched[2], touched[3], touched[4], touched[5] = p, s1, s2, m1, m2, q
        waiting = _await(touched, 6, queue, waits, head, waiting)
    length[0], length[1] = now, home
    state[OVERRUN], state[HEAD], state[WAITING], state[N_LOG] = evaluated - limit, head, waiting, n_log


@numba.njit(cache=True, nogil=True, inline="always")
def _runs(
    a: int, i: int, s: int, p: int, d_s: float, d_p: float, distance: Numbers, n: int, tour: Small, gains: Lengths,
    ends: Integers,
) -> float:  # fmt: skip
    """What is won by taking out each run of cities from a on, and its other end; returns the most."""
    most = -np.inf
    for r in range(RUNS):
        way, size = (1, r + 1) if r < LONGEST else (-1, r - LONGEST + 2)
        e, nx = tour[_at(i + way * (size - 1), n)], tour[_at(i + way * size, n)]
        before, d_before = (p, d_p) if way > 0 else (s, d_s)
        ends[r] = e
        gains[r] = d_before + distance[e, nx] - distance[before, nx]
        most = max(most, gains[r])
    return most


@numba.njit(cache=True, nogil=True, inline="always")
def _look(  # noqa: C901 - one compiled loop
    a: int, least: float, distance: Numbers, near: Small, reach: Numbers, k: int, n: int, tour: Small, place: Small,
    gains: Lengths, ends: Integers,
) -> tuple[float, int, int, int, int, int]:  # fmt: skip
    """The best move that brings a city near a beside it.

    2-opt: a leaves its successor, or its predecessor, for c. Or-opt: the run of `size` cities from a on, away from its
    neighbour p, comes to stand between c and a neighbour d of c, with a beside c.

    Returns:
        Change, way of the tour, size (0: 2-opt, -1: no move shortens), c, side of c where d is, moves evaluated.
    """
    i = place[a]
    s, p = tour[_at(i + 1, n)], tour[_at(i - 1, n)]
    d_s, d_p = distance[a, s], distance[a, p]
    widest = max(d_s, d_p, _runs(a, i, s, p, d_s, d_p, distance, n, tour, gains, ends))
    change, b_way, b_size, b_c, b_side, count = least, 0, -1, 0, 0, 0
    for q in range(k):
        d_ac = reach[a, q]
        if d_ac >= widest:
            break
        c = near[a, q]
        j = place[c]
        cs, cp = tour[_at(j + 1, n)], tour[_at(j - 1, n)]
        d_cs, d_cp = distance[c, cs], distance[c, cp]
        if d_ac < d_s:
            count += 1
            found = d_ac + distance[s, cs] - d_s - d_cs
            if found < change:
                change, b_way, b_size, b_c = found, 1, 0, c
        if d_ac < d_p:
            count += 1
            found = d_ac + distance[p, cp] - d_p - d_cp
            if found < change:
                change, b_way, b_size, b_c = found, -1, 0, c
        ahead = _at(j - i, n)  # steps from a on to c
        for r in range(RUNS):
            if d_ac >= gains[r]:
                continue
            way, size = (1, r + 1) if r < LONGEST else (-1, r - LONGEST + 2)
            if (ahead if way > 0 else n - ahead) < size:
                continue  # c is in the run
            e, base = ends[r], d_ac - gains[r]
            if cs != a and cs != e:
                count += 1
                found = base + distance[e, cs] - d_cs
                if found < change:
                    change, b_way, b_size, b_c, b_side = found, way, size, c, way
            if cp != a and cp != e:
                count += 1
                found = base + distance[e, cp] - d_cp
                if found < change:
                    change, b_way, b_size, b_c, b_side = found, way, size, c, -way
    return change, b_way, b_size, b_c, b_side, count
