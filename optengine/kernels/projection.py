"""Nearest point of a polytope: the kernel under the repair of known constraints.

For each row x0 of a batch, minimise sum_j (x_j - x0_j)^2 / w_j over lb <= x <= ub and lower <= A x <= upper. With
w_j = (upper_j - lower_j)^2 that is the nearest point in unit-cube distance; w_j = 0 fixes a column.

Method: the dual has one multiplier a row of A, and x(lam) = clip(x0 - w A'lam, lb, ub). Coordinate ascent with exact
one-dimensional solves (`piecewise.line_root`) finds the active rows; a semismooth Newton step on them, with exact line
search up to the first change of sign, finishes; where active rows depend on each other on the free columns, the step
runs along the dual's flat direction to its next breakpoint first. The dual objective never falls. (Hager & Zhang,
"Projection onto a polyhedron that exploits sparsity", SIAM J. Optim. 26(3), 2016, doi:10.1137/15M102825X, use the same
dual.) Cost of one step: O(m d + m^2 k), k free columns.

`project_reference` is the definition (Lawson & Hanson's least distance programming by NNLS), `project` the Numba form.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from optengine.kernels.piecewise import Triple, line_root

Floats = NDArray[np.float64]
# Of each row: multiplier, A x, the bound it aims at, its size, the least that counts as its size.
State = tuple[Floats, Floats, Floats, Floats, Floats]

MAX_SWEEPS = 100  # coordinate sweeps, each followed by Newton steps; two to six are usual
NEWTON_STEPS = 8  # after a sweep; more of them seldom help before the signs are right
FLOOR = 1e-4  # share of what a column can change a row by, below which its terms count as this much
ROUNDING = 2e-15  # row residual, relative to its largest term, that counts as nothing
CONSISTENT = 1e-11  # relative gap within which rows that depend on each other agree
DEPENDENT = 1e-10  # share of the diagonal left of a pivot at which a row counts as dependent
GOOD = 1e-12  # residual at which stalling ends the search


def project_reference(
    X: Floats, A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats, weight: Floats
) -> tuple[Floats, Floats]:
    """Project each row of X: the definition.

    Args:
        X: points, (n, d).
        A, lower, upper: rows (m, d) with bounds (m,), infinite where absent.
        lb, ub: bounds of the columns, (1, d) for all points or (n, d) for each.
        weight: w_j >= 0, (1, d) or (n, d).

    Returns:
        The projected points (n, d) and the largest violation of a row in each (n,), relative to the largest term of
        that row. An empty polytope shows as a violation far from 0.
    """
    from scipy.optimize import nnls

    out, residual = np.empty_like(X), np.empty(len(X))
    for i, x0 in enumerate(X):
        low, high, w = (array[i if len(array) > 1 else 0] for array in (lb, ub, weight))
        start, s, equal = np.where(w > 0, x0, np.clip(x0, low, high)), np.sqrt(w), lower == upper
        E, e = A[equal] * s, lower[equal] - A[equal] @ start  # x = start + s y, first onto E y = e
        y, N = np.linalg.pinv(E, rcond=1e-10) @ e, np.eye(len(s))
        if equal.any():
            _, values, directions = np.linalg.svd(E)
            N = directions[int((values > 1e-10 * max(values[0], 1e-300)).sum()) :].T  # y + N z stays there
        rows, unit = A[~equal], np.diag(s)[w > 0]
        g = np.vstack([rows * s, -rows * s, unit, -unit])  # g (y + N z) >= h
        values = rows @ start
        h = [lower[~equal] - values, values - upper[~equal], (low - start)[w > 0], (start - high)[w > 0]]
        G, gap = g @ N, np.concatenate(h) - g @ y - 1e-11  # a single point must not vanish in rounding
        norm = np.linalg.norm(G, axis=1)
        keep = np.isfinite(gap) & (norm > 1e-12)
        E, z = np.vstack([G[keep].T, gap[keep]]) / norm[keep], np.zeros(N.shape[1])
        if keep.any() and len(z):  # the residual of a nonnegative fit points to the nearest point
            u, _ = nnls(E, np.eye(len(E))[-1], maxiter=100 * E.shape[1] + 100)
            r = E @ u - np.eye(len(E))[-1]
            z = -r[:-1] / r[-1] if abs(r[-1]) > 1e-13 else z
        out[i] = np.clip(start + s * (y + N @ z), low, high)
        residual[i] = violation(
            out[i], A, lower, upper, FLOOR * (np.abs(A) * (high - low)).max(axis=1, initial=0.0)
        )
    return out, residual


def violation(x: Floats, A: Floats, lower: Floats, upper: Floats, floor: Floats) -> float:
    """Return the largest violation of a row, relative to its largest term, its bound and `floor` (m,)."""
    size = np.maximum(np.abs(A * x).max(axis=1, initial=0.0), floor)
    bound = np.where(A @ x > upper, upper, lower)
    gap = np.maximum(np.maximum(lower - A @ x, A @ x - upper), 0.0)
    return float((gap / np.where(gap > 0, np.maximum(size, np.abs(bound)), 1.0)).max(initial=0.0))


@njit(cache=True, nogil=True)
def _point(x0: Floats, A: Floats, lam: Floats, box: Triple, v: Floats, x: Floats) -> None:
    """Write v = x0 - w A'lam and x = clip(v), the primal point of the multipliers."""
    lb, ub, w = box
    for j in range(x0.shape[0]):
        v[j] = x0[j]
    for i in range(A.shape[0]):
        if lam[i] != 0.0:
            for j in range(x0.shape[0]):
                v[j] -= lam[i] * w[j] * A[i, j]
    for j in range(x0.shape[0]):
        x[j] = min(max(v[j], lb[j]), ub[j])


