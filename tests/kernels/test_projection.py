"""The projection kernel against its definition, against SLSQP, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng
from scipy.optimize import LinearConstraint, minimize

from optengine.kernels.projection import project, project_reference, violation

Polytope = tuple[np.ndarray, ...]
SEEDS = st.integers(0, 2**32 - 1)


def polytope(seed: int, degenerate: bool = False) -> tuple[np.ndarray, Polytope]:
    """Points and a polytope around a random point: equalities, ranges, rows of very different sizes.

    A degenerate one has small whole coefficients, repeated rows, and its point at bounds of the box.
    """
    rng = default_rng(seed)
    d, m = int(rng.integers(1, 9)), int(rng.integers(1, 7))
    if degenerate:
        lb, ub = np.zeros(d), rng.integers(1, 4, d).astype(float)
        A = rng.integers(-1, 2, (m, d)).astype(float)
        A[rng.integers(0, m)] = A[0]
        inside = np.where(rng.random(d) < 0.5, lb, ub)
        X = rng.integers(-1, 5, (6, d)).astype(float)
    else:
        lb = rng.normal(size=d) * 10
        ub = lb + 10.0 ** rng.uniform(-2, 3, d)
        A = rng.normal(size=(m, d)) * (rng.random((m, d)) < 0.7) * 10.0 ** rng.uniform(-2, 2, (m, 1))
        inside = lb + (ub - lb) * rng.random(d)
        X = lb + (ub - lb) * rng.uniform(-0.5, 1.5, (6, d))
    activity = A @ inside
    slack = np.abs(A) @ (ub - lb) * 0.05 * (0 if degenerate else 1)
    lower = np.where(rng.random(m) < 0.5, -np.inf, activity - slack)
    upper = activity + slack
    equal = rng.random(m) < 0.3
    lower[equal] = upper[equal] = activity[equal]
    return X, (A, lower, upper, lb[None], ub[None], ((ub - lb) ** 2)[None])


@pytest.mark.parametrize("degenerate", [False, True])
@settings(max_examples=200)
@given(SEEDS)
def test_agrees_with_the_definition(degenerate: bool, seed: int) -> None:
    X, rest = polytope(seed, degenerate)
    Y, residual = project(X, *rest)
    R, left = project_reference(X, *rest)
    scale = np.sqrt(rest[-1])
    ours, theirs = (np.linalg.norm((Z - X) / scale, axis=1) for Z in (Y, R))
    assert residual.max() <= 1e-9
    found = left <= 1e-6  # nonnegative least squares loses some polytopes that are a single point
    assert found.any() or degenerate
    assert (ours <= theirs + 1e-6 * (1 + theirs))[found].all()
    assert np.abs((Y - R) / scale)[found].max(initial=0) <= 1e-5
    assert ((rest[3] <= Y) & (rest[4] >= Y)).all()


@settings(max_examples=40)
@given(SEEDS)
def test_is_as_near_as_slsqp(seed: int) -> None:
    X, (A, lower, upper, lb, ub, weight) = polytope(seed)
    scale = np.sqrt(weight[0])
    Y, _ = project(X[:1], A, lower, upper, lb, ub, weight)
    size, shift = np.abs(A * scale).max(axis=1, initial=0), A @ lb[0]
    rows = [
        LinearConstraint(row[None] * scale / norm, (low - at) / norm, (high - at) / norm)
        for row, norm, at, low, high in zip(A, size, shift, lower, upper, strict=True)
        if norm > 0
    ]
    start = (X[0] - lb[0]) / scale
    found = minimize(
        lambda y: 0.5 * ((y - start) ** 2).sum(),
        ((Y[0] - lb[0]) / scale).clip(0, 1),
        jac=lambda y: y - start,
        bounds=[(0, 1)] * len(scale),
        constraints=rows,
        method="SLSQP",
        options={"maxiter": 300},
    )
    ours = 0.5 * (((X[0] - Y[0]) / scale) ** 2).sum()
    assert ours <= found.fun + 1e-6 * (1 + found.fun)


@given(SEEDS)
def test_leaves_feasible_points_alone(seed: int) -> None:
    X, rest = polytope(seed)
    Y, _ = project(X, *rest)
    lower, upper = rest[1] - 1e-9 * (1 + np.abs(rest[1])), rest[2] + 1e-9 * (1 + np.abs(rest[2]))
    lower, upper = np.nan_to_num(lower, neginf=-np.inf), np.nan_to_num(upper, posinf=np.inf)
    again, _ = project(Y, rest[0], lower, upper, *rest[3:])
    inside = np.array([violation(y, rest[0], lower, upper, np.zeros(len(lower))) == 0 for y in Y])
    assert np.array_equal(again[inside], Y[inside])


def test_a_column_of_weight_0_stays() -> None:
    X = np.array([[0.2, 0.9, 0.9]])
    A, bound = np.ones((1, 3)), np.array([1.5])
    box = (np.zeros((1, 3)), np.ones((1, 3)))
    Y, residual = project(X, A, np.array([-np.inf]), bound, *box, np.array([[1.0, 0.0, 1.0]]))
    assert Y[0, 1] == 0.9
    assert residual[0] <= 1e-14
    np.testing.assert_allclose(Y[0], [0.0, 0.9, 0.6], atol=1e-12)


def test_each_row_may_have_its_own_box_and_weight() -> None:
    rng = default_rng(3)
    X, A = rng.random((5, 4)), rng.normal(size=(2, 4))
    lb, ub, weight = np.zeros((5, 4)), rng.uniform(0.5, 2, (5, 4)), rng.uniform(0.1, 1, (5, 4))
    lower, upper = np.full(2, -np.inf), A @ np.full(4, 0.1)
    Y, _ = project(X, A, lower, upper, lb, ub, weight)
    for i in range(5):
        one = slice(i, i + 1)
        alone, _ = project(X[one], A, lower, upper, lb[one], ub[one], weight[one])
        assert np.array_equal(alone[0], Y[i])


@settings(max_examples=200)
@given(SEEDS)
def test_an_empty_polytope_shows_as_violation(seed: int) -> None:
    rng = default_rng(seed)
    d = int(rng.integers(2, 6))
    a = rng.uniform(0.1, 1, d)
    A = np.vstack([a, a * 2 + 0.01 * rng.random(d)])
    X = rng.random((3, d))
    lower, upper = np.array([0.9 * a.sum(), -np.inf]), np.array([np.inf, 0.5 * a.sum()])
    _, residual = project(X, A, lower, upper, np.zeros((1, d)), np.ones((1, d)), np.ones((1, d)))
    assert (residual > 1e-3).all()


def test_no_rows_and_no_points() -> None:
    none = np.empty((0, 2))
    box = np.zeros((1, 2)), np.ones((1, 2)), np.ones((1, 2))
    Y, residual = project(np.array([[2.0, 0.5]]), none, np.empty(0), np.empty(0), *box)
    assert Y.tolist() == [[1.0, 0.5]]
    assert residual.tolist() == [0.0]
    assert project(none, none, np.empty(0), np.empty(0), *box)[0].shape == (0, 2)


def test_nearly_parallel_rows_end_near_to_rounding() -> None:
    rng = default_rng(0)
    a = rng.normal(size=10)
    A = np.array([a, a + 1e-7 * rng.normal(size=10), -a + 1e-7 * rng.normal(size=10)])
    inside = np.full(10, 0.5)
    box = np.zeros((1, 10)), np.ones((1, 10)), np.ones((1, 10))
    _, residual = project(rng.random((200, 10)), A, np.full(3, -np.inf), A @ inside, *box)
    assert residual.max() <= 1e-7  # the repair's pull towards a point inside does the rest
