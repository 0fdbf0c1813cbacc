"""Bayesian optimization of several objectives beside BoTorch's own tutorial: hypervolume after 60 evaluations.

    python benchmarks/bo_multiobjective.py --quick                  # 2 seeds of BraninCurrin
    python benchmarks/bo_multiobjective.py --out rows.jsonl         # 5 seeds of all; a second call goes on
    python benchmarks/bo_multiobjective.py --out rows.jsonl --minutes 9

The peer is the recipe of BoTorch's tutorial "Noisy, parallel, multi-objective BO": 2 (d + 1) Sobol points, one
SingleTaskGP an objective with standardised outcomes, noisy expected hypervolume improvement in its logarithmic form
with 128 samples and the problem's true reference point, four points a batch chosen one after the other, 10 restarts
from 512 raw samples, at most 200 iterations. Ours is `BO(batch=4)`, the fast engine: it infers its reference point from
the front so far; `ours, known` is given the true one as the recipe is, and `ours, botorch` (not run by default) is the
other engine. Values are exact. The hypervolume is that of all points
evaluated, beyond the problem's reference point; medians over the seeds with quartiles, and the 90 % bootstrap
interval of the mean difference; CPU seconds are those of the process, per suggested point. Needs `pip install
'optengine[bayes]'`.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import rows

BUDGET, BATCH = 60, 4
METHODS = ("ours", "ours, known", "tutorial", "ours, botorch")
PROBLEMS = ("BraninCurrin", "DTLZ2", "VehicleSafety")


def function(name: str) -> Any:
    import torch
    from botorch.test_functions import multi_objective as functions

    torch.set_num_threads(1)
    arguments: dict[str, Any] = {"dim": 6, "num_objectives": 2} if name == "DTLZ2" else {}
    return getattr(functions, name)(negate=True, **arguments).to(torch.float64)


def volume(problem: Any, F: np.ndarray) -> float:
    """Hypervolume of maximised values F (n, k) beyond the reference point."""
    import moocore

    reference = -problem.ref_point.numpy()
    Z = -F[(F > problem.ref_point.numpy()).all(axis=1)]
    return float(moocore.hypervolume(Z, ref=reference)) if len(Z) else 0.0


def ours(name: str, seed: int, method: str) -> np.ndarray:
    import optengine as oe
    from optengine.problems.adapters import from_botorch
    from optengine.solvers.bayes import BO

    f = function(name)
    point = f.ref_point.tolist() if method == "ours, known" else None
    engine = "botorch" if method == "ours, botorch" else "fast"
    solver = BO(engine=engine, batch=BATCH, reference_point=point)
    result = oe.solve(from_botorch(f), solver, budget=BUDGET, seed=seed)
    return np.asarray(result.history.F)


def tutorial(name: str, seed: int) -> np.ndarray:
    import torch
    from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
    from botorch.fit import fit_gpytorch_mll
    from botorch.models import ModelListGP, SingleTaskGP
    from botorch.models.transforms.outcome import Standardize
    from botorch.optim import optimize_acqf
    from botorch.sampling.normal import SobolQMCNormalSampler
    from botorch.utils.sampling import draw_sobol_samples
    from botorch.utils.transforms import normalize, unnormalize
    from gpytorch.mlls import SumMarginalLogLikelihood

    warnings.simplefilter("ignore")
    torch.manual_seed(seed)
    f = function(name)
    box = torch.stack([torch.zeros(f.dim), torch.ones(f.dim)]).double()
    X = draw_sobol_samples(f.bounds, n=2 * (f.dim + 1), q=1, seed=seed).squeeze(1)
    Y = f(X)
    while len(X) < BUDGET:
        Z = normalize(X, f.bounds)
        models = [SingleTaskGP(Z, Y[:, [i]], outcome_transform=Standardize(m=1)) for i in range(Y.shape[1])]
        model = ModelListGP(*models)
        fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model,
            ref_point=f.ref_point.tolist(),
            X_baseline=Z,
            prune_baseline=True,
            sampler=SobolQMCNormalSampler(torch.Size([128]), seed=seed + len(X)),
        )
        new, _ = optimize_acqf(
            acquisition,
            bounds=box,
            q=min(BATCH, BUDGET - len(X)),
            num_restarts=10,
            raw_samples=512,
            options={"batch_limit": 5, "maxiter": 200},
            sequential=True,
        )
        X_new = unnormalize(new.detach(), f.bounds)
        X, Y = torch.cat([X, X_new]), torch.cat([Y, f(X_new)])
    return np.asarray(Y.numpy())


def run(case: rows.Row) -> rows.Row:
    start, name, seed = time.process_time(), case["problem"], case["seed"]
    F = tutorial(name, seed) if case["method"] == "tutorial" else ours(name, seed, case["method"])
    f = function(name)
    value = volume(f, F[:BUDGET])
    return case | {
        "value": -value,
        "early": -volume(f, F[: BUDGET // 2]),
        "cpu": round(time.process_time() - start, 2),
    }


def report(found: list[rows.Row]) -> None:
    print(
        f"{'problem':14} {'method':12} {'n':>3} {'median':>9} {'quartiles':>19} {'at half':>9} {'CPU s/point':>12}"
    )
    for name in PROBLEMS:
        values = {}
        for method in METHODS:
            mine = {r["seed"]: r for r in found if r["problem"] == name and r["method"] == method}
            if not mine:
                continue
            v = np.array([-r["value"] for r in mine.values()])
            half = np.median([-r["early"] for r in mine.values()])
            cpu = np.mean([r["cpu"] for r in mine.values()]) / BUDGET
            low, mid, high = np.quantile(v, [0.25, 0.5, 0.75])
            print(
                f"{name:14} {method:12} {len(v):3} {mid:9.4g} {low:9.4g} {high:9.4g} {half:9.4g} {cpu:12.2f}"
            )
            values[method] = {seed: r["value"] for seed, r in mine.items()}
        for method in METHODS:
            if method == "tutorial":
                continue
            seeds = sorted(set(values.get(method, {})) & set(values.get("tutorial", {})))
            if len(seeds) > 1:
                gap = np.array([values[method][s] - values["tutorial"][s] for s in seeds])
                word, low, high = rows.verdict(gap)
                print(f"{'':14} {method} - tutorial, minus hypervolume: {word} [{low:.3g}, {high:.3g}]")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2 seeds of BraninCurrin")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--problems", nargs="+", default=PROBLEMS, choices=PROBLEMS)
    parser.add_argument("--methods", nargs="+", default=METHODS[:3], choices=METHODS)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="no run starts after this")
    a = parser.parse_args()
    seeds, problems = (2, PROBLEMS[:1]) if a.quick else (a.seeds, a.problems)
    cases = [
        {"problem": name, "method": method, "seed": seed, "budget": BUDGET}
        for seed in range(seeds)
        for name in problems
        for method in a.methods
    ]
    report(rows.collect(cases, run, a.out, [], a.workers, a.minutes))


if __name__ == "__main__":
    main()
