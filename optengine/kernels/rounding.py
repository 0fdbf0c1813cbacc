"""Whole numbers near a point that keep linear rows: the cheap attempt before an exact solver is asked.

Each row of a batch is rounded, then single steps and jumps of whole columns, and pairs of steps where no single one
helps, are taken greedily while they lower the weighted violation; rows that stay violated in a local minimum gain
weight, as in feasibility jump (Luteberget & Sartor, "Feasibility Jump", Math. Prog. Comp. 15, 2023,
doi:10.1007/s12532-023-00234-8). At the end every changed column walks back towards its target as far as the rows allow.
Real columns enter through the range that they leave to each row. Cost: O(p m) a step, p whole columns, m rows.

`round_reference` is the definition of what is asked for (the nearest assignment, by enumeration); `round_rows` finds a
near one or says that it did not.
"""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEPS = 40  # plus four a whole column, before a row is given up
PAIRS = 64  # pairs of steps are tried among this many whole columns
TIE = 1e-3  # weight of the distance to the target against violation: it decides between equal moves
LEAST = 1e-9  # gain that counts
SLACK = 1e-12  # relative violation that counts as rounding


def round_reference(
    X: Floats, target: Floats, A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats, whole: Mask
) -> tuple[Floats, Mask]:
    """Set the whole columns of each row to the assignment nearest to `target` that the rows allow: the definition.

    Args:
        X: start, (n, d); real columns are returned as they are.
        target: the point to stay near to, (n, d); distances are |x - target| / (ub - lb), summed.
        A, lower, upper: rows (m, d) with bounds (m,); a row is allowed if some real columns in their bounds meet it.
        lb, ub: bounds of the columns, (1, d) for all or (n, d).
        whole: which columns hold whole numbers, (d,).

    Returns:
        The points (n, d), and for each whether an assignment was found.
    """
    out, found = X.copy(), np.zeros(len(X), dtype=bool)
    for r in range(len(X)):
        low, high = lb[r if len(lb) > 1 else 0], ub[r if len(ub) > 1 else 0]
        c_low = np.minimum(A * low, A * high)[:, ~whole].sum(axis=1)
        c_high = np.maximum(A * low, A * high)[:, ~whole].sum(axis=1)
        scale = np.where(high > low, high - low, 1.0)[whole]
        size = np.abs(A).sum(axis=1) * SLACK
        best = np.inf
        ranges = [
            range(int(np.ceil(a)), int(np.floor(b)) + 1) for a, b in zip(low[whole], high[whole], strict=True)
        ]
        for values in itertools.product(*ranges):
            z = np.array(values, dtype=np.float64)
            activity = A[:, whole] @ z
            if (activity + c_high >= lower - size).all() and (activity + c_low <= upper + size).all():
                distance = float((np.abs(z - target[r, whole]) / scale).sum())
                if distance < best:
                    best, found[r] = distance, True
                    out[r, whole] = z
    return out, found


@njit(cache=True, nogil=True)
def _change(A: Floats, act: Floats, low: Floats, high: Floats, weight: Floats, j: int, step: float) -> float:
    """Return the change of weighted violation when column j moves by `step`."""
    change = 0.0
    for i in range(A.shape[0]):
        if A[i, j] != 0.0:
            after = act[i] + A[i, j] * step
            change += weight[i] * (
                max(low[i] - after, after - high[i], 0.0) - max(low[i] - act[i], act[i] - high[i], 0.0)
            )
    return change


@njit(cache=True, nogil=True)
def _move(A: Floats, act: Floats, z: Floats, j: int, step: float) -> None:
    z[j] += step
    for i in range(A.shape[0]):
        act[i] += A[i, j] * step


@njit(cache=True, nogil=True)
def _worst(act: Floats, low: Floats, high: Floats, slack: Floats, weight: Floats) -> int:
    """Return the row with the largest weighted violation, -1 if all hold."""
    worst, largest = -1, 0.0
    for i in range(act.shape[0]):
        gap = max(low[i] - act[i], act[i] - high[i])
        if gap > slack[i] and weight[i] * gap > largest:
            worst, largest = i, weight[i] * gap
    return worst


@njit(cache=True, nogil=True)
def _best_single(
    A: Floats,
    act: Floats,
    low: Floats,
    high: Floats,
    weight: Floats,
    z: Floats,
    target: Floats,
    lb: Floats,
    ub: Floats,
    index: NDArray[np.int64],
    row: int,
    tie: float,
) -> tuple[float, int, float]:
    """Return (change, column, step) of the best move of one column; among equal ones the nearest to the target."""
    best, column, size = np.inf, -1, 0.0
    need = high[row] - act[row] if act[row] > high[row] else low[row] - act[row]
    for a in range(index.shape[0]):
        j = int(index[a])
        for option in range(3):
            step = 1.0 if option == 0 else -1.0
            if option == 2:  # as far as the worst row asks
                if A[row, j] == 0.0:
                    continue
                step = need / A[row, j]
                step = np.ceil(step - 1e-9) if step > 0.0 else np.floor(step + 1e-9)
            step = min(max(step, lb[j] - z[j]), ub[j] - z[j])
            if step == 0.0:
                continue
            farther = (abs(z[j] + step - target[j]) - abs(z[j] - target[j])) / max(ub[j] - lb[j], 1.0)
            change = _change(A, act, low, high, weight, j, step) + tie * farther
            if change < best:
                best, column, size = change, j, step
    return best, column, size


