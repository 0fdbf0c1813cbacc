"""The cross-entropy method against known optima; prints each run and whether the line is held.

    python benchmarks/cem_targets.py [--quick] [--only sphere nug12 berlin52 G1]

* sphere: ten reals, within 1e-6 of the optimum in 200 000 evaluations, seeds 0 to 9.
* nug12: QAPLIB, within 2 % of 578 in 200 000 evaluations, seeds 0 to 9.
* berlin52: TSPLIB, the optimal tour 7542 within 20 s of wall time, seeds 0 to 9.
* G1: max-cut of 800 nodes (Helmberg and Rendl's G-set, best known 11 624), a cut of 11 500 within 60 s of wall
  time, seeds 0 to 9.

Instances are looked for under the environment's OPTENGINE_DATA, else under ../shared/data; a missing one is skipped.
`--quick` runs three seeds instead of ten.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import scipy.sparse

import optengine as oe

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("OPTENGINE_DATA", ROOT.parent / "shared" / "data")) / "combinatorial"


def sphere(seed: int) -> tuple[oe.Result, bool]:
    goal = np.random.default_rng(seed).uniform(-4, 4, 10)
    problem = oe.Problem(lambda X: ((X - goal) ** 2).sum(axis=1), [(-5, 5)] * 10, vectorized=True)
    result = oe.solve(problem, "cem", budget=200_000, target=1e-6, seed=seed)
    return result, result.fun <= 1e-6


def nug12(seed: int) -> tuple[oe.Result, bool]:
    problem = oe.problems.read(DATA / "qap" / "nug12.dat")
    result = oe.solve(problem, "cem", budget=200_000, target=589, seed=seed)
    return result, result.fun <= 589


def berlin52(seed: int) -> tuple[oe.Result, bool]:
    """Neighbours are what counts in a tour: the transition family."""
    problem = oe.problems.read(DATA / "tsp" / "berlin52.tsp")
    solver = oe.solvers.CEM(permutation="transition", population=400, local=0.95, keep=1.0)
    result = oe.solve(problem, solver, time_limit=20, target=7542, seed=seed)
    return result, result.fun == 7542


def cut_problem(path: Path) -> oe.Problem:
    """A graph in rudy format: a line with the number of nodes, then `i j weight` for each edge, nodes from 1."""
    lines = path.read_text().split("\n")
    n = int(lines[0].split()[0])
    edges = np.array([line.split() for line in lines[1:] if line.strip()], dtype=np.int64)
    W = scipy.sparse.coo_array((edges[:, 2].astype(float), tuple(edges[:, :2].T - 1)), shape=(n, n))
    return oe.problems.MaxCut(W + W.T, name=path.stem)


def maxcut(seed: int) -> tuple[oe.Result, bool]:
    problem = cut_problem(DATA / "maxcut" / "G1.txt")
    result = oe.solve(problem, oe.solvers.CEM(descend=True), time_limit=60, target=11_500, seed=seed)
    return result, result.fun >= 11_500


LINES: dict[str, tuple[Callable[[int], tuple[oe.Result, bool]], str | None, int]] = {
    "sphere": (sphere, None, 10),
    "nug12": (nug12, "qap/nug12.dat", 10),
    "berlin52": (berlin52, "tsp/berlin52.tsp", 10),
    "G1": (maxcut, "maxcut/G1.txt", 10),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="three seeds")
    parser.add_argument("--only", nargs="+", choices=sorted(LINES), default=list(LINES))
    arguments = parser.parse_args()
    for name in arguments.only:
        run, file, n_seeds = LINES[name]
        if file is not None and not (DATA / file).exists():
            print(f"{name:9s} skipped: no {DATA / file}; OPTENGINE_DATA names another place")
            continue
        held = 0
        n = min(3, n_seeds) if arguments.quick else n_seeds
        for seed in range(n):
            cpu, wall = time.process_time(), time.perf_counter()
            result, good = run(seed)
            held += good
            print(
                f"{name:9s} seed {seed}  {result.fun:12.6g}  {result.n_evaluations:9d} evaluations  "
                f"{time.perf_counter() - wall:6.1f} s wall  {time.process_time() - cpu:6.1f} s CPU"
            )
        print(f"{name:9s} {held} of {n} seeds hold the line  {'yes' if held == n else 'NO'}")


if __name__ == "__main__":
    main()
