"""`auto` beside every solver that one could fix instead: 86 problems of 25 kinds, three budgets each.

    python benchmarks/auto.py --quick             # 31 problems, one seed, small and medium budgets: under ten minutes
    python benchmarks/auto.py --out auto.jsonl    # all of them; goes on where it stopped

Budgets are evaluations where the problem is a black box, and 2, 5 and 10 seconds of one thread where it has a structure
(auto_problems.py). A solver knows no budget, so its run with the large one is also, up to there, its run with the
smaller ones; `auto` knows it, and runs with each (the rule for structures sees no seconds: one run there). `bo`,
`bandit` and `tpe`, whose time grows with the cube or the square of the evaluations, stop after 100, 100 and 300 of them
and keep what they have. Fixed solvers are those that take a kind, but for some that were nowhere near the best on the
seeds on which the rules were chosen.

Score of a run: (f - best) / (reference - best) in [0, 1], where best is the best value that any method found on that
instance within that budget, and reference the median of three random searches (one of two seconds, where there is a
structure; where it finds nothing feasible, the worst feasible value of any method; where nothing is evaluated, the best
row of the table). Nothing feasible scores 1, and so does a solver, in the mean over all kinds, on a kind that it does
not take. Noisy functions are judged by their values without noise, several objectives by minus the hypervolume.

Printed: for each kind and budget the mean score of `auto` and that of the best single solver of that kind, chosen
afterwards; then over all kinds; then what the decision takes of a run's CPU seconds. Seeds 0 and above are reported;
the rules were chosen on seeds 1000 and above, which are other instances. The quick subset was fixed before.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

from typing import Any

import numpy as np
from auto_problems import NAMES, SECONDS, Case, cases, front_of, hypervolume
from rows import Row, collect

import optengine as oe
from optengine import registry, rules
from optengine.engine.threads import at_most

REALS = ("hybrid", "cmaes", "cem", "de", "dual_annealing", "slsqp")
MIXED = ("cmaes", "cem", "tpe", "bo", "ga")
DISCRETE = ("ils", "fast_ea", "cem", "ga", "tpe")
FIXED: dict[str, tuple[str, ...]] = {
    "smooth": REALS,
    "multimodal": (*REALS, "bo"),
    "noisy": ("hybrid", "cmaes", "cem", "de", "bo", "tpe"),
    "wide": (*REALS, "sep_cmaes", "lbfgsb"),
    "vectorised": REALS,
    "constrained": ("hybrid", "cmaes", "cem", "slsqp", "cobyqa", "bo", "tpe"),
    "mixed": MIXED,
    "tuning": ("cmaes", "cem", "tpe", "ga", "bandit"),
    "categorical": MIXED,
    "bits": DISCRETE,
    "permutation": DISCRETE,
    "fronts": ("nsga2", "nsga3", "smsemoa", "moead", "rvea"),
    "qubo": ("tabu", "ils", "cem"),
    "maxcut": ("tabu", "ils", "cem"),
    "qap": ("robust_tabu", "ils"),
    "tsp": ("tour", "ils"),
    "knapsack": ("knapsack", "milp", "ils"),
    "cover": ("cover", "milp", "ils"),
    "milp": ("milp", "relaxation_induced", "local_branching"),
    "dag": ("order_search", "dag_exact", "ils"),
    "min-max": ("dmmv", "minmax_exact", "ils"),
    "linear order": ("ils", "fast_ea"),
    "sets and clauses": ("independent_set", "prob_sat", "ils"),
    "shop": ("job_shop", "ils"),
    "offline": ("gp_portfolio", "gradient_ascent", "ram"),
}
STOPS = {"bo": 100, "bandit": 100, "tpe": 300}  # evaluations
RANDOMS = 3
QUICK = (
    "sphere 10", "rosenbrock 5", "rastrigin 5", "levy 5", "noisy sphere 5", "rastrigin 40 wide", "sphere 8 vectorised",
    "valley in a ball", "g06", "mixed ellipsoid", "reactor", "estimators 4", "chain 25", "pest", "linear bits",
    "ising", "tour length 30", "assignment cost 15", "zdt1", "dtlz2", "qubo 100", "cut 100", "qap 15", "tsp 60",
    "knapsack 5x100", "cover 100x500", "assignment small", "dag 10", "min-max 40x16", "order 60", "shop 10x8",
)  # fmt: skip
CASES = {case.name: case for case in cases()}
MARGIN = 0.05


# -- one run -------------------------------------------------------------------------------------------------------


def run_case(row: Row) -> Row:
    """Run one method; a fixed one is read at every budget up to its own."""
    warnings.simplefilter("ignore")
    case = CASES[row["problem"]]
    ends = case.budgets[: case.budgets.index(row["budget"]) + 1]
    if row["method"] == "auto" and not case.timed:
        ends = (row["budget"],)
    repeats = RANDOMS if row["method"] == "random" and not case.timed else 1
    found: dict[float, list[float | None]] = {end: [] for end in ends}
    spent = decided = 0.0
    reason = solver = ""
    for k in range(repeats):
        problem = case.make(np.random.default_rng(row["seed"]))
        if row["method"] == "auto":
            decided = _decision(problem, row["budget"], case)
        start = time.process_time()
        result = _solved(problem, case, row, k)
        spent += time.process_time() - start
        solver, reason = result.solver, result.reason
        for end in ends:
            found[end].append(_value(result, problem, case, end))
    values = {str(end): _median(found[end]) for end in ends}
    return {
        **row,
        "values": values,
        "cpu": round(spent, 3),
        "decision": decided,
        "solver": solver,
        "reason": reason,
    }


def _solved(problem: oe.Problem, case: Case, row: Row, k: int) -> Any:
    method, budget = row["method"], row["budget"]
    seed = 100 * row["seed"] + k
    with at_most(1):
        if not problem.evaluable:
            return oe.solve(problem, method, seed=seed)
        if case.timed:
            oe.solve(problem, method, time_limit=0.2, seed=seed + 50)  # loads and compiles
            return oe.solve(
                problem, method, time_limit=SECONDS[0] if method == "random" else budget, seed=seed
            )
        return oe.solve(problem, method, budget=min(budget, STOPS.get(method, budget)), seed=seed)


def _decision(problem: oe.Problem, budget: float, case: Case) -> float:
    """CPU seconds of one choice, after another one: what it loads belongs to the start of a process."""
    count = None if case.timed or not problem.evaluable else int(budget)
    rules.plan(problem, count, 1)
    start = time.process_time()
    for _ in range(10):
        rules.plan(problem, count, 1, time_limit=budget if case.timed else None)
    return (time.process_time() - start) / 10


def _value(result: Any, problem: Any, case: Case, end: float) -> float | None:
    """What a run had found at its `end` (evaluations, seconds), minimised; None: nothing feasible."""
    if not problem.evaluable:
        candidates = result.details["candidates"]
        return -float(problem.task.percentiles(candidates)["p100"])
    h = result.history
    F = h.F * problem.signs
    seen = (h.seconds <= end if case.timed else h.number <= end) & ~h.failed & (h.violation <= 0)
    if not seen.any():
        return None
    if case.reference is not None:
        return -hypervolume(front_of(F[seen]), np.array(case.reference))
    best = np.flatnonzero(seen)[np.argmin(F[seen, 0])]
    return float(F[best, 0]) if case.true is None else case.true(problem, h.X[best])


def _median(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.median(known)) if known else None


# -- tables --------------------------------------------------------------------------------------------------------

Scores = dict[tuple[str, int], dict[str, list[float]]]  # problem, budget's index -> method -> scores, by seed


def scores_of(rows: list[Row]) -> Scores:
    """Normalised scores of every method on every problem and budget."""
    found: dict[tuple[str, int, int], dict[str, float | None]] = {}
    for row in rows:
        case = CASES[row["problem"]]
        for i, end in enumerate(case.budgets):
            if str(end) in row["values"]:
                found.setdefault((row["problem"], i, row["seed"]), {})[row["method"]] = row["values"][
                    str(end)
                ]
    table: Scores = {}
    for (name, i, seed), values in sorted(found.items()):
        if "auto" not in values:
            continue
        feasible = [v for v in values.values() if v is not None]
        if not feasible:
            continue
        best, reference = min(feasible), values.get("random")
        if CASES[name].kind == "offline":
            reference = _best_row(name, seed)
        reference = max(feasible) if reference is None else reference
        span = max(reference - best, 1e-9 * max(1.0, abs(best)))
        for method, v in values.items():
            score = 1.0 if v is None else min(1.0, max(0.0, (v - best) / span))
            table.setdefault((name, i), {}).setdefault(method, []).append(score)
    return table


def _best_row(name: str, seed: int) -> float:
    problem: Any = CASES[name].make(np.random.default_rng(seed))
    return -float(problem.task.score(problem.X[[int(np.argmax(problem.y))]])[0])


def mean(table: Scores, kind: str | None, budgets: list[int], method: str) -> float | None:
    """Mean over problems of the mean over seeds; None where the method did not run on some problem of the kind."""
    means = [
        float(np.mean(by[method])) if method in by else None
        for (name, i), by in table.items()
        if (kind is None or CASES[name].kind == kind) and i in budgets
    ]
    known = [m for m in means if m is not None]
    if kind is not None:
        takers = [m for m in FIXED[kind] if m == method] or method in ("auto", "random")
        return float(np.mean(known)) if known and takers and len(known) * 2 > len(means) else None
    return float(np.mean([1.0 if m is None else m for m in means])) if means else None


def report(rows: list[Row]) -> None:
    """Print the tables and the claims."""
    table = scores_of(rows)
    kinds = [k for k in FIXED if any(CASES[name].kind == k for name, _ in table)]
    budgets = sorted({i for _, i in table})
    print(
        f"{len({n for n, _ in table})} problems, seeds {sorted({r['seed'] for r in rows})}; mean score, 0 is the best"
    )
    print(
        f"{'':18}"
        + "".join(f"{NAMES[i]:>8}{'best single':>26}" for i in budgets)
        + f"{'all':>8}{'best single':>26}"
    )
    within = []
    for kind in kinds:
        cells = ""
        for chosen in [*[[i] for i in budgets], budgets]:
            ours = mean(table, kind, chosen, "auto")
            theirs = {m: mean(table, kind, chosen, m) for m in FIXED[kind]}
            best = min((m for m in theirs if theirs[m] is not None), key=lambda m: theirs[m], default=None)
            if ours is None or best is None:
                cells += f"{'':34}"
                continue
            cells += f"{ours:8.3f}{f'{best} {theirs[best]:.3f}':>26}"
            if chosen == budgets:
                within.append((kind, ours - float(theirs[best] or 0.0)))
        print(f"{kind:18}{cells}")
    kept = [kind for kind, more in within if more <= MARGIN]
    print(f"auto within {MARGIN} of the best single solver of the kind: {len(kept)} of {len(within)} kinds")
    for kind, more in within:
        if more > MARGIN:
            print(f"  not {kind}: {more:+.3f}")
    print("\nover all problems and budgets, a kind that a solver does not take scoring 1")
    methods = sorted({m for by in table.values() for m in by} - {"auto"})
    overall = {m: float(mean(table, None, budgets, m) or 0.0) for m in ("auto", *methods)}
    for m in sorted(overall, key=lambda m: overall[m])[:8]:
        print(f"  {m:20}{overall[m]:.3f}")
    shares = [r["decision"] / max(r["cpu"], 1e-9) for r in rows if r["method"] == "auto"]
    print(
        f"the decision, share of a run's CPU seconds: median {np.median(shares):.2%}, worst {np.max(shares):.2%}"
    )


def planned(names: list[str], seeds: range, levels: int, methods: list[str] | None) -> list[Row]:
    plan: list[Row] = []
    for seed in seeds:
        for name in names:
            case = CASES[name]
            budgets = case.budgets[:levels]
            fixed = [m for m in FIXED[case.kind] if _takes(m, case)]
            methods_of = ["random", *fixed] if case.kind != "offline" else fixed
            plan += [{"problem": name, "method": m, "seed": seed, "budget": budgets[-1]} for m in methods_of]
            known = budgets[-1:] if case.timed else budgets  # rule 0 sees no seconds: one run tells all three
            plan += [{"problem": name, "method": "auto", "seed": seed, "budget": b} for b in known]
    return [row for row in plan if methods is None or row["method"] in methods]


def _takes(method: str, case: Case) -> bool:
    """Whether a fixed solver takes a problem: in a few kinds some problems are too large or of another form."""
    if case.kind not in ("sets and clauses", "dag", "offline"):
        return True
    return registry.refusal(registry.make(method), case.make(np.random.default_rng(0))) is None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument(
        "--first", type=int, default=0, help="the first seed; from 1000 on for choosing rules"
    )
    parser.add_argument("--kinds", nargs="+", choices=FIXED)
    parser.add_argument("--methods", nargs="+")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=600.0)
    options = parser.parse_args()
    names = list(QUICK) if options.quick else list(CASES)
    names = [n for n in names if options.kinds is None or CASES[n].kind in options.kinds]
    seeds = range(options.first, options.first + (1 if options.quick else options.seeds))
    plan = planned(names, seeds, 2 if options.quick else 3, options.methods)
    rows = collect(plan, run_case, options.out, [], options.workers, options.minutes)
    report(rows)


if __name__ == "__main__":
    main()
