"""Weighted local search on linear rows with whole and real columns, for a good feasible point within tenths of seconds.

The point may break rows; broken rows gain weight until a move mends them, and where none is broken the objective does
until a move lowers it (Luteberget and Sartor, Feasibility Jump: an LP-free Lagrangian MIP heuristic, Mathematical
Programming Computation 15 (2023), doi:10.1007/s12532-023-00234-8; Lin, Zou and Cai, An efficient local search solver
for mixed integer programming, CP 2024, for the moves that are sampled). A move sets one column to another value: bits
flip, other columns go to the least of the convex piecewise linear function that the weighted violations are of them,
or just so far that the row is kept.

A move weighs at most `ROW_SAMPLE` columns of one broken row and `COST_SAMPLE` that could lower the objective, each in
O(nonzeros of the column), and then touches the rows of one column; a jump sorts the breakpoints of its column. With 50
rows a column, as in set covering of 1000 x 2000, that is 4500 looks at a row for a move at most.
`python benchmarks/milp_parts.py --jumps`: 51 000 moves a second there, 321 000 in auctions of 600 items, 83 000 in item
placement, 34 000 in workload apportionment.
`gain_reference` and `jump_reference` are the definitions.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optengine.kernels.minmax_random import draw

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

ROW_SAMPLE = 60  # columns of a broken row that a move looks at
COST_SAMPLE, COST_SAMPLE_FEASIBLE = (
    30,
    60,
)  # columns that could lower the objective, beside a broken row and without one
TENURE, SPREAD = 3, 10  # moves for which a column stays as it is: TENURE to TENURE + SPREAD - 1
TOLERANCE = 1e-7  # of rows, relative to max(1, |bound|)
LEAST_GAIN = 1e-9
CLOCK, BROKEN, DEAR, LAST = 0, 1, 2, 3  # places in `counts`
VALUE, BEST, COST_WEIGHT = 0, 1, 2  # places in `numbers`


class Rows(NamedTuple):
    """A model, rows scaled so that their largest coefficient is 1 and costs so that the largest is 1.

    Attributes:
        cost: (n,). lb, ub: (n,). whole: (n,) bool. low, high, slack: (m,) bounds and tolerance of the rows.
        row_start (m + 1,), row_column, row_value: rows in CSR. start (n + 1,), row, value: the same in CSC.
    """

    cost: Floats
    lb: Floats
    ub: Floats
    whole: NDArray[np.bool_]
    low: Floats
    high: Floats
    slack: Floats
    row_start: Indices
    row_column: Indices
    row_value: Floats
    start: Indices
    row: Indices
    value: Floats


class State(NamedTuple):
    """Where a search stands; changed in place.

    Attributes:
        x, best: (n,) the point and the best feasible one. activity: (m,) A x. weight: (m,) of the rows.
        broken, broken_at: (m,) the broken rows, and where each stands among them, -1 if kept.
        dear, dear_at: (n,) columns that could lower the objective, likewise. tabu: (n,) move until which each stays.
        counts: moves, broken rows, dear columns, last move that found a better point.
        numbers: value of x, of best, weight of the objective.
    """

    x: Floats
    best: Floats
    activity: Floats
    weight: Floats
    broken: Indices
    broken_at: Indices
    dear: Indices
    dear_at: Indices
    tabu: Indices
    counts: Indices
    numbers: Floats


def prepare(model: Any) -> Rows:
    """The scaled rows of a `LinearModel`; whole columns get whole bounds."""
    from scipy.sparse import csr_array

    A = csr_array(model.A, copy=True)
    A.eliminate_zeros()
    A.sort_indices()
    m = A.shape[0]
    size = np.ones(m)
    rows = np.repeat(np.arange(m), np.diff(A.indptr))
    largest = np.zeros(m)
    np.maximum.at(largest, rows, np.abs(A.data))
    size[largest > 0] = largest[largest > 0]
    data = A.data / size[rows]
    C = csr_array((data, A.indices, A.indptr), shape=A.shape).tocsc()
    C.sort_indices()
    bound = np.maximum(
        np.where(np.isfinite(model.lower), np.abs(model.lower), 0.0),
        np.where(np.isfinite(model.upper), np.abs(model.upper), 0.0),
    )
    whole = np.asarray(model.integrality, dtype=np.bool_)
    most = np.abs(model.c).max(initial=0.0)
    return Rows(
        cost=np.asarray(model.c / (most if most > 0 else 1.0), dtype=np.float64),
        lb=np.where(whole, np.ceil(model.lb - 1e-9), model.lb),
        ub=np.where(whole, np.floor(model.ub + 1e-9), model.ub),
        whole=whole,
        low=model.lower / size,
        high=model.upper / size,
        slack=TOLERANCE * np.maximum(1.0, bound) / size,
        row_start=A.indptr.astype(np.int64),
        row_column=A.indices.astype(np.int64),
        row_value=data,
        start=C.indptr.astype(np.int64),
        row=C.indices.astype(np.int64),
        value=np.asarray(C.data, dtype=np.float64),
    )


def starting(rows: Rows, x: Floats | None = None) -> Floats:
    """A point (n,) to start from: x where it is a number, else the cheaper bound, or what is nearest to 0."""
    near = np.clip(0.0, rows.lb, rows.ub)
    cheap = np.where(rows.cost > 0, rows.lb, np.where(rows.cost < 0, rows.ub, near))
    cheap = np.where(np.isfinite(cheap), cheap, near)
    return cheap if x is None else np.where(np.isnan(x), cheap, x)


def begin(rows: Rows, x: Floats | None = None) -> State:
    """A search that starts at x (n,), by default as `starting` has it."""
    n, m = len(rows.cost), len(rows.low)
    x = starting(rows) if x is None else x
    x = np.clip(np.where(rows.whole, np.rint(x), x), rows.lb, rows.ub)
    state = State(
        x=x.astype(np.float64),
        best=x.astype(np.float64),
        activity=np.zeros(m),
        weight=np.ones(m),
        broken=np.zeros(m, dtype=np.int64),
        broken_at=np.full(m, -1, dtype=np.int64),
        dear=np.zeros(n, dtype=np.int64),
        dear_at=np.full(n, -1, dtype=np.int64),
        tabu=np.zeros(n, dtype=np.int64),
        counts=np.zeros(4, dtype=np.int64),
        numbers=np.array([0.0, np.inf, 1.0]),
    )
    refresh(rows, state)
    return state


def weighted_violation(rows: Rows, state: State, x: Floats) -> float:
    """Sum of the rows' violations at x (n,) and of its cost, by their weights: what moves lower."""
    activity = np.array(
        [
            rows.row_value[a:b] @ x[rows.row_column[a:b]]
            for a, b in zip(rows.row_start[:-1], rows.row_start[1:], strict=True)
        ]
    )
    excess = np.maximum(np.maximum(rows.low - activity, activity - rows.high), 0.0)
    return float(state.weight @ excess + state.numbers[COST_WEIGHT] * (rows.cost @ x))