@njit(cache=True, nogil=True)
def _best_pair(
    A: Floats,
    act: Floats,
    low: Floats,
    high: Floats,
    weight: Floats,
    z: Floats,
    lb: Floats,
    ub: Floats,
    index: NDArray[np.int64],
) -> tuple[float, int, float, int, float]:
    """Return (change, column, step, column, step) of the best pair of unit steps."""
    best, first, one, second, two = np.inf, -1, 0.0, -1, 0.0
    count = min(index.shape[0], PAIRS)
    for a in range(count):
        j = int(index[a])
        for b in range(a + 1, count):
            k = int(index[b])
            for s in (-1.0, 1.0):
                if not lb[j] <= z[j] + s <= ub[j]:
                    continue
                for t in (-1.0, 1.0):
                    if not lb[k] <= z[k] + t <= ub[k]:
                        continue
                    change = 0.0
                    for i in range(A.shape[0]):
                        after = act[i] + A[i, j] * s + A[i, k] * t
                        change += weight[i] * (
                            max(low[i] - after, after - high[i], 0.0)
                            - max(low[i] - act[i], act[i] - high[i], 0.0)
                        )
                    if change < best:
                        best, first, one, second, two = change, j, s, k, t
    return best, first, one, second, two


@njit(cache=True, nogil=True)
def _walk_back(
    A: Floats,
    act: Floats,
    low: Floats,
    high: Floats,
    slack: Floats,
    z: Floats,
    target: Floats,
    lb: Floats,
    ub: Floats,
    index: NDArray[np.int64],
) -> None:
    """Move each whole column towards its target as far as all rows hold."""
    for a in range(index.shape[0]):
        j = int(index[a])
        wanted = min(max(np.rint(target[j]), lb[j]), ub[j])
        reach = abs(wanted - z[j])
        sign = 1.0 if wanted > z[j] else -1.0
        for i in range(A.shape[0]):
            slope = A[i, j] * sign
            if slope > 0.0 and act[i] + slope * reach > high[i] + slack[i]:
                reach = max(np.floor((high[i] + slack[i] - act[i]) / slope), 0.0)
            elif slope < 0.0 and act[i] + slope * reach < low[i] - slack[i]:
                reach = max(np.floor((low[i] - slack[i] - act[i]) / slope), 0.0)
        if reach > 0.0:
            _move(A, act, z, j, sign * reach)


@njit(cache=True, nogil=True)
def _prepare(
    z: Floats,
    A: Floats,
    lower: Floats,
    upper: Floats,
    lb: Floats,
    ub: Floats,
    whole: Mask,
    act: Floats,
    low: Floats,
    high: Floats,
    slack: Floats,
    weight: Floats,
) -> None:
    """Write what the whole columns give each row, and the range that its real columns leave to them."""
    for i in range(A.shape[0]):
        act[i], low[i], high[i], slack[i], largest = 0.0, lower[i], upper[i], 0.0, 0.0
        for j in range(A.shape[1]):
            slack[i] += SLACK * abs(A[i, j]) * max(abs(lb[j]), abs(ub[j]))
            if whole[j]:
                act[i] += A[i, j] * z[j]
                largest = max(largest, abs(A[i, j]))
            else:
                high[i] -= min(A[i, j] * lb[j], A[i, j] * ub[j])
                low[i] -= max(A[i, j] * lb[j], A[i, j] * ub[j])
        weight[i] = 1.0 / largest if largest > 0.0 else 0.0


@njit(cache=True, nogil=True)
def _search(
    A: Floats,
    act: Floats,
    low: Floats,
    high: Floats,
    slack: Floats,
    weight: Floats,
    z: Floats,
    target: Floats,
    lb: Floats,
    ub: Floats,
    index: NDArray[np.int64],
) -> bool:
    """Move whole columns until all rows hold; False if none of the steps allowed got there."""
    for _ in range(STEPS + 4 * index.shape[0]):
        row = _worst(act, low, high, slack, weight)
        if row < 0:
            break
        change, j, step = _best_single(A, act, low, high, weight, z, target, lb, ub, index, row, TIE)
        if change < -LEAST:
            _move(A, act, z, j, step)
            continue
        change, j, step, k, other = _best_pair(A, act, low, high, weight, z, lb, ub, index)
        if change < -LEAST:
            _move(A, act, z, j, step)
            _move(A, act, z, k, other)
            continue
        for i in range(act.shape[0]):
            if max(low[i] - act[i], act[i] - high[i]) > slack[i]:
                weight[i] *= 2.0
    holds = True
    for i in range(act.shape[0]):  # a row without whole columns has no weight, and must hold all the same
        holds &= max(low[i] - act[i], act[i] - high[i]) <= slack[i]
    return holds


@njit(cache=True, nogil=True)
def round_rows(
    X: Floats, target: Floats, A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats, whole: Mask
) -> tuple[Floats, Mask]:
    """Round each row to whole numbers that the rows allow; arguments and results as for `round_reference`."""
    n, m = X.shape[0], A.shape[0]
    out, found = X.copy(), np.zeros(n, dtype=np.bool_)
    index = np.flatnonzero(whole)
    act, low, high, slack, weight = np.empty(m), np.empty(m), np.empty(m), np.empty(m), np.empty(m)
    for r in range(n):
        left, right = lb[r if lb.shape[0] > 1 else 0], ub[r if ub.shape[0] > 1 else 0]
        z = out[r]
        for j in index:
            z[j] = min(max(np.rint(z[j]), left[j]), right[j])
        _prepare(z, A, lower, upper, left, right, whole, act, low, high, slack, weight)
        found[r] = _search(A, act, low, high, slack, weight, z, target[r], left, right, index)
        if found[r]:
            for _ in range(2):
                _walk_back(A, act, low, high, slack, z, target[r], left, right, index)
    return out, found
