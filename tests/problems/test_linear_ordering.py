"""Linear ordering: by hand, its moves by the contract, its linear form."""

from __future__ import annotations

import itertools

import numpy as np

import optengine as oe
from optengine.problems import LinearOrdering
from optengine.testing import check_problem


def test_by_hand_and_by_enumeration() -> None:
    problem = LinearOrdering([[0, 5, 1], [2, 0, 4], [7, 3, 0]])
    assert (-problem.evaluate(np.array([[0.0, 1, 2], [2, 0, 1]])).F[:, 0]).tolist() == [10, 15]
    problem = LinearOrdering.random(np.random.default_rng(0), 6)
    every = np.array(list(itertools.permutations(range(6))), dtype=float)
    best = -problem.evaluate(every).F.min()
    result = oe.solve(problem, budget=4000, seed=0)
    assert result.solver == "linear_order"
    assert result.fun == best
    assert oe.solve(problem.milp(), "milp", time_limit=20, seed=0).fun == best


def test_it_keeps_the_contract() -> None:
    check_problem(LinearOrdering.random(np.random.default_rng(1), 9))
