"""The hybrid: both methods at work, starting points, noise, constraints, tells of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.problem import Problem
from optengine.core.space import Integer, Permutation, Real, Row, Space
from optengine.solvers.evolution import Hybrid

BOX = [(-5.0, 5.0)] * 5


def ellipsoid(X: np.ndarray) -> np.ndarray:
    return (10.0 ** np.linspace(0, 6, X.shape[1]) * (X - 1.5) ** 2).sum(axis=1)


def step_ellipsoid(X: np.ndarray) -> np.ndarray:
    """Plateaus: without slopes, SLSQP ends at once."""
    return (10.0 ** np.linspace(0, 2, X.shape[1]) * np.round(X - 1.5) ** 2).sum(axis=1)


def rastrigin(X: np.ndarray) -> np.ndarray:
    Z = X - 1.5
    return (10 + Z**2 - 10 * np.cos(2 * np.pi * Z)).sum(axis=1)


@pytest.mark.parametrize(
    ("function", "budget", "value"),
    [(ellipsoid, 300, 1e-6), (step_ellipsoid, 600, 20.0), (rastrigin, 3000, 6.0)],
)
def test_smooth_flat_and_rugged(encoded: Any, function: Any, budget: int, value: float) -> None:
    result = oe.solve(encoded(function, BOX), "hybrid", budget=budget, seed=0, target=value)
    assert result.fun <= value


def test_details_say_what_each_method_did(encoded: Any) -> None:
    details = oe.solve(encoded(rastrigin, BOX), Hybrid(), budget=1500, seed=0).details
    assert details["slsqp"]["starts"] == 1
    assert sum(details["slsqp"]["ended"].values()) == 1
    assert details["cmaes"]["restarts"] >= 0


def test_noise_leaves_the_gradients_out(encoded: Any) -> None:
    rng = np.random.default_rng(0)
    problem = encoded(
        lambda X: ((X - 1.5) ** 2).sum(axis=1) + 0.1 * rng.standard_normal(len(X)), BOX, noisy=True
    )
    result = oe.solve(problem, Hybrid(), budget=600, seed=0)
    assert "slsqp" not in result.details
    assert abs(np.asarray(result.x) - 1.5).max() < 0.6


def test_observed_constraints_and_known_rows_are_kept(encoded: Any) -> None:
    def disk(X: np.ndarray) -> dict[str, np.ndarray]:
        return {"f": X.sum(axis=1), "g": (X**2).sum(axis=1) - 1.0}

    problem = encoded(disk, [(-5, 5)] * 2, objectives="f", constraints="g")
    result = oe.solve(problem, Hybrid(), budget=600, seed=0)
    assert result.feasible
    assert result.fun == pytest.approx(-np.sqrt(2), abs=1e-3)
    space = Space([(-5.0, 5.0)] * 3, rows=[Row([1, 1, 1], lower=2)])
    result = oe.solve(encoded(lambda X: (X**2).sum(axis=1), space), Hybrid(), budget=300, seed=0)
    assert result.fun == pytest.approx(4 / 3, abs=1e-3)


def test_many_columns_have_no_dense_matrices(encoded: Any) -> None:
    problem = encoded(lambda X: ((X - 0.3) ** 2).sum(axis=1), Space(Real(0, 1, shape=250)))
    assert oe.solve(problem, Hybrid(), budget=1200, seed=0).fun < 1e-6


def test_x0_is_where_it_starts(encoded: Any) -> None:
    problem = encoded(lambda X: np.where(abs(X - 4).max(axis=1) < 0.5, ((X - 4) ** 2).sum(axis=1), 99.0), BOX)
    result = oe.solve(problem, Hybrid(), budget=60, seed=0, x0=[np.full(5, 3.8)])
    assert result.fun < 1e-6


@given(seed=st.integers(0, 10**4))
@settings(max_examples=10, deadline=None)
def test_rows_may_come_in_any_order_and_fail(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = Problem(rastrigin, BOX, call="encoded", vectorized=True)
    run, waiting = Hybrid(starts=2).start(problem, rng), np.empty((0, 5))
    for _ in range(30):
        X = run.ask(int(rng.integers(1, 12)))
        assert problem.space.contains(X).all()
        waiting = rng.permutation(np.concatenate([waiting, X]))
        k = int(rng.integers(len(waiting) + 1))
        told, waiting = waiting[:k], waiting[k:]
        told = np.concatenate([told, problem.space.sample(1, rng)])
        evaluation = problem.evaluate(told)
        evaluation.failed |= rng.random(len(told)) < 0.1
        evaluation.F[evaluation.failed] = np.nan
        run.tell(told, evaluation)


def test_refusals_and_options(encoded: Any) -> None:
    assert "real numbers" in Hybrid().refuses(encoded(ellipsoid, Space(n=Integer(0, 5))))
    assert "permutations" in Hybrid().refuses(encoded(ellipsoid, Space(Permutation(4))))
    assert "objective" in Hybrid().refuses(encoded(ellipsoid, BOX, objectives=["a", "b"]))
    for options in ({"starts": -1}, {"sigma": 0}, {"population": 2}):
        with pytest.raises(OptionError, match=next(iter(options))):
            Hybrid(**options)  # type: ignore[arg-type]
