"""Local search with compiled kernels for the classic combinatorial problems, a solver a family of problems."""

from optengine.solvers.combinatorial.cover import CoverSearch as CoverSearch
from optengine.solvers.combinatorial.facilities import FacilitySearch as FacilitySearch
from optengine.solvers.combinatorial.independent import IndependentSetSearch as IndependentSetSearch
from optengine.solvers.combinatorial.job_shop import JobShopExact as JobShopExact
from optengine.solvers.combinatorial.knapsack import KnapsackSearch as KnapsackSearch
from optengine.solvers.combinatorial.linear_order import LinearOrderSearch as LinearOrderSearch
from optengine.solvers.combinatorial.market_split import MarketSplitExact as MarketSplitExact
from optengine.solvers.combinatorial.prob_sat import ProbSAT as ProbSAT
from optengine.solvers.combinatorial.robust_tabu import RobustTabu as RobustTabu
from optengine.solvers.combinatorial.tabu import Tabu as Tabu
from optengine.solvers.combinatorial.tour import TourSearch as TourSearch