@njit(cache=True, nogil=True)
def _factor(A: Floats, lam: Floats, box: Triple, v: Floats, work: Floats) -> None:
    """Write the Cholesky factor of A w A' over active rows and free columns into work (m + 1, m).

    A row that depends on those before it gets the pivot 0.
    """
    lb, ub, w = box
    m, d = A.shape
    for i in range(m):
        if lam[i] == 0.0:
            continue
        for k in range(i + 1):
            if lam[k] == 0.0:
                continue
            total = 0.0
            for j in range(d):
                if lb[j] < v[j] < ub[j]:
                    total += w[j] * A[i, j] * A[k, j]
            diagonal = total
            for q in range(k):
                if lam[q] != 0.0:
                    total -= work[i, q] * work[k, q]
            if k < i:
                work[i, k] = total / work[k, k] if work[k, k] > 0.0 else 0.0
            else:
                work[i, i] = np.sqrt(total) if total > DEPENDENT * diagonal else 0.0


@njit(cache=True, nogil=True)
def _back(lam: Floats, work: Floats, last: int) -> None:
    """Solve L'y = work[m] over the independent active rows before `last`, in place."""
    m = lam.shape[0]
    step = work[m]
    for i in range(last - 1, -1, -1):
        if lam[i] != 0.0 and work[i, i] > 0.0:
            for k in range(i + 1, last):
                if lam[k] != 0.0 and work[k, k] > 0.0:
                    step[i] -= work[k, i] * step[k]
            step[i] /= work[i, i]


@njit(cache=True, nogil=True)
def _flat(state: State, work: Floats) -> bool:
    """Write into work[m] a direction that moves no free column and yet lowers the dual, if there is one."""
    lam, act, bound, size, _ = state
    m = lam.shape[0]
    step = work[m]
    for i in range(m):
        if lam[i] == 0.0 or work[i, i] > 0.0:
            continue
        step[:] = 0.0
        for k in range(i):
            if lam[k] != 0.0 and work[k, k] > 0.0:
                step[k] = -work[i, k]
        _back(lam, work, i)
        step[i] = 1.0
        gain, noise, largest = 0.0, 0.0, 0.0
        for k in range(i + 1):
            largest = max(largest, abs(step[k]))
        for k in range(i + 1):
            if abs(step[k]) <= 1e-12 * largest:
                step[k] = 0.0
                continue  # bounds of rows without a multiplier may be infinite
            gain += step[k] * (act[k] - bound[k])
            noise += abs(step[k]) * size[k]
        if abs(gain) > CONSISTENT * noise:
            if gain < 0.0:
                for k in range(i + 1):
                    step[k] = -step[k]
            return True
    return False


