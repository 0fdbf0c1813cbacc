"""Where a sum of clipped lines takes a value: the one-dimensional solve inside the projection.

Numba compiles `line_root` into its callers and keeps them in its cache by the date of their own file: after a change
here, touch `projection.py`.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Triple = tuple[Floats, Floats, Floats]  # a box (lb, ub, w), or rows (A, lower, upper)
Six = tuple[float, float, float, float, float, float]

TRIALS = 200  # three to eight are usual


def line_root_reference(v: Floats, c: Floats, box: Triple, work: Floats, span: Floats) -> float:
    """Return where f falls to span[2], by looking at every breakpoint: the definition of `line_root`."""
    lb, ub, w = box

    def f(t: float) -> float:
        return float(c @ np.clip(v - t * w * c, lb, ub)) - float(span[2])

    moving = (w * c != 0) & (lb < ub)
    pull = np.where(moving, w * c, 1.0)
    breaks = np.concatenate([((v - ub) / pull)[moving], ((v - lb) / pull)[moving]])
    points = np.unique(np.clip(np.append(breaks, [0.0]), span[0], span[1]))
    points = np.unique(np.append(points, [end for end in span[:2] if np.isfinite(end)]))
    values = np.array([f(t) for t in points])
    zero = points[np.abs(values) <= max(span[3], 1e-15)]
    if len(zero):
        return float(zero[np.argmin(np.abs(zero))])
    if values[0] < 0 or values[-1] > 0:
        return float(points[0] if values[0] < 0 else points[-1])
    i = int(np.flatnonzero(values > 0)[-1])
    return float(points[i] + (points[i + 1] - points[i]) * values[i] / (values[i] - values[i + 1]))


@njit(cache=True, nogil=True)
def _on_line(t: float, v: Floats, c: Floats, box: Triple, work: Floats) -> Six:
    """Return f of `line_root`, how fast it falls right and left of t, the breakpoints next to t, its largest term."""
    lb, ub, w = box
    enter, leave = work[1], work[2]
    total, right, left, ahead, behind, largest = 0.0, 0.0, 0.0, np.inf, -np.inf, 0.0
    for j in range(v.shape[0]):
        pull = w[j] * c[j]
        term = c[j] * min(max(v[j] - t * pull, lb[j]), ub[j])
        total += term
        largest = max(largest, abs(term))
        if t < enter[j]:
            ahead = min(ahead, enter[j])
        elif t < leave[j]:
            right += pull * c[j]
        else:
            behind = max(behind, leave[j])
        if enter[j] < t <= leave[j]:
            left += pull * c[j]
    return total, right, left, ahead, behind, largest


@njit(cache=True, nogil=True)
def line_root(v: Floats, c: Floats, box: Triple, work: Floats, span: Floats) -> float:
    """Return t in [span[0], span[1]] where f(t) = sum_j c_j clip(v_j - t w_j c_j, lb_j, ub_j) falls to span[2].

    f is piecewise linear and never rises: Newton's method from t = 0 inside a bracket, to the next breakpoint where f
    is flat. If no such t exists, the end of the range (or of what moves f) that comes nearest. span[3] is what
    rounding leaves of f; work[1] and work[2] take the t at which each column enters and leaves the box.
    """
    lb, ub, w = box
    enter, leave, target = work[1], work[2], span[2]
    for j in range(v.shape[0]):
        pull = w[j] * c[j]
        enter[j], leave[j] = np.inf, np.inf
        if pull != 0.0 and lb[j] < ub[j]:
            first, second = (v[j] - ub[j]) / pull, (v[j] - lb[j]) / pull
            enter[j], leave[j] = min(first, second), max(first, second)
    low, high, f_low, f_high = span[0], span[1], np.nan, np.nan
    t = min(max(0.0, low), high)
    for trial in range(TRIALS):
        f, right, left, ahead, behind, largest = _on_line(t, v, c, box, work)
        f -= target
        if abs(f) <= max(span[3], 2e-16 * max(largest, abs(target))):
            if t > 0.0 and left == 0.0:  # of a flat stretch the nearer end: multipliers stay small
                return max(behind, 0.0, low)
            return min(ahead, 0.0, high) if t < 0.0 and right == 0.0 else t
        if f > 0.0:
            low, f_low = t, f
            step = t + f / right if right > 0.0 else ahead
        else:
            high, f_high = t, f
            step = t + f / left if left > 0.0 else behind
        step = min(max(step, span[0]), span[1])  # where nothing moves any more, to the end of the range
        if not np.isfinite(step) or step == t:
            return t
        if step >= high:
            step = high if np.isnan(f_high) else 0.5 * (low + high)
        elif step <= low:
            step = low if np.isnan(f_low) else 0.5 * (low + high)
        elif trial % 4 == 3 and trial > 8 and f_low > 0.0 and f_high < 0.0:
            step = 0.5 * (low + high)  # a Newton step only leaves its piece: without this, one step a piece
        t = step
    return t
