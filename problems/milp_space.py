"""The space of a mixed-integer program: one array of reals, whole numbers and bits, without a name for each column.

Search methods need finite boxes. Where a bound is infinite the space draws from what the rows imply, or from a default
box; a point of an exact solver may lie outside that box and is in the space all the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import SpaceError, did_you_mean
from optengine.core.linear import LinearModel
from optengine.core.space import BINARY, INTEGER, REAL, Batch, Mask, Space
from optengine.core.variables import Real

Floats = NDArray[np.float64]

WIDEST = 1e4  # half-width of the box drawn from where neither bounds nor rows say anything
PASSES = 3  # over the rows, to find what they imply
LARGEST = 1e12  # an implied bound beyond it says nothing that a search could use
SLACK = 1e-9  # relative distance outside a bound that is taken for rounding


class Columns(Real):
    """A Real to everybody who asks, of which some elements are whole; columns hold values."""

    @property
    def label(self) -> str:
        return "Real"  # what a stored result is read back as


class MILPSpace(Space):
    """The columns of one model.

    Args:
        model: whose columns these are.
        names: of the columns, for x given as a dict; None for none.
    """

    def __init__(self, model: LinearModel, names: Sequence[str] | None) -> None:
        self._true_lower, self._true_upper = model.lb, model.ub
        self._whole, self._given_names = model.integrality, names
        low, high = finite_box(model)
        super().__init__(Columns(low, high))

    def _lay_out(self) -> None:
        super()._lay_out()
        bits = self._whole & (self.lower >= 0) & (self.upper <= 1)
        self.kind = np.where(bits, BINARY, np.where(self._whole, INTEGER, REAL)).astype(np.uint8)
        self.n_levels = np.where(self._whole, self.upper - self.lower + 1, 0).astype(np.int64)
        self.kind.setflags(write=False)
        self.n_levels.setflags(write=False)

    def contains(self, X: Batch, tol: float = SLACK) -> Mask:
        """Return (n,) whether each row keeps the model's own bounds, infinite ones included, and is whole."""
        ends = [
            np.where(np.isfinite(b), np.abs(b), 0.0)
            for b in (self._true_lower, self._true_upper, self.lower, self.upper)
        ]
        slack = tol * np.maximum(1.0, np.max(ends, axis=0)) * ~self._whole
        low, high = np.minimum(self._true_lower, self.lower), np.maximum(self._true_upper, self.upper)
        inside: Mask = ((X >= low - slack) & (X <= high + slack)).all(axis=1)
        whole = X[:, self._whole]
        return np.asarray(inside & (whole == np.rint(whole)).all(axis=1))

    def encode(self, x: Any) -> Batch:
        """Return the rows (k, n) of one x, an array (n,) or a dict of names, or of a list of them.

        Raises:
            SpaceError: a wrong shape or name, or a value outside its bounds or not whole.
        """
        if isinstance(x, Mapping) or (
            isinstance(x, (list, tuple)) and len(x) and all(isinstance(p, Mapping) for p in x)
        ):
            x = [self._by_name(point) for point in ([x] if isinstance(x, Mapping) else x)]
        try:
            rows = np.array(x, dtype=np.float64) + 0.0  # 0.0 in place of -0.0
        except (TypeError, ValueError):
            raise SpaceError(f"x must be {self.width} numbers, got {type(x).__name__}") from None
        if rows.shape[-1:] != (self.width,) or rows.ndim > 2:
            raise SpaceError(f"x must have shape ({self.width},), or be a list of such, got {rows.shape}")
        rows = rows.reshape(-1, self.width)
        if not np.isfinite(rows).all():
            raise SpaceError("x must be finite, got NaN or an infinite value")
        nearest = np.where(self._whole, np.rint(rows), rows)
        if (np.abs(nearest - rows) > SLACK).any():
            i, j = np.argwhere(np.abs(nearest - rows) > SLACK)[0]
            raise SpaceError(f"x must be whole in column {self._label(int(j))}, got {rows[i, j]:.12g}")
        inside = np.clip(nearest, np.minimum(self._true_lower, self.lower), self._highest)
        off = np.abs(inside - nearest) > SLACK * np.maximum(1.0, np.abs(inside))
        if off.any():
            i, j = np.argwhere(off)[0]
            bounds = f"[{self._true_lower[j]:.12g}, {self._true_upper[j]:.12g}]"
            raise SpaceError(f"x must lie in {bounds} in column {self._label(int(j))}, got {rows[i, j]:.12g}")
        return np.ascontiguousarray(inside)

    @property
    def _highest(self) -> Floats:
        return np.asarray(np.maximum(self._true_upper, self.upper))

    def _by_name(self, point: Mapping[Any, Any]) -> Floats:
        """A row from a dict of names; columns that are not named stand at the end of their bounds next to 0."""
        if self._given_names is None:
            raise SpaceError("x must be an array: the columns of this model have no names")
        place = {name: j for j, name in enumerate(self._given_names)}
        row = np.array(np.clip(0.0, self.lower, self.upper))
        for name, value in point.items():
            if name not in place:
                near = did_you_mean(str(name), place) if len(place) <= 10_000 else ""
                raise SpaceError(f"x names {name!r}, which is no column{near}")
            row[place[name]] = value
        return row

    def _label(self, j: int) -> str:
        return str(j) if self._given_names is None else f"{j} ({self._given_names[j]})"

    def column_names(self) -> list[str]:
        """One name a column."""
        return super().column_names() if self._given_names is None else list(self._given_names)

    def cardinality(self) -> int | None:
        """Number of points within the bounds; None if there are infinitely many."""
        free = self._true_lower < self._true_upper
        if (free & ~self._whole).any() or not np.isfinite(self._true_upper - self._true_lower).all():
            return None
        return math.prod(int(k) for k in self.n_levels[self._whole])


