"""CMA-ES: known optima, bounds, starting points, tells of every kind, restarts, mixed spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Row,
    Simplex,
    Space,
    Subset,
)
from optengine.solvers.evolution import CMAES, SepCMAES

BOX = [(-5.0, 5.0)] * 5
STRATEGIES = (CMAES(), SepCMAES(), CMAES(surrogate=True))


def sphere(X: np.ndarray) -> np.ndarray:
    return ((X - 1.5) ** 2).sum(axis=1)


def ellipsoid(X: np.ndarray) -> np.ndarray:
    return (
        10.0 ** np.linspace(0, 4, X.shape[1]) * (X @ ROTATION[: X.shape[1], : X.shape[1]] - 1.0) ** 2
    ).sum(axis=1)


def rosenbrock(X: np.ndarray) -> np.ndarray:
    return (100.0 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1.0 - X[:, :-1]) ** 2).sum(axis=1)


ROTATION = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 5)))[0]


def mixed(X: np.ndarray) -> np.ndarray:
    """Best at r = 0.3, n = 7, o = 2nd, c = 3rd, b = 1: 0."""
    return (X[:, 0] - 0.3) ** 2 + 0.1 * abs(X[:, 1] - 7) + abs(X[:, 2] - 1) + (X[:, 3] != 2) + (1 - X[:, 4])


MIXED = Space(
    r=Real(0, 1), n=Integer(0, 9), o=Ordinal([1, 10, 100]), c=Categorical(["u", "v", "w"]), b=Binary()
)

# -- known optima ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "function", "budget", "tolerance"),
    [
        (CMAES(), sphere, 2000, 1e-9),
        (CMAES(), ellipsoid, 4000, 1e-8),
        (CMAES(restarts="ipop"), rosenbrock, 6000, 1e-6),
        (SepCMAES(), sphere, 2000, 1e-9),
        (CMAES(surrogate=True), sphere, 100, 1e-8),
        (CMAES(surrogate=True), ellipsoid, 300, 1e-8),
        (CMAES(surrogate=True), rosenbrock, 1000, 1e-6),
    ],
)
def test_optimum_of_smooth_functions(
    encoded: Any, solver: Any, function: Any, budget: int, tolerance: float
) -> None:
    result = oe.solve(encoded(function, BOX), solver, budget=budget, seed=1, target=tolerance / 2)
    assert result.fun <= tolerance


def test_optimum_in_a_corner(encoded: Any) -> None:
    """Where plain clipping of an unbounded search piles up."""
    for solver in STRATEGIES:
        result = oe.solve(encoded(lambda X: X.sum(axis=1), BOX), solver, budget=2500, seed=0)
        assert result.fun <= -25 + 1e-6


def test_logarithmic_columns_are_searched_on_their_logarithm(encoded: Any) -> None:
    space = Space(a=Real(1e-8, 1.0, log=True), b=Real(1e-8, 1.0, log=True))
    result = oe.solve(
        encoded(lambda X: (np.log10(X / 1e-5) ** 2).sum(axis=1), space), CMAES(), budget=800, seed=0
    )
    assert result.fun < 1e-6


@pytest.mark.parametrize(
    ("space", "function", "budget"),
    [
        (Space(Integer(-20, 20, shape=4)), lambda X: ((X - 7) ** 2).sum(axis=1), 1500),
        (MIXED, mixed, 3000),
        (Space(c=Categorical(list("abcde"), shape=6)), lambda X: (X != np.arange(6) % 5).sum(axis=1), 3000),
        (Space(n=Integer(1, 10**6, log=True), x=Real(0, 1)), lambda X: (np.log10(X[:, 0]) - 3) ** 2 + X[:, 1], 1500),
        (Space(n=Integer(1, 64, log=True), x=Real(0, 1)), lambda X: (np.log2(X[:, 0]) - 3) ** 2 + X[:, 1], 1500),
    ],
)  # fmt: skip
def test_levels_and_categories(encoded: Any, space: Space, function: Any, budget: int) -> None:
    pytest.importorskip("cmaes")
    result = oe.solve(
        encoded(function, space),
        "cmaes",
        budget=budget,
        seed=2,
    )
    assert result.fun < 1e-3


def test_simplex_shares(encoded: Any) -> None:
    best = np.array([0.5, 0.3, 0.15, 0.05])
    problem = encoded(lambda X: ((X - best) ** 2).sum(axis=1), Space(Simplex(4)))
    assert oe.solve(problem, CMAES(), budget=1500, seed=0).fun < 1e-6


def test_observed_constraints_are_kept(encoded: Any) -> None:
    def disk(X: np.ndarray) -> dict[str, np.ndarray]:
        return {"f": X.sum(axis=1), "g": (X**2).sum(axis=1) - 1.0}

    problem = encoded(disk, [(-5, 5)] * 2, objectives="f", constraints="g")
    result = oe.solve(problem, CMAES(), budget=1500, seed=0)
    assert result.feasible
    assert result.fun == pytest.approx(-np.sqrt(2), abs=1e-3)


def test_known_rows_are_kept(encoded: Any) -> None:
    space = Space([(-5.0, 5.0)] * 3, rows=[Row([1, 1, 1], lower=2)])
    for solver in STRATEGIES:
        result = oe.solve(encoded(lambda X: (X**2).sum(axis=1), space), solver, budget=1500, seed=0)
        assert result.fun == pytest.approx(4 / 3, abs=0.01)


# -- the contract ----------------------------------------------------------------------------------------------


def test_x0_and_data_set_the_first_mean(encoded: Any) -> None:
    x0 = np.array([4.0, -4.0, 3.0, 0.0, 1.0])
    for solver in STRATEGIES:
        run = solver.start(encoded(sphere, BOX), np.random.default_rng(0))
        evaluation = Evaluation.of(np.array([5.0, 1.0, np.nan]))
        evaluation.ids = np.full(3, -1)
        run.tell(np.array([np.zeros(5), x0, np.ones(5)]), evaluation)
        X = run.ask(400)
        np.testing.assert_allclose(np.median(X, axis=0), x0, atol=1.0)


@given(seed=st.integers(0, 10**4), which=st.integers(0, 2))
@settings(max_examples=15)
def test_rows_may_come_in_any_order_and_fail(seed: int, which: int) -> None:
    """Pieces, old rows after a restart, failed rows, rows of nobody: never a wrong shape, never a point outside."""
    rng = np.random.default_rng(seed)
    problem = Problem(sphere, BOX, call="encoded", vectorized=True)
    run, waiting = STRATEGIES[which].start(problem, rng), np.empty((0, 5))
    for _ in range(40):
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


@pytest.mark.parametrize("solver", [*STRATEGIES, CMAES(restarts="ipop", population=4)])
def test_a_flat_objective_and_one_that_always_fails_restart(encoded: Any, solver: Any) -> None:
    for value in (3.0, np.nan):
        problem = encoded(lambda X, value=value: np.full(len(X), value), [(0, 1)] * 2)
        result = oe.solve(problem, solver, budget=600, seed=0, catch=True)
        assert result.n_evaluations == 600


def test_never_restarting_ends_the_run(encoded: Any, drive: Callable[..., Any]) -> None:
    result = oe.solve(encoded(sphere, BOX), CMAES(restarts="never"), budget=10_000, seed=0)
    assert result.status == "converged"
    assert result.n_evaluations < 5000
    assert result.details["restarts"] == 1
    run = CMAES(restarts="never").start(encoded(sphere, [(0, 1)]), np.random.default_rng(0))
    for _ in range(200):  # generations; a flat objective ends much earlier
        if run.details["restarts"]:
            break
        X = run.ask()
        run.tell(X, Evaluation.of(np.zeros(len(X))))
    with pytest.raises(StopAsking):
        run.ask()


def test_larger_batches_are_larger_generations(encoded: Any) -> None:
    result = oe.solve(encoded(ellipsoid, BOX), CMAES(), budget=8000, batch_size=64, seed=0)
    assert result.fun < 1e-6


def test_a_better_point_of_another_process_is_followed(encoded: Any) -> None:
    run = CMAES().start(encoded(sphere, BOX), np.random.default_rng(0))
    for _ in range(3):
        X = run.ask()
        run.tell(X, Evaluation.of(((X + 4.5) ** 2).sum(axis=1) + 10.0))
    there = np.full((1, 5), 4.0)
    evaluation = Evaluation.of(np.zeros(1))
    evaluation.ids = np.full(1, -1)
    before = run.ask(200).mean()
    run.tell(there, evaluation)
    for _ in range(2):
        X = run.ask()
        run.tell(X, Evaluation.of(np.full(len(X), 10.0) + np.arange(len(X))))
    assert run.ask(200).mean() > before


def test_the_model_saves_most_evaluations(encoded: Any) -> None:
    spent = [
        oe.solve(encoded(ellipsoid, BOX), solver, budget=5000, seed=0, target=1e-6).n_evaluations
        for solver in (CMAES(), CMAES(surrogate=True))
    ]
    assert spent[1] < 0.35 * spent[0]


# -- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "space", "word"),
    [
        (CMAES(), Space(Permutation(5)), "permutations"),
        (CMAES(), Space(s=Subset(5, size=2), x=Real(0, 1)), "subsets"),
        (CMAES(surrogate=True), Space(n=Integer(0, 5), x=Real(0, 1)), "real numbers"),
        (SepCMAES(), Space(n=Integer(0, 5)), "real numbers"),
        (CMAES(), Space(Real(0, 1, shape=2001)), "sep_cmaes"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_sentence(
    encoded: Any, solver: Any, space: Space, word: str
) -> None:
    reason = solver.refuses(encoded(sphere, space))
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"sigma": 0}, "sigma"),
        ({"sigma": np.inf}, "sigma"),
        ({"population": 3}, "population"),
        ({"population": 8.5}, "population"),
        ({"restarts": "often"}, "restarts"),
        ({"surrogate": 1}, "surrogate"),
    ],
)
def test_options_are_checked(options: dict[str, Any], word: str) -> None:
    with pytest.raises(OptionError, match=word):
        CMAES(**options)
