"""Mixtures of data: what runs cost, and pools of runs that exist."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems import LinearCost, RunPool, TableCost

SIZES = (0.1, 1.0)


def loss(mixture: np.ndarray, size: float) -> float:
    best = np.array([0.6, 0.3, 0.1])
    return float(((np.asarray(mixture) - best) ** 2).sum() + 0.2 * (1 - size) * (1 + mixture[0]))


def pool(seed: int = 0, n: int = 40, cost: Any = None) -> RunPool:
    space = oe.Space(mixture=oe.Simplex(3), size=oe.Ordinal(list(SIZES), fidelity=True, target=1.0))
    mixtures = np.random.default_rng(seed).dirichlet(np.ones(3), size=n)
    runs = [{"mixture": m, "size": s} for m in mixtures for s in SIZES]
    return RunPool(space, runs, [loss(**run) for run in runs], cost=cost or LinearCost({"size": 1.0}))


def test_costs() -> None:
    linear = LinearCost({"size": 2.0, "mixture": [0, 1, 3]}, fixed=0.5)
    assert linear({"size": 0.5, "mixture": np.array([0.5, 0.25, 0.25])}) == pytest.approx(0.5 + 1 + 1)
    table = TableCost("model", {"1M": 1, "1B": 400})
    assert table({"model": "1B"}) == 400.0
    assert pickle.loads(pickle.dumps(linear))({"size": 0, "mixture": [0, 0, 0]}) == 0.5
    with pytest.raises(ProblemError, match="give every value a cost"):
        table({"model": "7B"})
    with pytest.raises(ProblemError, match="not in"):
        linear({"size": 1.0})
    with pytest.raises(ProblemError, match="finite numbers > 0"):
        TableCost("model", {"1M": 0})
    with pytest.raises(ProblemError, match="finite numbers"):
        LinearCost({"size": np.nan})


def test_bo_proposes_runs_of_the_pool_and_other_solvers_points_that_stand_for_them() -> None:
    problem = pool()
    result = oe.solve(problem, solver="bo", budget=12, seed=0)
    assert all(problem.holds(x) for x in problem.space.decode(result.history.X))
    assert result.x["size"] == 1.0
    assert result.fun == pytest.approx(loss(**result.x))
    other = oe.solve(problem, solver="random", budget=15, seed=0)
    assert not problem.holds(other.x)
    assert problem.holds(other.details["run"])
    assert other.fun == pytest.approx(loss(**other.details["run"]))


def test_bo_makes_no_run_twice_and_ends_when_all_are_made() -> None:
    problem = pool(n=6)
    result = oe.solve(problem, solver="bo", budget=50, seed=0)
    assert result.status == "converged"
    assert result.n_evaluations == 12
    assert len(np.unique(result.history.X, axis=0)) == 12
    assert result.fun == problem.best_known


def test_small_runs_save_cost() -> None:
    """The best of 40 mixtures at a tenth of what all runs at the target cost; the target alone has no small ones."""
    problem = pool(1)
    result = oe.solve(problem, solver="bo", max_cost=6.0, seed=0)
    assert result.fun <= np.sort(problem.values[1::2])[1]
    assert (result.history.X[:, -1] == 0).sum() > (result.history.X[:, -1] == 1).sum()
    alone = oe.solve(problem, solver="bo", options={"surrogate": "gp"}, budget=5, seed=0)
    assert (alone.history.X[:, -1] == 1).all()


def test_the_size_asked_is_the_one_that_tells_most_per_cost() -> None:
    """Were the cost not counted, every run would be made at the target; were it large, none."""
    dear = oe.solve(pool(cost=TableCost("size", {0.1: 1.0, 1.0: 1.0})), solver="bo", budget=20, seed=0)
    cheap = oe.solve(pool(cost=TableCost("size", {0.1: 0.001, 1.0: 1.0})), solver="bo", budget=20, seed=0)
    assert (dear.history.X[:, -1] == 1).sum() > (cheap.history.X[:, -1] == 1).sum()


def test_pools_that_cannot_be() -> None:
    space = oe.Space(a=oe.Real(0, 1))
    with pytest.raises(ProblemError, match="one value for each"):
        RunPool(space, [{"a": 0.1}], [1.0, 2.0])
    with pytest.raises(ProblemError, match="some twice"):
        RunPool(space, [{"a": 0.1}, {"a": 0.1}], [1.0, 2.0])
    with pytest.raises(ProblemError, match="finite values"):
        RunPool(space, [{"a": 0.1}], [np.nan])
    problem = RunPool(space, [{"a": 0.1}, {"a": 0.7}], [1.0, 2.0], direction="maximize")
    assert problem.nearest({"a": 0.5}) == {"a": 0.7}
    assert not problem.holds({"a": 0.5})
    assert problem.evaluate(space.encode({"a": 0.5})).F[0, 0] == -2.0
    assert pickle.loads(pickle.dumps(problem)).fingerprint() == problem.fingerprint()
    assert problem.best_known == 2.0
