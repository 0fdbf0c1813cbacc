"""Centres, affine hulls and the pull back into a polytope."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.backends.polytope import Polytope, null_space, tighten

INF = np.inf


def test_the_centre_of_a_box() -> None:
    shape = Polytope(np.empty((0, 2)), np.empty(0), np.empty(0), np.zeros(2), np.array([1.0, 4.0]))
    assert shape.geometry is not None
    assert shape.geometry.radius > 0.4
    assert len(shape.directions()) == 2


def test_an_empty_polytope() -> None:
    A = np.array([[1.0, 1.0]])
    assert Polytope(A, np.array([3.0]), np.array([INF]), np.zeros(2), np.ones(2)).empty
    assert Polytope(np.zeros((1, 2)), np.array([3.0]), np.array([INF]), np.zeros(2), np.ones(2)).empty


def test_implied_equalities_are_found() -> None:
    """x + y <= 1 and x + y >= 1 stated apart, and z forced to its bound."""
    A = np.array([[1.0, 1.0, 0.0], [-1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    shape = Polytope(A, np.full(3, -INF), np.array([1.0, -1.0, 0.0]), np.zeros(3), np.ones(3))
    assert shape.geometry is not None
    assert len(shape.directions()) == 1
    Y = shape.pull_back(default_rng(0).random((50, 3)))
    assert np.abs(Y[:, :2].sum(axis=1) - 1).max() <= 1e-12
    assert (Y[:, 2] == 0).all()


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_pulled_back_points_are_inside(seed: int) -> None:
    rng = default_rng(seed)
    d, m = int(rng.integers(1, 7)), int(rng.integers(1, 5))
    lb = rng.normal(size=d)
    ub = lb + 10.0 ** rng.uniform(-2, 2, d)
    A, inside = rng.normal(size=(m, d)), lb + (ub - lb) * rng.random(d)
    at, wide = A @ inside, np.abs(A) @ (ub - lb) * 0.1 * (rng.random(m) < 0.6)
    shape = Polytope(A, at - wide, at + wide, lb, ub)
    assert not shape.empty
    Y = shape.pull_back(lb + (ub - lb) * rng.uniform(-0.5, 1.5, (20, d)))
    assert ((lb <= Y) & (ub >= Y)).all()
    excess = np.maximum(at - wide - Y @ A.T, Y @ A.T - at - wide)
    assert (excess / (1 + np.abs(A) @ np.maximum(abs(lb), abs(ub)))).max() <= 1e-10


def test_tighten_shrinks_to_what_rows_imply() -> None:
    low, high = tighten(
        np.array([[1.0, 2.0]]), np.array([-INF]), np.array([4.0]), np.zeros(2), np.full(2, 100.0)
    )
    np.testing.assert_allclose(high, [4.0, 2.0])
    assert low.tolist() == [0.0, 0.0]


def test_null_space_leaves_fixed_columns_alone() -> None:
    E, free = np.array([[1.0, 1.0, 1.0]]), np.array([True, True, False])
    basis = null_space(E, free)
    assert basis.shape == (1, 3)
    assert np.abs(basis @ E.T).max() < 1e-12
    assert (basis[:, 2] == 0).all()
    assert null_space(E, np.zeros(3, dtype=bool)).shape == (0, 3)
