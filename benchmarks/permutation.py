"""Permutations as a black box: our solvers, a 15-line iterated local search, pymoo and Nevergrad, in one run.

    python benchmarks/permutation.py --quick                 # under ten minutes on two cores
    python benchmarks/permutation.py --out permutation.jsonl # everything; goes on where it stopped

Random instances: TSP-50 (uniform points, Euclidean), QAP-12/16/20 (symmetric integers 0 ... 99, of two kinds), LOP-30
(uniform integers 0 ... 99). Five instances each, one seed an instance, 5000 evaluations; --quick takes the same runs
without the slow peers. Printed: the gap in % to the best value that a long search with the formula itself finds, median
and quartiles; the mean gap after 1000 and 5000 evaluations; and ours against the 15 lines: the difference of the mean
gaps with its 90 % bootstrap interval over the runs, "level" where it contains 0. Values only: nobody is told the
formula. `ils learn=False` is the same search without its models of the objective.

The instances and seeds (from 100 on) were fixed before tuning, which used those from 0 to 9. All use their defaults;
pymoo's GA has the operators of its documentation for permutations, Nevergrad sorts an array of numbers, as it has no
permutations. Rows of peers may come from benchmarks/peers/permutation.jsonl, taken by this script on the machine that
its first line names. Needs `pip install 'optengine[bench]'`.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from rows import Method, Objective, Row, collect, load, measure, verdict

import optengine as oe

BUDGET = 5000
FIRST, RUNS = 100, 5  # first instance and seed, and how many of them
PROBLEMS = ("TSP-50", "QAP-12", "QAP-16", "QAP-20", "LOP-30")
PEERS = Path(__file__).parent / "peers" / "permutation.jsonl"


# -- instances -----------------------------------------------------------------------------------------------------


Matrices = tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool
]  # as kernels.local_moves has them


def instance(problem: str, number: int) -> Matrices:
    kind, n = problem.split("-")[0], int(problem.split("-")[1])
    rng, none = np.random.default_rng([number, n, ord(kind[0])]), np.empty((0, 0))
    if kind == "TSP":
        points = rng.random((n, 2))
        return np.hypot(*(points[:, None] - points).T), none, none, none, none, True
    if kind == "LOP":
        return none, -rng.integers(0, 100, (n, n)).astype(float), none, none, none, False
    flow, distance = (np.triu(rng.integers(0, 100, (n, n)), 1).astype(float) for _ in range(2))
    return none, none, none, flow + flow.T, distance + distance.T, False


def objective(matrices: Matrices) -> Objective:
    A, B, _, F, D, _ = matrices

    def value(x: np.ndarray) -> float:
        if len(A):
            return float(A[x, np.roll(x, -1)].sum())
        if len(B):
            return float(np.triu(B[np.ix_(x, x)], 1).sum())
        return float((F * D[np.ix_(x, x)]).sum())

    return value


@cache
def best_known(problem: str, number: int) -> float:
    """The best of some long searches with the matrices in hand; not proved."""
    from optengine.kernels.local_moves import search_order

    matrices, n, rng = instance(problem, number), int(problem.split("-")[1]), np.random.default_rng(1)
    runs = (
        search_order(rng.permutation(n), *matrices, rng.random((500_000, 4)), n * n, 6, 1 << 40)
        for _ in range(24)
    )
    return min(value for _, value in runs)


# -- methods -------------------------------------------------------------------------------------------------------


def ours(solver: str, **options: object) -> Method:
    def run(f: Objective, n: int, rng: np.random.Generator) -> None:
        problem = oe.Problem(f, oe.Permutation(n), call="array")
        oe.solve(problem, solver, budget=f.budget, seed=int(rng.integers(2**31)), options=options)

    return run


def fifteen_lines(f: Objective, n: int, rng: np.random.Generator) -> None:
    """Swap, insertion, reversal; accepts equals; after n^2 failures three random moves of the best."""
    x = rng.permutation(n)
    best, f_x, f_best, idle = x, f(x), np.inf, 0
    while True:
        y, kick = x.copy(), idle > n * n
        for _ in range(3 if kick else 1):
            i, j = np.sort(rng.choice(n, 2, replace=False))
            kind = rng.integers(3)
            if kind == 0:
                y[[i, j]] = y[[j, i]]
            elif kind == 1:
                y[i : j + 1] = np.roll(y[i : j + 1], rng.choice([-1, 1]))
            else:
                y[i : j + 1] = y[i : j + 1][::-1]
        f_y = f(y)
        idle = 0 if kick or f_y < f_x else idle + 1
        if kick or f_y <= f_x:
            x, f_x = y, f_y
        if f_x <= f_best:
            best, f_best = x, f_x
        elif idle > n * n:
            x, f_x = best, f_best


def random_search(f: Objective, n: int, rng: np.random.Generator) -> None:
    while True:
        f(rng.permutation(n))


def pymoo_ga(f: Objective, n: int, rng: np.random.Generator) -> None:
    """The GA of pymoo's page on permutations: order crossover and inversion."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.ox import OrderCrossover
    from pymoo.operators.mutation.inversion import InversionMutation
    from pymoo.operators.sampling.rnd import PermutationRandomSampling
    from pymoo.optimize import minimize

    class Order(ElementwiseProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=n, n_obj=1, xl=0, xu=n - 1, vtype=int)

        def _evaluate(self, x: np.ndarray, out: dict[str, float], *args: object, **kwargs: object) -> None:
            out["F"] = f(x)

    algorithm = GA(
        pop_size=100,
        sampling=PermutationRandomSampling(),
        mutation=InversionMutation(),
        crossover=OrderCrossover(),
        eliminate_duplicates=True,
    )
    minimize(Order(), algorithm, ("n_eval", 10**9), seed=int(rng.integers(2**31)))


