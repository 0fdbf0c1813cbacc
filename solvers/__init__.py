"""The solvers, one file or small folder a method.

Their names come from `optengine.registry`; a new method adds its line there and its import for type checkers here.
Nothing loads before it is asked for.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optengine.solvers.bandit import Bandit as Bandit
    from optengine.solvers.bayes import BO as BO, TPE as TPE
    from optengine.solvers.cem import CEM as CEM
    from optengine.solvers.combinatorial import (
        CoverSearch as CoverSearch,
        FacilitySearch as FacilitySearch,
        IndependentSetSearch as IndependentSetSearch,
        JobShopExact as JobShopExact,
        KnapsackSearch as KnapsackSearch,
        LinearOrderSearch as LinearOrderSearch,
        MarketSplitExact as MarketSplitExact,
        ProbSAT as ProbSAT,
        RobustTabu as RobustTabu,
        Tabu as Tabu,
        TourSearch as TourSearch,
    )
    from optengine.solvers.covering import CDSM as CDSM, DirectionalAttack as DirectionalAttack
    from optengine.solvers.dag import TOPO as TOPO, DAGExact as DAGExact, OrderSearch as OrderSearch
    from optengine.solvers.evolution import (
        CMAES as CMAES,
        DE as DE,
        GA as GA,
        MOEAD as MOEAD,
        NSGA2 as NSGA2,
        NSGA3 as NSGA3,
        RVEA as RVEA,
        SMSEMOA as SMSEMOA,
        Hybrid as Hybrid,
        SepCMAES as SepCMAES,
    )
    from optengine.solvers.local import (
        COBYQA as COBYQA,
        LBFGSB as LBFGSB,
        SLSQP as SLSQP,
        DualAnnealing as DualAnnealing,
        NelderMead as NelderMead,
        Powell as Powell,
    )
    from optengine.solvers.local_search import ILS as ILS, FastEA as FastEA
    from optengine.solvers.milp import (
        FeasibilityJump as FeasibilityJump,
        LocalBranching as LocalBranching,
        MILPExact as MILPExact,
        PredictAndSearch as PredictAndSearch,
        RelaxationInduced as RelaxationInduced,
    )
    from optengine.solvers.minmax import (
        DMMV as DMMV,
        DMMVReference as DMMVReference,
        MinMaxExact as MinMaxExact,
    )
    from optengine.solvers.offline import (
        ROOT as ROOT,
        COMs as COMs,
        GPPortfolio as GPPortfolio,
        GradientAscent as GradientAscent,
        Ignite as Ignite,
        MatchOpt as MatchOpt,
        RaM as RaM,
        SurrogateSearch as SurrogateSearch,
    )
    from optengine.solvers.portfolio import Portfolio as Portfolio, Relay as Relay
    from optengine.solvers.random_search import RandomSearch as RandomSearch
    from optengine.solvers.reinforce import REINFORCE as REINFORCE
    from optengine.solvers.sobol import Sobol as Sobol
else:
    from optengine.core.lazy import attach
    from optengine.registry import SOLVERS

    _places = [place.split(":") for place in SOLVERS.values()]
    __getattr__, __dir__, __all__ = attach(
        __name__, {module: [name for home, name in _places if home == module] for module, _ in _places}
    )
    del attach, SOLVERS
