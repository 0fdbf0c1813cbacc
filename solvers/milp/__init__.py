"""Mixed-integer programs: exact backends, search around predictions, and neighbourhoods of incumbents."""

from optengine.solvers.milp.exact import MILPExact as MILPExact
