"""Robust tabu search for quadratic assignment: the definition and the Numba form.

    f(p) = sum over k, l of flow[k, l] * distance[p[k], p[l]], minimised by exchanging the locations of two facilities.

Taillard, Robust taboo search for the quadratic assignment problem, Parallel Computing 17 (1991),
doi:10.1016/S0167-8191(05)80147-4: the changes under all exchanges are kept, and one exchange alters all those of other
pairs in O(1) each; an exchange is tabu while both facilities left the locations that they would go back to less than
their tenures ago, unless it gives a new best.

What makes it fast: distances are kept permuted, so that all the loops run along rows and vectorise; sums over k are
taken for all partners at once; tabu times are kept for pairs.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numba
import numpy as np
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw
from optengine.kernels.permutation import assignment_swaps_reference

Numbers: TypeAlias = NDArray[Any]  # float32 or float64
Integers: TypeAlias = NDArray[np.int64]
Small: TypeAlias = NDArray[np.int32]

WIDTH = 16  # rows are filled up to a multiple of it
EXACT_32 = 2.0**22  # changes below it stay exact in float32, also with a penalty of twice that
STEP, IDLE, SEED = 0, 1, 2
STATE = 3


def padded(n: int) -> int:
    """The next multiple of WIDTH."""
    return -(-n // WIDTH) * WIDTH


def exchanges_reference(flow: Numbers, distance: Numbers, p: Integers) -> Numbers:
    """Change of f under every exchange, (n, n); the definition."""
    n = len(p)
    pairs = np.stack(np.divmod(np.arange(n * n), n), axis=1)
    return assignment_swaps_reference(flow, distance, p, pairs).reshape(n, n)


def robust_tabu_reference(
    flow: Numbers, distance: Numbers, p: Integers, low: int, spread: int, seed: int, steps: int
) -> tuple[Integers, float]:
    """The best p of a walk of `steps` steps, and how much lower f is there; the definition, O(n^3) a step."""
    p, n = p.copy(), len(p)
    until = np.zeros((n, n), dtype=np.int64)  # of a facility, to a location
    fallen, best, at_best = 0.0, 0.0, p.copy()
    for step in range(steps):
        changes = exchanges_reference(flow, distance, p).astype(np.float64)
        ends = np.minimum(until[:, p], until[:, p].T)
        worth = np.where((ends > step) & (fallen - changes <= best), changes + 1e15, changes)
        worth[np.diag_indices(n)] = np.inf
        word = draw(seed, step, 0)
        lanes = (word % n + np.arange(n)) % n
        v = lanes[np.argmin(worth[:, lanes].min(axis=0))]
        rows = ((word >> 24) % n + np.arange(n)) % n
        u = rows[np.argmin(worth[rows, v])]
        for k, word in ((u, 1), (v, 2)):
            until[k, p[k]] = step + 1 + low + draw(seed, step, word) % spread
        fallen -= changes[u, v]
        p[u], p[v] = p[v], p[u]
        if fallen > best:
            best, at_best = fallen, p.copy()
    return at_best, best


@numba.njit(cache=True, nogil=True)
def begin(
    flow: Numbers, flow_t: Numbers, near: Numbers, near_t: Numbers, diagonals: Numbers, both: bool, out: Numbers
) -> None:  # fmt: skip
    """Fill `out` (n, m) with the changes under all exchanges; arguments as for `robust_tabu`."""
    n = len(flow)
    for r in range(n):
        _row(flow, flow_t, near, near_t, diagonals, both, r, out[r])
        out[r, r] = 1e30
        for v in range(n, out.shape[1]):
            out[r, v] = 1e30


@numba.njit(cache=True, nogil=True)
def robust_tabu(
    flow: Numbers, flow_t: Numbers, near: Numbers, near_t: Numbers, diagonals: Numbers, both: bool, p: Integers,
    changes: Numbers, until: Small, ends: Small, low: int, spread: int, penalty: float, state: Integers,
    fallen: NDArray[np.float64], best: Integers, steps: int, patience: int,
) -> int:  # fmt: skip
    """Walk on for at most `steps` steps, or until `patience` steps have brought no new best; returns the steps taken.

    Args:
        flow, flow_t: (n, m) flows, diagonal left out, filled with zeros to m = `padded(n)` columns, and transposed.
        near, near_t: (n, m) distances of the present places, near[k, l] = distance[p[k], p[l]], diagonal left out, and
            transposed; updated. The transposes are read only if `both`.
        diagonals: (2, n) of the flows, and of `near`; updated.
        both: whether flow and distance are both asymmetric; else both must be symmetric here.
        p: (n,) locations; updated. changes: (n, m) as `begin` leaves it; updated.
        until: (n, m) step until which a facility must not go to the present location of another; updated.
        ends: (n, m) the smaller of until[u, v] and until[v, u]; updated.
        low, spread: tenure is low + below(spread), spread >= 1.
        penalty: of tabu exchanges, a power of two above any difference of changes.
        state: (STATE,) counters. fallen: (2,) f has fallen by since the start: now, and at the best. best: (n,) its p.
            All updated.
    """
    n, m = changes.shape
    big = changes.dtype.type(penalty)
    lanes, a, b = np.empty(m, changes.dtype), np.empty(m, changes.dtype), np.empty(m, changes.dtype)
    step, idle, seed = state[STEP], state[IDLE], state[SEED]
    taken = 0
    while taken < steps and idle < patience:
        word = draw(seed, step, 0)
        lanes[:] = 1e30
        _worth(changes, ends, step, changes.dtype.type(fallen[0] - fallen[1]), big, lanes)
        v = word % n
        top, at = lanes[v], v
        for _ in range(n - 1):
            v = v + 1 if v + 1 < n else 0
            if lanes[v] < top:
                top, at = lanes[v], v
        v = at
        u, free = (word >> 24) % n, fallen[0] - fallen[1]
        for _ in range(n):
            c = changes[u, v]
            if ends[u, v] > step and c >= free and u != v:
                c += big
            if c == top:
                break
            u = u + 1 if u + 1 < n else 0
        change = np.float64(changes[u, v])
        _tabu(until, ends, u, v, n, step, low, spread, seed)
        p[u], p[v] = p[v], p[u]
        _swap(near, u, v, n)
        diagonals[1, u], diagonals[1, v] = diagonals[1, v], diagonals[1, u]
        _differences(flow, near, u, v, a, b)
        if both:
            _swap(near_t, u, v, n)
            _update(changes, a, b, changes.dtype.type(1))
            _differences(flow_t, near_t, u, v, a, b)
            _update(changes, a, b, changes.dtype.type(1))
        else:
            _update(changes, a, b, changes.dtype.type(2))
        for r in (u, v):
            _row(flow, flow_t, near, near_t, diagonals, both, r, changes[r])
            for k in range(n):
                changes[k, r] = changes[r, k]
            changes[r, r] = 1e30
        fallen[0] -= change
        idle += 1
        if fallen[0] > fallen[1]:
            fallen[1] = fallen[0]
            best[:] = p
            idle = 0
        step += 1
        taken += 1
    state[STEP], state[IDLE] = step, idle
    return taken


# Loops on their own, or they do not vectorise.


@numba.njit(cache=True, nogil=True)
def _worth(changes: Numbers, ends: Small, step: int, free: float, big: float, lanes: Numbers) -> None:
    """The least change of each column, tabu ones `big` more; `free`: changes below it give a new best."""
    n, m = changes.shape
    for u in range(n):
        row, end = changes[u], ends[u]
        for v in range(m):
            c = row[v]
            w = c + big if (end[v] > step) & (c >= free) else c
            top = lanes[v]
            lanes[v] = w if w < top else top  # noqa: FURB136 - min() does not vectorise


@numba.njit(cache=True, nogil=True)
def _update(changes: Numbers, a: Numbers, b: Numbers, factor: float) -> None:
    """changes[u, v] += factor (a[u] - a[v]) (b[u] - b[v])."""
    n, m = changes.shape
    for u in range(n):
        row, au, bu = changes[u], a[u], b[u]
        for v in range(m):
            row[v] += factor * (au - a[v]) * (bu - b[v])


@numba.njit(cache=True, nogil=True)
def _differences(flow: Numbers, near: Numbers, r: int, s: int, a: Numbers, b: Numbers) -> None:
    for k in range(len(a)):
        a[k] = flow[r, k] - flow[s, k]
        b[k] = near[s, k] - near[r, k]


@numba.njit(cache=True, nogil=True)
def _row(
    flow: Numbers, flow_t: Numbers, near: Numbers, near_t: Numbers, diagonals: Numbers, both: bool, r: int, out: Numbers
) -> None:  # fmt: skip
    """Changes under the exchanges of r with every facility, from their definition; k = r and k = v are put right."""
    n = len(flow)
    two = out.dtype.type(2)
    for v in range(n):
        out[v] = two * flow[r, v] * near[r, v]
        if both:
            back = flow_t[r, v] * near_t[r, v]
            out[v] += two * back + flow[r, v] * (near_t[r, v] - near[r, v])
            out[v] += flow_t[r, v] * (near[r, v] - near_t[r, v])
    if both:
        _add(flow, near, flow_t, near_t, r, out)
        _add(flow_t, near_t, flow, near, r, out)
    else:
        _add(flow, near, flow, near, r, out)
        for v in range(n):
            out[v] *= two
    own, place = diagonals[0, r], diagonals[1, r]
    for v in range(n):
        out[v] += (own - diagonals[0, v]) * (diagonals[1, v] - place)


@numba.njit(cache=True, nogil=True)
def _add(flow: Numbers, near: Numbers, own: Numbers, place: Numbers, r: int, out: Numbers) -> None:
    """out[v] += sum over k of (own[r, k] - flow[k, v]) (near[k, v] - place[r, k]); slices would be counted: slow."""
    for k in range(len(flow)):
        f, d = own[r, k], place[r, k]
        for v in range(len(out)):
            out[v] += (f - flow[k, v]) * (near[k, v] - d)


@numba.njit(cache=True, nogil=True)
def _swap(near: Numbers, u: int, v: int, n: int) -> None:
    """Exchange rows and columns u and v."""
    for k in range(n):
        near[u, k], near[v, k] = near[v, k], near[u, k]
    for k in range(n):
        near[k, u], near[k, v] = near[k, v], near[k, u]


@numba.njit(cache=True, nogil=True)
def _tabu(
    until: Small, ends: Small, u: int, v: int, n: int, step: int, low: int, spread: int, seed: int
) -> None:
    """u and v leave their locations: u's becomes v's. Their old ones are forbidden to them for a while."""
    for k in range(n):
        until[k, u], until[k, v] = until[k, v], until[k, u]
    until[u, v] = step + 1 + low + draw(seed, step, 1) % spread
    until[v, u] = step + 1 + low + draw(seed, step, 2) % spread
    for r in (u, v):
        for k in range(n):
            least = min(until[r, k], until[k, r])
            ends[r, k] = least
            ends[k, r] = least
