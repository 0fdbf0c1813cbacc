"""Six tuning tasks: ours through `OptEngineSearchCV` beside Optuna and scikit-learn's own searches.

    python benchmarks/tuning.py --quick                 # three seeds of three tasks, 30 evaluations
    python benchmarks/tuning.py                         # ten seeds, 50 evaluations; some hours on one core
    python benchmarks/tuning.py --minutes 9             # a piece of it; the same line goes on where it stopped

Tasks (tuning_tasks.py): an SVM on digits, a random forest on digits, gradient boosting on diabetes, a small neural
network and a pipeline with choices of preprocessing and classifier on generated data, and an SVM behind a PCA on breast
cancer, half of whose space fails. A seed draws data or its part, the folds and the search's own numbers. All methods
see the same folds. HalvingRandomSearchCV gets candidates until its fits cost as much as 50 whole ones; its choice is
scored on the whole.
Reported: the mean rank of the best score (ties share their mean), the tuner's own CPU seconds a search (all but fits
and scores), and on the failing task the share of failed evaluations after the first 15. Peers' rows come from
benchmarks/peers/tuning.jsonl where they were measured already (`--peers` measures them anew into that file).
Needs `pip install 'optengine[hpo,bayes]'`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from rows import collect, grid, load, parser, verdict
from scipy.stats import rankdata

OURS = ("optengine", "optengine_bo")
PEERS = ("optuna_tpe", "optuna_gp", "random", "halving")
NAMES = ("svm", "forest", "boosting", "mlp", "pipeline", "failing")
QUICK = ("svm", "pipeline", "failing")
PACKAGES = ("optengine", "numpy", "scipy", "scikit-learn", "optuna", "torch")
HOME = Path(__file__).resolve().parent
KEPT = HOME / "peers" / "tuning.jsonl"


def run(case: dict[str, Any]) -> dict[str, Any]:
    from tuning_tasks import TASKS, measure

    task = TASKS[case["problem"]](case["seed"])
    return {**case, **measure(task, case["method"], case["budget"], case["seed"])}


def table(
    rows: list[dict[str, Any]], methods: list[str], names: list[str], seeds: int
) -> dict[str, np.ndarray]:
    """Best values (tasks, seeds) by method, NaN where a run is missing."""
    found = {method: np.full((len(names), seeds), np.nan) for method in methods}
    for row in rows:
        found[row["method"]][names.index(row["problem"]), row["seed"]] = row["value"]
    return found


def report(rows: list[dict[str, Any]], methods: list[str], names: list[str], seeds: int) -> None:
    values = np.stack(list(table(rows, methods, names, seeds).values()))  # (methods, tasks, seeds)
    full = ~np.isnan(values).any(axis=0)
    print(f"{int(full.sum())} of {full.size} pairs of task and seed are complete")
    if not full.any():
        return
    ranks = np.full(values.shape, np.nan)
    ranks[:, full] = rankdata(np.round(values[:, full], 9), axis=0)
    print(
        f"{'method':15}{'mean rank':>10}" + "".join(f"{name:>10}" for name in names) + f"{'tuner CPU s':>13}"
    )
    for i, method in enumerate(methods):
        cpu = [row["cpu_tuner"] for row in rows if row["method"] == method]
        each = "".join(
            f"{np.nanmean(ranks[i, j]):10.2f}" if full[j].any() else f"{'-':>10}" for j in range(len(names))
        )
        print(f"{method:15}{np.nanmean(ranks[i]):10.2f}{each}{np.median(cpu):13.2f}")
    for i, method in enumerate(methods[1:], start=1):
        word, low, high = verdict((ranks[0] - ranks[i])[full])
        print(f"{methods[0]} beside {method}: {word} (difference of ranks {low:+.2f} to {high:+.2f})")
    late = {
        m: [r["failed_late"] for r in rows if r["method"] == m and r["problem"] == "failing"] for m in methods
    }
    for method, shares in late.items():
        kept = [share for share in shares if share is not None]
        if kept:
            print(f"failing task, {method}: {np.mean(kept):.0%} failed after the first 15")


def main() -> None:
    arguments = parser(__doc__, HOME / "out" / "tuning.jsonl")
    arguments.add_argument("--tasks", nargs="+", choices=NAMES)
    arguments.add_argument("--methods", nargs="+", default=[*OURS, *PEERS], choices=[*OURS, *PEERS])
    arguments.add_argument(
        "--peers", action="store_true", help="measure missing rows of peers into peers/tuning.jsonl"
    )
    chosen = arguments.parse_args()
    seeds = chosen.seeds or (3 if chosen.quick else 10)
    names = list(chosen.tasks or (QUICK if chosen.quick else NAMES))
    cases = grid(names, chosen.methods, seeds, chosen.budget or (30 if chosen.quick else 50))
    rows, kept = [], load(KEPT)
    if chosen.peers:
        theirs = [case for case in cases if case["method"] in PEERS]
        cases = [case for case in cases if case["method"] not in PEERS]
        rows = collect(theirs, run, KEPT, kept, chosen.workers, chosen.minutes, PACKAGES)
    rows += collect(cases, run, chosen.out, kept, chosen.workers, chosen.minutes, PACKAGES)
    report(rows, chosen.methods, names, seeds)


if __name__ == "__main__":
    main()
