"""One number a row, so that strategies that know only values can rank feasible, infeasible and failed rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation

Floats = NDArray[np.float64]


def merits(evaluation: Evaluation) -> Floats:
    """Return (n,) finite values in the order of `best_first`: the objective where feasible, above it by the violation
    where not, above all where failed. Deb (2000), doi:10.1016/S0045-7825(99)00389-8.
    """
    value = evaluation.F[:, 0]
    good = np.isfinite(value) & ~evaluation.failed
    violation = evaluation.violation
    if good.all() and not evaluation.G.shape[1]:
        return value
    feasible = good & (violation <= 0)
    worst = float(value[feasible].max()) if feasible.any() else 0.0
    merit = np.where(feasible, value, np.inf)
    infeasible = good & ~feasible & np.isfinite(violation)
    step = max(1.0, abs(worst))  # above 1 ulp of the worst value, whatever its size
    merit[infeasible] = worst + step * (1.0 + violation[infeasible])
    lost = ~np.isfinite(merit)
    if lost.any():
        top = float(merit[~lost].max()) if (~lost).any() else 0.0
        merit[lost] = top + max(1.0, abs(top))
    return merit
