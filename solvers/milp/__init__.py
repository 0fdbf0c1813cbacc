"""Mixed-integer programs: exact backends, search around predictions, and neighbourhoods of incumbents."""

from optengine.solvers.milp.exact import MILPExact as MILPExact
from optengine.solvers.milp.jump import FeasibilityJump as FeasibilityJump
from optengine.solvers.milp.local import (
    LocalBranching as LocalBranching,
    RelaxationInduced as RelaxationInduced,
)
from optengine.solvers.milp.predictor import Predictor as Predictor
from optengine.solvers.milp.search import PredictAndSearch as PredictAndSearch
