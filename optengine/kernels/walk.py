"""Random walks inside linear rows: hit-and-run for reals, lattice lines for whole numbers.

Each row of a batch is a chain. A step picks a line through the present point and jumps to a random point of its
feasible stretch: one of the `lines` (reals; Smith, "Efficient Monte Carlo procedures for generating points uniformly
distributed over bounded regions", Oper. Res. 32(6), 1984, doi:10.1287/opre.32.6.1296), or one of the `lattice` lines in
whole multiples. Both leave the uniform distribution unchanged (counting measure on whole numbers). Columns on a
logarithmic scale weigh points by 1/x: `axes` among them are redrawn exactly, on all other lines a Metropolis test
decides. Cost of a step: O(d + m).

`walk_reference` is the definition, `walk` the Numba form: the same numbers in, the same points out up to rounding.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

DRAWS = 4  # uniforms a step: kind of line, which line, where on it, Metropolis
SLACK = 1e-9  # share of a whole step that counts as rounding
PARALLEL = 1e-12  # a line moves along a row if its slope is below this share of the terms


def walk_reference(
    X: Floats,
    A: Floats,
    lower: Floats,
    upper: Floats,
    lb: Floats,
    ub: Floats,
    log: Indices,
    lines: Floats,
    lattice: Floats,
    axes: Indices,
    uniforms: Floats,
) -> Floats:
    """Move each row of X: the definition.

    Args:
        X: feasible points, (n, d).
        A, lower, upper: rows (m, d) with bounds (m,).
        lb, ub: bounds of the columns, (n, d); a line along which a column with lb = ub would move leads nowhere.
        log: columns on a logarithmic scale.
        lines: directions of the reals, (k, d), inside every equality row.
        lattice: directions of whole steps, (q, d), inside every equality row.
        axes: real columns on a logarithmic scale outside of every equality row.
        uniforms: (n, steps, DRAWS) in [0, 1).

    Returns:
        The points where the chains end, (n, d).
    """
    out = X.copy()
    size = np.abs(A)
    for r, x in enumerate(out):
        for kind, which, where, test in uniforms[r]:
            choice = _kind(kind, len(lines), len(lattice), len(axes))
            if choice < 0:
                continue
            axis = int(axes[int(which * len(axes))]) if choice == 2 else -1
            family = (lines, lattice, np.eye(len(x))[axis : axis + 1])[choice]
            direction = family[int(which * len(family)) if choice < 2 else 0]
            slope = np.concatenate([direction, A @ direction])
            slope[
                np.abs(slope) <= np.concatenate([np.zeros(len(x)), PARALLEL * (size @ np.abs(direction))])
            ] = 0.0
            value, moving = np.concatenate([x, A @ x]), slope != 0
            low = np.minimum(np.concatenate([lb[r], lower]) - value, 0.0)[moving] / slope[moving]
            high = np.maximum(np.concatenate([ub[r], upper]) - value, 0.0)[moving] / slope[moving]
            first, last = (
                np.minimum(low, high).max(initial=-np.inf),
                np.maximum(low, high).min(initial=np.inf),
            )
            if not (np.isfinite(first) and np.isfinite(last)):
                continue
            t = first + where * (last - first)
            if choice == 1:
                first, last = np.ceil(first - SLACK), np.floor(last + SLACK)
                t = first + np.floor(where * (last - first + 1.0))
            elif choice == 2:
                a, b = x[axis] + first, x[axis] + last
                t = a * (b / a) ** where - x[axis]
            y = np.clip(x + t * direction, lb[r], ub[r])
            if choice == 2 or test < np.prod(x[log] / y[log]):
                x[:] = y
    return out


@njit(cache=True, nogil=True)
def _kind_of(u: float, n_lines: int, n_lattice: int, n_axes: int) -> int:
    """Return which kind of line to take: 0 lines, 1 lattice, 2 axes, -1 where there is none; equal shares."""
    present = min(n_lines, 1) + min(n_lattice, 1) + min(n_axes, 1)
    if present == 0:
        return -1
    rank = int(u * present)
    for kind, n in enumerate((n_lines, n_lattice, n_axes)):
        if n > 0:
            if rank == 0:
                return kind
            rank -= 1
    return -1


_kind = getattr(_kind_of, "py_func", _kind_of)  # itself where Numba is switched off


@njit(cache=True, nogil=True)
def _slopes(A: Floats, lines: Floats) -> Floats:
    """Return how fast each row changes along each line, (k, m), 0 where only rounding makes it change."""
    out = np.zeros((lines.shape[0], A.shape[0]))
    for k in range(lines.shape[0]):
        for i in range(A.shape[0]):
            total, size = 0.0, 0.0
            for j in range(A.shape[1]):
                total += A[i, j] * lines[k, j]
                size += abs(A[i, j] * lines[k, j])
            out[k, i] = total if abs(total) > PARALLEL * size else 0.0
    return out


@njit(cache=True, nogil=True)
def _stretch(
    x: Floats,
    lb: Floats,
    ub: Floats,
    direction: Floats,
    act: Floats,
    lower: Floats,
    upper: Floats,
    slope: Floats,
) -> tuple[float, float]:
    """Return the range of t for which x + t direction keeps bounds and rows; 0 is in it."""
    first, last = -np.inf, np.inf
    for j in range(x.shape[0]):
        c = direction[j]
        if c != 0.0:
            low, high = min(lb[j] - x[j], 0.0) / c, max(ub[j] - x[j], 0.0) / c
            first, last = max(first, min(low, high)), min(last, max(low, high))
    for i in range(act.shape[0]):
        c = slope[i]
        if c != 0.0:
            low, high = min(lower[i] - act[i], 0.0) / c, max(upper[i] - act[i], 0.0) / c
            first, last = max(first, min(low, high)), min(last, max(low, high))
    return first, last


@njit(cache=True, nogil=True)
def _jump(first: float, last: float, where: float, choice: int, x: float) -> float:
    """Return the random t in [first, last] for a kind of line; x is the value of the column that an axis moves."""
    if choice == 1:
        first, last = np.ceil(first - SLACK), np.floor(last + SLACK)
        return first + np.floor(where * (last - first + 1.0))
    if choice == 2:
        low, high = x + first, x + last
        return low * (high / low) ** where - x
    return first + where * (last - first)


@njit(cache=True, nogil=True)
def _log_ratio(x: Floats, t: float, direction: Floats, lb: Floats, ub: Floats, log: Indices) -> float:
    """Return the density of the point reached relative to that of x."""
    ratio = 1.0
    for j in log:
        ratio *= x[j] / min(max(x[j] + t * direction[j], lb[j]), ub[j])
    return ratio


@njit(cache=True, nogil=True)
def walk(
    X: Floats,
    A: Floats,
    lower: Floats,
    upper: Floats,
    lb: Floats,
    ub: Floats,
    log: Indices,
    lines: Floats,
    lattice: Floats,
    axes: Indices,
    uniforms: Floats,
) -> Floats:
    """Move each row of X; arguments and result as for `walk_reference`, arrays C-ordered."""
    n, d = X.shape
    m = A.shape[0]
    units = np.zeros((axes.shape[0], d))
    for k in range(axes.shape[0]):
        units[k, axes[k]] = 1.0
    families, slopes = (lines, lattice, units), (_slopes(A, lines), _slopes(A, lattice), _slopes(A, units))
    out, act = X.copy(), np.empty(m)
    for r in range(n):
        x, low, high = out[r], lb[r], ub[r]
        for i in range(m):
            act[i] = 0.0
            for j in range(d):
                act[i] += A[i, j] * x[j]
        for s in range(uniforms.shape[1]):
            choice = _kind_of(uniforms[r, s, 0], lines.shape[0], lattice.shape[0], axes.shape[0])
            if choice < 0:
                continue
            pick = int(uniforms[r, s, 1] * families[choice].shape[0])
            direction, slope = families[choice][pick], slopes[choice][pick]
            first, last = _stretch(x, low, high, direction, act, lower, upper, slope)
            if not (np.isfinite(first) and np.isfinite(last)):
                continue
            t = _jump(first, last, uniforms[r, s, 2], choice, x[axes[pick]] if choice == 2 else 0.0)
            if choice != 2 and not uniforms[r, s, 3] < _log_ratio(x, t, direction, low, high, log):
                continue
            for j in range(d):
                x[j] = min(max(x[j] + t * direction[j], low[j]), high[j])
            for i in range(m):
                act[i] += t * slope[i]
    return out
