"""Models restricted to a part of their points: near a prediction or an incumbent, or with variables fixed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.linear import LinearModel
from optengine.solvers.milp.predictor import Columns

Floats = NDArray[np.float64]


def near(model: LinearModel, zeros: Columns, ones: Columns, radius: float) -> LinearModel:
    """The model with one row more: sum over `zeros` of x_j + sum over `ones` of (1 - x_j) <= radius."""
    from scipy.sparse import csr_array, vstack

    columns = np.concatenate([zeros, ones])
    signs = np.concatenate([np.ones(len(zeros)), -np.ones(len(ones))])
    row = csr_array((signs, (np.zeros(len(columns), dtype=np.int64), columns)), shape=(1, model.n_variables))
    return LinearModel(
        model.c,
        vstack([csr_array(model.A), row], format="csr"),
        np.append(model.lower, -np.inf),
        np.append(model.upper, radius - len(ones)),
        model.lb,
        model.ub,
        model.integrality,
    )


def fixed(model: LinearModel, zeros: Columns, ones: Columns) -> LinearModel:
    """The model with some binaries at 0 and others at 1."""
    values = np.full(model.n_variables, np.nan)
    values[zeros], values[ones] = 0.0, 1.0
    return held(model, values)


def held(model: LinearModel, values: Floats) -> LinearModel:
    """The model with columns at the given values (n,), NaN where they stay free."""
    free = np.isnan(values)
    inside = np.clip(values, model.lb, model.ub)
    return LinearModel(
        model.c,
        model.A,
        model.lower,
        model.upper,
        np.where(free, model.lb, inside),
        np.where(free, model.ub, inside),
        model.integrality,
    )


def relaxed(model: LinearModel) -> LinearModel:
    """The model without whole numbers."""
    return LinearModel(model.c, model.A, model.lower, model.upper, model.lb, model.ub, False)