def gain_reference(rows: Rows, state: State, j: int, value: float) -> float:
    """What setting column j to a value takes off the weighted violation: the definition of `gain`."""
    moved = state.x.copy()
    moved[j] = value
    return weighted_violation(rows, state, state.x) - weighted_violation(rows, state, moved)


def jump_reference(rows: Rows, state: State, j: int) -> float:
    """The least gain lost, over all values of column j: the largest gain there is. The definition of `jump`."""
    values = [rows.lb[j], rows.ub[j]]
    for i, a in zip(
        rows.row[rows.start[j] : rows.start[j + 1]],
        rows.value[rows.start[j] : rows.start[j + 1]],
        strict=True,
    ):
        values += [state.x[j] + (side - state.activity[i]) / a for side in (rows.low[i], rows.high[i])]
    inside = np.clip([v for v in values if np.isfinite(v)], rows.lb[j], rows.ub[j])
    if rows.whole[j]:
        inside = np.concatenate([np.floor(inside), np.ceil(inside)])
    inside = inside[(inside >= rows.lb[j]) & (inside <= rows.ub[j])]
    return max((gain_reference(rows, state, j, float(v)) for v in inside), default=0.0)


@njit(cache=True, nogil=True, inline="always")
def _excess(s: float, low: float, high: float) -> float:
    return low - s if s < low else (s - high if s > high else 0.0)


@njit(cache=True, nogil=True)
def gain(rows: Rows, state: State, j: int, value: float) -> float:
    """See `gain_reference`."""
    d = value - state.x[j]
    total = -state.numbers[COST_WEIGHT] * rows.cost[j] * d
    for k in range(rows.start[j], rows.start[j + 1]):
        i = rows.row[k]
        s, low, high = state.activity[i], rows.low[i], rows.high[i]
        total += state.weight[i] * (_excess(s, low, high) - _excess(s + rows.value[k] * d, low, high))
    return total


