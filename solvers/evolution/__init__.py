"""Evolution strategies, differential evolution and genetic algorithms, one file a method.

The classes load on first use: a look at one of them loads neither pymoo nor cmaes.
"""

from optengine.solvers.evolution.cmaes import CMAES as CMAES, SepCMAES as SepCMAES
from optengine.solvers.evolution.de import DE as DE
from optengine.solvers.evolution.hybrid import Hybrid as Hybrid
from optengine.solvers.evolution.multiobjective import (
    GA as GA,
    MOEAD as MOEAD,
    NSGA2 as NSGA2,
    NSGA3 as NSGA3,
    RVEA as RVEA,
    SMSEMOA as SMSEMOA,
)