@njit(cache=True, nogil=True)
def _solve(state: State, work: Floats) -> bool:
    """Write the Newton step of the active multipliers into work[m]; False if there is none."""
    lam, act, bound, _, _ = state
    m = lam.shape[0]
    step, moved = work[m], False
    for i in range(m):
        step[i] = 0.0
        if lam[i] != 0.0 and work[i, i] > 0.0:
            step[i] = act[i] - bound[i]
            for q in range(i):
                if lam[q] != 0.0:
                    step[i] -= work[i, q] * step[q]
            step[i] /= work[i, i]
            moved = True
    _back(lam, work, m)
    return moved


@njit(cache=True, nogil=True)
def _newton(
    rows: Triple, state: State, box: Triple, v: Floats, work: Floats, vectors: Floats, span: Floats
) -> bool:
    """One semismooth Newton step of the active multipliers with exact line search; False if nothing moved."""
    A, lower, upper = rows
    lam, _, bound, size, _ = state
    m, d = A.shape
    _factor(A, lam, box, v, work)
    if not _flat(state, work) and not _solve(state, work):
        return False
    direction = vectors[0]
    direction[:] = 0.0
    span[:] = 0.0
    span[1] = np.inf
    for i in range(m):
        step = work[m, i]
        if lam[i] == 0.0 or step == 0.0:
            continue
        span[2] += step * bound[i]
        span[3] += 4e-16 * abs(step) * size[i]
        if lower[i] < upper[i] and step * lam[i] < 0.0:
            span[1] = min(span[1], -lam[i] / step)  # where the multiplier would change its sign
    for j in range(d):
        total = 0.0
        for i in range(m):
            if lam[i] != 0.0:
                direction[j] += work[m, i] * A[i, j]
                total += abs(work[m, i] * A[i, j])
        if abs(direction[j]) <= 1e-13 * total:
            direction[j] = 0.0  # what rounding leaves would count as a slope
    t = line_root(v, direction, box, vectors, span)
    if t == 0.0:
        return False
    for i in range(m):
        if lam[i] != 0.0 and work[m, i] != 0.0:
            lam[i] = _moved(lam[i], t * work[m, i], lower[i] < upper[i])
    return True


@njit(cache=True, nogil=True)
def _residual(x: Floats, rows: Triple, state: State) -> tuple[float, float]:
    """Write activities and the bound each row aims at; return the largest optimality and feasibility residuals.

    A row with a multiplier must be tight, one without must hold. Both are relative to the row's largest term, which
    counts as `floor` at least.
    """
    A, lower, upper = rows
    lam, act, bound, size, floor = state
    optimality, feasibility = 0.0, 0.0
    for i in range(A.shape[0]):
        total, largest = 0.0, 0.0
        for j in range(x.shape[0]):
            term = A[i, j] * x[j]
            total += term
            largest = max(largest, abs(term))
        act[i] = total
        bound[i] = lower[i] if lam[i] < 0.0 or (lam[i] == 0.0 and total < lower[i]) else upper[i]
        size[i] = largest
        if lam[i] == 0.0 and lower[i] <= total <= upper[i]:
            continue
        size[i] = max(largest, abs(bound[i]), floor[i])
        gap = abs(total - bound[i])
        if gap > 0.0:
            gap /= size[i]
            optimality = max(optimality, gap)
            if total < lower[i] or total > upper[i]:
                feasibility = max(feasibility, gap)
    return optimality, feasibility


@njit(cache=True, nogil=True)
def _moved(multiplier: float, step: float, inequality: bool) -> float:
    """Return multiplier + step; that of an inequality becomes 0 where only rounding keeps it from there."""
    after = multiplier + step
    ended = abs(after) <= 1e-14 * abs(multiplier) or after * multiplier < 0.0
    return 0.0 if inequality and multiplier != 0.0 and ended else after