@njit(cache=True, nogil=True)
def jump(rows: Rows, state: State, j: int) -> float:
    """A value of column j of the largest gain; its present value where there is no finite one. O(k log k)."""
    x, k0, k1 = state.x[j], rows.start[j], rows.start[j + 1]
    at, rise, n = np.empty(2 * (k1 - k0)), np.empty(2 * (k1 - k0)), 0
    slope = state.numbers[COST_WEIGHT] * rows.cost[j]
    for k in range(k0, k1):
        i, a = rows.row[k], rows.value[k]
        to_low, to_high = (rows.low[i] - state.activity[i]) / a, (rows.high[i] - state.activity[i]) / a
        left, right = x + min(to_low, to_high), x + max(to_low, to_high)
        w = state.weight[i] * abs(a)
        if left > -np.inf:
            slope -= w
            at[n], rise[n] = left, w
            n += 1
        if right < np.inf:
            at[n], rise[n] = right, w
            n += 1
    value = rows.lb[j]
    if slope < 0.0:
        value = rows.ub[j]
        for k in np.argsort(at[:n]):
            slope += rise[k]
            if slope >= 0.0:
                value = at[k]
                break
    value = min(max(value, rows.lb[j]), rows.ub[j])
    if not abs(value) < np.inf:
        return x
    if rows.whole[j] and value != np.floor(value):
        down, up = np.floor(value), np.ceil(value)
        return down if gain(rows, state, j, down) >= gain(rows, state, j, up) else up
    return value


@njit(cache=True, nogil=True)
def refresh(rows: Rows, state: State) -> None:
    """Compute activities, value and lists anew from x, without the rounding of many moves."""
    counts, numbers = state.counts, state.numbers
    counts[BROKEN] = counts[DEAR] = 0
    for i in range(len(rows.low)):
        s = 0.0
        for k in range(rows.row_start[i], rows.row_start[i + 1]):
            s += rows.row_value[k] * state.x[rows.row_column[k]]
        state.activity[i] = s
        state.broken_at[i] = -1
        if s < rows.low[i] - rows.slack[i] or s > rows.high[i] + rows.slack[i]:
            _enter(state.broken, state.broken_at, counts, BROKEN, i)
    numbers[VALUE] = 0.0
    for j in range(len(rows.cost)):
        numbers[VALUE] += rows.cost[j] * state.x[j]
        state.dear_at[j] = -1
        if _could_fall(rows, state, j):
            _enter(state.dear, state.dear_at, counts, DEAR, j)


@njit(cache=True, nogil=True, inline="always")
def _could_fall(rows: Rows, state: State, j: int) -> bool:
    c, x = rows.cost[j], state.x[j]
    return (c > 0.0 and x > rows.lb[j]) or (c < 0.0 and x < rows.ub[j])


@njit(cache=True, nogil=True, inline="always")
def _enter(members: Indices, at: Indices, counts: Indices, which: int, item: int) -> None:
    at[item] = counts[which]
    members[counts[which]] = item
    counts[which] += 1


@njit(cache=True, nogil=True, inline="always")
def _leave(members: Indices, at: Indices, counts: Indices, which: int, item: int) -> None:
    counts[which] -= 1
    last = members[counts[which]]
    members[at[item]] = last
    at[last] = at[item]
    at[item] = -1


@njit(cache=True, nogil=True)
def _move(rows: Rows, state: State, j: int, value: float) -> None:
    """Set a column; O(its nonzeros)."""
    d = value - state.x[j]
    state.x[j] = value
    state.numbers[VALUE] += rows.cost[j] * d
    for k in range(rows.start[j], rows.start[j + 1]):
        i = rows.row[k]
        s = state.activity[i] + rows.value[k] * d
        state.activity[i] = s
        breaks = s < rows.low[i] - rows.slack[i] or s > rows.high[i] + rows.slack[i]
        if breaks != (state.broken_at[i] >= 0):
            if breaks:
                _enter(state.broken, state.broken_at, state.counts, BROKEN, i)
            else:
                _leave(state.broken, state.broken_at, state.counts, BROKEN, i)
    could = _could_fall(rows, state, j)
    if could != (state.dear_at[j] >= 0):
        if could:
            _enter(state.dear, state.dear_at, state.counts, DEAR, j)
        else:
            _leave(state.dear, state.dear_at, state.counts, DEAR, j)


