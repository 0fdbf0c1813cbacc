"""The linear relaxation of a packing or covering model: its value, a proved bound, its point and its prices."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, hstack

from optengine.backends.linear import solve_linear
from optengine.backends.terms import LinearStatus
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

PATIENCE = 20.0  # seconds for either of the two linear programs


class Relaxed(NamedTuple):
    """Outcome of `relax`.

    Attributes:
        bound: proved lower bound on the minimised objective, -inf where there is none.
        x: (n,) point of the relaxation. prices: (m,) of the rows, not negative. reduced: (n,) reduced costs.
    """

    bound: float
    x: Floats
    prices: Floats
    reduced: Floats


def relax(model: LinearModel, time_limit: float = np.inf) -> Relaxed:
    """Solve the relaxation of min c'x, rows either <= upper or >= lower, 0 <= x <= 1, and its dual.

    The bound is computed from the prices alone, so that it is proved whatever the backend's tolerances:
    min over the box of c'x + prices'(A x - upper), or of c'x - prices'(A x - lower).
    """
    n, m = model.n_variables, model.n_rows
    relaxed = replace(model, integrality=False)
    limit = min(PATIENCE, time_limit)
    A = csr_array(model.A)
    covering = bool(np.isfinite(model.lower).all())
    x, prices = np.full(n, 0.5), np.zeros(m)
    try:
        primal = solve_linear(relaxed, time_limit=limit, threads=1, watched=False)
        x = x if primal.x is None else primal.x
        # Dual: max sign * b'y - 1'z, with z >= sign * A'y - c, both not negative.
        sign, b = (1.0, model.lower) if covering else (-1.0, model.upper)
        rows = csr_array(hstack([sign * A.T, -eye_array(n)]))
        dual = LinearModel(np.r_[-sign * b, np.ones(n)], rows, upper=model.c)
        solved = solve_linear(dual, time_limit=limit, threads=1, watched=False)
        if solved.status == LinearStatus.OPTIMAL and solved.x is not None:
            prices = np.maximum(solved.x[:m], 0.0)
    except OptEngineError:  # it broke down: no guidance
        pass
    sign, b = (1.0, model.lower) if covering else (-1.0, model.upper)
    reduced = np.asarray(model.c - sign * (A.T @ prices))
    return Relaxed(float(sign * (prices @ b) + np.minimum(reduced, 0.0).sum()), x, prices, reduced)


def rounded_up(bound: float, whole: bool) -> float:
    """The bound, or the next whole number where every value is whole."""
    return float(np.ceil(bound - 1e-6)) if whole and np.isfinite(bound) else bound
