"""Min-max violation: the value by hand, sparse as dense, levels, fixed variables, and what is refused."""

from __future__ import annotations

import pickle
import resource

import numpy as np
import pytest
from hypothesis import given, strategies as st
from scipy.sparse import csr_array, random_array

import optengine as oe
from optengine.core.errors import OptionError, ProblemError, SpaceError
from optengine.problems.minmax import MinMaxViolation

A = np.array([[1.0, 2.0], [3.0, -1.0], [0.0, 1.0]])


def test_value_by_hand() -> None:
    problem = MinMaxViolation(A, [0, -np.inf, 2], [1, 2, np.inf], [-1.0, 0.0, 2.0], weights=[1, 2, 1])
    x = np.array([2.0, -1.0])  # rows: 0, 7, -1; violations 0, 2 * 5, 3
    X = problem.space.encode(x)
    assert X.tolist() == [[2, 0]]
    assert problem.evaluate(X).F[0, 0] == 10
    assert problem.violations(X)[0, 0].tolist() == [0, 10, 3]
    assert problem.space.decode_one(X[0]).tolist() == x.tolist()
    assert problem.describe(x)["worst_rows"].tolist() == [1, 2, 0]


def test_several_sides_share_a_matrix() -> None:
    b = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    problem = MinMaxViolation.equality(A, b, [[0.0, 1.0], [0.0, 1.0, 2.0]])
    assert problem.space.width == 4
    x = np.array([[1.0, 0.0], [0.0, 1.0]])
    single = [MinMaxViolation.equality(A, row, [[0.0, 1.0], [0.0, 1.0, 2.0]]) for row in b]
    each = [p.evaluate(p.space.encode(row)).F[0, 0] for p, row in zip(single, x, strict=True)]
    X = problem.space.encode(x)
    assert problem.describe(x)["values"].tolist() == each
    assert problem.evaluate(X).F[0, 0] == max(each)
    assert problem.space.decode_one(X[0]).shape == (2, 2)


@given(st.integers(0, 10**6))
def test_sparse_is_dense_and_delta_is_the_difference(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = rng.integers(1, 12, 3)
    M = rng.standard_normal((m, n)) * (rng.random((m, n)) < 0.5)
    low = np.where(rng.random((k, m)) < 0.2, -np.inf, rng.standard_normal((k, m)))
    high = np.where(np.isinf(low), 1.0, low + rng.exponential(1.0, (k, m)) * (rng.random((k, m)) < 0.5))
    levels = [np.sort(rng.choice(20, rng.integers(1, 6), replace=False) / 4.0) for _ in range(n)]
    w = rng.uniform(0.5, 2, m)
    dense, sparse = (
        MinMaxViolation(M, low, high, levels, w),
        MinMaxViolation(csr_array(M), low, high, levels, w),
    )
    X = dense.space.sample(4, rng)
    np.testing.assert_allclose(sparse.evaluate(X).F, dense.evaluate(X).F, atol=1e-12)
    np.testing.assert_array_equal(dense.space.encode(dense.space.decode(X)), X)
    columns = rng.integers(0, k * n, 8)
    moves = np.column_stack([columns, rng.integers(0, dense.sets.count[columns])])
    after = np.repeat(X[:1], 8, axis=0)
    after[np.arange(8), moves[:, 0]] = moves[:, 1]
    for problem in (dense, sparse):
        dF, dG = problem.delta(X[0], "level", moves)
        expected = problem.evaluate(after).F - problem.evaluate(X[:1]).F
        np.testing.assert_allclose(dF, expected, atol=1e-12)
        assert dG.shape == (8, 0)


@given(st.integers(0, 10**6))
def test_zero_iff_every_row_is_kept(seed: int) -> None:
    rng = np.random.default_rng(seed)
    problem = MinMaxViolation(rng.standard_normal((3, 4)), -1.0, 1.0, [-1.0, 0.0, 1.0])
    X = problem.space.sample(20, rng)
    kept = (np.abs(problem.products(X)) <= 1).all(axis=(1, 2))
    assert ((problem.evaluate(X).F[:, 0] == 0) == kept).all()


def test_fixed_variables_hold_one_level() -> None:
    problem = MinMaxViolation.equality(A, np.zeros(3), [-1.0, 0.0, 1.0], fixed={1: 1.0})
    assert problem.space.n_levels.tolist() == [3, 1]
    assert (problem.space.columns(problem.space.sample(20, np.random.default_rng(0)))[:, 1] == 1).all()
    same = MinMaxViolation.equality(A, np.zeros(3), [-1.0, 0.0, 1.0], fixed=[np.nan, 1.0])
    assert same.fingerprint() == problem.fingerprint()
    with pytest.raises(ProblemError, match="no assignment can have"):
        MinMaxViolation.equality(A, np.zeros(3), [-1.0, 0.0, 1.0], fixed={1: 0.5})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"A": A * np.nan}, "A must be finite, got nan"),
        ({"A": np.ones(3)}, "A must be a matrix"),
        ({"A": csr_array(np.where(A == 3, np.inf, A))}, "A must be finite"),
        ({"lower": [1, 2, 3], "upper": [1, 1, 3]}, "lower must be <= upper, got 2.0 > 1.0 in row 1"),
        ({"lower": [1, 2]}, r"lower must be a number or of shape \(3,\)"),
        ({"lower": np.zeros((2, 3)), "upper": np.ones((3, 3))}, r"lower must be of shape \(3,\) or \(3, 3\)"),
        ({"upper": np.nan}, "upper must not hold NaN"),
        ({"levels": []}, "levels must hold at least one number"),
        ({"levels": [[0.0], []]}, "levels of variable 1 must hold at least one number"),
        ({"levels": [1.0, 0.0]}, "levels must be ascending, got 1 before 0"),
        ({"levels": [0.0, 1.0, 1.0]}, "levels must be distinct, got 1 before 1"),
        ({"levels": [0.0, np.inf]}, "levels must be finite"),
        ({"levels": [[0.0, 1.0]]}, "levels must be one set for each of 2 variables, got 1"),
        ({"levels": np.broadcast_to(0.0, 2**28 + 1)}, "levels must be at most"),
        ({"weights": [1, 0, 1]}, "weights must be > 0 and finite, got 0.0"),
        ({"fixed": {5: 0.0}}, r"fixed must name variables 0..1, got 5"),
    ],
)
def test_bad_input_is_one_sentence(change: dict, message: str) -> None:
    arguments = {"A": A, "lower": -1.0, "upper": 1.0, "levels": [0.0, 1.0]} | change
    with pytest.raises(ProblemError, match=message):
        MinMaxViolation(**arguments)


