"""Linear models: what they hold, their violation by hand, what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import sparse

from optengine import ProblemError
from optengine.core.linear import LinearModel

A = [[1.0, 2.0, 0.0], [0.0, 1.0, -1.0]]


@pytest.mark.parametrize("rows", [A, np.array(A), sparse.csr_matrix(A), sparse.coo_array(A)])
def test_a_model_and_its_violation_by_hand(rows: Any) -> None:
    model = LinearModel(
        [1, 1, 1], rows, [-np.inf, 0], [4, 0], lb=0, ub=[3, 3, 10], integrality=[True, False, True]
    )
    assert (model.n_variables, model.n_rows) == (3, 2)
    assert model.sparse is sparse.issparse(rows)
    assert model.value([1, 2, 3]) == 6
    assert model.value([[1, 0, 0], [0, 2, 2]]).tolist() == [1, 4]
    assert model.violation([0, 1, 1]) == 0
    X = [[2, 1, 1], [2, 2, 2], [0, 2, 1], [5, 0, 0], [0.5, 0, 0]]
    #      fits      row 0     row 1    bound    whole
    assert np.allclose(model.violation(X), [0, 2 / 6, 1 / 3, 2 / 5, 0.5])
    for name in ("c", "lower", "upper", "lb", "ub", "integrality"):
        assert not getattr(model, name).flags.writeable


def test_models_without_rows_or_bounds() -> None:
    model = LinearModel([1.0, -1.0], lb=-np.inf)
    assert model.n_rows == 0
    assert model.violation([[5, -7], [0, 0]]).tolist() == [0, 0]
    assert LinearModel([]).violation(np.zeros((2, 0))).tolist() == [0, 0]


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_sparse_and_dense_models_agree(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 6, 2)
    dense = rng.integers(-2, 3, (m, n)).astype(float)
    low = rng.integers(-4, 3, m).astype(float)
    arguments = (low, low + rng.integers(0, 4, m))
    whole = rng.random(n) < 0.5
    X = rng.integers(-3, 4, (5, n)) / 2
    first = LinearModel(np.ones(n), dense, *arguments, lb=-1, ub=1, integrality=whole)
    second = LinearModel(np.ones(n), sparse.csc_matrix(dense), *arguments, lb=-1, ub=1, integrality=whole)
    assert np.allclose(first.violation(X), second.violation(X))
    sums = X @ dense.T
    fits = ((sums >= arguments[0]) & (sums <= arguments[1])).all(axis=1) & (abs(X) <= 1).all(axis=1)
    fits &= (X[:, whole] == np.rint(X[:, whole])).all(axis=1)
    assert ((first.violation(X) == 0) == fits).all()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"c": "x"}, ("c", "'x'")),
        ({"c": [[1, 2]]}, ("c", "one-dimensional", "(1, 2)")),
        ({"c": [np.inf, 1]}, ("c", "finite")),
        ({"c": [np.nan, 1]}, ("c", "NaN")),
        ({"A": [[1, 2, 3]]}, ("A", "(m, 2)", "(1, 3)")),
        ({"A": [[1, "x"]]}, ("A", "'x'")),
        ({"A": [[1, np.inf]]}, ("A", "finite")),
        ({"A": sparse.csr_matrix([[1, np.nan]])}, ("A", "finite")),
        ({"A": [[1, 1]], "lower": [0, 1]}, ("lower", "(1,)", "(2,)")),
        ({"A": [[1, 1]], "lower": 2, "upper": 1}, ("lower", "upper", "2.0", "1.0", "index 0")),
        ({"lb": 1, "ub": [2, 0]}, ("lb", "ub", "index 1")),
        ({"lb": np.inf}, ("lb", "ub", "inf")),
        ({"lb": np.nan}, ("lb", "NaN")),
        ({"integrality": [1, 2]}, ("integrality", "[1, 2]")),
        ({"integrality": [True]}, ("integrality", "(2,)", "(1,)")),
        ({"integrality": list(range(40))}, ("integrality", "...")),
    ],
)
def test_bad_models_are_refused_in_one_sentence(
    clear: Any, arguments: dict[str, Any], words: tuple[str, ...]
) -> None:
    with clear(ProblemError, *words):
        LinearModel(**({"c": [1, 1]} | arguments))
