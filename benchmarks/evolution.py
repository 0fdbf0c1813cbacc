"""What our CMA-ES costs beside the bare libraries: CPU microseconds an evaluation of the same trivial objective.

    python benchmarks/evolution.py [--quick]

Whole runs of `solve` with budget, history and incumbent, journal off, against the loop that the library's
documentation shows, at the library's population size. The libraries call a Python function of one point, 1 us or so;
ours is vectorised over a generation in the rows without a star, and called point by point in those with one, where the
engine's own work for each call counts too. Rows are medians over repeats, both sides in turn, each started afresh;
`ratio` is the median of the ratios, claimed to be at most 1.3 without a star. The normal distribution over reals is
ours; integers and categories go through the package. Needs `pip install 'optengine[bench]'`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

import optengine as oe

Run = Callable[[int, int], None]  # evaluations, seed


def objective(x: Any) -> float:
    return float(x @ x)


def squares(X: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", X, X)


def ours(solver: str, space: Any, *, pointwise: bool = False) -> Run:
    problem = oe.Problem(squares, space, call="encoded", vectorized=True)
    if pointwise:
        problem = oe.Problem(objective, space, call="array")

    def run(budget: int, seed: int) -> None:
        oe.solve(problem, solver, budget=budget, seed=seed)

    return run


def loop(optimizer: Any, value: Callable[[Any], float], told: Callable[[Any], Any], budget: int) -> None:
    """Ask and tell of the package `cmaes`."""
    for _ in range(budget // optimizer.population_size):
        asked = [optimizer.ask() for _ in range(optimizer.population_size)]
        optimizer.tell([(told(a), value(a)) for a in asked])


def bare_cma(d: int, name: str = "CMA") -> Run:
    import cmaes

    def run(budget: int, seed: int) -> None:
        bounds = np.tile([-5.0, 5.0], (d, 1))
        optimizer = getattr(cmaes, name)(mean=np.zeros(d), sigma=2.0, bounds=bounds, seed=seed)
        loop(optimizer, objective, lambda a: a, budget)

    return run


def bare_margin(d: int) -> Run:
    import cmaes

    def run(budget: int, seed: int) -> None:
        bounds = np.tile([-20.0, 20.0], (d, 1))
        optimizer = cmaes.CMAwM(np.zeros(d), 8.0, bounds, np.ones(d), seed=seed)
        loop(optimizer, lambda a: objective(a[0]), lambda a: a[1], budget)

    return run


def bare_categories(d: int) -> Run:
    import cmaes

    def run(budget: int, seed: int) -> None:
        optimizer = cmaes.CatCMAwM(
            x_space=[[-5.0, 5.0]] * (d // 2), c_space=[4] * (d // 2), mean=np.zeros(d // 2), sigma=2.0,
            cov=np.eye(d // 2), seed=seed,
        )  # fmt: skip
        loop(optimizer, lambda a: objective(np.r_[a.x, np.argmax(a.c, axis=1)]), lambda a: a, budget)

    return run


def bare_pycma(d: int) -> Run:
    import cma

    def run(budget: int, seed: int) -> None:
        options = {
            "bounds": [-5, 5],
            "seed": seed + 1,
            "verbose": -9,
            "maxfevals": budget,
            "tolfun": 0,
            "tolx": 0,
        }
        strategy = cma.CMAEvolutionStrategy(np.zeros(d), 2.0, options)
        for _ in range(budget // strategy.popsize):
            points = strategy.ask()
            strategy.tell(points, [objective(x) for x in points])

    return run


def seconds(run: Run, budget: int, seed: int) -> float:
    began = time.process_time()
    run(budget, seed)
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 repeats instead of 11")
    repeats = 3 if parser.parse_args().quick else 11
    warnings.filterwarnings("ignore")
    rows: list[tuple[str, int, Run, str, Run]] = []
    for d, budget in ((10, 2000), (40, 1500)):
        box, grid = [(-5.0, 5.0)] * d, oe.Space(oe.Integer(-20, 20, shape=d))
        both = oe.Space(x=oe.Real(-5, 5, shape=d // 2), c=oe.Categorical([0, 1, 2, 3], shape=d // 2))
        rows += [
            (f"cmaes, {d} reals", budget, ours("cmaes", box), "cmaes.CMA", bare_cma(d)),
            (f"cmaes, {d} reals", budget, ours("cmaes", box), "pycma", bare_pycma(d)),
            (f"sep_cmaes, {d} reals", budget, ours("sep_cmaes", box), "cmaes.SepCMA", bare_cma(d, "SepCMA")),
            (f"cmaes, {d} integers", budget, ours("cmaes", grid), "cmaes.CMAwM", bare_margin(d)),
            (f"cmaes, {d} mixed", budget, ours("cmaes", both), "cmaes.CatCMAwM", bare_categories(d)),
            (f"cmaes, {d} reals *", budget, ours("cmaes", box, pointwise=True), "cmaes.CMA", bare_cma(d)),
        ]
    print(f"{'ours':24}{'us':>8}   {'bare library':16}{'us':>8}{'ratio':>8}")
    for mine, budget, run, name, bare in rows:
        for one in (run, bare):
            one(200, 0)
        pairs = [(seconds(run, budget, k), seconds(bare, budget, k)) for k in range(repeats)]
        cost = [statistics.median(pair[i] for pair in pairs) / budget * 1e6 for i in (0, 1)]
        ratio = statistics.median(a / b for a, b in pairs)
        print(f"{mine:24}{cost[0]:8.1f}   {name:16}{cost[1]:8.1f}{ratio:8.2f}", flush=True)


if __name__ == "__main__":
    main()
