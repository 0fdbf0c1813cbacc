"""Knapsacks and set covers: values by hand, moves, files, what users get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from optengine.core.errors import ProblemError
from optengine.problems import MILP, Knapsack, SetCover
from optengine.problems.formats import read, read_all

MKNAP = "2\n3 2 9\n4 5 6\n1 2 3\n3 2 1\n4 4\n2 1 0\n7 8\n1 1\n1\n"
SCP = "2 3\n4 5 6\n2 1 3\n1\n2\n"


def test_a_knapsack_by_hand() -> None:
    problem = Knapsack([4, 5, 6], [[1, 2, 3], [3, 2, 1]], [4, 4])
    evaluation = problem.evaluate(np.array([[1.0, 0, 1], [1, 1, 0], [1, 1, 1]]))
    assert (-evaluation.F[:, 0]).tolist() == [10, 9, 15]
    assert evaluation.violation.tolist() == [0, 0.25, 1.0]
    assert problem.describe([1, 0, 1])["slack"].tolist() == [0, 0]
    assert isinstance(problem, MILP)


def test_a_cover_by_hand() -> None:
    problem = SetCover.from_lists([[0, 2], [1]], [4, 5, 6])
    evaluation = problem.evaluate(np.array([[1.0, 1, 0], [0, 0, 1]]))
    assert evaluation.F[:, 0].tolist() == [9, 6]
    assert evaluation.violation.tolist() == [0, 1]
    assert problem.describe([0, 0, 1])["uncovered"].tolist() == [1]
    assert SetCover([[0, 1], [1, 1]]).costs.tolist() == [1, 1]


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text(MKNAP)
    first, second = read_all(path)
    assert isinstance(first, Knapsack)
    assert (first.best_known, second.best_known) == (None, None) or first.best_known == 9
    assert second.capacities.tolist() == [1]
    assert read(path, index=1).fingerprint() == second.fingerprint()
    assert Knapsack.load(path).profits.tolist() == [4, 5, 6]
    path.write_text(SCP)
    cover = read(path)
    assert isinstance(cover, SetCover)
    assert cover.covers.toarray().tolist() == [[1, 0, 1], [0, 1, 0]]
    assert SetCover.load(path).costs.tolist() == [4, 5, 6]
    with pytest.raises(ProblemError, match="holds a SetCover, not a Knapsack"):
        Knapsack.load(path)


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(SCP[:-2])
    with pytest.raises(ProblemError, match=r"bad.txt: .*2 rows of 3 columns"):
        read(path)
    path.write_text(MKNAP[:-3])
    with pytest.raises(ProblemError, match=r"bad\.txt"):
        read(path)


def test_bad_input_is_named() -> None:
    with pytest.raises(ProblemError, match="weights must have a row for each of 1 capacities"):
        Knapsack([1, 2], [[1, 2], [3, 4]], [5])
    with pytest.raises(ProblemError, match="weights must be finite and not negative"):
        Knapsack([1, 2], [[1, -2]], [5])
    with pytest.raises(ProblemError, match="row 1 must be covered by a column"):
        SetCover([[1, 0], [0, 0]])
    with pytest.raises(ProblemError, match="covers must hold 0 and 1, got 2"):
        SetCover([[1, 2]])
    with pytest.raises(ProblemError, match="costs must be finite and positive"):
        SetCover([[1, 1]], [0, 1])
    with pytest.raises(ProblemError, match=r"rows must name columns 0\.\.1, got 0 to 2"):
        SetCover.from_lists([[0, 2]], [1, 1])