@njit(cache=True, nogil=True)
def _sweep(rows: Triple, state: State, box: Triple, v: Floats, vectors: Floats, span: Floats) -> bool:
    """One pass of exact coordinate ascent over the multipliers; False if a row cannot be met anywhere in the box."""
    A, lower, upper = rows
    lb, ub, w = box
    lam, _, _, _, floor = state
    m, d = A.shape
    for i in range(m):
        total, largest = 0.0, 0.0
        for j in range(d):
            term = A[i, j] * min(max(v[j], lb[j]), ub[j])
            total += term
            largest = max(largest, abs(term))
        up = lam[i] > 0.0 or (lam[i] == 0.0 and total > upper[i])
        if lam[i] == 0.0 and lower[i] <= total <= upper[i]:
            continue
        target = upper[i] if up else lower[i]
        if abs(total - target) <= 2e-16 * max(largest, abs(target)):
            continue
        span[0], span[1], span[2], span[3] = -np.inf, np.inf, target, 0.0
        if lower[i] < upper[i]:
            span[0 if up else 1] = -lam[i]
        t = line_root(v, A[i], box, vectors, span)
        lam[i] = _moved(lam[i], t, lower[i] < upper[i])
        total, largest = 0.0, abs(target)
        for j in range(d):
            v[j] -= t * w[j] * A[i, j]
            term = A[i, j] * min(max(v[j], lb[j]), ub[j])
            total += term
            largest = max(largest, abs(term))
        broken = total - target if up else target - total
        if lower[i] == upper[i]:
            broken = abs(broken)
        if broken > max(1e-6 * largest, floor[i]):
            return False
    return True


@njit(cache=True, nogil=True)
def _excluded(x0: Floats, x: Floats, A: Floats, state: State, box: Triple) -> bool:
    """True if the dual value exceeds the distance to the farthest point of the box: then no point is feasible."""
    lam, act, bound, _, _ = state
    lb, ub, w = box
    value, farthest = 0.0, 0.0
    for j in range(x0.shape[0]):
        if w[j] > 0.0:
            value += 0.5 * (x[j] - x0[j]) ** 2 / w[j]
            farthest += 0.5 * max((lb[j] - x0[j]) ** 2, (ub[j] - x0[j]) ** 2) / w[j]
    for i in range(A.shape[0]):
        if lam[i] != 0.0:
            value += lam[i] * (act[i] - bound[i])
    return value > farthest * (1.0 + 1e-6) + 1e-12


@njit(cache=True, nogil=True)
def project(
    X: Floats, A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats, weight: Floats
) -> tuple[Floats, Floats]:
    """Project each row of X; arguments and results as for `project_reference`, arrays C-ordered float64."""
    n, d = X.shape
    m = A.shape[0]
    out, residual = np.empty((n, d)), np.zeros(n)
    lam, v, rows = np.empty(m), np.empty(d), (A, lower, upper)
    floor = np.empty(m)
    state = (lam, np.empty(m), np.empty(m), np.empty(m), floor)
    work, vectors, span = np.empty((m + 1, m)), np.empty((3, d)), np.empty(4)
    for r in range(n):
        box = (
            lb[r if lb.shape[0] > 1 else 0],
            ub[r if ub.shape[0] > 1 else 0],
            weight[r if weight.shape[0] > 1 else 0],
        )
        x0, x = X[r], out[r]
        lam[:] = 0.0
        if r == 0 or lb.shape[0] > 1:
            for i in range(m):
                floor[i] = 0.0
                for j in range(d):
                    floor[i] = max(floor[i], FLOOR * abs(A[i, j]) * (box[1][j] - box[0][j]))
        _point(x0, A, lam, box, v, x)
        optimality, residual[r] = _residual(x, rows, state)
        before = np.inf
        for _ in range(MAX_SWEEPS):
            if optimality <= ROUNDING or (optimality <= GOOD and optimality > 0.5 * before):
                break
            before = optimality
            possible = _sweep(rows, state, box, v, vectors, span)
            _point(x0, A, lam, box, v, x)
            optimality, residual[r] = _residual(x, rows, state)
            if not possible or _excluded(x0, x, A, state, box):
                break
            for _ in range(NEWTON_STEPS):
                if optimality <= ROUNDING:
                    break
                if not _newton(rows, state, box, v, work, vectors, span):
                    break
                _point(x0, A, lam, box, v, x)
                optimality, residual[r] = _residual(x, rows, state)
    return out, residual
