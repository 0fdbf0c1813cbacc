"""The solvers by name, as text: nothing loads before it is asked for.

A third-party package adds its own through the entry-point group `optengine.solvers`; the scan happens on the first
look-up of a name that is not ours.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
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

MODERATE = 100_000  # evaluations that a local search in Python spends in some ten seconds
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
FEWEST_FOR_FRONTS = 200  # evaluations: two generations of the default population
MANY = 2000  # evaluations a column from which a vectorised objective is taken for a cheap one
FEWEST_MIXED = 40  # evaluations a column below which a covariance over levels and categories is not learnt
MOST_BAYES = 100  # evaluations for which a model's 50 ms a point are spent without being asked
WIDEST_BAYES = 20  # columns up to which they are
MOST_MIXED = 200  # columns: a generation costs O(columns^2), and O(columns^3) now and then


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
    """Return the solver that `auto` takes and the rule that chose it.

    The first rule that fits wins (d free columns, of conditional ones those active together; w workers, k objectives);
    where points spread evenly are wanted, they come from `sobol`, or under known constraints from `random`, which draws
    inside them.

    0. a structured problem (`STRUCTURED`): the solver that reads its structure; for a table over categories alone, and
       with torch installed, `ram`.
    1. several objectives: `nsga2`, beyond three of them `nsga3`; points spread evenly where the budget is below two of
       their generations, or pymoo is not installed.
    2. budget < 4 d, or w > budget / 5: nothing can be learnt in so few steps; points spread evenly.
    2b. numbers, levels, categories or bits, up to 20 columns, a budget of at most 100, an objective that is called
       point by point, and levels or categories, observed constraints or noise: `bo`, which needs the fewest evaluations
       there and some tens of milliseconds for each. Real numbers alone stay with `hybrid`, which is level on smooth
       functions and takes no time.
    3. real numbers only: `hybrid`, the best of ours on BBOB (benchmarks/bbob.py); `cmaes`, which takes a tenth of its
       time, for vectorised objectives with a budget above 2000 d or none.
    4. numbers with levels, categories or bits, up to 200 columns, a budget of 40 d or more or none, and the package
       cmaes is installed: `cmaes`.
    5. only permutations, bits and subsets, without known constraints, and budget <= 100 000, or a problem that tells
       what its moves change: `ils`, which costs more a candidate and needs fewer of them.
    6. otherwise `cem`, which treats every kind of variable.
    """
    for kind in type(problem).__mro__:
        place = f"{kind.__module__}:{kind.__qualname__}"
        if place in STRUCTURED:
            solver, why = STRUCTURED[place]
            if not problem.evaluable and _sequences(problem):
                return "ram", f"rule 0: {why}; sequences of categories"
            if load(solver)().refuses(problem) is None:
                return solver, f"rule 0: {why}"
    space = problem.space
    d, k = _free(problem), problem.n_objectives
    even = "random" if space.constrained else "sobol"
    if k > 1:
        if importlib.util.find_spec("pymoo") is None:
            return even, f"rule 1: {k} objectives, and pymoo is not installed: pip install 'optengine[moo]'"
        if budget is not None and budget < FEWEST_FOR_FRONTS:
            return even, f"rule 1: {k} objectives, budget {budget} < {FEWEST_FOR_FRONTS}"
        return ("nsga2" if k <= 3 else "nsga3"), f"rule 1: {k} objectives"
    if budget is not None and budget < 4 * d:
        return even, f"rule 2: budget {budget} < 4 x {d} columns"
    if budget is not None and workers > budget / 5:
        return even, f"rule 2: {workers} workers share budget {budget}"
    return _for_one_objective(problem, budget, d)


def _free(problem: Problem) -> int:
    """Columns that are not fixed; of a conditional space those that are active together, in the largest of 64 draws."""
    import numpy as np

    space = problem.space
    free = space.lower < space.upper
    if not space.conditional:
        return int(free.sum())
    active = space.active(space.sample(64, np.random.default_rng(0)))
    return int((active & free).sum(axis=1).max())


def _sequences(problem: Problem) -> bool:
    """Whether a table is over categories alone, and torch is there for the networks that learn it better."""
    from optengine.core.space import CATEGORICAL

    space = problem.space
    free = space.lower < space.upper
    return bool((space.kind[free] == CATEGORICAL).all()) and importlib.util.find_spec("torch") is not None


def _for_one_objective(problem: Problem, budget: int | None, d: int) -> tuple[str, str]:
    """Rules 2b to 6 of `choose`."""
    from optengine.core.space import BINARY, CATEGORICAL, INTEGER, ORDINAL, PERMUTATION, REAL, SUBSET

    space = problem.space
    kinds = {int(kind) for kind in space.kind[space.lower < space.upper]}
    few = budget is not None and budget <= MOST_BAYES and 0 < d <= WIDEST_BAYES
    few &= not problem.vectorized and problem.array == "numpy"
    if few and kinds <= {REAL, INTEGER, ORDINAL, CATEGORICAL, BINARY} and kinds != {BINARY}:
        harder = kinds != {REAL} or problem.n_constraints > 0 or problem.noisy
        if harder and not problem.moves:
            return "bo", f"rule 2b: {d} free columns, budget {budget} <= {MOST_BAYES}"
    if kinds == {REAL}:
        if problem.vectorized and (budget is None or budget > MANY * d):
            return "cmaes", f"rule 3: real numbers, {d} free columns, vectorised, many evaluations"
        return "hybrid", f"rule 3: real numbers, {d} free columns"
    mixed = kinds & {REAL, INTEGER, ORDINAL} and not kinds & {PERMUTATION, SUBSET}
    if mixed and d <= MOST_MIXED and (budget is None or budget >= FEWEST_MIXED * d):
        if importlib.util.find_spec("cmaes") is None:
            return (
                "cem",
                "rule 6: numbers and levels, and cmaes is not installed: pip install 'optengine[evolution]'",
            )
        return "cmaes", f"rule 4: numbers and levels or categories, {d} free columns"
    if kinds and kinds <= {BINARY, PERMUTATION, SUBSET} and not space.constrained:
        if problem.moves:
            return "ils", f"rule 5: {', '.join(problem.moves)} evaluated by their changes"
        if budget is not None and budget <= MODERATE:
            return "ils", f"rule 5: permutations, bits or subsets alone, budget {budget} <= {MODERATE}"
    return "cem", f"rule 6: every kind of variable, {d} free columns"


def _plugins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in SOLVERS}
