"""The comparators of combinatorial.py: each gets a problem, CPU seconds and a seed, and returns an x or None."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from rows import cpu_seconds

import optengine as oe

Method = Callable[[Any, float, int], Any]
PEERS: dict[str, Method] = {}
BITS = ("qubo", "maxcut", "knapsack", "set cover", "independent set")
WORKERS = 8
POPULATION = 100
FAQ_ITERATIONS = 30


def peer(name: str, *classes: str) -> Callable[[Method], Method]:
    """Enter a method under a name, for some classes."""

    def enter(method: Method) -> Method:
        method.classes = classes  # type: ignore[attr-defined]
        PEERS[name] = method
        return method

    return enter


def _linear(backend: str, threads: int) -> Method:
    def run(problem: Any, seconds: float, seed: int) -> Any:
        from optengine.backends.linear import solve_linear
        from optengine.backends.running import prepare

        model = (problem if isinstance(problem, oe.problems.MILP) else problem.milp()).model
        if backend == "cpsat":  # it knows whole numbers only; products of bits are whole of themselves
            model = dataclasses.replace(model, integrality=True)
        prepare(backend)
        n, end = problem.space.width, cpu_seconds() + seconds
        target = np.inf if problem.best_known is None else problem.signs[0] * problem.best_known
        best: list[Any] = []

        def hear(x: Any, value: float) -> None:
            best[:] = [np.rint(x[:n])]

        def over() -> bool:
            done = best and problem.evaluate(best[0][None]).F[0, 0] <= target
            return bool(done) or cpu_seconds() > end

        result = solve_linear(model, backend=backend, threads=threads, seed=seed, incumbent=hear, stop=over)
        return np.rint(result.x[:n]) if result.x is not None else (best[0] if best else None)

    return run


peer("cpsat 8 workers", *BITS)(_linear("cpsat", WORKERS))
peer("scip", *BITS)(_linear("scip", 1))
peer("highs", *BITS)(_linear("highs", 1))


@peer("pymoo GA", *BITS, "qap", "tsp")
def pymoo_ga(problem: Any, seconds: float, seed: int) -> Any:
    """pymoo's GA with the operators of its pages on bits and on permutations; violation as its constraint."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ox import OrderCrossover
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.bitflip import BitflipMutation
    from pymoo.operators.mutation.inversion import InversionMutation
    from pymoo.operators.sampling.rnd import BinaryRandomSampling, PermutationRandomSampling

    n, order = problem.space.width, bool(problem.space.blocks)
    target = problem.signs[0] * problem.best_known

    class Wrapped(Problem):  # type: ignore[misc]
        def __init__(self) -> None:
            n_rows, high = int(problem.n_constraints > 0), n - 1 if order else 1
            super().__init__(
                n_var=n, n_obj=1, n_ieq_constr=n_rows, xl=0, xu=high, vtype=int if order else bool
            )

        def _evaluate(self, x: Any, out: dict[str, Any], *args: object, **kwargs: object) -> None:
            evaluation = problem.evaluate(np.asarray(x, dtype=np.float64))
            out["F"] = evaluation.F
            if problem.n_constraints:
                out["G"] = evaluation.violation[:, None]

    bits = (BinaryRandomSampling(), TwoPointCrossover(), BitflipMutation())
    orders = (PermutationRandomSampling(), OrderCrossover(), InversionMutation())
    sampling, crossover, mutation = orders if order else bits
    algorithm = GA(pop_size=POPULATION, sampling=sampling, crossover=crossover, mutation=mutation)
    algorithm.setup(Wrapped(), seed=seed, verbose=False)
    end = cpu_seconds() + seconds
    while cpu_seconds() < end:
        algorithm.next()
        best = algorithm.opt[0]
        if best.F[0] <= target and (not problem.n_constraints or best.G[0] <= 0):
            break
    return np.asarray(algorithm.opt[0].X, dtype=np.float64)


