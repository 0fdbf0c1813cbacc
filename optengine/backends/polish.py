"""The best real variables for given whole ones: one linear programme."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.backends.terms import LinearStatus, settled
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]


def completed(model: LinearModel, x: Floats, time_limit: float = np.inf) -> Floats | None:
    """Return the best point (n,) with the whole variables of x, rounded; None if there is none.

    Backends keep whole numbers and rows to a tolerance. Rounded, a whole variable may break a row with a large
    coefficient; the real ones are then chosen anew.
    """
    fixed = settled(model, x)
    whole = model.integrality
    if whole.all():
        return fixed if float(model.violation(fixed)) <= 1e-9 else None
    free = LinearModel(
        model.c,
        model.A,
        model.lower,
        model.upper,
        np.where(whole, fixed, model.lb),
        np.where(whole, fixed, model.ub),
        False,
    )
    try:
        result = solve_linear(free, time_limit=time_limit, threads=1)
    except OptEngineError:  # the programme broke down: as good as none
        return None
    return result.x if result.status is LinearStatus.OPTIMAL else None
