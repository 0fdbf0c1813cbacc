"""Which classifier, and its hyperparameters: the bandit beside searches of the joint space, at equal budgets.

    python benchmarks/cash.py --quick                 # two data sets, three seeds, 40 evaluations
    python benchmarks/cash.py                         # six data sets, ten seeds, 60 evaluations
    python benchmarks/cash.py --minutes 9             # a piece of it; the same line goes on where it stopped

The space is that of examples/autotune.py: six classifiers of scikit-learn, each with its own hyperparameters. Data:
parts of digits, breast cancer and wine, and three generated sets (linear with noise, moons with idle features, many
classes).
A seed draws the data or its part, the folds and the search's own numbers. Reported: the mean best score over three
folds, and on how many data sets the bandit's mean is better than that of `bo` and of `tpe` on the joint space, with the
90 % bootstrap interval of the difference over the seeds. Needs `pip install 'optengine[hpo]'`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from rows import collect, grid, parser, verdict

METHODS = ("bandit", "rising", "joint_bo", "joint_tpe")
NAMES = ("digits", "cancer", "wine", "linear", "moons", "classes")
QUICK = ("wine", "moons")
PACKAGES = ("optengine", "numpy", "scipy", "scikit-learn")


def data(name: str, seed: int) -> tuple[Any, Any]:
    """X (n, features), y (n,); names beginning with "try" are for choosing settings, and never reported."""
    from sklearn import datasets
    from tuning_tasks import part

    make = datasets.make_classification
    if name == "digits":
        return part(datasets.load_digits(return_X_y=True), 250, seed)
    if name == "cancer":
        return part(datasets.load_breast_cancer(return_X_y=True), 250, seed)
    if name == "wine":
        return part(datasets.load_wine(return_X_y=True), 120, seed)
    if name == "linear":
        return make(240, 20, n_informative=10, n_clusters_per_class=1, flip_y=0.1, random_state=seed)
    if name == "classes":
        return make(
            300, 15, n_informative=8, n_classes=5, n_clusters_per_class=1, class_sep=0.8, random_state=seed
        )
    if name == "moons":
        X, y = datasets.make_moons(240, noise=0.25, random_state=seed)
        return np.hstack([X, np.random.default_rng(seed).normal(size=(240, 4))]), y
    if name == "try circles":
        X, y = datasets.make_circles(200, noise=0.15, factor=0.6, random_state=seed)
        return np.hstack([X, np.random.default_rng(seed).normal(size=(200, 2))]), y
    return make(
        220, 12, n_informative=4, n_redundant=4, n_clusters_per_class=3, flip_y=0.05, random_state=seed
    )


def run(case: dict[str, Any]) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler
    from tuning_tasks import Task, autotune_space, folds, measure

    X, y = data(case["problem"], case["seed"])
    pipeline = Pipeline([("scale", StandardScaler()), ("clf", LogisticRegression())])
    task = Task(pipeline, autotune_space(), X, y, "accuracy", folds(case["seed"]))
    return {**case, **measure(task, case["method"], case["budget"], case["seed"])}


def report(rows: list[dict[str, Any]], methods: list[str], names: list[str]) -> None:
    best = {(r["method"], r["problem"], r["seed"]): -r["value"] for r in rows}
    print(f"{'data':12}{'seeds':>6}" + "".join(f"{method:>11}" for method in methods))
    wins: dict[tuple[str, str], int] = {}
    for name in names:
        seeds = sorted({s for m, p, s in best if p == name and all((o, name, s) in best for o in methods)})
        if not seeds:
            continue
        scores = {method: np.array([best[method, name, s] for s in seeds]) for method in methods}
        print(f"{name:12}{len(seeds):6}" + "".join(f"{scores[m].mean():11.4f}" for m in methods))
        for ours in [m for m in methods if m in ("bandit", "rising")]:
            for peer in [m for m in methods if m.startswith("joint")]:
                word, low, high = verdict(scores[peer] - scores[ours])
                print(f"    {ours} beside {peer}: {word} (loss {low:+.4f} to {high:+.4f})")
                wins[ours, peer] = wins.get((ours, peer), 0) + bool(scores[ours].mean() > scores[peer].mean())
    for (ours, peer), n in wins.items():
        print(f"{ours} has the better mean than {peer} on {n} of {len(names)}")
    for method in methods:
        cpu = [row["cpu_tuner"] for row in rows if row["method"] == method]
        print(f"{method}: {np.median(cpu) if cpu else np.nan:.2f} CPU s of its own a search")


def main() -> None:
    arguments = parser(__doc__, Path(__file__).resolve().parent / "out" / "cash.jsonl")
    arguments.add_argument("--data", nargs="+")
    arguments.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    chosen = arguments.parse_args()
    seeds = chosen.seeds or (3 if chosen.quick else 10)
    names = list(chosen.data or (QUICK if chosen.quick else NAMES))
    cases = grid(names, chosen.methods, seeds, chosen.budget or (40 if chosen.quick else 60))
    rows = collect(cases, run, chosen.out, [], chosen.workers, chosen.minutes, PACKAGES)
    report(rows, chosen.methods, names)


if __name__ == "__main__":
    main()
