"""SciPy's local methods, asked and told: optima, bounds, differences, restarts, constraints, threads that end."""

from __future__ import annotations

import gc
import pickle
import threading
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.core.space import Integer, Real, Row, Space
from optengine.solvers.local import COBYQA, LBFGSB, SLSQP, DualAnnealing, NelderMead, Powell
from optengine.solvers.local.conversation import Conversation
from optengine.solvers.local.objective import Objective

BOX = [(-5.0, 5.0)] * 4
METHODS = (LBFGSB(), SLSQP(), COBYQA(), NelderMead(), Powell(), DualAnnealing())


def sphere(X: np.ndarray) -> np.ndarray:
    return ((X - 1.5) ** 2).sum(axis=1)


def rosenbrock(X: np.ndarray) -> np.ndarray:
    return (100.0 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1.0 - X[:, :-1]) ** 2).sum(axis=1)


# -- known optima ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", METHODS)
def test_optimum_of_a_valley(encoded: Any, solver: Any) -> None:
    result = oe.solve(encoded(rosenbrock, BOX), solver, budget=2500, seed=1, target=1e-5)
    assert result.fun <= 1e-5


@pytest.mark.parametrize("solver", METHODS)
def test_optimum_in_a_corner(encoded: Any, solver: Any) -> None:
    assert oe.solve(encoded(lambda X: X.sum(axis=1), BOX), solver, budget=600, seed=0).fun <= -20 + 1e-4


@pytest.mark.parametrize("solver", [SLSQP(), COBYQA()])
def test_observed_constraints_and_known_rows(encoded: Any, solver: Any) -> None:
    def disk(X: np.ndarray) -> dict[str, np.ndarray]:
        return {"f": X.sum(axis=1), "g": (X**2).sum(axis=1) - 1.0}

    problem = encoded(disk, [(-5, 5)] * 2, objectives="f", constraints="g")
    result = oe.solve(problem, solver, budget=300, seed=0)
    assert result.feasible
    assert result.fun == pytest.approx(-np.sqrt(2), abs=1e-3)
    space = Space([(-5.0, 5.0)] * 3, rows=[Row([1, 1, 1], lower=2), Row([1, -1, 0], lower=0, upper=0)])
    result = oe.solve(encoded(lambda X: (X**2).sum(axis=1), space), solver, budget=300, seed=0)
    assert result.fun == pytest.approx(4 / 3, abs=1e-3)


def test_logarithmic_columns_are_searched_on_their_logarithm(encoded: Any) -> None:
    space = Space(a=Real(1e-8, 1.0, log=True), b=Real(1e-8, 1.0, log=True))
    problem = encoded(lambda X: (np.log10(X / 1e-5) ** 2).sum(axis=1), space)
    assert oe.solve(problem, SLSQP(), budget=60, seed=0).fun < 1e-8


def test_the_unit_of_the_objective_does_not_matter(encoded: Any) -> None:
    spent = [
        oe.solve(
            encoded(lambda X, k=k: k * rosenbrock(X), BOX), SLSQP(), budget=1000, seed=3, target=k * 1e-6
        ).n_evaluations
        for k in (1e-6, 1.0, 1e6)
    ]
    assert max(spent) <= 1.5 * min(spent)


# -- finite differences ----------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), central=st.booleans())
@settings(max_examples=25)
def test_differences_are_the_gradient_at_the_bounds_too(seed: int, central: bool) -> None:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((3, 3))
    u = np.clip(rng.uniform(-0.5, 1.5, 3), 0.0, 1.0)
    asked = []

    def evaluate(points: np.ndarray) -> np.ndarray:
        asked.append(points)
        return np.einsum("ij,jk,ik->i", points, A, points)[:, np.newaxis]

    objective = Objective(evaluate, 1e-6, central)
    np.testing.assert_allclose(objective.gradient(u), (A + A.T) @ u, atol=1e-4)
    points = np.concatenate(asked)
    assert len(points) == (7 if central else 4)
    assert ((points >= 0) & (points <= 1)).all()


def test_every_difference_counts(encoded: Any) -> None:
    result = oe.solve(encoded(sphere, BOX), LBFGSB(), budget=23, seed=0)
    assert result.n_evaluations == len(result.history) == 23


# -- the conversation ------------------------------------------------------------------------------------------


def local_threads() -> int:
    return sum(thread.name == "optengine-local" for thread in threading.enumerate())


