"""What cheap versions of an objective save: the cost at which they reach what the target alone reaches.

    python benchmarks/bo_fidelity.py --quick                # Branin, 2 seeds
    python benchmarks/bo_fidelity.py --out rows.jsonl       # Branin and Hartmann6, 10 seeds; a second call goes on

The objectives are BoTorch's AugmentedBranin and AugmentedHartmann (Wu et al., arXiv:1903.04703) at three fidelities,
0.4, 0.7 and 1, which cost 1, 3 and 10. Both sides are `BO(engine="botorch")` with its defaults: one is told of the
fidelities (`Ordinal(..., fidelity=True)`), the other evaluates the target alone. The target alone gets 20 evaluations
of Branin and 30 of Hartmann6, the other a third of their cost. Only values at the target count. Printed are medians
and quartiles of the regret, and the share of the cost after which a seed's run with fidelities was as good as the
median run without. Needs `pip install 'optengine[bayes]'`.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import rows

import optengine as oe

LEVELS, COSTS = (0.4, 0.7, 1.0), (1.0, 3.0, 10.0)
FULL = {"Branin": 200.0, "Hartmann6": 300.0}  # cost that the target alone gets
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
BEST = {"Branin": 0.397887, "Hartmann6": -3.32237}
WIDTH = {"Branin": 2, "Hartmann6": 6}


def branin(u: np.ndarray, s: float) -> float:
    a, b = 15.0 * u[0] - 5.0, 15.0 * u[1]
    inner = b - (5.1 / (4 * np.pi**2) - 0.1 * (1.0 - s)) * a**2 + 5.0 / np.pi * a - 6.0
    return float(inner**2 + 10.0 * (1.0 - 1.0 / (8.0 * np.pi)) * np.cos(a) + 10.0)


def hartmann(u: np.ndarray, s: float) -> float:
    alpha = ALPHA - np.array([0.1 * (1.0 - s), 0.0, 0.0, 0.0])
    return -float(alpha @ np.exp(-(A * (u - P) ** 2).sum(axis=1)))


def problem(name: str) -> oe.Problem:
    f = branin if name == "Branin" else hartmann
    space = oe.Space(
        u=oe.Real(0.0, 1.0, shape=WIDTH[name]), s=oe.Ordinal(list(LEVELS), fidelity=True, target=1.0)
    )
    return oe.Problem(lambda u, s: f(u, s), space, cost=lambda x: COSTS[LEVELS.index(x["s"])], name=name)


def run(case: rows.Row) -> rows.Row:
    from optengine.solvers.bayes import BO

    name, start = case["problem"], time.process_time()
    alone = case["method"] == "target"
    solver = BO(engine="botorch", surrogate="gp" if alone else "auto")
    limit = FULL[name] if alone else FULL[name] / 3.0
    result = oe.solve(problem(name), solver, budget=1000, max_cost=limit, seed=case["seed"])
    level = result.history.X[:, -1].astype(int)
    cost = np.cumsum(np.array(COSTS)[level])
    best = np.minimum.accumulate(np.where(level == 2, result.history.F[:, 0], np.inf)) - BEST[name]
    inside = cost <= limit + 1e-9  # what the last evaluation overspent does not count
    steps = np.flatnonzero(inside & (np.append(True, best[1:] < best[:-1])))
    return case | {
        "value": float(best[inside][-1]),
        "early": None,
        "trace": [[float(cost[i]), float(best[i])] for i in steps if np.isfinite(best[i])],
        "counts": np.bincount(level, minlength=3).tolist(),
        "cpu": round(time.process_time() - start, 2),
    }


def report(found: list[rows.Row]) -> None:
    for name, full in FULL.items():
        mine: dict[str, list[Any]] = {
            m: [r for r in found if (r["problem"], r["method"]) == (name, m)] for m in METHODS
        }
        if not all(mine.values()):
            continue
        goal = float(np.median([r["value"] for r in mine["target"]]))
        for method in METHODS:
            low, mid, high = np.quantile([r["value"] for r in mine[method]], [0.25, 0.5, 0.75])
            counts = np.mean([r["counts"] for r in mine[method]], axis=0)
            cost = full if method == "target" else full / 3
            print(
                f"{name:10} {method:11} cost {cost:5.0f}: regret {mid:.4g} [{low:.4g}, {high:.4g}], "
                f"{len(mine[method])} seeds, mean evaluations a level {np.round(counts, 1).tolist()}, "
                f"CPU s/run {np.mean([r['cpu'] for r in mine[method]]):.1f}"
            )
        reached = [
            next((cost for cost, value in r["trace"] if value <= goal), np.inf) / full
            for r in mine["fidelities"]
        ]
        print(
            f"{name:10} median share of the cost until as good as the target alone: {np.median(reached):.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="Branin, 2 seeds")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="no run starts after this")
    a = parser.parse_args()
    names = ["Branin"] if a.quick else list(FULL)
    cases = [
        {"problem": name, "method": method, "seed": seed, "budget": int(FULL[name])}
        for seed in range(2 if a.quick else a.seeds)
        for name in names
        for method in METHODS
    ]
    report(rows.collect(cases, run, a.out, [], a.workers, a.minutes))


if __name__ == "__main__":
    main()
