"""Regret of Bayesian optimization: ours, Optuna's TPE and GP, Ax and BoTorch on eleven small problems.

    python benchmarks/bo_regret.py --quick                   # ours, some minutes; peers from peers/bo_regret.jsonl
    python benchmarks/bo_regret.py --out bo_regret.jsonl     # ours: ten seeds, 100 evaluations; resumes
    python benchmarks/bo_regret.py --methods optuna_gp --seeds 3 --budget 60 --out benchmarks/peers/bo_regret.jsonl

The problems are in bo_problems.py: Branin, Hartmann6, shifted Ackley-10, Levy-20, Gramacy (two constraints), pressure
vessel (two integers, three constraints), welded beam (mixed, five constraints), Hartmann6 with noise of standard
deviation 0.2, fifty categories with two reals and an integer, and two tuning tasks on data that come with scikit-learn.
--quick takes `bo` and `tpe` with seeds 0-2 and 60 evaluations on all eleven, and `bo_botorch` with seeds 0-1 and 30
evaluations on branin, hartmann6 and gramacy.

Printed: median and quartiles of the regret after 30, 60 and 100 evaluations: the lowest *true* value among the feasible
points evaluated so far, minus the optimum (of the tuning tasks: minus the best value ever seen). Under noise too it is
the true value that counts, whether or not a method could tell which of its points was the best; the last lines of
noisy_hartmann6 give the true value of the point that looked best. `-`: nothing feasible in the median run. `seeds`
says how many runs a line has: slow peers have few. CPU ms is what an ask with its tell took, on the machine of the run.

Under each table: each of ours against the peer with the lowest median (three seeds at least): "lowest" if ours is,
"level" if the 90 % bootstrap interval of the difference of the medians holds 0 (seeds resampled on each side), else
"behind". One process a run. Seeds below 100 were never used for tuning. Needs `pip install 'optengine[bench]'`;
Ax, which is not among it, `pip install ax-platform`.
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
from bo_methods import METHODS, OURS, PACKAGES, NotApplicable
from bo_problems import CASES, Case
from rows import RESAMPLES, Row, collect, key, load

MARKS = (30, 60, 100)
PEERS = Path(__file__).parent / "peers" / "bo_regret.jsonl"
QUICK = {  # method: (problems, seeds, evaluations)
    "bo": (tuple(CASES), 3, 60),
    "tpe": (tuple(CASES), 3, 60),
    "bo_botorch": (("branin", "hartmann6", "gramacy"), 2, 30),
}
FEWEST = 3  # seeds of a peer that ours are compared with


# -- one run -------------------------------------------------------------------------------------------------------


def run(row: Row) -> Row:
    """Run one method once: the best true and best-looking values at each mark, CPU seconds outside the objective."""
    case: Case = CASES[row["problem"]]
    noise = np.random.default_rng([row["seed"], 77])
    try:
        method = METHODS[row["method"]](case, row["seed"], row["budget"])
    except NotApplicable as reason:
        return row | {"skipped": str(reason)}
    best, seen, looked = np.inf, np.inf, np.inf
    values: dict[str, Any] = {}
    cpu = 0.0
    for i in range(1, row["budget"] + 1):
        began = time.process_time()
        point = method.ask()
        cpu += time.process_time() - began
        true, constraints = case.function(point)
        told = true + case.noise * noise.normal()
        feasible = all(g <= 0 for g in constraints)
        if feasible:
            best = min(best, true)
            if told < seen:
                seen, looked = told, true
        began = time.process_time()
        method.tell(point, told, constraints)
        cpu += time.process_time() - began
        if i in MARKS:
            values[str(i)] = best if np.isfinite(best) else None
            if case.noise:
                values[f"{i} looked best"] = looked
    return row | {"values": values, "cpu": round(cpu, 3)}


# -- the report ----------------------------------------------------------------------------------------------------


def longest(rows: list[Row]) -> dict[tuple[str, str, int], Row]:
    """The run with most evaluations of each problem, method and seed."""
    kept: dict[tuple[str, str, int], Row] = {}
    for row in rows:
        place = key(row)[:3]
        if "values" in row and (place not in kept or kept[place]["budget"] < row["budget"]):
            kept[place] = row
    return kept


def regrets(case: Case, rows: list[Row], mark: str, lowest: float) -> np.ndarray:
    """(runs,) regret at a mark, infinite where nothing was feasible."""
    optimum = lowest if np.isnan(case.optimum) else case.optimum
    values = [row["values"][mark] for row in rows if mark in row["values"]]
    return np.array([np.inf if value is None else max(value - optimum, 0.0) for value in values])


def interval(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """90 % bootstrap interval of the difference of the medians, each side resampled by itself."""
    rng = np.random.default_rng(0)
    both = np.concatenate([ours, theirs])
    worst = 10 * both[np.isfinite(both)].max(initial=1.0)

    def medians(x: np.ndarray) -> np.ndarray:
        x = np.where(np.isfinite(x), x, worst)
        return np.asarray(np.median(x[rng.integers(0, len(x), (RESAMPLES, len(x)))], axis=1))

    low, high = np.quantile(medians(ours) - medians(theirs), [0.05, 0.95])
    return float(low), float(high)


def short(value: float) -> str:
    return "-" if not np.isfinite(value) else f"{value:.2g}" if value < 1000 else f"{value:.0f}"


def cell(regret: np.ndarray) -> str:
    if not len(regret):
        return ""
    low, middle, high = (np.quantile(regret, q, method="inverted_cdf") for q in (0.25, 0.5, 0.75))
    middle = np.median(regret) if np.isfinite(regret).all() else middle
    return f"{short(middle)} [{short(low)}, {short(high)}]"


def report(case: Case, rows: list[Row], tally: dict[tuple[str, int], list[str]]) -> None:
    """Print the table of one problem and enter the verdicts on ours into `tally`."""
    lowest = min((v for row in rows for v in row["values"].values() if v is not None), default=np.nan)
    names = [name for name in METHODS if any(row["method"] == name for row in rows)]
    groups = {name: [row for row in rows if row["method"] == name] for name in names}
    print(
        f"\n{case.name}"
        + ("" if np.isfinite(case.optimum) else f" (regret against the best value seen, {lowest:.6g})")
    )
    print(f"  {'':12}{'seeds':>6}" + "".join(f"{m:>28}" for m in MARKS) + f"{'CPU ms':>9}")
    for name, mine in groups.items():
        cells = "".join(f"{cell(regrets(case, mine, str(m), lowest)):>28}" for m in MARKS)
        cpu = 1e3 * sum(row["cpu"] for row in mine) / sum(row["budget"] for row in mine)
        print(f"  {name:12}{len(mine):6}{cells}{cpu:9.1f}")
    if case.noise:
        for name, mine in groups.items():
            cells = "".join(f"{cell(regrets(case, mine, f'{m} looked best', lowest)):>28}" for m in MARKS)
            print(f"  {name:12}{'':6}{cells}  looked best")
    for name in OURS:
        for mark in MARKS:
            verdict = compare(case, groups, name, mark, lowest)
            if verdict:
                tally.setdefault((name, mark), []).append(verdict.split()[0].rstrip(","))
                print(f"  {name} after {mark}: {verdict}")


def compare(case: Case, groups: dict[str, list[Row]], name: str, mark: int, lowest: float) -> str:
    """Ours against the peer with the lowest median at a mark; empty where either is missing."""
    ours = regrets(case, groups.get(name, []), str(mark), lowest)
    theirs = {
        peer: regrets(case, rows, str(mark), lowest) for peer, rows in groups.items() if peer not in OURS
    }
    theirs = {peer: values for peer, values in theirs.items() if len(values) >= FEWEST}
    if not len(ours) or not theirs:
        return ""
    best = min(theirs, key=lambda peer: float(np.median(theirs[peer])))
    low, high = interval(ours, theirs[best])
    against = f"{best} ({len(theirs[best])} seeds), difference of medians in [{low:.2g}, {high:.2g}]"
    if np.median(ours) <= np.median(theirs[best]):
        return f"lowest, next is {against}"
    return f"{'level with' if low <= 0 <= high else 'behind'} {against}"


def summary(tally: dict[tuple[str, int], list[str]]) -> None:
    print()
    for (name, mark), verdicts in tally.items():
        counts = ", ".join(f"{word} on {verdicts.count(word)}" for word in ("lowest", "level", "behind"))
        print(f"{name} after {mark}: {counts} of {len(verdicts)} problems")


# -- the command ---------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="ours on a subset, see above")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(OURS))
    parser.add_argument("--problems", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seeds", type=int, default=10, help="how many, from --first")
    parser.add_argument("--first", type=int, default=0, help="first seed; tuning takes 100 and more")
    parser.add_argument("--budget", type=int, default=max(MARKS), help="evaluations")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=1e9, help="start no run after so many")
    parser.add_argument("--fresh", action="store_true", help=f"do not take rows of peers from {PEERS.name}")
    parser.add_argument("--out", type=Path, help="a .jsonl file to add rows to, and to go on from")
    return parser.parse_args()


def plan(chosen: argparse.Namespace) -> list[Row]:
    """The runs to make, all problems before the next seed."""
    if chosen.quick:
        wanted = {name: spec for name, spec in QUICK.items() if name in chosen.methods}
    else:
        wanted = dict.fromkeys(chosen.methods, (tuple(chosen.problems), chosen.seeds, chosen.budget))
    return [
        {"problem": problem, "method": name, "seed": seed, "budget": budget}
        for seed in range(chosen.first, chosen.first + 10)
        for name, (problems, seeds, budget) in wanted.items()
        for problem in problems
        if problem in chosen.problems and seed < chosen.first + seeds
    ]


def main() -> None:
    chosen = arguments()
    peers = [] if chosen.fresh else load(PEERS)
    known = [] if chosen.out == PEERS else peers
    rows = collect(
        plan(chosen), run, chosen.out, known, chosen.workers, chosen.minutes, PACKAGES, each_alone=True
    )
    kept = longest([*peers, *rows])
    tally: dict[tuple[str, int], list[str]] = {}
    for name in chosen.problems:
        mine = [row for (problem, _, _), row in kept.items() if problem == name]
        if mine:
            report(CASES[name], mine, tally)
    summary(tally)


if __name__ == "__main__":
    main()