def test_threads_end_with_their_run(encoded: Any) -> None:
    gc.collect()
    before = local_threads()
    run = COBYQA().start(encoded(sphere, BOX), np.random.default_rng(0))
    X = run.ask(5)
    assert local_threads() > before
    pickled = pickle.dumps(run)
    del run
    gc.collect()
    deadline = time.monotonic() + 5.0
    while local_threads() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert local_threads() <= before
    again = pickle.loads(pickled)
    again.tell(X, Evaluation.of(sphere(X)))
    again.close()


def test_an_error_in_a_method_reaches_the_caller() -> None:
    def method(evaluate: Any) -> None:
        evaluate(np.zeros((1, 2)))
        raise RuntimeError("inside")

    conversation = Conversation(method)
    with pytest.raises(RuntimeError, match="inside"):
        conversation.answer(np.zeros((1, 1)))
    assert conversation.points is None


@pytest.mark.parametrize("solver", METHODS)
def test_more_points_than_one_start_wants_open_further_starts(encoded: Any, solver: Any) -> None:
    run = solver.start(encoded(sphere, BOX), np.random.default_rng(0))
    X = run.ask(20)
    assert len(np.unique(X, axis=0)) == 20
    run.tell(X, Evaluation.of(sphere(X)))
    assert run.details["starts"] >= 2
    run.close()


def test_a_given_number_of_starts_ends_the_run(encoded: Any) -> None:
    result = oe.solve(encoded(sphere, BOX), SLSQP(starts=2), budget=5000, seed=0)
    assert result.status == "converged"
    assert result.details["starts"] == 2
    assert result.fun < 1e-10
    run = NelderMead(starts=1).start(encoded(sphere, [(0, 1)]), np.random.default_rng(0))
    for _ in range(2000):
        if run.finished:
            break
        X = run.ask()
        run.tell(X, Evaluation.of(np.zeros(len(X))))
    with pytest.raises(StopAsking):
        run.ask()


def test_the_first_start_is_at_the_best_point_known(encoded: Any) -> None:
    run = SLSQP().start(encoded(sphere, BOX), np.random.default_rng(0))
    evaluation = Evaluation.of(np.array([5.0, 1.0, np.nan]))
    evaluation.ids = np.full(3, -1)
    x0 = np.array([4.0, -4.0, 3.0, 0.0])
    run.tell(np.array([np.zeros(4), x0, np.ones(4)]), evaluation)
    np.testing.assert_allclose(run.ask(1)[0], x0)
    run.close()


@given(seed=st.integers(0, 10**4), which=st.integers(0, len(METHODS) - 1))
@settings(max_examples=12, deadline=None)
def test_rows_may_come_in_any_order_and_fail(seed: int, which: int) -> None:
    rng = np.random.default_rng(seed)
    problem = Problem(sphere, BOX, call="encoded", vectorized=True)
    run, waiting = METHODS[which].start(problem, rng), np.empty((0, 4))
    for _ in range(15):
        X = run.ask(int(rng.integers(1, 12)))
        assert problem.space.contains(X).all()
        waiting = rng.permutation(np.concatenate([waiting, X]))
        k = int(rng.integers(len(waiting) + 1))
        told, waiting = waiting[:k], waiting[k:]
        evaluation = problem.evaluate(told)
        evaluation.failed |= rng.random(len(told)) < 0.1
        evaluation.F[evaluation.failed] = np.nan
        run.tell(told, evaluation)
    run.close()


# -- refusals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", METHODS)
def test_what_it_cannot_do_is_refused_in_a_sentence(encoded: Any, solver: Any) -> None:
    assert "real numbers" in solver.refuses(encoded(sphere, Space(n=Integer(0, 5), x=Real(0, 1))))
    assert "objective" in solver.refuses(encoded(sphere, BOX, objectives=["a", "b"]))
    constrained = solver.refuses(encoded(sphere, BOX, objectives=["a"], constraints=["g"]))
    assert (constrained is None) == isinstance(solver, SLSQP | COBYQA)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (LBFGSB, {"starts": 0}),
        (LBFGSB, {"memory": 0}),
        (SLSQP, {"step": 0.5}),
        (SLSQP, {"stall": 1.0}),
        (SLSQP, {"central": 1}),
        (COBYQA, {"radius": 0}),
        (NelderMead, {"tolerance": 0}),
        (DualAnnealing, {"visit": 1}),
        (DualAnnealing, {"accept": 0}),
        (DualAnnealing, {"temperature": 0}),
    ],
)
def test_options_are_checked(kind: Any, options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        kind(**options)
