"""Bits as a black box: ioh's 25 pseudo-Boolean functions at n = 100, 3000 evaluations, in one run.

    python benchmarks/binary.py --quick              # four instances, fewer peers: under ten minutes on two cores
    python benchmarks/binary.py --out binary.jsonl   # ten instances; goes on where it stopped

Each run has an instance of its own, 41 to 45 (ioh flips some bits) and 91 to 95 (ioh permutes them), and a seed of
the same number. Values are on the scale from the worst (0) to the best run of the call on that instance (1). Printed:
for each function their mean and standard deviation, and ours against the best peer of that function, which is the one
of the largest mean: the mean difference of paired runs with its 90 % bootstrap interval; "level" contains 0. The last
lines count the functions on which each of ours is level or better, and give CPU time an evaluation with its ratio to
that of the first method.

Instances were fixed before tuning, which used 1 to 5 and 51 to 55. All use their defaults; pymoo's GA has the operators
of its documentation for bits, Nevergrad's bits are a TransitionChoice. One-flip restarts flip bits in random order,
keep what is no worse, and start anew where no flip improves. Rows of peers may come from benchmarks/peers/binary.jsonl,
taken by this script on the machine that its first line names. Needs `pip install 'optengine[bench]'`.
"""

from __future__ import annotations

import argparse
import os
import warnings
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from rows import Method, Objective, Row, collect, load, measure, verdict

import optengine as oe

N, BUDGET = 100, 3000
INSTANCES, QUICK = (41, 91, 42, 92, 43, 93, 44, 94, 45, 95), 4  # the first few of them
FUNCTIONS = range(1, 26)
PEERS = Path(__file__).parent / "peers" / "binary.jsonl"


def ours(solver: str, **options: object) -> Method:
    def run(f: Objective, n: int, rng: np.random.Generator) -> None:
        problem = oe.Problem(f, oe.Binary(shape=n), call="array")
        oe.solve(problem, solver, budget=f.budget, seed=int(rng.integers(2**31)), options=options)

    return run


def one_flip_restarts(f: Objective, n: int, rng: np.random.Generator) -> None:
    while True:
        x = rng.integers(0, 2, n)
        f_x, improved = f(x), True
        while improved:
            improved = False
            for i in rng.permutation(n):
                x[i] = 1 - x[i]
                f_y = f(x)
                improved |= f_y < f_x
                if f_y <= f_x:
                    f_x = f_y
                else:
                    x[i] = 1 - x[i]


def random_search(f: Objective, n: int, rng: np.random.Generator) -> None:
    while True:
        f(rng.integers(0, 2, n))


