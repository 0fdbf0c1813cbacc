"""Independent sets and cliques: by hand, forms, files; the search against the linear form; what users get wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems import Clique, IndependentSet
from optengine.problems.formats import read

EVERY = np.array(list(itertools.product((0.0, 1.0), repeat=10)))
SQUARE = [(0, 1), (1, 2), (2, 3), (0, 3)]


def test_a_square_by_hand() -> None:
    problem = IndependentSet(SQUARE)
    evaluation = problem.evaluate(np.array([[1.0, 0, 1, 0], [1, 1, 1, 0]]))
    assert (-evaluation.F[:, 0]).tolist() == [2, 3]
    assert evaluation.violation.tolist() == [0, 2]
    clique = Clique(SQUARE)
    assert clique.evaluate(np.array([[1.0, 1, 0, 0], [1, 0, 1, 0]])).violation.tolist() == [0, 1]
    assert IndependentSet(problem.adjacency).fingerprint() == problem.fingerprint()
    assert problem.describe([1, 1, 0, 0])["conflicts"] == 1


@pytest.mark.parametrize("seed", range(4))
def test_search_and_all_forms_have_one_optimum(seed: int) -> None:
    problem = IndependentSet.random(np.random.default_rng(seed), 10, 0.4)
    evaluation = problem.evaluate(EVERY)
    best = -evaluation.F[evaluation.feasible(), 0].min()
    assert -problem.qubo().evaluate(EVERY).F.min() == best
    assert oe.solve(problem.milp(), "milp", seed=0).fun == best
    result = oe.solve(problem, budget=20_000, seed=0)
    assert result.solver == "independent_set"
    assert result.fun == best
    assert result.bound is not None
    assert result.bound >= best
    edges = {tuple(edge) for edge in problem.edges.tolist()}
    cliques = [set(itertools.combinations(clique.tolist(), 2)) for clique in problem.clique_cover()]
    assert set().union(*cliques) == edges


def test_a_seed_is_a_run_and_a_start_is_kept() -> None:
    problem = Clique.random(np.random.default_rng(0), 120, 0.6)
    first, again = (oe.solve(problem, budget=2_000_000, seed=1) for _ in range(2))
    assert first.history.X.tobytes() == again.history.X.tobytes()
    assert first.feasible
    kept = oe.solve(problem, budget=200, x0=first.x, seed=9)
    assert kept.fun is not None
    assert kept.fun >= first.fun
    assert oe.solve(IndependentSet([], 5), time_limit=5, seed=0).status == "optimal"


def test_files(tmp_path: Path) -> None:
    text = "c square\np edge 4 4\ne 1 2\ne 2 3\ne 3 4\ne 1 4\n"
    for name, kind in (("a.clq", Clique), ("a.gph", IndependentSet)):
        (tmp_path / name).write_text(text)
        problem = read(tmp_path / name)
        assert type(problem) is kind
    (tmp_path / "bare.clq").write_text(text[text.index("4 4") :])
    assert read(tmp_path / "bare.clq").fingerprint() == read(tmp_path / "a.clq").fingerprint()
    for bad, says in (
        (text[:-6], r"announces 4 edges, got 3 \(truncated\?\)"),
        (text.replace("e 1 2", "e 1 1"), "a loop at node 0"),
        (text.replace("e 1 2", "e 1 5"), r"nodes in 0\.\.3"),
        (text.replace("e 1 2", "edge 1 2 3"), "line 3: expected 'e i j'"),
    ):
        (tmp_path / "bad.clq").write_text(bad)
        with pytest.raises(ProblemError, match=says):
            read(tmp_path / "bad.clq")


def test_bad_graphs_are_named() -> None:
    with pytest.raises(ProblemError, match="must be square and symmetric"):
        IndependentSet(np.triu(np.ones((3, 3)), 1))
    with pytest.raises(ProblemError, match="a graph needs at least one node"):
        IndependentSet([])
