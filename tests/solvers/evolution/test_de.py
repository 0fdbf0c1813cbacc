"""Differential evolution: known optima, every kind of variable, shrinking populations, tells of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.space import Categorical, Integer, Permutation, Real, Space
from optengine.solvers.evolution import DE

BOX = [(-5.0, 5.0)] * 5


def sphere(X: np.ndarray) -> np.ndarray:
    return ((X - 1.5) ** 2).sum(axis=1)


def rastrigin(X: np.ndarray) -> np.ndarray:
    Z = X - 1.5
    return (10 + Z**2 - 10 * np.cos(2 * np.pi * Z)).sum(axis=1)


@pytest.mark.parametrize(
    ("solver", "function", "budget"),
    [(DE(), sphere, 4000), (DE(), rastrigin, 20_000), (DE(horizon=15_000), rastrigin, 15_000)],
)
def test_optimum_of_known_functions(encoded: Any, solver: Any, function: Any, budget: int) -> None:
    assert oe.solve(encoded(function, BOX), solver, budget=budget, seed=0).fun < 1e-6


def test_every_kind_of_variable(encoded: Any) -> None:
    space = Space(x=Real(0, 1), n=Integer(0, 9), c=Categorical(list("abcd"), shape=3), p=Permutation(4))

    def function(X: np.ndarray) -> np.ndarray:
        away = (X[:, 2:5] != [1, 3, 0]).sum(axis=1) + abs(X[:, 5:] - np.arange(4)).sum(axis=1)
        return (X[:, 0] - 0.3) ** 2 + 0.1 * abs(X[:, 1] - 7) + away

    assert oe.solve(encoded(function, space), DE(), budget=6000, seed=0).fun < 1e-3


def test_the_population_shrinks_over_the_horizon(encoded: Any) -> None:
    result = oe.solve(encoded(rastrigin, BOX), DE(horizon=3000), budget=3000, seed=0)
    assert result.details["population"] <= 6


def test_observed_constraints_are_kept(encoded: Any) -> None:
    def disk(X: np.ndarray) -> dict[str, np.ndarray]:
        return {"f": X.sum(axis=1), "g": (X**2).sum(axis=1) - 1.0}

    problem = encoded(disk, [(-5, 5)] * 2, objectives="f", constraints="g")
    result = oe.solve(problem, DE(), budget=3000, seed=0)
    assert result.feasible
    assert result.fun == pytest.approx(-np.sqrt(2), abs=1e-3)


def test_a_flat_objective_restarts(encoded: Any) -> None:
    result = oe.solve(encoded(lambda X: np.zeros(len(X)), [(0, 1)]), DE(population=4), budget=4000, seed=0)
    assert result.n_evaluations == 4000
    assert result.details["restarts"] >= 1


@given(seed=st.integers(0, 10**4), horizon=st.sampled_from([None, 300]))
@settings(max_examples=15)
def test_rows_may_come_in_any_order_and_fail(seed: int, horizon: int | None) -> None:
    rng = np.random.default_rng(seed)
    problem = Problem(sphere, BOX, call="encoded", vectorized=True)
    run, waiting = DE(horizon=horizon).start(problem, rng), np.empty((0, 5))
    for _ in range(40):
        X = run.ask(int(rng.integers(1, 30)))
        assert problem.space.contains(X).all()
        waiting = rng.permutation(np.concatenate([waiting, X]))
        k = int(rng.integers(len(waiting) + 1))
        told, waiting = waiting[:k], waiting[k:]
        told = np.concatenate([told, problem.space.sample(1, rng)])
        evaluation: Evaluation = problem.evaluate(told)
        evaluation.failed |= rng.random(len(told)) < 0.1
        evaluation.F[evaluation.failed] = np.nan
        run.tell(told, evaluation)


@pytest.mark.parametrize(
    "options", [{"population": 3}, {"horizon": 0}, {"p_best": 0}, {"archive": -1}, {"memory": 0}]
)
def test_options_are_checked(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        DE(**options)