@njit(cache=True, nogil=True)
def _from_row(rows: Rows, state: State, seed: int, clock: int) -> tuple[int, float, float]:
    """The best move of some columns of one broken row: column (-1: none), value, gain."""
    i = state.broken[draw(seed, clock, 0) % state.counts[BROKEN]]
    a, b = rows.row_start[i], rows.row_start[i + 1]
    stride = max(1, (b - a) // ROW_SAMPLE)
    first = a + draw(seed, clock, 1) % stride if stride > 1 else a
    best_j, best_value, best_gain = -1, 0.0, -np.inf
    up = state.activity[i] < rows.low[i]  # the activity must rise
    missing = (rows.low[i] if up else rows.high[i]) - state.activity[i]
    for k in range(first, b, stride):
        j = rows.row_column[k]
        if state.tabu[j] > clock:
            continue
        x, coefficient = state.x[j], rows.row_value[k]
        way = 1.0 if (coefficient > 0.0) == up else -1.0
        if (way > 0.0 and x >= rows.ub[j]) or (way < 0.0 and x <= rows.lb[j]):
            continue
        wanted = x + missing / coefficient
        if rows.whole[j]:
            wanted = np.ceil(wanted - 1e-9) if way > 0.0 else np.floor(wanted + 1e-9)
        wanted = min(max(wanted, rows.lb[j]), rows.ub[j])
        g = gain(rows, state, j, wanted)
        if not (rows.whole[j] and rows.ub[j] - rows.lb[j] == 1.0):
            other = jump(rows, state, j)
            if (other - x) * way > 0.0:
                h = gain(rows, state, j, other)
                if h > g:
                    g, wanted = h, other
        if g > best_gain:
            best_j, best_value, best_gain = j, wanted, g
    return best_j, best_value, best_gain


@njit(cache=True, nogil=True)
def _from_cost(rows: Rows, state: State, seed: int, clock: int, number: int) -> tuple[int, float, float]:
    """The best move of some columns that could lower the objective: column (-1: none), value, gain."""
    best_j, best_value, best_gain, n = -1, 0.0, -np.inf, state.counts[DEAR]
    if n == 0:
        return best_j, best_value, best_gain
    first = draw(seed, clock, 2)
    stride = max(1, n // number)
    for t in range(min(number, n)):
        j = state.dear[(first + t * stride) % n]
        if state.tabu[j] > clock:
            continue
        if rows.whole[j] and rows.ub[j] - rows.lb[j] == 1.0:
            wanted = rows.lb[j] + rows.ub[j] - state.x[j]
        else:
            wanted = jump(rows, state, j)
            if (wanted - state.x[j]) * rows.cost[j] >= 0.0:
                continue
        g = gain(rows, state, j, wanted)
        if g > best_gain:
            best_j, best_value, best_gain = j, wanted, g
    return best_j, best_value, best_gain


@njit(cache=True, nogil=True)
def search(rows: Rows, state: State, n_moves: int, seed: int) -> None:
    """Make moves; the best feasible point so far stays in `state.best`, its scaled value in `numbers[BEST]`."""
    counts, numbers = state.counts, state.numbers
    for _ in range(n_moves):
        clock = counts[CLOCK]
        counts[CLOCK] += 1
        free = counts[BROKEN] == 0
        if free and numbers[VALUE] < numbers[BEST] - 1e-9 * max(1.0, abs(numbers[VALUE])):
            numbers[BEST] = numbers[VALUE]
            state.best[:] = state.x
            counts[LAST] = clock
        j, value, best = _from_cost(rows, state, seed, clock, COST_SAMPLE_FEASIBLE if free else COST_SAMPLE)
        if not free:
            k, other, g = _from_row(rows, state, seed, clock)
            if best <= LEAST_GAIN or g >= best:
                j, value, best = k, other, g
        if best <= LEAST_GAIN:
            if free:
                numbers[COST_WEIGHT] += 1.0
            else:
                for t in range(counts[BROKEN]):
                    state.weight[state.broken[t]] += 1.0
        if j >= 0:
            _move(rows, state, j, value)
            state.tabu[j] = clock + TENURE + draw(seed, clock, 3) % SPREAD
