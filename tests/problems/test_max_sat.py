"""MAX-SAT: by hand, the linear form, files, the search and its books."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems import MaxSAT
from optengine.problems.formats import read


def test_by_hand() -> None:
    problem = MaxSAT([[1, -2], [2], [-1, 2]], [2, np.inf, 1])
    evaluation = problem.evaluate(np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]))
    assert evaluation.F[:, 0].tolist() == [0, 2, 1, 0]
    assert evaluation.violation.tolist() == [1, 0, 1, 0]
    assert problem.describe([1, 0])["unsatisfied"].tolist() == [1, 2]


@pytest.mark.parametrize("seed", range(3))
def test_the_search_and_the_linear_form_find_the_optimum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    plain = MaxSAT.random(rng, 9, 70)
    clauses = [
        (plain.bits[a:b] + 1) * (2 * plain.wanted[a:b] - 1) for a, b in itertools.pairwise(plain.indptr)
    ]
    problem = MaxSAT(clauses, np.r_[[np.inf] * 5, rng.integers(1, 9, 65)])
    every = np.array(list(itertools.product((0.0, 1.0), repeat=9)))
    evaluation = problem.evaluate(every)
    best = evaluation.F[evaluation.feasible(), 0].min()
    result = oe.solve(problem, budget=30_000, seed=0)
    assert (result.solver, result.fun) == ("prob_sat", best)
    assert oe.solve(problem.milp(), "milp", time_limit=30, seed=0).fun == pytest.approx(best)


def test_satisfiable_clauses_are_proved() -> None:
    rng = np.random.default_rng(1)
    secret = rng.integers(0, 2, 100)
    bits = np.array([rng.choice(100, 3, replace=False) for _ in range(380)])
    literals = (bits + 1) * rng.choice([-1, 1], bits.shape)
    literals[:, 0] = (bits[:, 0] + 1) * (2 * secret[bits[:, 0]] - 1)
    first, again = (oe.solve(MaxSAT(list(literals)), budget=2_000_000, seed=0) for _ in range(2))
    assert (first.status, first.fun) == ("optimal", 0)
    assert first.history.X.tobytes() == again.history.X.tobytes()


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    for text, weights in (
        ("c x\np cnf 3 2\n1 -3 0\n2 3\n-1 0\n", [1, 1]),
        ("p wcnf 3 2 9\n9 1 -3 0\n4 2 3 -1 0\n", [np.inf, 4]),
        ("h 1 -3 0\n4 2 3 -1 0\n", [np.inf, 4]),
    ):
        path.write_text(text)
        problem = read(path)
        assert isinstance(problem, MaxSAT)
        assert problem.weights.tolist() == weights
        assert problem.bits.tolist() == [2, 0, 0, 1, 2]
    for text, says in (
        ("p cnf 3 3\n1 0\n", "announces 3 clauses, got 1"),
        ("p cnf 3 1\n1 2\n", "does not end with 0"),
        ("p cnf 1 1\n2 0\n", r"literals must be 1\.\.1"),
        ("p cnf 1 1\nx 0\n", "expected a literal, got 'x'"),
    ):
        path.write_text(text)
        with pytest.raises(ProblemError, match=says):
            read(path)
