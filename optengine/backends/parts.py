"""The part of a space that known rows and cardinalities couple, for one choice of the columns that others depend on.

A `Part` is plain arrays: coupled, active columns, their rows (those of simplexes and subsets included), bounds and
cardinalities; what the fixed columns contribute is moved into the bounds. It repairs batches of its own columns.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from optengine.backends.polytope import Polytope

if TYPE_CHECKING:
    from optengine.backends.exact import ExactRepair

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Indices = NDArray[np.int64]

TIGHT = 1e-10  # relative violation a repaired row may keep; a tenth of what the space allows
NONZERO = 1e-4  # of a real's range: the least value that an exact repair counts as nonzero
REMEMBERED = 4096  # exact repairs kept, by the bytes of the row
DIVE = 0.2  # share of the open whole columns, or of the entries too many, fixed in one round of a dive
LOG_ROUNDS = 4  # reweightings towards distance on a logarithmic scale


@dataclass(frozen=True, eq=False)
class Part:
    """Columns with rows, cardinalities and bounds.

    Attributes:
        A, lower, upper: rows (m, k), (m,). lb, ub: bounds of the columns (k,). whole, log: kinds of columns (k,).
        cardinalities: (columns, least, most) number of nonzero entries, not all binary.
        impossible: a row without columns is violated.
    """

    A: Floats
    lower: Floats
    upper: Floats
    lb: Floats
    ub: Floats
    whole: Mask
    log: Mask
    cardinalities: tuple[tuple[Indices, int, int], ...] = ()
    impossible: bool = False
    _known: OrderedDict[bytes, Floats | None] = field(default_factory=OrderedDict, repr=False)

    # -- facts -------------------------------------------------------------------------------------------------

    @cached_property
    def continuous(self) -> bool:
        return not self.whole.any() and not self.cardinalities

    @cached_property
    def scale(self) -> Floats:
        """Length of each column's range (k,), 1 where it is a single point."""
        return np.where(self.ub > self.lb, self.ub - self.lb, 1.0)

    @cached_property
    def weight(self) -> Floats:
        """Squared ranges (1, k): distances in the kernel are those of the unit cube; 0 fixes a column."""
        return ((self.ub - self.lb) ** 2)[None, :]

    @cached_property
    def polytope(self) -> Polytope:
        """The relaxation without integrality and cardinalities."""
        return Polytope(self.A, self.lower, self.upper, self.lb, self.ub)

    @cached_property
    def exact(self) -> ExactRepair:
        from optengine.backends.exact import ExactRepair

        return ExactRepair(self)

    @cached_property
    def feasible(self) -> bool:
        """Whether the part has a point: by LP for reals, by MILP otherwise."""
        if self.impossible:
            return False
        if not len(self.lb):
            return True
        if self.polytope.empty:
            return False
        return self.continuous or self.exact.feasible()

    def holds(self, X: Floats, tol: float = TIGHT) -> Mask:
        """Return (n,) whether each point keeps bounds, integrality, rows and cardinalities."""
        slack = tol * np.maximum(1.0, np.maximum(np.abs(self.lb), np.abs(self.ub)))
        good = ((X >= self.lb - slack) & (X <= self.ub + slack)).all(axis=1)
        good &= (X[:, self.whole] == np.rint(X[:, self.whole])).all(axis=1)
        if len(self.lower):
            sums, sizes = X @ self.A.T, np.abs(X) @ np.abs(self.A).T
            low, high = np.nan_to_num(self.lower, neginf=0.0), np.nan_to_num(self.upper, posinf=0.0)
            sizes = np.maximum(np.maximum(1.0, sizes), np.maximum(np.abs(low), np.abs(high)))
            good &= (np.maximum(self.lower - sums, sums - self.upper) <= tol * sizes).all(axis=1)
        for columns, least, most in self.cardinalities:
            count = np.count_nonzero(X[:, columns], axis=1)
            good &= (count >= least) & (count <= most)
        return np.asarray(good)

    def distance(self, X: Floats, Y: Floats) -> Floats:
        """Return (n,) the squared distance of each pair in the unit cube, logs on their logarithm."""
        step = (X - Y) / self.scale
        if self.log.any():
            low, high = self.lb[self.log], self.ub[self.log]
            length = np.where(high > low, np.log(high / low), 1.0)
            step[:, self.log] = np.log(X[:, self.log] / Y[:, self.log]) / length
        return np.asarray((step**2).sum(axis=1))

    # -- repair ------------------------------------------------------------------------------------------------

    def repair(self, X: Floats) -> tuple[Floats, Mask]:
        """Return near-nearest points (n, k) that hold, and for each row whether it was found.

        X must lie within the bounds.
        """
        if self.impossible:
            return X, np.zeros(len(X), dtype=bool)
        if self.continuous:
            return self._repair_reals(X)
        Y = self._cheap(X)
        good = self.holds(Y)
        for i in np.flatnonzero(~good):
            point = self._remembered(X[i])
            if point is not None:
                Y[i], good[i] = point, True
        return Y, good

    def _repair_reals(self, X: Floats) -> tuple[Floats, Mask]:
        Y, _ = self.project(X)
        good = self.holds(Y)
        bad = np.flatnonzero(~good)
        if len(bad) and not self.polytope.empty:
            Y[bad] = self.polytope.pull_back(Y[bad])
            good[bad] = self.holds(Y[bad])
        return Y, good

    def project(
        self, X: Floats, lb: Floats | None = None, ub: Floats | None = None, fixed: Mask | None = None
    ) -> tuple[Floats, Floats]:
        """Project X (n, k) on the relaxation with bounds (1, k) or (n, k); `fixed` columns (k,) keep their values."""
        lb, ub = self.lb[None, :] if lb is None else lb, self.ub[None, :] if ub is None else ub
        return self._nearest(X, lb, ub, self.weight if fixed is None else np.where(fixed, 0.0, self.weight))

    def _nearest(self, X: Floats, lb: Floats, ub: Floats, weight: Floats) -> tuple[Floats, Floats]:
        from optengine.kernels.projection import project

        X, lb, ub = np.ascontiguousarray(X), np.ascontiguousarray(lb), np.ascontiguousarray(ub)
        best, residual = project(X, self.A, self.lower, self.upper, lb, ub, weight)
        if not self.log.any():
            return best, residual
        distance, Y = self.distance(best, X), best
        for _ in range(LOG_ROUNDS):
            Y, left = project(X, self.A, self.lower, self.upper, lb, ub, self._log_weight(X, Y, weight))
            after = self.distance(Y, X)
            better = (left <= np.maximum(residual, TIGHT)) & (after < distance)
            best, residual = np.where(better[:, None], Y, best), np.where(better, left, residual)
            distance = np.where(better, after, distance)
        return best, residual

    def _log_weight(self, X: Floats, Y: Floats, weight: Floats) -> Floats:
        """Weights (n, k) whose quadratic has, at Y, the slope of the squared distance on the logarithmic scale."""
        out = np.broadcast_to(weight, X.shape).copy()
        columns = np.flatnonzero(self.log & (self.ub > self.lb))
        x, y = X[:, columns], Y[:, columns]
        length = np.log(self.ub[columns] / self.lb[columns])
        step = np.log(y / x) / length
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(np.abs(step) > 1e-9, (y - x) * y * length / step, (x * length) ** 2)
        out[:, columns] = np.where(out[:, columns] > 0, slope, 0.0)
        return out

    def _cheap(self, X: Floats) -> Floats:
        """Rounding or keeping the whole columns, whichever ends nearer; a dive where neither holds."""
        Y = self._rounded(X)
        left = np.flatnonzero(~self.holds(Y))
        if len(left) and not (self.whole.all() and not self.cardinalities):
            Y[left] = self._dive(X[left])
        return Y

    def _rounded(self, X: Floats) -> Floats:
        """Supports of the largest entries; whole columns rounded or kept; reals projected again; the nearer one."""
        lb, ub = self.supports(X)
        target = np.clip(X, lb, ub)
        start, _ = self.project(target, lb, ub)
        if not self.whole.any():
            return start
        if self.whole.all():
            one, other = self._whole_near(start, X, lb, ub), self._whole_near(X, X, lb, ub)
        else:
            near = np.where(self.whole, self._whole_near(start, start, lb, ub), target)
            one, _ = self.project(near, lb, ub, self.whole)
            other, _ = self.project(target, lb, ub, self.whole)
        better = self.holds(other) & (~self.holds(one) | (self.distance(other, X) <= self.distance(one, X)))
        return np.where(better[:, None], other, one)

    def _whole_near(self, start: Floats, target: Floats, lb: Floats, ub: Floats) -> Floats:
        from optengine.kernels.rounding import round_rows

        lb, ub = np.ascontiguousarray(lb), np.ascontiguousarray(ub)
        return np.asarray(round_rows(start, target, self.A, self.lower, self.upper, lb, ub, self.whole)[0])

    def _dive(self, X: Floats) -> Floats:
        """Project, fix a few columns, and again, until whole columns are whole and cardinalities hold.

        Fixed are the columns nearest to a whole number, and the least of the entries that are too many, at 0.
        """
        lb, ub = np.tile(self.lb, (len(X), 1)), np.tile(self.ub, (len(X), 1))
        weight = np.broadcast_to(self.weight, X.shape).copy()
        target = X.copy()
        open_ = np.tile(self.whole, (len(X), 1)) & (lb < ub)
        Y, _ = self._nearest(target, lb, ub, weight)
        while True:
            gap = np.where(open_, np.abs(Y - np.rint(Y)), np.inf)
            fix = open_ & (_smallest(gap, np.ceil(DIVE * open_.sum(axis=1))) | (gap < 1e-9))
            target = np.where(fix, np.clip(np.rint(Y), lb, ub), target)
            weight[fix] = 0.0
            open_ &= ~fix
            dropped = self._drop(Y, lb, ub, weight > 0)
            if not fix.any() and not dropped:
                break
            Y, _ = self._nearest(np.clip(target, lb, ub), lb, ub, weight)
        if not self.cardinalities:
            return Y
        low, high = self.supports(np.where(np.abs(Y) > 1e-9 * self.scale, Y, 0.0))
        low, high = np.maximum(lb, low), np.minimum(ub, high)
        high = np.maximum(low, high)  # entries that must not be 0 and were fixed there: the check finds them
        return self._nearest(np.clip(target, low, high), low, high, weight)[0]

    def _drop(self, Y: Floats, lb: Floats, ub: Floats, movable: Mask) -> bool:
        """Fix at 0, in place, the least entries of cardinalities that are exceeded; whether there were any."""
        any_ = False
        for columns, _, most in self.cardinalities:
            size = np.abs(Y[:, columns]) / self.scale[columns]
            low, high = lb[:, columns], ub[:, columns]
            used = (size > 1e-9) & (low < high)
            forced = (low > 0) | (high < 0)
            excess = (used | forced).sum(axis=1) - most
            count = np.where(excess > 0, np.ceil(DIVE * excess), 0.0)
            drop = _smallest(np.where(used & ~forced & movable[:, columns], size, np.inf), count)
            lb[:, columns], ub[:, columns] = np.where(drop, 0.0, low), np.where(drop, 0.0, high)
            any_ = any_ or bool(drop.any())
        return any_

    def supports(self, X: Floats) -> tuple[Floats, Floats]:
        """Return bounds (1, k) or (n, k) under which cardinalities hold: the largest entries may be nonzero."""
        if not self.cardinalities:
            return self.lb[None, :], self.ub[None, :]
        lb, ub = np.tile(self.lb, (len(X), 1)), np.tile(self.ub, (len(X), 1))
        for columns, least, most in self.cardinalities:
            low, high = lb[:, columns], ub[:, columns]
            must = (low > 0) | (high < 0)
            can = (low < 0) | (high > 0)
            size = np.abs(X[:, columns]) / self.scale[columns] + 1e-12 * np.maximum(np.abs(low), np.abs(high))
            order = np.argsort(-np.where(must, np.inf, np.where(can, size, -1.0)), axis=1, kind="stable")
            rank = np.empty_like(order)
            np.put_along_axis(rank, order, np.broadcast_to(np.arange(len(columns)), order.shape), axis=1)
            off = (rank >= most) & ~must
            least_size = np.where(self.whole[columns], 1.0, NONZERO * self.scale[columns])
            on = (rank < least) & can & ~must
            positive = on & (high > 0) & ((X[:, columns] >= 0) | (low >= 0))
            negative = on & ~positive
            low = np.where(positive, np.minimum(least_size, high), low)
            high = np.where(negative, np.maximum(-least_size, low), high)
            lb[:, columns], ub[:, columns] = np.where(off, 0.0, low), np.where(off, 0.0, high)
        return lb, ub

    def _remembered(self, x: Floats) -> Floats | None:
        key = x.tobytes()
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        point = self.exact.nearest(x)
        self._known[key] = point
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return point

    def settle(self, x: Floats, point: Floats) -> Floats | None:
        """Return a point that holds exactly, with the whole columns and the support of `point` and reals near to `x`.

        None if there is none. An exact solver answers within 1e-6; this makes 735.9999 and 1e-7 into 736 and 0.
        """
        z = np.where(self.whole, np.rint(point), point)
        z[np.abs(z) < 0.5 * NONZERO * self.scale] = (
            0.0  # only ranks entries: reals are projected from x again
        )
        lb, ub = (bound[0] for bound in self.supports(z[None, :]))
        if (lb > ub).any():
            return None
        z = np.clip(z, lb, ub)
        start = np.clip(np.where(self.whole, z, x), lb, ub)[None, :]
        Y, _ = self.project(start, lb[None, :], ub[None, :], self.whole)
        if self.holds(Y)[0]:
            return np.asarray(Y[0])
        if self.whole.all():
            return None
        real = ~self.whole
        shift = self.A[:, self.whole] @ z[self.whole]
        inner = Polytope(
            np.ascontiguousarray(self.A[:, real]), self.lower - shift, self.upper - shift, lb[real], ub[real]
        )
        if inner.empty:
            return None
        Y[0, real] = inner.pull_back(Y[:, real])[0]
        return np.asarray(Y[0]) if self.holds(Y)[0] else None


def _smallest(size: Floats, count: Floats) -> Mask:
    """Return (n, k) whether each entry is finite and among the `count` (n,) smallest of its row."""
    rank = np.argsort(np.argsort(size, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray((rank < count[:, None]) & np.isfinite(size))
