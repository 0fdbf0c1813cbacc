"""The solvers by name, as text: nothing loads before it is asked for.

A third-party package adds its own through the entry-point group `optengine.solvers`; the scan happens on the first
look-up of a name that is not ours.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from optengine.core.errors import OptEngineError, OptionError, SolverNotSuitable, did_you_mean

if TYPE_CHECKING:
    from optengine.core.problem import Problem

SOLVERS: dict[str, str] = {
    "bandit": "optengine.solvers.bandit:Bandit",
    "bo": "optengine.solvers.bayes:BO",
    "cdsm": "optengine.solvers.covering:CDSM",
    "cem": "optengine.solvers.cem:CEM",
    "cmaes": "optengine.solvers.evolution:CMAES",
    "cobyqa": "optengine.solvers.local:COBYQA",
    "coms": "optengine.solvers.offline:COMs",
    "cover": "optengine.solvers.combinatorial:CoverSearch",
    "dag_exact": "optengine.solvers.dag:DAGExact",
    "de": "optengine.solvers.evolution:DE",
    "directional_attack": "optengine.solvers.covering:DirectionalAttack",
    "dmmv": "optengine.solvers.minmax:DMMV",
    "dmmv_reference": "optengine.solvers.minmax:DMMVReference",
    "dual_annealing": "optengine.solvers.local:DualAnnealing",
    "facilities": "optengine.solvers.combinatorial:FacilitySearch",
    "fast_ea": "optengine.solvers.local_search:FastEA",
    "feasibility_jump": "optengine.solvers.milp:FeasibilityJump",
    "ga": "optengine.solvers.evolution:GA",
    "gp_portfolio": "optengine.solvers.offline:GPPortfolio",
    "gradient_ascent": "optengine.solvers.offline:GradientAscent",
    "hybrid": "optengine.solvers.evolution:Hybrid",
    "ignite": "optengine.solvers.offline:Ignite",
    "ils": "optengine.solvers.local_search:ILS",
    "independent_set": "optengine.solvers.combinatorial:IndependentSetSearch",
    "job_shop": "optengine.solvers.combinatorial:JobShopExact",
    "knapsack": "optengine.solvers.combinatorial:KnapsackSearch",
    "lbfgsb": "optengine.solvers.local:LBFGSB",
    "linear_order": "optengine.solvers.combinatorial:LinearOrderSearch",
    "local_branching": "optengine.solvers.milp:LocalBranching",
    "market_split": "optengine.solvers.combinatorial:MarketSplitExact",
    "match_opt": "optengine.solvers.offline:MatchOpt",
    "milp": "optengine.solvers.milp:MILPExact",
    "minmax_exact": "optengine.solvers.minmax:MinMaxExact",
    "moead": "optengine.solvers.evolution:MOEAD",
    "nelder_mead": "optengine.solvers.local:NelderMead",
    "nsga2": "optengine.solvers.evolution:NSGA2",
    "nsga3": "optengine.solvers.evolution:NSGA3",
    "order_search": "optengine.solvers.dag:OrderSearch",
    "portfolio": "optengine.solvers.portfolio:Portfolio",
    "powell": "optengine.solvers.local:Powell",
    "predict_and_search": "optengine.solvers.milp:PredictAndSearch",
    "prob_sat": "optengine.solvers.combinatorial:ProbSAT",
    "ram": "optengine.solvers.offline:RaM",
    "random": "optengine.solvers.random_search:RandomSearch",
    "reinforce": "optengine.solvers.reinforce:REINFORCE",
    "relaxation_induced": "optengine.solvers.milp:RelaxationInduced",
    "relay": "optengine.solvers.portfolio:Relay",
    "robust_tabu": "optengine.solvers.combinatorial:RobustTabu",
    "root": "optengine.solvers.offline:ROOT",
    "rvea": "optengine.solvers.evolution:RVEA",
    "sep_cmaes": "optengine.solvers.evolution:SepCMAES",
    "slsqp": "optengine.solvers.local:SLSQP",
    "smsemoa": "optengine.solvers.evolution:SMSEMOA",
    "sobol": "optengine.solvers.sobol:Sobol",
    "surrogate_search": "optengine.solvers.offline:SurrogateSearch",
    "tabu": "optengine.solvers.combinatorial:Tabu",
    "topo": "optengine.solvers.dag:TOPO",
    "tour": "optengine.solvers.combinatorial:TourSearch",
    "tpe": "optengine.solvers.bayes:TPE",
}

ENTRY_POINTS = "optengine.solvers"

# Problems with a structure that a solver of their own reads: class -> (solver, why). Classes as text: nothing loads.
STRUCTURED: dict[str, tuple[str, str]] = {
    "optengine.problems.dag.problem:DAGProblem": ("order_search", "orders of a graph's nodes"),
    "optengine.problems.independent_set:IndependentSet": (
        "independent_set",
        "an independent set or a clique",
    ),
    "optengine.problems.job_shop:JobShop": ("job_shop", "a job shop"),
    "optengine.problems.market_split:MarketSplit": ("market_split", "a market split"),
    "optengine.problems.knapsack:Knapsack": ("knapsack", "a multi-dimensional knapsack"),
    "optengine.problems.set_cover:SetCover": ("cover", "a set cover"),
    "optengine.problems.max_sat:MaxSAT": ("prob_sat", "weighted clauses"),
    "optengine.problems.maxcut:MaxCut": ("tabu", "cuts of a graph"),
    "optengine.problems.qap:QAP": ("robust_tabu", "a quadratic assignment"),
    "optengine.problems.qubo:QUBO": ("tabu", "a quadratic function of bits"),
    "optengine.problems.linear_ordering:LinearOrdering": ("linear_order", "a linear ordering"),
    "optengine.problems.milp:MILP": ("milp", "a mixed-integer program"),
    "optengine.problems.minmax:MinMaxViolation": ("dmmv", "a min-max violation"),
    "optengine.problems.tsp:TSP": ("tour", "a symmetric travelling salesman problem"),
    "optengine.problems.offline:Offline": (
        "gp_portfolio",
        "a table of past experiments, nothing to evaluate",
    ),
}


def names() -> list[str]:
    """Return the names of all solvers, those of installed third-party packages included."""
    return sorted({*SOLVERS, *_plugins()})


def load(name: str) -> type[Any]:
    """Return the class of solver `name`.

    Raises:
        OptionError: there is no such solver; the nearest name is suggested.
    """
    if name in SOLVERS:
        module, _, attribute = SOLVERS[name].partition(":")
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
    plugins = _plugins()
    if name not in plugins:
        known = sorted({*SOLVERS, *plugins})
        raise OptionError(f"solver must be 'auto' or one of {known}, got {name!r}{did_you_mean(name, known)}")
    try:
        return plugins[name].load()  # type: ignore[no-any-return]
    except Exception as error:  # a plugin may raise anything while it is imported
        raise OptionError(
            f"solver {name!r} is {plugins[name].value!r}, which does not load: {error}"
        ) from error


def make(name: str, options: dict[str, Any] | None = None) -> Any:
    """Return solver `name` with `options` as its fields.

    Raises:
        OptionError: an unknown solver or option, or a value outside its range.
    """
    solver, given = load(name), dict(options or {})
    known = [f.name for f in dataclasses.fields(solver) if f.init]
    for option in given:
        if option not in known:
            raise OptionError(f"{name} has no option {option!r}, only {known}{did_you_mean(option, known)}")
    return solver(**given)


def name_of(solver: Any) -> str:
    """Return the registry name of a solver instance, or its class name."""
    home = f"{type(solver).__module__}:{type(solver).__qualname__}"
    for name, place in SOLVERS.items():
        module, _, attribute = place.partition(":")
        if attribute == type(solver).__qualname__ and home.startswith(module):
            return name
    for name, plugin in _plugins().items():
        if plugin.value == home:
            return name
    return type(solver).__name__


def suitable(problem: Problem) -> Iterator[tuple[str, str | None]]:
    """Yield each solver's name with the reason why it refuses `problem`, or None where it does not."""
    for name in names():
        try:
            yield name, refusal(load(name)(), problem)
        except OptEngineError as error:
            yield name, str(error)


def refusal(solver: Any, problem: Problem) -> str | None:
    """Return why `solver` cannot treat `problem`, or None: its own reason, or that there is nothing to evaluate."""
    if not problem.evaluable and not getattr(solver, "offline", False):
        return "it evaluates candidates, and there is only a table of values"
    reason: str | None = solver.refuses(problem)
    return reason


def check_suitable(solver: Any, problem: Problem) -> None:
    """Raise `SolverNotSuitable`, with the solvers that would do, if `solver` refuses `problem`."""
    reason = refusal(solver, problem)
    if reason is not None:
        others = [name for name, refusal in suitable(problem) if refusal is None]
        hint = f"; these would do: {', '.join(others)}" if others else ""
        raise SolverNotSuitable(f"solver {name_of(solver)!r} cannot solve {problem.name!r}: {reason}{hint}")


def choose(problem: Problem, budget: int | None, workers: int) -> tuple[str, str]:
    """Return the name of the solver that `auto` takes, and the rule that chose it (`rules.plan`)."""
    from optengine import rules

    return rules.choose(problem, budget, workers)


def _plugins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in SOLVERS}