def nevergrad(name: str) -> Method:
    def run(f: Objective, n: int, rng: np.random.Generator) -> None:
        import nevergrad as ng

        warnings.simplefilter("ignore")
        parametrization = ng.p.Array(shape=(n,))
        parametrization.random_state.seed(int(rng.integers(2**31)))
        optimizer = ng.optimizers.registry[name](parametrization, budget=BUDGET)
        while True:
            candidate = optimizer.ask()
            optimizer.tell(candidate, f(np.argsort(candidate.value)))

    return run


OURS: dict[str, Method] = {
    "ils": ours("ils"),
    "ils learn=False": ours("ils", learn=False),
    "fast_ea": ours("fast_ea"),
    "cem": ours("cem"),
    "auto": ours("auto"),
}
FAST: dict[str, Method] = {"15 lines": fifteen_lines, "random": random_search, "pymoo GA": pymoo_ga}
SLOW: dict[str, Method] = {
    "nevergrad OnePlusOne": nevergrad("OnePlusOne"),
    "nevergrad DE": nevergrad("DE"),
    "nevergrad NGOpt": nevergrad("NGOpt"),
}
METHODS = {**OURS, **FAST, **SLOW}


def run_case(case: Row) -> Row:
    problem, n = case["problem"], int(case["problem"].split("-")[1])
    matrices = instance(problem, case["seed"])
    row = measure(METHODS[case["method"]], objective(matrices), n, case["budget"], case["seed"])
    return {**case, **row, "best_known": best_known(problem, case["seed"])}


# -- tables --------------------------------------------------------------------------------------------------------


def gaps(rows: list[Row], problem: str, method: str, field: str = "value") -> np.ndarray:
    chosen = sorted(
        (r for r in rows if (r["problem"], r["method"]) == (problem, method)), key=lambda r: r["seed"]
    )
    return np.array([100.0 * (r[field] - r["best_known"]) / abs(r["best_known"]) for r in chosen])


def table(rows: list[Row], problems: list[str], methods: list[str], cell: Callable[[str, str], str]) -> None:
    print(f"{'':22}" + "".join(f"{problem:>20}" for problem in problems))
    for method in methods:
        print(f"{method:22}" + "".join(f"{cell(problem, method):>20}" for problem in problems))
    print()


def report(rows: list[Row], problems: list[str], methods: list[str]) -> None:
    def spread(problem: str, method: str) -> str:
        low, middle, high = np.quantile(gaps(rows, problem, method), [0.25, 0.5, 0.75])
        return f"{middle:.2f} ({low:.2f}..{high:.2f})"

    def means(problem: str, method: str) -> str:
        early, late = (gaps(rows, problem, method, field).mean() for field in ("early", "value"))
        return f"{early:.2f} / {late:.2f}"

    def against(problem: str, method: str) -> str:
        word, low, high = verdict(gaps(rows, problem, method) - gaps(rows, problem, "15 lines"))
        return f"{word} ({low:+.2f}..{high:+.2f})"

    def microseconds(problem: str, method: str) -> str:
        chosen = [r for r in rows if (r["problem"], r["method"]) == (problem, method)]
        return f"{1e6 * np.median([r['cpu'] / r['count'] for r in chosen]):.0f}"

    if len({len(gaps(rows, p, m)) for p in problems for m in methods}) > 1:
        print("runs are missing")
        return
    n = len(gaps(rows, problems[0], methods[0]))
    print(f"gap to the best known, %, {BUDGET} evaluations, median (quartiles) of {n} runs")
    table(rows, problems, methods, spread)
    print(f"mean gap after {BUDGET // 5} / {BUDGET} evaluations, %")
    table(rows, problems, methods, means)
    if "15 lines" in methods:
        print("mean gap minus that of the 15 lines, points, 90 % interval")
        table(rows, problems, [m for m in methods if m in OURS], against)
    print("CPU microseconds an evaluation, objective included, median")
    table(rows, problems, methods, microseconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="without Nevergrad's DE and NGOpt")
    parser.add_argument("--out", type=Path, help="jsonl file to append rows to and to go on from")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="default: all")
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(PROBLEMS))
    parser.add_argument("--first", type=int, default=FIRST, help="first instance and seed")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e6, help="start no run after so long")
    parser.add_argument("--fresh", action="store_true", help="measure the peers anew")
    arguments = parser.parse_args()
    slow = [m for m in SLOW if not arguments.quick or m == "nevergrad OnePlusOne"]
    methods = arguments.methods or [*OURS, *FAST, *slow]
    cases = [
        {"problem": problem, "method": method, "seed": seed, "budget": BUDGET}
        for method in methods
        for problem in arguments.problems
        for seed in range(arguments.first, arguments.first + arguments.runs)
    ]
    known = [] if arguments.fresh else load(PEERS)
    rows = collect(cases, run_case, arguments.out, known, arguments.workers, arguments.minutes)
    report(rows, arguments.problems, methods)


if __name__ == "__main__":
    main()
