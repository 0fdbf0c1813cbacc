"""The cross-entropy method over local optima: exact budgets, repeatable, better than its rows; what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.problems import QAP, TSP, MaxCut
from optengine.solvers import CEM

PROBLEMS: dict[str, Any] = {
    "cut": lambda: MaxCut.random(np.random.default_rng(0), 60),
    "qap": lambda: QAP.random(np.random.default_rng(1), 12),
    "tour": lambda: TSP(coordinates=np.random.default_rng(2).random((30, 2))),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_budget_is_exact_and_the_seed_decides(name: str) -> None:
    problem = PROBLEMS[name]()
    first = oe.solve(problem, CEM(descend=True), budget=20_011, seed=3)
    again = oe.solve(problem, CEM(descend=True), budget=20_011, seed=3)
    assert first.n_evaluations == again.n_evaluations == 20_011
    assert first.fun == again.fun
    assert np.array_equal(first.x, again.x)
    value = problem.evaluate(problem.space.encode(first.x)).F[0, 0] * problem.objectives[0].sign
    assert value == first.fun
    assert first.details["descents"] > 1


def test_it_ends_where_no_move_improves() -> None:
    problem = PROBLEMS["cut"]()
    result = oe.solve(problem, CEM(descend=True), budget=200_000, seed=0)
    nodes = np.repeat(np.arange(60), 2).reshape(-1, 2)
    change, _ = problem.delta(problem.space.encode(result.x)[0], "flip", nodes)
    assert (change >= 0).all()
    blind = oe.solve(problem, CEM(), budget=200_000, seed=0)
    assert result.fun >= blind.fun


def test_x0_is_honoured() -> None:
    problem = PROBLEMS["qap"]()
    good = oe.solve(problem, CEM(descend=True), budget=50_000, seed=1)
    short = oe.solve(problem, CEM(descend=True), budget=300, seed=2, x0=[good.x])
    assert short.fun <= good.fun


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (oe.Problem(lambda x: 0.0, oe.Space(oe.Binary(shape=4)), call="array"), "offers none"),
        (oe.Problem(lambda x: 0.0, [(0, 1)], call="array"), "offers none"),
    ],
)
def test_what_cannot_descend_says_so(problem: oe.Problem, words: str) -> None:
    with pytest.raises(oe.SolverNotSuitable, match=words):
        oe.solve(problem, CEM(descend=True), budget=10)