def pymoo_ga(f: Objective, n: int, rng: np.random.Generator) -> None:
    """The GA of pymoo's page on bits: two-point crossover and bit flips."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.pntx import TwoPointCrossover
    from pymoo.operators.mutation.bitflip import BitflipMutation
    from pymoo.operators.sampling.rnd import BinaryRandomSampling
    from pymoo.optimize import minimize

    class Bits(ElementwiseProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(n_var=n, n_obj=1, xl=0, xu=1, vtype=bool)

        def _evaluate(self, x: np.ndarray, out: dict[str, float], *args: object, **kwargs: object) -> None:
            out["F"] = f(x.astype(int))

    algorithm = GA(
        pop_size=100,
        sampling=BinaryRandomSampling(),
        crossover=TwoPointCrossover(),
        mutation=BitflipMutation(),
        eliminate_duplicates=True,
    )
    minimize(Bits(), algorithm, ("n_eval", 10**9), seed=int(rng.integers(2**31)))


def nevergrad(name: str) -> Method:
    def run(f: Objective, n: int, rng: np.random.Generator) -> None:
        import nevergrad as ng

        warnings.simplefilter("ignore")
        parametrization = ng.p.TransitionChoice([0, 1], repetitions=n)
        parametrization.random_state.seed(int(rng.integers(2**31)))
        optimizer = ng.optimizers.registry[name](parametrization, budget=BUDGET)
        while True:
            candidate = optimizer.ask()
            optimizer.tell(candidate, f(np.array(candidate.value, dtype=int)))

    return run


OURS: dict[str, Method] = {
    "ils": ours("ils"),
    "ils learn=False": ours("ils", learn=False),
    "fast_ea": ours("fast_ea"),
    "cem": ours("cem"),
    "auto": ours("auto"),
}
PEERS_FAST: dict[str, Method] = {
    "one-flip": one_flip_restarts,
    "pymoo GA": pymoo_ga,
    "ng Discrete": nevergrad("DiscreteOnePlusOne"),
}
PEERS_SLOW: dict[str, Method] = {
    "ng FastGA": nevergrad("DoubleFastGADiscreteOnePlusOne"),
    "ng Lengler": nevergrad("DiscreteLenglerOnePlusOne"),
    "ng NGOpt": nevergrad("NGOpt"),
}
RANDOM = "random"
METHODS = {**OURS, RANDOM: random_search, **PEERS_FAST, **PEERS_SLOW}


def run_case(case: Row) -> Row:
    import ioh

    problem = ioh.get_problem(int(case["problem"]), case["seed"], N, ioh.ProblemClass.PBO)

    def function(x: np.ndarray) -> float:
        return -float(problem(x.tolist()))

    return {**case, **measure(METHODS[case["method"]], function, N, case["budget"], case["seed"])}


# -- tables --------------------------------------------------------------------------------------------------------


def name_of(function: int) -> str:
    import ioh

    return f"{function} {ioh.ProblemClass.PBO.problems[function]}"


def values(rows: list[Row], function: int, method: str, field: str = "value") -> np.ndarray:
    """Best values (runs,), maximised, by seed."""
    found = {r["seed"]: -r[field] for r in rows if (r["problem"], r["method"]) == (str(function), method)}
    return np.array([found[seed] for seed in sorted(found)])


def scaled(rows: list[Row], function: int, methods: list[str]) -> dict[str, np.ndarray]:
    """Values of each method and run on the scale from the worst (0) to the best run on the instance (1)."""
    V = {method: values(rows, function, method) for method in methods}
    top = np.max(list(V.values()), axis=0)
    bottom = np.min(list(V.values()), axis=0)
    span = np.maximum(top - bottom, 1e-12 * np.maximum(1.0, abs(top)))
    return {method: (v - bottom) / span for method, v in V.items()}


def report(rows: list[Row], functions: list[int], methods: list[str]) -> None:
    peers = [m for m in methods if m not in OURS and m != RANDOM]
    mine = [m for m in methods if m in OURS]
    shown = [*mine, *peers]
    complete = [
        f
        for f in functions
        if len({len(values(rows, f, m)) for m in methods}) == 1 and len(values(rows, f, methods[0]))
    ]
    if len(complete) < len(functions):
        print(f"runs are missing: {len(functions) - len(complete)} functions are left out")
    functions = complete
    if not functions:
        return
    n = len(values(rows, functions[0], methods[0]))
    print(
        f"share of the way from the worst to the best run, {BUDGET} evaluations, mean of {n} runs (st. dev.)"
    )
    print(f"{'':26}" + "".join(f"{m:>17}" for m in shown))
    tallies = {m: {"better": 0, "level": 0, "worse": 0} for m in mine}
    lines = []
    for function in functions:
        S = scaled(rows, function, methods)
        cells = "".join(f"{f'{S[m].mean():.3f} ({S[m].std():.3f})':>17}" for m in shown)
        print(f"{name_of(function):26}{cells}")
        if not peers:
            continue
        best = max(peers, key=lambda m: S[m].mean())
        words = []
        for m in mine:
            word, low, high = verdict(S[best] - S[m])
            tallies[m][word] += 1
            words.append(f"{word} {-high:+.3f}..{-low:+.3f}")
        lines.append(f"{name_of(function):26}{best:14}" + "".join(f"{w:>24}" for w in words))
    if peers:
        print(
            f"\nours minus the best peer, 90 % interval\n{'':26}{'best peer':14}"
            + "".join(f"{m:>24}" for m in mine)
        )
        print("\n".join(lines))
        for m, tally in tallies.items():
            good = tally["better"] + tally["level"]
            print(f"{m}: level or better on {good} of {len(functions)} (better {tally['better']})")
    print(
        "CPU microseconds an evaluation, objective included, median over runs, and the ratio to the first method"
    )
    cost = {m: np.median([1e6 * r["cpu"] / r["count"] for r in rows if r["method"] == m]) for m in methods}
    for m, c in cost.items():
        print(f"{m:18}{c:8.0f}{c / cost[methods[0]]:8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="four instances, without the slow peers")
    parser.add_argument("--out", type=Path, help="jsonl file to append rows to and to go on from")
    parser.add_argument("--methods", nargs="+", choices=METHODS, help="default: all")
    parser.add_argument("--functions", nargs="+", type=int, choices=FUNCTIONS, default=list(FUNCTIONS))
    parser.add_argument("--instances", nargs="+", type=int)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e6, help="start no run after so long")
    parser.add_argument("--fresh", action="store_true", help="measure the peers anew")
    arguments = parser.parse_args()
    instances = arguments.instances or INSTANCES[: QUICK if arguments.quick else None]
    methods = arguments.methods or [*OURS, RANDOM, *PEERS_FAST, *({} if arguments.quick else PEERS_SLOW)]
    cases = [
        {"problem": str(function), "method": method, "seed": seed, "budget": BUDGET}
        for method in methods
        for function in arguments.functions
        for seed in instances
    ]
    known = [] if arguments.fresh else load(PEERS)
    rows = collect(cases, run_case, arguments.out, known, arguments.workers, arguments.minutes)
    report(rows, arguments.functions, methods)


if __name__ == "__main__":
    main()
