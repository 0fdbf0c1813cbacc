"""A linear model in whole numbers: what CP-SAT solves.

Rows and objective are multiplied by powers of ten until their coefficients are whole. Where none up to 1e9 does, they
are rounded: rows then approximate, and nothing is proved; an approximate objective costs the bound a known error only.
Real variables stand on a grid, their rows loosened by what the grid takes away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST_POWER = 9  # of ten, tried as multiplier
WHOLE = 1e-11  # relative distance from a whole number that is taken for rounding of a decimal fraction
LARGEST_SUM = 2.0**60  # sizes of terms of a row, below the limit 2^62 of CP-SAT
ROUGH_SUM = 2.0**44  # of a row or an objective that is rounded
GRID = 1e4  # steps a unit, for real variables
WIDEST = 1e7  # half-width of the box of variables without bounds, if they are taken at all


@dataclass(frozen=True)
class WholeModel:
    """Minimise c'y subject to lower <= A y <= upper (A as CSR arrays), low <= y <= high, all whole; x = y / step.

    Attributes:
        scale: c'y / scale is the objective to within `error`.
        exact: whether every point of the model is one of these, and the other way round.
    """

    c: Integers
    indptr: Integers
    indices: Integers
    data: Integers
    lower: Floats  # infinite where absent
    upper: Floats
    low: Integers
    high: Integers
    step: Floats
    scale: float
    error: float
    exact: bool


def whole_model(model: LinearModel) -> WholeModel:
    """Put a linear model into whole numbers."""
    from scipy.sparse import csr_array

    real = ~model.integrality
    endless = ~(np.isfinite(model.lb) & np.isfinite(model.ub))
    step = np.where(real, GRID, 1.0)
    low = np.ceil(np.clip(model.lb, -WIDEST, WIDEST) * step - 1e-9)
    high = np.floor(np.clip(model.ub, -WIDEST, WIDEST) * step + 1e-9)
    largest = np.maximum(np.abs(low), np.abs(high))

    A = csr_array(model.A).copy()
    A.sum_duplicates()
    A.eliminate_zeros()
    rows = np.repeat(np.arange(A.shape[0]), np.diff(A.indptr))
    values = A.data / step[A.indices]
    multiplier, whole = _multipliers(values, rows, largest[A.indices], A.shape[0])
    data = np.rint(values * multiplier[rows])
    loose = np.bincount(rows, np.abs(data) * real[A.indices], A.shape[0]) / 2
    slack = 1e-9 * np.maximum(1.0, multiplier)
    lower = np.ceil(model.lower * multiplier - slack - loose)
    upper = np.floor(model.upper * multiplier + slack + loose)

    costs = model.c / step
    one = np.zeros(len(costs), dtype=np.int64)
    scale, _ = _multipliers(costs, one, largest, 1)
    c = np.rint(costs * scale[0])
    error = float((np.abs(c / scale[0] - costs) * largest).sum())
    return WholeModel(
        c=c.astype(np.int64),
        indptr=A.indptr.astype(np.int64),
        indices=A.indices.astype(np.int64),
        data=data.astype(np.int64),
        lower=lower,
        upper=upper,
        low=low.astype(np.int64),
        high=high.astype(np.int64),
        step=step,
        scale=float(scale[0]),
        error=0.0 if error <= 1e-9 * max(1.0, float((np.abs(model.c) * largest).max(initial=0.0))) else error,
        exact=bool(whole.all()) and not real.any() and not endless.any(),
    )


def _multipliers(values: Floats, rows: Integers, largest: Floats, m: int) -> tuple[Floats, NDArray[np.bool_]]:
    """A factor (m,) for each row that makes its values whole, and whether it does so exactly."""
    multiplier, done = np.ones(m), np.zeros(m, dtype=bool)
    size = np.bincount(rows, np.abs(values) * largest, m)
    for power in range(LARGEST_POWER + 1):
        scaled = values * 10.0**power
        off = np.abs(scaled - np.rint(scaled)) > WHOLE * np.maximum(1.0, np.abs(scaled))
        fits = (np.bincount(rows, off, m) == 0) & (size * 10.0**power <= LARGEST_SUM)
        multiplier[fits & ~done] = 10.0**power
        done |= fits
        if done.all():
            break
    rough = 2.0 ** np.floor(np.log2(ROUGH_SUM / np.maximum(size, 1.0)))
    return np.where(done, multiplier, rough), done
