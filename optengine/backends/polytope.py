"""A polytope lb <= x <= ub, lower <= A x <= upper: its affine hull, a centre, and points pulled back into it.

All of it in the unit coordinates y = (x - lb) / (ub - lb), with rows of length 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.backends.terms import LinearStatus
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

THIN = 1e-7  # a polytope thinner than this, in the unit cube, counts as flat
NARROW = 1e-3  # below it the box is shrunk to the true range of every column first
RANK = 1e-10  # relative singular value below which equality rows depend on each other


@dataclass(frozen=True)
class Geometry:
    """A nonempty polytope in unit coordinates.

    Attributes:
        E, e: equality rows (p, d) of the affine hull, implied ones included.
        G, low, high: the other rows (q, d); free: columns whose box has an interior in the hull.
        centre: a point (d,) far from all other rows and bounds. radius: how far.
        solve: (d, p) pseudo-inverse of E on the free columns.
    """

    E: Floats
    e: Floats
    G: Floats
    low: Floats
    high: Floats
    free: NDArray[np.bool_]
    centre: Floats
    radius: float
    solve: Floats


class Polytope:
    """lb <= x <= ub, lower <= A x <= upper, all columns real.

    Attributes:
        geometry: None if the polytope is empty.
    """

    def __init__(self, A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats) -> None:
        self._prepare(A, lower, upper, *tighten(A, lower, upper, lb, ub))
        if self.geometry is not None and self.geometry.radius < NARROW:
            self._prepare(A, lower, upper, *self._ranges())

    def _prepare(self, A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats) -> None:
        lost = ub - lb <= 1e-10 * np.maximum(np.abs(lb), np.abs(ub))  # all that rounding leaves of a range
        middle = 0.5 * (lb + ub)
        lb, ub = np.where(lost, middle, lb), np.where(lost, middle, ub)
        self.lb, self.ub = lb, ub
        self.scale = ub - lb
        rows = A * self.scale
        shift = A @ lb
        norm = np.linalg.norm(rows, axis=1)
        size = np.abs(A) @ np.maximum(np.abs(lb), np.abs(ub))
        real = norm > np.maximum(1e-10 * size, np.finfo(float).tiny)
        constant = (A @ middle)[~real]
        slack = 1e-9 * np.maximum(1.0, size[~real])
        possible = bool(((constant >= lower[~real] - slack) & (constant <= upper[~real] + slack)).all())
        unit = norm[real]
        self.G = rows[real] / unit[:, None]
        self.low, self.high = (lower - shift)[real] / unit, (upper - shift)[real] / unit
        self.geometry = self._study() if possible else None

    @property
    def empty(self) -> bool:
        return self.geometry is None

    def _ranges(self) -> tuple[Floats, Floats]:
        """Return the range of each column over the polytope, by two LPs a column, opened by the LP's tolerance."""
        d = len(self.lb)
        ends = np.stack([np.zeros(d), np.ones(d)])
        for j in np.flatnonzero(self.scale > 0):
            for side, sign in enumerate((1.0, -1.0)):
                model = LinearModel(sign * np.eye(d)[j], self.G, self.low, self.high, 0.0, 1.0)
                result = solve_linear(model)
                if result.status is LinearStatus.OPTIMAL and result.x is not None:
                    ends[side, j] = result.x[j] - sign * 1e-8
        ends = np.clip(ends, 0.0, 1.0)
        lb, ub = self.lb + self.scale * ends[0], self.lb + self.scale * ends[1]
        return np.clip(lb, self.lb, self.ub), np.clip(np.maximum(lb, ub), self.lb, self.ub)

    def _study(self) -> Geometry | None:
        d = len(self.lb)
        equal = self.low == self.high
        stuck = self.scale == 0
        value = np.where(equal, self.low, 0.0)
        fixed = np.zeros(d)
        found = self._chebyshev(equal, value, stuck, fixed)
        if found is None:
            return None
        if found[1] < THIN:  # flat: find the rows and bounds that hold with equality everywhere
            implied = self._implied(equal, stuck)
            if implied is None:
                return None
            equal, value, stuck, fixed = implied
            found = self._chebyshev(equal, value, stuck, fixed)
            if found is None:
                return None
        centre, radius = found
        E, e = self.G[equal], value[equal]
        solve = np.zeros((d, len(e)))
        if len(e):
            solve[~stuck] = np.linalg.pinv(E[:, ~stuck], rcond=RANK)
            for _ in range(2):
                centre = centre - solve @ (E @ centre - e)
        return Geometry(
            E, e, self.G[~equal], self.low[~equal], self.high[~equal], ~stuck, centre, radius, solve
        )

    def _chebyshev(
        self, equal: NDArray[np.bool_], value: Floats, stuck: NDArray[np.bool_], fixed: Floats
    ) -> tuple[Floats, float] | None:
        """Return the point farthest from all bounds that are not equalities, and its distance; None if none exists."""
        d, free = self.G.shape[1], ~stuck
        sides = [
            (self.G[equal], value[equal], value[equal], 0.0),
            (self.G[~equal], np.full((~equal).sum(), -np.inf), self.high[~equal], 1.0),
            (self.G[~equal], self.low[~equal], np.full((~equal).sum(), np.inf), -1.0),
            (np.eye(d)[free], np.full(free.sum(), -np.inf), np.ones(free.sum()), 1.0),
            (np.eye(d)[free], np.zeros(free.sum()), np.full(free.sum(), np.inf), -1.0),
        ]
        A = np.vstack([np.column_stack([rows, np.full(len(rows), sign)]) for rows, _, _, sign in sides])
        lower = np.concatenate([side[1] for side in sides])
        upper = np.concatenate([side[2] for side in sides])
        finite = np.isfinite(lower) | np.isfinite(upper)
        lb = np.append(np.where(stuck, fixed, 0.0), 0.0)
        ub = np.append(np.where(stuck, fixed, 1.0), 0.5)
        result = solve_linear(LinearModel(-np.eye(d + 1)[d], A[finite], lower[finite], upper[finite], lb, ub))
        if result.status is not LinearStatus.OPTIMAL or result.x is None:
            return None
        return result.x[:d], float(result.x[d])

    def _implied(
        self, equal: NDArray[np.bool_], stuck: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], Floats, NDArray[np.bool_], Floats] | None:
        """Find inequalities that hold with equality everywhere (Freund, Roundy & Todd, 1985: one LP).

        maximise sum t over g y + t <= h a, E y = e a, 0 <= t <= 1, a >= 1: t = 0 marks an implied equality of y / a.
        """
        d = len(self.lb)
        free = np.flatnonzero(~stuck)
        rows = np.vstack([self.G[~equal], -self.G[~equal], np.eye(d)[free], -np.eye(d)[free]])
        bound = np.concatenate(
            [self.high[~equal], -self.low[~equal], np.ones(len(free)), np.zeros(len(free))]
        )
        finite = np.isfinite(bound)
        p, E = int(finite.sum()), self.G[equal]
        top = np.column_stack([rows[finite], np.eye(p), -bound[finite]])
        bottom = np.column_stack([E, np.zeros((len(E), p)), -self.low[equal]])
        limit = 1.0 / THIN
        result = solve_linear(
            LinearModel(
                np.concatenate([np.zeros(d), -np.ones(p), [0.0]]),
                np.vstack([top, bottom]),
                np.concatenate([np.full(p, -np.inf), np.zeros(len(E))]),
                np.zeros(p + len(E)),
                np.concatenate([np.zeros(d + p), [1.0]]),
                np.concatenate([np.where(stuck, 0.0, limit), np.ones(p), [limit]]),
            )
        )
        if result.status is not LinearStatus.OPTIMAL or result.x is None:
            return None
        tight = np.zeros(len(bound), dtype=bool)
        tight[finite] = result.x[d : d + p] < 0.5
        q = int((~equal).sum())
        at_high, at_low = tight[:q], tight[q : 2 * q]
        value = np.where(equal, self.low, 0.0)
        inner = np.where(at_high & at_low, 0.5 * (self.low[~equal] + self.high[~equal]), 0.0)
        inner = np.where(
            at_high & ~at_low, self.high[~equal], np.where(at_low & ~at_high, self.low[~equal], inner)
        )
        both = equal.copy()
        both[~equal] = at_high | at_low
        value[~equal] = np.where(at_high | at_low, inner, 0.0)
        up, down = tight[2 * q : 2 * q + len(free)], tight[2 * q + len(free) :]
        fixed, all_stuck = np.zeros(d), stuck.copy()
        all_stuck[free] = up | down
        fixed[free] = np.where(up & down, 0.5, np.where(up, 1.0, 0.0))
        return both, value, all_stuck, fixed

    def pull_back(self, X: Floats) -> Floats:
        """Return X (n, d) with rows and bounds met: onto the affine hull, then towards the centre as far as needed."""
        shape = self.geometry
        assert shape is not None, "an empty polytope has nothing to pull back to"
        Y = (X - self.lb) / np.where(self.scale > 0, self.scale, 1.0)
        Y = np.where(shape.free, Y, shape.centre)
        for _ in range(2):
            Y = Y - (Y @ shape.E.T - shape.e) @ shape.solve.T
            need = np.zeros(len(Y))
            rows = np.vstack([shape.G, np.eye(len(self.lb))[shape.free]])
            low = np.concatenate([shape.low, np.zeros(int(shape.free.sum()))])
            high = np.concatenate([shape.high, np.ones(int(shape.free.sum()))])
            if len(rows):
                values, inner = Y @ rows.T, rows @ shape.centre
                gap = np.maximum(np.maximum(low - values, values - high), 0.0)
                room = np.where(values > high, high - inner, inner - low)
                with np.errstate(divide="ignore", invalid="ignore"):
                    need = np.where(gap > 0, gap / (gap + np.maximum(room, 0.0)), 0.0).max(axis=1)
            Y = Y + need[:, None] * (shape.centre - Y)
        return np.asarray(np.clip(self.lb + self.scale * np.clip(Y, 0.0, 1.0), self.lb, self.ub))

    def corners(self, costs: Floats) -> Floats:
        """Return points (c, d) that minimise each of the costs (c, d), in unit coordinates; pulled back inside."""
        lb, ub = np.zeros(len(self.lb)), np.ones(len(self.lb))
        found = [solve_linear(LinearModel(cost, self.G, self.low, self.high, lb, ub)).x for cost in costs]
        return self.pull_back(
            self.lb + self.scale * np.array([y for y in found if y is not None]).reshape(-1, len(lb))
        )

    def directions(self) -> Floats:
        """Return an orthonormal basis (k, d) of the directions inside the affine hull, in unit coordinates."""
        shape = self.geometry
        assert shape is not None, "an empty polytope has no directions"
        return null_space(shape.E, shape.free)


