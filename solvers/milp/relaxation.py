"""A predictor without training: the linear relaxation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.core.errors import OptEngineError
from optengine.problems.milp import MILP
from optengine.solvers.milp.restrict import relaxed

Floats = NDArray[np.float64]

PATIENCE = 30.0  # seconds, at most, for the relaxation


class Relaxation:
    """Scores a column by its value in the linear relaxation; nothing is predicted where that has no optimum.

    Columns at a bound are told apart by their reduced costs: the more it costs to leave the bound, the surer.
    Berthold, RENS: the optimal rounding, Mathematical Programming Computation 6 (2014), doi:10.1007/s12532-013-0060-9,
    searches the same neighbourhood.
    """

    def scores(self, problem: MILP) -> Floats:
        """Values (n,) of the relaxation less reduced costs over the largest of them; 0.5 where there is none."""
        try:
            result = solve_linear(relaxed(problem.model), time_limit=PATIENCE, threads=1)
        except OptEngineError:  # it broke down: no prediction
            return np.full(problem.n_variables, 0.5)
        if result.x is None:
            return np.full(problem.n_variables, 0.5)
        if result.reduced_costs is None:
            return result.x
        most = float(np.abs(result.reduced_costs).max())
        return np.asarray(result.x - result.reduced_costs / (most if most > 0 else 1.0))
