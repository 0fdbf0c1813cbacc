"""The Chebyshev relaxation: levels replaced by their range, a linear programme that bounds, starts and dives.

For a filter that is what the Remez exchange computes, on the problem's own grid. A dive fixes the variables that the
relaxation holds at a level, and those nearest to one, and solves again until all are fixed: the telescoping rounding
of filter design (Kodek 1980, doi:10.1109/TASSP.1980.1163354), many at a time.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.solvers.minmax.form import Form

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST, LONGEST = (
    1_000_000,
    20_000,
)  # entries, and rows and columns, beyond which HiGHS overruns any time limit
N_ROUNDINGS = 200
AT_LEVEL = 1e-6  # distance, in steps between neighbouring levels, at which the relaxation holds a level
SHARE = 0.25  # of the variables between levels that one step of a dive fixes


class Relaxed(NamedTuple):
    """x (n,) of the relaxation and a bound on the discrete value; None and 0 where HiGHS did not finish."""

    x: Floats | None
    bound: float


def chebyshev(form: Form, scale: float, seconds: float, held: Integers | None = None) -> Relaxed:
    """Minimise the largest violation over the ranges of the levels.

    Interior point with crossover: on wide sparse systems ten times faster than the simplex method. The bound is the
    dual objective of HiGHS's multipliers, computed here, so that its tolerances do not enter.

    Args:
        form: the rows. scale: > 0, about the value expected: rows are divided by it. seconds: for HiGHS.
        held: (n,) level indices of variables that are fixed, -1 where open; the bound holds for these only.
    """
    from scipy.optimize import linprog

    n = form.shape[1]
    if form.A.size > LARGEST or sum(form.shape) > LONGEST or seconds <= 0 or n == 0:
        return Relaxed(None, 0.0)
    open_ = np.arange(n) if held is None else np.flatnonzero(held < 0)
    centre, A = form.centre, form.A
    if held is not None:
        x = np.where(held >= 0, form.levels(np.maximum(held, 0)), 0.0)
        centre, A = centre - A @ x, A[:, open_]
    low, high = form.lowest[open_], form.highest[open_]
    rows, right = _rows(A, centre, form.half, scale)
    c = np.zeros(len(open_) + 1)
    c[-1] = 1.0
    bounds = np.column_stack([np.append(low, 0.0), np.append(high, np.inf)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a time limit is no news
        answer = linprog(  # type: ignore[call-overload]
            c, A_ub=rows, b_ub=right, bounds=bounds, method="highs-ipm", options={"time_limit": seconds}
        )
    if answer.status != 0 or answer.x is None:
        return Relaxed(None, 0.0)
    bound = _dual_value(rows[:, :-1], right, -np.asarray(answer.ineqlin.marginals), low, high) * scale
    x = np.zeros(n) if held is None else x
    x[open_] = np.clip(answer.x[:-1], low, high)
    return Relaxed(x, max(0.0, bound))


def _rows(A: Any, centre: Floats, half: Floats, scale: float) -> tuple[Any, Floats]:
    """A x - t <= centre + half and -A x - t <= half - centre, divided by `scale`."""
    one = np.ones((len(centre), 1))
    right = np.concatenate([centre + half, half - centre]) / scale
    if hasattr(A, "tocsc"):
        from scipy.sparse import csc_array, hstack, vstack

        return vstack(
            [hstack([A / scale, csc_array(-one)]), hstack([-A / scale, csc_array(-one)])]
        ).tocsc(), right
    return np.concatenate([np.hstack([A / scale, -one]), np.hstack([-A / scale, -one])]), right


def _dual_value(rows: Any, right: Floats, y: Floats, low: Floats, high: Floats) -> float:
    """Weak duality: for y >= 0 with sum 1, t >= min over the box of y' rows x, less y' right."""
    y = np.maximum(y, 0.0)
    total = float(y.sum())
    if total <= 0:
        return 0.0
    y /= total
    reduced = np.asarray(rows.T @ y)
    return float(np.where(reduced > 0, reduced * low, reduced * high).sum() - y @ right)


def neighbours(form: Form, x: Floats) -> tuple[Integers, Floats]:
    """Index (n,) of the level at or below x (n,), and the share of the way to the next one, in [0, 1]."""
    near = form.nearest(x)
    lower = np.clip(near - (form.levels(near) > x), 0, np.maximum(form.count - 2, 0))
    low, high = form.levels(lower), form.levels(np.minimum(lower + 1, form.count - 1))
    return lower, np.clip((x - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)


def roundings(form: Form, x: Floats, rng: Generator) -> Integers:
    """The best of many randomised roundings of x (n,): up with the probability that keeps the mean."""
    best = form.nearest(x)
    value = form.value(best)
    lower, share = neighbours(form, x)
    for _ in range(N_ROUNDINGS if form.A.size < 200_000 else 20):
        idx = lower + (rng.random(len(x)) < share)
        found = form.value(idx)
        if found < value:
            best, value = idx, found
    return best


class Dive:
    """A dive from the relaxation to a discrete point, one linear programme a step.

    Attributes:
        idx: (n,) level indices so far, -1 where open. done: whether the dive has ended.
    """

    def __init__(self, form: Form, x: Floats, rng: Generator) -> None:
        self._form, self._rng = form, rng
        self.idx = np.full(len(x), -1, dtype=np.int64)
        self.done = False
        self._fix(x)

    def step(self, scale: float, seconds: float) -> None:
        """Solve for the open variables and fix some more; rounds the rest if HiGHS does not finish."""
        if self.done:
            return
        relaxed = chebyshev(self._form, scale, seconds, self.idx)
        if relaxed.x is None:
            self._close(self._last)
        else:
            self._fix(relaxed.x)

    def _fix(self, x: Floats) -> None:
        self._last = x
        lower, share = neighbours(self._form, x)
        rounded = lower + (share > 0.5)
        distance = np.minimum(share, 1.0 - share)
        distance[self.idx >= 0] = np.inf
        sure = distance <= AT_LEVEL
        between = np.flatnonzero(np.isfinite(distance) & ~sure)
        noisy = distance[between] + 0.05 * self._rng.random(len(between))  # another dive goes another way
        chosen = between[np.argsort(noisy)[: max(1, int(SHARE * len(between)))]] if len(between) else between
        sure[chosen] = True
        self.idx[sure] = rounded[sure]
        self.done = bool((self.idx >= 0).all())

    def _close(self, x: Floats) -> None:
        open_ = self.idx < 0
        self.idx[open_] = self._form.nearest(x)[open_]
        self.done = True