def tighten(
    A: Floats, lower: Floats, upper: Floats, lb: Floats, ub: Floats, rounds: int = 4
) -> tuple[Floats, Floats]:
    """Return the box (lb, ub) shrunk by what each row alone implies for each of its columns."""
    low, high = lb.copy(), ub.copy()
    for _ in range(rounds):
        least, most = np.minimum(A * low, A * high), np.maximum(A * low, A * high)
        slack = 1e-12 * (np.abs(A) @ np.maximum(np.abs(low), np.abs(high)))
        above = (upper + slack)[:, None] - (least.sum(axis=1, keepdims=True) - least)  # a_j x_j <= above
        below = (lower - slack)[:, None] - (most.sum(axis=1, keepdims=True) - most)
        with np.errstate(divide="ignore", invalid="ignore"):
            first, second = above / A, below / A
        top = np.where(A > 0, first, np.where(A < 0, second, np.inf)).min(axis=0, initial=np.inf)
        bottom = np.where(A > 0, second, np.where(A < 0, first, -np.inf)).max(axis=0, initial=-np.inf)
        new_low, new_high = np.maximum(low, bottom), np.minimum(high, top)
        if (new_low > new_high).any() or (np.array_equal(new_low, low) and np.array_equal(new_high, high)):
            break  # crossed bounds are left to the LP, which proves them
        low, high = new_low, new_high
    return low, high


def null_space(E: Floats, free: NDArray[np.bool_]) -> Floats:
    """Return an orthonormal basis (k, d) of {y: E y = 0, y = 0 outside `free`}."""
    d, columns = len(free), np.flatnonzero(free)
    basis = np.zeros((len(columns), d))
    if not len(columns):
        return basis
    if not len(E):
        basis[np.arange(len(columns)), columns] = 1.0
        return basis
    _, s, vt = np.linalg.svd(E[:, columns], full_matrices=True)
    rank = int((s > RANK * max(s[0], 1e-300)).sum()) if len(s) else 0
    basis = np.zeros((len(columns) - rank, d))
    basis[:, columns] = vt[rank:]
    return basis
