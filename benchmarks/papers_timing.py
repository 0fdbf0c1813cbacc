"""Time-aware tuning: expected improvement per cost, cooled, against expected improvement, at equal total cost.

Branin's function, Hartmann's of 3 variables and Levy's of 4, each on the unit cube, with costs drawn by seed that vary
by a factor of 100 over the space: the logarithm of the cost is linear in x, upwards for one half of the seeds and
downwards for the other. Total cost: that of 30 evaluations of the middle. Regret is the best value so far
minus the optimum, on a logarithmic scale from 1e-3, averaged over the cost spent from a tenth of the total on.

Claim: cooling is level or better over the run, and level at the end.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bo_problems import ALPHA, Point, branin
from papers_common import claim, compare, quartiles, spread

import optengine as oe
from optengine.solvers.bayes import BO

N, RATIO, FLOOR = 30, 100.0, 1e-3
A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])


def branin01(u: np.ndarray) -> float:
    point: Point = {"x0": 15 * u[0] - 5, "x1": 15 * u[1]}
    return (branin(point)[0] - 0.397887357729738) / 50


def levy(u: np.ndarray) -> float:
    w = 1 + 5 * (u - 0.62)
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:-1] + 1) ** 2)).sum()
    return float(np.sin(np.pi * w[0]) ** 2 + middle + (w[-1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[-1]) ** 2))


def hartmann3(u: np.ndarray) -> float:
    return 3.86278 - float(ALPHA @ np.exp(-(A3 * (u - P3) ** 2).sum(axis=1)))


FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], float], int]] = {
    "branin": (branin01, 2),
    "hartmann3": (hartmann3, 3),
    "levy4": (levy, 4),
}


def curve(name: str, cooled: bool, seed: int) -> np.ndarray:
    """log10 regret at 10 %, 20 %, ..., 100 % of the total cost."""
    function, d = FUNCTIONS[name]
    weights = np.abs(np.random.default_rng([seed, 11]).normal(size=d))
    weights *= (1 if seed % 2 else -1) / weights.sum()

    def measure_one(x: np.ndarray) -> dict[str, float]:
        return {"f": function(x), "cost": float(RATIO ** (weights @ (x - 0.5)))}

    problem = oe.Problem(measure_one, [(0, 1)] * d, objectives="f")
    solver = BO(cooling=float(N)) if cooled else BO()
    result = oe.solve(problem, solver=solver, max_cost=float(N), budget=4 * N, seed=seed)
    cost = np.cumsum(RATIO ** ((result.history.X - 0.5) @ weights))
    best = np.log10(np.maximum(np.minimum.accumulate(result.history.F[:, 0]), FLOOR))
    at = np.searchsorted(cost, N * np.arange(1, 11) / 10, side="right") - 1
    return np.where(at >= 0, best[np.maximum(at, 0)], best[0])


def measure(seeds: int, workers: int) -> None:
    cases = [(name, cooled, seed) for name in FUNCTIONS for cooled in (False, True) for seed in range(seeds)]
    table = dict(zip(cases, spread(curve, cases, workers), strict=True))
    for name in FUNCTIONS:
        print(f"\n{name}: log10 regret at 20, 50 and 100 % of the cost")
        for cooled in (False, True):
            runs = np.array([table[name, cooled, seed] for seed in range(seeds)])
            print(
                f"  {'cooled' if cooled else 'plain':7s}"
                + "  ".join(quartiles(runs[:, i]) for i in (1, 4, 9))
            )
    both = [
        np.array([table[n, cooled, s] for n in FUNCTIONS for s in range(seeds)]) for cooled in (True, False)
    ]
    print()
    over = compare("cooled against plain, mean over the run", both[0].mean(axis=1), both[1].mean(axis=1))
    end = compare("cooled against plain, at the end", both[0][:, -1], both[1][:, -1])
    claim("cooling is level or better over the run", over != "worse")
    claim("cooling is level or better at the end", end != "worse")
