"""Our runs of pymoo's algorithms beside pymoo itself: hypervolume and CPU time at the same number of evaluations.

    python benchmarks/multiobjective.py --quick           # 3 seeds, NSGA-II: some minutes on one core
    python benchmarks/multiobjective.py                   # 10 seeds; --solvers nsga2 nsga3 smsemoa moead rvea
    python benchmarks/multiobjective.py --only constrained

ZDT1 to ZDT4 and DTLZ2 with three objectives come from pymoo. The ten functions "FA + FB" are pairs of BBOB functions
over five columns, chosen as COCO's bbob-biobj pairs them (Brockhoff et al., arXiv:1604.00359), instances 2 s + 1 and
2 s + 2 of seed s, through ioh. Both sides evaluate vectorised objectives, get the same population, and end after the
same evaluations; the hypervolume is that of all points evaluated, in units of the box from the ideal point to 1.1 times
the nadir, means over the seeds; CPU is the ratio of the sums over the seeds, runs of both sides in turn. `wide` says
how far the two means differ by chance: twice the standard error of the difference over the seeds.

The constrained problems (MW1, MW2, MW7, C1-DTLZ1, C2-DTLZ2, three objectives) count the reported points that violate a
constraint when evaluated again. Needs `pip install 'optengine[bench]'`.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

import optengine as oe

PAIRS = ((1, 1), (1, 6), (1, 8), (1, 15), (2, 17), (6, 13), (8, 20), (13, 14), (15, 21), (20, 21))
POPULATION = 100


@dataclass
class Case:
    """A problem for both sides.

    Attributes:
        F: X (n, d) -> objectives (n, k). G: X -> constraints (n, m), feasible <= 0, or None.
        ideal, nadir: (k,) of the Pareto front.
    """

    name: str
    F: Any
    low: np.ndarray
    high: np.ndarray
    ideal: np.ndarray
    nadir: np.ndarray
    G: Any = None
    m: int = 0

    @property
    def k(self) -> int:
        return len(self.ideal)

    def volume(self, F: np.ndarray) -> float:
        """Hypervolume of the points F (n, k), at most about 1."""
        import moocore

        Z = (F - self.ideal) / (self.nadir - self.ideal)
        Z = Z[(Z < 1.1).all(axis=1)]
        return float(moocore.hypervolume(Z, ref=np.full(self.k, 1.1)) / 1.1**self.k) if len(Z) else 0.0


def from_pymoo(name: str, ideal: float | None = None, **options: Any) -> Case:
    """A problem of pymoo; with `ideal`, its front lies between that and 1 in every objective, else pymoo gives it."""
    from pymoo.problems import get_problem

    problem = get_problem(name, **options)
    m, ones = problem.n_ieq_constr, np.ones(problem.n_obj)
    front = np.array([ideal * ones, ones]) if ideal is not None else problem.pareto_front()
    return Case(
        name,
        lambda X: problem.evaluate(X, return_values_of=["F"]),
        *problem.bounds(),
        front.min(axis=0),
        front.max(axis=0),
        (lambda X: problem.evaluate(X, return_values_of=["G"])) if m else None,
        m,
    )


def from_pair(a: int, b: int, seed: int) -> Case:
    import ioh

    parts = [
        ioh.get_problem(f, instance=2 * seed + 1 + i, dimension=5, problem_class=ioh.ProblemClass.BBOB)
        for i, f in enumerate((a, b))
    ]
    ends = np.array([[p(q.optimum.x) for p in parts] for q in parts])
    return Case(
        f"F{a} + F{b}",
        lambda X: np.column_stack([p(X) for p in parts]),
        np.full(5, -5.0),
        np.full(5, 5.0),
        np.diag(ends),
        ends.max(axis=0),
    )


# -- both sides ----------------------------------------------------------------------------------------------------


def ours(case: Case, name: str, seed: int, budget: int) -> tuple[np.ndarray, float, Any]:
    """Return all F evaluated, the CPU seconds, and the result."""

    def function(X: np.ndarray) -> Any:
        if case.G is None:
            return case.F(X)
        F, G = case.F(X), case.G(X)
        return {f"f{i}": F[:, i] for i in range(case.k)} | {f"g{i}": G[:, i] for i in range(case.m)}

    problem = oe.Problem(
        function,
        list(zip(case.low, case.high, strict=True)),
        vectorized=True,
        objectives=[f"f{i}" for i in range(case.k)],
        constraints=[f"g{i}" for i in range(case.m)],
    )
    options: dict[str, Any] = {"population": POPULATION}
    if name == "rvea":
        options["horizon"] = budget
    began = time.process_time()
    result = oe.solve(problem, name, budget=budget, seed=seed, options=options)
    return result.history.F, time.process_time() - began, result


def theirs(case: Case, name: str, seed: int, budget: int) -> tuple[np.ndarray, float]:
    """Return all F evaluated and the CPU seconds."""
    from pymoo.algorithms.moo.moead import ParallelMOEAD
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.algorithms.moo.nsga3 import NSGA3
    from pymoo.algorithms.moo.rvea import RVEA
    from pymoo.algorithms.moo.sms import SMSEMOA
    from pymoo.config import Config
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize
    from pymoo.util.ref_dirs import get_reference_directions

    Config.warnings["not_compiled"] = False
    seen: list[np.ndarray] = []

    class Wrapped(Problem):  # type: ignore[misc]  # pymoo has no types
        def _evaluate(self, X: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = case.F(X)
            seen.append(out["F"])
            if case.G is not None:
                out["G"] = case.G(X)

    parts = 99 if case.k == 2 else 12
    rays = get_reference_directions("das-dennis", case.k, n_partitions=parts)
    size = max(len(rays), POPULATION) if name == "nsga3" else POPULATION
    algorithm = {
        "nsga2": lambda: NSGA2(pop_size=size),
        "nsga3": lambda: NSGA3(ref_dirs=rays, pop_size=size),
        "smsemoa": lambda: SMSEMOA(pop_size=size),
        "moead": lambda: ParallelMOEAD(ref_dirs=rays),
        "rvea": lambda: RVEA(ref_dirs=rays, pop_size=len(rays)),
    }[name]()
    problem = Wrapped(n_var=len(case.low), n_obj=case.k, n_ieq_constr=case.m, xl=case.low, xu=case.high)
    began = time.process_time()
    minimize(problem, algorithm, ("n_eval", budget), seed=seed, copy_algorithm=False)
    return np.concatenate(seen)[:budget], time.process_time() - began


# -- the tables ----------------------------------------------------------------------------------------------------


def compare(label: str, cases: list[Case], name: str, budget: int) -> tuple[float, float]:
    """Print one row; case i is that of seed i. Returns our mean volume over theirs, and CPU seconds likewise."""
    volumes, seconds = np.zeros((2, len(cases))), np.zeros((2, len(cases)))
    for seed, case in enumerate(cases):
        F, seconds[0, seed], _ = ours(case, name, seed, budget)
        volumes[0, seed] = case.volume(F)
        F, seconds[1, seed] = theirs(case, name, seed, budget)
        volumes[1, seed] = case.volume(F)
    means, totals = volumes.mean(axis=1), seconds.sum(axis=1)
    spread = (volumes[0] - volumes[1]).std(ddof=1) if len(cases) > 1 else np.nan
    wide = 2 * spread / np.sqrt(len(cases)) / means[1]
    gain, cpu = means[0] / means[1] - 1, totals[0] / totals[1]
    print(
        f"{label:14}{name:9}{means[0]:10.4f}{means[1]:10.4f}{gain:+9.2%}{wide:9.2%}"
        f"{totals[0]:8.2f}{totals[1]:8.2f}{cpu:7.2f}",
        flush=True,
    )
    return gain, cpu


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 seeds")
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--budget", type=int, default=25_000, help="evaluations of a run")
    parser.add_argument("--solvers", nargs="+", default=["nsga2"])
    parser.add_argument("--only", choices=["free", "constrained"])
    chosen = parser.parse_args()
    seeds = chosen.seeds or (3 if chosen.quick else 10)
    gains, ratios = [], []
    if chosen.only != "constrained":
        print(f"{seeds} seeds, {chosen.budget} evaluations, population {POPULATION}")
        print(f"{'problem':14}{'solver':9}{'ours':>10}{'pymoo':>10}{'gain':>9}{'wide':>9}", end="")
        print(f"{'CPU s':>8}{'pymoo':>8}{'ratio':>7}")
        rows = [(name, [from_pymoo(name)] * seeds) for name in ("zdt1", "zdt2", "zdt3", "zdt4")]
        rows.append(("dtlz2 k=3", [from_pymoo("dtlz2", 0.0, n_var=12, n_obj=3)] * seeds))
        rows += [(f"F{a} + F{b}", [from_pair(a, b, seed) for seed in range(seeds)]) for a, b in PAIRS]
        for label, cases in rows:
            for name in chosen.solvers:
                gain, cpu = compare(label, cases, name, chosen.budget)
                gains.append(gain)
                ratios.append(cpu)
        print(
            f"smallest gain {min(gains):+.2%}, mean {np.mean(gains):+.2%}; CPU ratio {np.median(ratios):.2f} in the "
            f"median, {max(ratios):.2f} at most"
        )
    if chosen.only != "free":
        constrained(seeds, [s for s in chosen.solvers if s != "moead"], chosen.budget)


def constrained(seeds: int, solvers: list[str], budget: int) -> None:
    print(f"\n{'constrained':14}{'solver':9}{'points':>8}{'violated':>9}{'feasible evaluations':>22}")
    cases = [from_pymoo(name, 0.0) for name in ("mw1", "mw2", "mw7")]
    cases += [from_pymoo("c1dtlz1", 0.0, n_var=7, n_obj=3), from_pymoo("c2dtlz2", 0.0, n_var=12, n_obj=3)]
    for case in cases:
        for name in solvers:
            points = violated = 0
            share = []
            for seed in range(seeds):
                _, _, result = ours(case, name, seed, budget)
                G = case.G(result.front.X)
                points += len(G)
                violated += int((G > 0).any(axis=1).sum())
                share.append(float((result.history.violation <= 0).mean()))
            print(f"{case.name:14}{name:9}{points:8}{violated:9}{np.mean(share):22.1%}", flush=True)


if __name__ == "__main__":
    main()