def finite_box(model: LinearModel) -> tuple[Floats, Floats]:
    """Finite bounds (n,), (n,) to draw from: the model's own, what rows imply, or a default width."""
    low, high = model.lb.copy(), model.ub.copy()
    if not (np.isfinite(low) & np.isfinite(high)).all():
        for _ in range(PASSES):
            before = int(np.isinf(low).sum() + np.isinf(high).sum())
            low, high = _implied(model, low, high)
            if int(np.isinf(low).sum() + np.isinf(high).sum()) == before:
                break
        low = np.where(np.isfinite(low), low, np.where(np.isfinite(high), high - 2 * WIDEST, -WIDEST))
        high = np.where(np.isfinite(high), high, np.maximum(low + 2 * WIDEST, WIDEST))
    whole = model.integrality
    low = np.where(whole, np.ceil(low - SLACK), low)
    high = np.where(whole, np.maximum(low, np.floor(high + SLACK)), high)
    return low, np.maximum(low, high)


def _implied(model: LinearModel, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """One pass over the rows: what each row and the bounds of its other columns say of each column."""
    if not model.n_rows:
        return low, high
    from scipy.sparse import csr_array

    A = csr_array(model.A)
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    columns, a = A.indices, A.data
    kept = a != 0
    rows, columns, a = rows[kept], columns[kept], a[kept]
    new_low, new_high = low.copy(), high.copy()
    for side, bound in ((1.0, model.upper), (-1.0, -model.lower)):  # side * (A x) <= bound
        signed = side * a
        least = np.where(signed > 0, signed * low[columns], signed * high[columns])
        infinite = np.isinf(least)
        total = np.bincount(rows, np.where(infinite, 0.0, least), len(bound))
        count = np.bincount(rows, infinite, len(bound))
        others = count[rows] - infinite
        rest = bound[rows] - (total[rows] - np.where(infinite, 0.0, least))
        usable = (others == 0) & np.isfinite(bound[rows])
        with np.errstate(over="ignore"):  # a tiny coefficient bounds nothing
            limit = np.where(usable, rest, np.inf) / np.where(usable, signed, 1.0)
        usable &= np.abs(limit) <= LARGEST
        up, down = usable & (signed > 0), usable & (signed < 0)
        np.minimum.at(new_high, columns[up], limit[up])
        np.maximum.at(new_low, columns[down], limit[down])
    # only infinite ends are replaced: finite ones are the user's own
    new_low, new_high = np.where(np.isinf(low), new_low, low), np.where(np.isinf(high), new_high, high)
    crossed = new_low > new_high  # an infeasible model: the solver says so, not the box
    return np.where(crossed, low, new_low), np.where(crossed, high, new_high)