def test_bad_points_and_moves() -> None:
    problem = MinMaxViolation.equality(A, np.zeros(3), [0.0, 1.0])
    with pytest.raises(SpaceError, match=r"x must hold levels, got 0\.5 at 0"):
        problem.space.encode([0.5, 0.0])
    with pytest.raises(SpaceError, match="shape"):
        problem.space.encode([0.0, 0.0, 0.0])
    with pytest.raises(OptionError, match="kind must be 'level'"):
        problem.delta([0, 0], "swap", [[0, 1]])
    with pytest.raises(ProblemError, match="level index"):
        problem.delta([0, 0], "level", [[0, 2]])


def test_pickles_and_is_recognised() -> None:
    problem = MinMaxViolation.random(np.random.default_rng(0), 5, 4)
    again = pickle.loads(pickle.dumps(problem))
    X = problem.space.sample(3, np.random.default_rng(1))
    np.testing.assert_array_equal(again.evaluate(X).F, problem.evaluate(X).F)
    assert again.fingerprint() == problem.fingerprint()
    other = MinMaxViolation.random(np.random.default_rng(1), 5, 4)
    assert other.fingerprint() != problem.fingerprint()


def test_two_million_levels_are_no_burden() -> None:
    levels = np.arange(-(2**20), 2**20) / 2.0**20
    problem = MinMaxViolation.equality(np.ones((2, 60)), np.zeros(2), levels)
    x = np.full(60, levels[12345])
    assert problem.space.encode(x)[0, 0] == 12345


def test_large_sparse_problems_stay_sparse() -> None:
    rng = np.random.default_rng(0)
    n = 100_000
    M = random_array((n, n), density=1e-4, rng=rng, format="csc")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    problem = MinMaxViolation.equality(M, M @ np.ones(n) + 0.1, [0.0, 1.0, 2.0])
    X = problem.space.sample(2, rng)
    assert problem.evaluate(X).F.shape == (2, 1)
    problem.delta(X[0], "level", np.column_stack([np.arange(100), np.ones(100, dtype=int)]))
    result = oe.solve(problem, "dmmv", time_limit=1, seed=0, options={"threads": 1})
    assert result.fun < problem.evaluate(X).F.min()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2_000_000  # kB
