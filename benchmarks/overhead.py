"""What a candidate costs outside the objective: ask + tell of optengine and of its peers, in one run.

    python benchmarks/overhead.py [--quick]

Each row is the median over blocks of CPU microseconds a candidate (`time.process_time`, one thread), with the
smallest and largest block; the objective is the first coordinate. Ours are asked in batches of 100 through
`Optimizer`, and run through `solve`, journal off. Peers are used as their documentation shows: those that ask for
populations by population, the others one by one. Needs `pip install 'optengine[bench]'`.

The last lines compare with the two claims: at most 5 us a candidate at d = 10, and at least 20 times less than the
fastest of Optuna and Nevergrad.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Iterator

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

import optengine as oe

BATCH = 100
Block = Callable[[], int]  # runs a block and returns how many candidates it handled


def first_column(X: np.ndarray) -> np.ndarray:
    return X[:, 0]


def ours(solver: str, d: int, batches: int) -> Block:
    """Ask and tell batches of 100, going on with one run from block to block."""
    optimizer = oe.Optimizer(oe.Problem(first_column, [(-5, 5)] * d, vectorized=True), solver=solver, seed=0)

    def block() -> int:
        for _ in range(batches):
            candidates = optimizer.ask(BATCH)
            optimizer.tell(candidates, candidates.X[:, 0])
        return batches * BATCH

    return block


def ours_solve(solver: str, d: int, batches: int) -> Block:
    """Whole runs of `solve`, with history, incumbent and budget."""
    problem = oe.Problem(first_column, [(-5, 5)] * d, vectorized=True)

    def block() -> int:
        oe.solve(problem, solver, budget=batches * BATCH, batch_size=BATCH, seed=0)
        return batches * BATCH

    return block


def cmaes_package(d: int, generations: int) -> Block:
    from cmaes import CMA

    bounds = np.tile([-5.0, 5.0], (d, 1))
    optimizer = CMA(mean=np.zeros(d), sigma=2.0, bounds=bounds, seed=0)

    def block() -> int:
        for _ in range(generations):
            points = [optimizer.ask() for _ in range(optimizer.population_size)]
            optimizer.tell([(x, float(x[0])) for x in points])
        return generations * optimizer.population_size

    return block


def pycma(d: int, generations: int) -> Block:
    import cma

    options = {"bounds": [-5, 5], "seed": 1, "verbose": -9}
    strategy = cma.CMAEvolutionStrategy(np.zeros(d), 2.0, options)

    def block() -> int:
        count = 0
        for _ in range(generations):
            points = strategy.ask()
            strategy.tell(points, [float(x[0]) for x in points])
            count += len(points)
        return count

    return block


def nevergrad(name: str, d: int, candidates: int) -> Block:
    import nevergrad as ng

    parametrization = ng.p.Array(shape=(d,), lower=-5, upper=5)
    optimizer = ng.optimizers.registry[name](parametrization, budget=100_000)

    def block() -> int:
        for _ in range(candidates):
            candidate = optimizer.ask()
            optimizer.tell(candidate, float(candidate.value[0]))
        return candidates

    return block


def optuna(name: str, d: int, trials: int) -> Block:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = {f"x{i}": optuna.distributions.FloatDistribution(-5, 5) for i in range(d)}

    def block() -> int:  # a new study each time: Optuna slows down as trials accumulate
        study = optuna.create_study(sampler=getattr(optuna.samplers, name)(seed=0))
        for _ in range(trials):
            trial = study.ask(space)
            study.tell(trial, trial.params["x0"])
        return trials

    return block


def pymoo_ga(d: int, generations: int) -> Block:
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.evaluator import Evaluator
    from pymoo.core.problem import Problem
    from pymoo.problems.static import StaticProblem

    problem = Problem(n_var=d, n_obj=1, xl=-5, xu=5)
    algorithm = GA(pop_size=BATCH)
    algorithm.setup(problem, termination=("n_gen", 10**9), seed=0, verbose=False)

    def block() -> int:
        for _ in range(generations):
            population = algorithm.ask()
            Evaluator().eval(StaticProblem(problem, F=population.get("X")[:, :1]), population)
            algorithm.tell(infills=population)
        return generations * BATCH

    return block


def rows(quick: bool) -> Iterator[tuple[str, int, Block]]:
    scale = 1 if quick else 4
    for d in (10, 100):
        for solver in ("random", "cem"):
            yield f"optengine {solver} ask/tell", d, ours(solver, d, 50 * scale)
            yield f"optengine {solver} solve", d, ours_solve(solver, d, 50 * scale)
        yield "cmaes CMA", d, cmaes_package(d, (40 if d == 10 else 4) * scale)
        yield "pycma", d, pycma(d, (20 if d == 10 else 4) * scale)
        yield "pymoo GA", d, pymoo_ga(d, 3 * scale)
        for name in ("RandomSearch", "OnePlusOne"):
            yield f"nevergrad {name}", d, nevergrad(name, d, 100 * scale)
        yield "optuna RandomSampler", d, optuna("RandomSampler", d, 100 * scale)
        yield "optuna TPESampler", d, optuna("TPESampler", d, (60 if d == 10 else 30) * scale)


def measure(block: Block, repeats: int) -> tuple[float, float, float]:
    """Return median, smallest and largest CPU microseconds a candidate; one block before does not count."""
    block()
    costs = []
    for _ in range(repeats):
        began = time.process_time()
        count = block()
        costs.append((time.process_time() - began) / count * 1e6)
    return statistics.median(costs), min(costs), max(costs)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer candidates and blocks, under two minutes")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore")
    medians: dict[tuple[str, int], float] = {}
    print(f"{'':32}{'d':>5}{'us/candidate':>14}{'min':>10}{'max':>10}")
    for name, d, block in rows(quick):
        median, low, high = measure(block, 5 if quick else 11)
        medians[name, d] = median
        print(f"{name:32}{d:5}{median:14.2f}{low:10.2f}{high:10.2f}", flush=True)
    slowest = max(v for (name, d), v in medians.items() if d == 10 and name.startswith("optengine"))
    print(f"\nours at d = 10, slowest row: {slowest:.2f} us (claim: <= 5)")
    for d in (10, 100):
        mine = max(v for (name, k), v in medians.items() if k == d and name.startswith("optengine"))
        peer = min(
            v for (name, k), v in medians.items() if k == d and name.startswith(("optuna", "nevergrad"))
        )
        print(
            f"fastest of Optuna and Nevergrad at d = {d}: {peer:.0f} us, {peer / mine:.0f} times ours (claim: >= 20)"
        )


if __name__ == "__main__":
    main()
