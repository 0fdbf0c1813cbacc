"""What cheap versions of an objective save: the cost at which they reach what the target alone reaches.

    python benchmarks/bo_fidelity.py --quick                # 3 seeds, one minute
    python benchmarks/bo_fidelity.py --out rows.jsonl       # 10 seeds; a second call goes on
    python benchmarks/bo_fidelity.py --engine botorch --problems Branin

Three tasks with three fidelities each. Hartmann3 is Kandasamy et al.'s (NeurIPS 2016, arXiv:1603.06288, section 5): its
weights change by (0.01, -0.01, -0.1, 0.1) a level, and the levels cost 1, 10 and 100. Branin and Hartmann6 are
BoTorch's AugmentedBranin and AugmentedHartmann (Wu et al., arXiv:1903.04703) at the fidelities 0.4, 0.7 and 1, which
cost 1, 3 and 10. Both sides are `bo` with its defaults: one uses the fidelities (`Ordinal(..., fidelity=True)`), the
other evaluates the target alone (`surrogate="gp"`). The target alone gets 20 evaluations, of Hartmann6 30; the other a
third of their cost. Only values at the target count. Printed are medians and quartiles of the regret, and the share of
the cost after which a seed's run with fidelities was as good as the median run without. Tasks, costs and budgets were
fixed before anything was tuned; seeds from 100 on served for that, and seeds 10 to 19 are those reported.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import rows

import optengine as oe

METHODS = ("target", "fidelities")
ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
A = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
STEP = np.array([0.01, -0.01, -0.1, 0.1])  # of the weights, a level below the target


def branin(u: np.ndarray, s: float) -> float:
    a, b = 15.0 * u[0] - 5.0, 15.0 * u[1]
    inner = b - (5.1 / (4 * np.pi**2) - 0.1 * (1.0 - s)) * a**2 + 5.0 / np.pi * a - 6.0
    return float(inner**2 + 10.0 * (1.0 - 1.0 / (8.0 * np.pi)) * np.cos(a) + 10.0)


def hartmann(u: np.ndarray, s: float) -> float:
    alpha = ALPHA - np.array([0.1 * (1.0 - s), 0.0, 0.0, 0.0])
    return -float(alpha @ np.exp(-(A * (u - P) ** 2).sum(axis=1)))


def hartmann3(u: np.ndarray, s: float) -> float:
    return -float((ALPHA + (3.0 - s) * STEP) @ np.exp(-(A3 * (u - P3) ** 2).sum(axis=1)))


@dataclass(frozen=True)
class Task:
    """A function over the unit cube of `width` dimensions; `full`: cost that the target alone gets."""

    function: Callable[[np.ndarray, float], float]
    width: int
    levels: tuple[float, ...]
    costs: tuple[float, ...]
    full: float
    best: float


TASKS = {
    "Hartmann3": Task(hartmann3, 3, (1.0, 2.0, 3.0), (1.0, 10.0, 100.0), 2000.0, -3.86278),
    "Branin": Task(branin, 2, (0.4, 0.7, 1.0), (1.0, 3.0, 10.0), 200.0, 0.397887),
    "Hartmann6": Task(hartmann, 6, (0.4, 0.7, 1.0), (1.0, 3.0, 10.0), 300.0, -3.32237),
}


def problem(name: str) -> oe.Problem:
    task = TASKS[name]
    space = oe.Space(u=oe.Real(0.0, 1.0, shape=task.width), s=oe.Ordinal(list(task.levels), fidelity=True))
    price = dict(zip(task.levels, task.costs, strict=True))
    return oe.Problem(lambda u, s: task.function(u, s), space, cost=lambda x: price[x["s"]], name=name)


def run(case: rows.Row) -> rows.Row:
    from optengine.solvers.bayes import BO

    name, start = case["problem"], time.process_time()
    task, engine = TASKS[name], case["method"].partition(", ")[2] or "fast"
    alone = case["method"].startswith("target")
    solver = BO(engine=engine, surrogate="gp" if alone else "auto")
    limit = task.full if alone else task.full / 3.0
    result = oe.solve(problem(name), solver, budget=1000, max_cost=limit, seed=case["seed"])
    level = result.history.X[:, -1].astype(int)
    cost = np.cumsum(np.array(task.costs)[level])
    best = np.minimum.accumulate(np.where(level == 2, result.history.F[:, 0], np.inf)) - task.best
    inside = cost <= limit + 1e-9  # what the last evaluation overspent does not count
    steps = np.flatnonzero(inside & (np.append(True, best[1:] < best[:-1])))
    return case | {
        "value": float(best[inside][-1]),
        "early": None,
        "trace": [[float(cost[i]), float(best[i])] for i in steps if np.isfinite(best[i])],
        "counts": np.bincount(level, minlength=3).tolist(),
        "cpu": round(time.process_time() - start, 2),
    }


def report(found: list[rows.Row], engine: str) -> None:
    end = "" if engine == "fast" else f", {engine}"
    for name, task in TASKS.items():
        mine: dict[str, list[Any]] = {
            m: [r for r in found if (r["problem"], r["method"]) == (name, m + end)] for m in METHODS
        }
        if not all(mine.values()):
            continue
        goal = float(np.median([r["value"] for r in mine["target"]]))
        for method in METHODS:
            low, mid, high = np.quantile([r["value"] for r in mine[method]], [0.25, 0.5, 0.75])
            counts = np.mean([r["counts"] for r in mine[method]], axis=0)
            cost = task.full if method == "target" else task.full / 3
            print(
                f"{name:10} {method + end:19} cost {cost:5.0f}: regret {mid:.4g} [{low:.4g}, {high:.4g}], "
                f"{len(mine[method])} seeds, mean evaluations a level {np.round(counts, 1).tolist()}, "
                f"CPU s/run {np.mean([r['cpu'] for r in mine[method]]):.1f}"
            )
        reached = [
            next((cost for cost, value in r["trace"] if value <= goal), np.inf) / task.full
            for r in mine["fidelities"]
        ]
        print(
            f"{name:10} median share of the cost until as good as the target alone: {np.median(reached):.3f}, "
            f"reached by {np.isfinite(reached).sum()} of {len(reached)} runs"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 seeds")
    parser.add_argument("--problems", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--engine", default="fast", choices=("fast", "botorch"))
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --first")
    parser.add_argument("--first", type=int, default=10)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="no run starts after this")
    a = parser.parse_args()
    end = "" if a.engine == "fast" else f", {a.engine}"
    cases = [
        {"problem": name, "method": method + end, "seed": seed, "budget": int(TASKS[name].full)}
        for seed in range(a.first, a.first + (3 if a.quick else a.seeds))
        for name in a.problems
        for method in METHODS
    ]
    report(rows.collect(cases, run, a.out, [], a.workers, a.minutes), a.engine)


if __name__ == "__main__":
    main()
