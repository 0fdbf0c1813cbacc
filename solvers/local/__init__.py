"""Local methods of SciPy with restarts, asked and told: see `lanes` for how."""

from optengine.solvers.local.direct import (
    COBYQA as COBYQA,
    DualAnnealing as DualAnnealing,
    NelderMead as NelderMead,
    Powell as Powell,
)
from optengine.solvers.local.gradient import LBFGSB as LBFGSB, SLSQP as SLSQP