@peer("scipy FAQ", "qap")
def faq(problem: Any, seconds: float, seed: int) -> Any:
    """SciPy's FAQ from random doubly stochastic matrices, each end improved by its 2-opt."""
    from scipy.optimize import quadratic_assignment

    rng, end, best, value = np.random.default_rng(seed), cpu_seconds() + seconds, None, np.inf
    while cpu_seconds() < end and value > problem.best_known:
        found = quadratic_assignment(
            problem.flow, problem.distance, method="faq",
            options={"rng": rng, "P0": "randomized", "maxiter": FAQ_ITERATIONS},
        )  # fmt: skip
        guess = np.stack([np.arange(len(problem.flow)), found.col_ind], axis=1)
        found = quadratic_assignment(
            problem.flow, problem.distance, method="2opt", options={"rng": rng, "partial_guess": guess}
        )
        if found.fun < value:
            best, value = found.col_ind, found.fun
    return best


@peer("ortools routing", "tsp")
def routing(problem: Any, seconds: float, seed: int) -> Any:
    """Savings, then guided local search."""
    from ortools.constraint_solver import pywrapcp, routing_enums_pb2

    n, distance = problem.n_cities, problem.distance.tolist()
    manager = pywrapcp.RoutingIndexManager(n, 1, seed % n)
    model = pywrapcp.RoutingModel(manager)
    model.SetArcCostEvaluatorOfAllVehicles(model.RegisterTransitMatrix(distance))
    parameters = pywrapcp.DefaultRoutingSearchParameters()
    parameters.first_solution_strategy = routing_enums_pb2.FirstSolutionStrategy.SAVINGS
    parameters.local_search_metaheuristic = routing_enums_pb2.LocalSearchMetaheuristic.GUIDED_LOCAL_SEARCH
    parameters.time_limit.FromSeconds(int(20 * seconds))
    end = cpu_seconds() + seconds
    best: list[Any] = [np.inf, None]

    def look() -> None:
        if model.CostVar().Max() < best[0]:
            index, tour = model.Start(0), []
            while not model.IsEnd(index):
                tour.append(manager.IndexToNode(index))
                index = model.NextVar(index).Value()
            best[:] = [model.CostVar().Max(), np.array(tour)]
        if cpu_seconds() > end or best[0] <= problem.best_known:
            model.solver().FinishCurrentSearch()

    model.AddAtSolutionCallback(look)
    model.SolveWithParameters(parameters)
    return best[1]


def _dwave(sampler: str) -> Method:
    def run(problem: Any, seconds: float, seed: int) -> Any:
        import dimod
        from dwave.samplers import SimulatedAnnealingSampler, TabuSampler

        form, sign = problem.qubo(), problem.signs[0]
        upper = np.triu(form.coupling.toarray(), 1) * sign
        bqm = dimod.BinaryQuadraticModel(np.diag(form.linear * sign) + upper, "BINARY")
        end, target = cpu_seconds() + seconds, sign * problem.best_known
        best, value, call = None, np.inf, 0
        while cpu_seconds() < end and value > target:
            if sampler == "tabu":
                left = max(0.1, end - cpu_seconds())
                found = TabuSampler().sample(bqm, timeout=int(1000 * min(2.0, left)), seed=seed * 1000 + call)
            else:
                found = SimulatedAnnealingSampler().sample(
                    bqm, num_reads=1, num_sweeps=2000, seed=seed * 1000 + call
                )
            x = found.record.sample[int(np.argmin(found.record.energy))].astype(np.float64)
            now = float(problem.evaluate(x[None]).F[0, 0])
            best, value, call = (x, now, call + 1) if now < value else (best, value, call + 1)
        return best

    return run


peer("dwave tabu", "qubo", "maxcut")(_dwave("tabu"))
peer("dwave annealing", "qubo", "maxcut")(_dwave("annealing"))
