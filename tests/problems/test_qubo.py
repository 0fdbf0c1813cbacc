"""QUBO: values by hand, Ising and linear forms, deltas, readers, what users get wrong."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import optengine as oe
from optengine.core.errors import OptionError, ProblemError
from optengine.problems import QUBO, MaxCut
from optengine.problems.formats import read, read_all


def every(n: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=n)))


def test_values_by_hand() -> None:
    problem = QUBO([[1, 2], [4, -3]], constant=10)
    assert problem.evaluate(every(2)).F[:, 0].tolist() == [10, 7, 11, 14]
    assert problem.describe([0, 1])["ones"].tolist() == [1]


@pytest.mark.parametrize("kind", ["dense", "sparse", "triangle"])
def test_any_matrix_is_its_quadratic_form(kind: str) -> None:
    rng = np.random.default_rng(4)
    Q = rng.integers(-9, 10, (7, 7)).astype(float)
    Q = np.triu(Q) if kind == "triangle" else Q
    problem = QUBO(sp.coo_array(Q) if kind == "sparse" else Q, direction="maximize")
    X = every(7)
    expected = np.einsum("ri,ij,rj->r", X, Q, X)
    assert (-problem.evaluate(X).F[:, 0]).tolist() == expected.tolist()
    for i in range(7):
        dF, dG = problem.delta(X[9], "flip", [[i, i]])
        assert dG.shape == (1, 0)
        Y = X[9].copy()
        Y[i] = 1 - Y[i]
        assert dF[0, 0] == problem.evaluate(Y[None]).F[0, 0] - problem.evaluate(X[9:10]).F[0, 0]


def test_ising_is_the_same_function() -> None:
    rng = np.random.default_rng(1)
    h, J = rng.integers(-4, 5, 6), np.triu(rng.integers(-4, 5, (6, 6)), 1)
    problem = QUBO.from_ising(h, J, offset=3)
    X = every(6)
    S = 2 * X - 1
    energy = 3 + S @ h + np.einsum("ri,ij,rj->r", S, J, S)
    np.testing.assert_allclose(problem.evaluate(X).F[:, 0], energy)
    back_h, back_J, offset = problem.to_ising()
    np.testing.assert_allclose(back_h, h)
    np.testing.assert_allclose(back_J.toarray(), J)
    assert offset == pytest.approx(3)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_linear_form_has_the_same_optimum(direction: str) -> None:
    Q = np.random.default_rng(2).integers(-9, 10, (8, 8))
    problem = QUBO(Q, direction=direction)
    F = problem.evaluate(every(8)).F[:, 0]
    result = oe.solve(problem.milp(), "milp", seed=0)
    assert result.status == "optimal"
    assert result.fun == pytest.approx(problem.signs[0] * F.min())


def test_a_cut_is_a_qubo() -> None:
    problem = MaxCut.random(np.random.default_rng(0), 9)
    X = problem.space.sample(40, np.random.default_rng(1))
    np.testing.assert_allclose(problem.qubo().evaluate(X).F, problem.evaluate(X).F)
    best = oe.solve(problem.milp(), "milp", seed=0)
    assert best.fun == oe.solve(problem, budget=20_000, seed=0).fun


def test_bad_input_is_named() -> None:
    with pytest.raises(ProblemError, match=r"Q must be a square matrix, got shape \(1, 2\)"):
        QUBO([[1, 2]])
    with pytest.raises(ProblemError, match="Q must be finite"):
        QUBO([[np.nan]])
    with pytest.raises(ProblemError, match="constant must be finite, got inf"):
        QUBO([[1]], constant=np.inf)
    with pytest.raises(ProblemError, match="J must have an empty diagonal"):
        QUBO.from_ising([1], [[1]])
    with pytest.raises(ProblemError, match="h must hold one number for each of 2 spins"):
        QUBO.from_ising([1], np.zeros((2, 2)))
    with pytest.raises(OptionError, match="kind must be"):
        QUBO([[1]]).delta([0], "swap", [[0, 0]])
    with pytest.raises(ProblemError, match=r"bits in 0\.\.0"):
        QUBO([[1]]).delta([0], "flip", [[1, 1]])


# -- files ---------------------------------------------------------------------------------------------------------

QBSOLV = "c a comment\np qubo 0 3 2 2\nc nodes\n0 0 4\n2 2 -1.5\n0 1 -6\n1 2 2\n"
BQP = "2\n2 2\n1 1 3\n1 2 -2\n3 1\n1 3 5\n"
RUDY = "3 2\n1 2 4\n2 3 -1\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "file.txt"
    path.write_text(text)
    return path


def test_formats(tmp_path: Path) -> None:
    problem = read(write(tmp_path, QBSOLV))
    assert isinstance(problem, QUBO)
    assert problem.objectives[0].direction == "minimize"
    assert problem.evaluate(np.array([[1.0, 1, 0], [0, 1, 1]])).F[:, 0].tolist() == [-2, 0.5]
    assert read(write(tmp_path, "c Beasley\n" + QBSOLV)).objectives[0].direction == "maximize"
    first, second = read_all(write(tmp_path, BQP))
    assert (-first.evaluate(np.ones((1, 2))).F[0, 0], -second.evaluate(np.ones((1, 3))).F[0, 0]) == (-1, 10)
    cut = read(write(tmp_path, RUDY))
    assert isinstance(cut, MaxCut)
    assert -cut.evaluate(np.array([[0.0, 1, 0]])).F[0, 0] == 3
    assert isinstance(MaxCut.load(tmp_path / "file.txt"), MaxCut)
    with pytest.raises(ProblemError, match="holds a MaxCut, not a QUBO"):
        QUBO.load(tmp_path / "file.txt")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (QBSOLV[:-7], r"announces 2 \+ 2 entries, got 3 \(truncated\?\)"),
        (QBSOLV.replace("0 1 -6", "0 3 -6"), r"line 6: indices must be in 0\.\.2"),
        (QBSOLV.replace("0 1 -6", "0 1"), "line 6: expected 'i j value', got '0 1'"),
        (QBSOLV.replace("p qubo 0 3", "p qubo 3"), "expected 'p qubo target nodes"),
        (RUDY[:-7], r"announces 2 edges, got 1 \(truncated\?\)"),
        (RUDY.replace("1 2 4", "2 2 4"), "line 2: an edge must join two nodes"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        read(write(tmp_path, text))
