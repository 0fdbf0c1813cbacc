"""Sobol indices against the analytic ones, leave-one-out against leaving one out, and models of points."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.surrogates.features import Features
from optengine.surrogates.fitted import Fitted, leave_one_out
from optengine.surrogates.gp import GP, Hyper, Shape, covariance
from optengine.surrogates.sensitivity import parts, sobol_indices

CUBE = oe.Space([(-np.pi, np.pi)] * 3)
FIRST, TOTAL = [0.3139, 0.4424, 0.0], [0.5576, 0.4424, 0.2437]  # of Ishigami's function with a = 7, b = 0.1


def ishigami(X: np.ndarray) -> np.ndarray:
    return np.sin(X[:, 0]) + 7 * np.sin(X[:, 1]) ** 2 + 0.1 * X[:, 2] ** 4 * np.sin(X[:, 0])


def test_indices_of_a_function_are_the_analytic_ones() -> None:
    names, first, total = sobol_indices(ishigami, CUBE, 4096)
    assert names == ["x[0]", "x[1]", "x[2]"]
    np.testing.assert_allclose(first, FIRST, atol=0.015)
    np.testing.assert_allclose(total, TOTAL, atol=0.015)


def test_indices_of_a_model_are_near() -> None:
    rng = np.random.default_rng(0)
    X = CUBE.sample(250, rng)
    fitted = Fitted.of(CUBE, X, ishigami(X), rng)
    _, first, total = sobol_indices(fitted.mean, CUBE, 1024)
    np.testing.assert_allclose(first, FIRST, atol=0.06)
    np.testing.assert_allclose(total, TOTAL, atol=0.06)


def test_indices_of_a_constant_are_zero() -> None:
    _, first, total = sobol_indices(lambda X: np.full(len(X), 3.7), CUBE, 64)
    assert not first.any()
    assert not total.any()


def test_structures_count_as_a_whole_and_fixed_columns_not_at_all() -> None:
    space = oe.Space(
        a=oe.Real(0, 1, shape=2), fixed=oe.Real(1, 1), p=oe.Permutation(4), q=oe.Permutation(3, shape=2),
        s=oe.Subset(5, size=2), m=oe.Simplex(3), epochs=oe.Integer(1, 9, fidelity=True), b=oe.Binary(),
    )  # fmt: skip
    assert list(parts(space)) == ["a[0]", "a[1]", "p", "q[0]", "q[1]", "s", "m", "b"]
    names, first, _ = sobol_indices(lambda X: X[:, space.slices["p"]][:, 0], space, 256)
    assert first[names.index("p")] == pytest.approx(1.0, abs=0.1)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(3, 15))
def test_leave_one_out_is_leaving_one_out(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    space = oe.Space(a=oe.Real(0, 1), b=oe.Real(0, 1), c=oe.Categorical(["u", "v", "w"]))
    features = Features(space)
    Z, y = features.of(space.sample(n, rng)), rng.normal(size=n)
    shape = Shape.of(features)
    hyper = Hyper(rng.uniform(0.2, 1.0, shape.n_groups), scale=2.0, noise=0.1, mix=0.3)
    mean, variance = leave_one_out(GP(shape, hyper, Z, y))
    for i in range(n):
        rest = np.delete(np.arange(n), i)
        gp = GP(shape, hyper, Z[rest], y[rest])
        look = gp.look(Z[[i]])
        assert mean[i] == pytest.approx(float(look.mean[0, 0]), abs=1e-8)
        # The variance of the estimated mean comes on top (Rasmussen and Williams, eq. 2.42).
        K = covariance(shape, hyper, gp.A, gp.A)[0] + hyper.noise * np.eye(n - 1)
        k = covariance(shape, hyper, look.A, gp.A)[0][0]
        solved = np.linalg.solve(K, np.ones(n - 1))
        extra = (1.0 - k @ solved) ** 2 / solved.sum()
        assert variance[i] == pytest.approx(float(look.variance[0]) + hyper.noise + extra, rel=1e-7)


def test_a_model_interpolates_and_knows_where_it_knows_nothing() -> None:
    rng = np.random.default_rng(1)
    space = oe.Space([(0.0, 1.0)])
    X = np.linspace(0.0, 0.5, 12)[:, None]
    fitted = Fitted.of(space, X, 100.0 + np.sin(6 * X[:, 0]), rng)
    mean, deviation = fitted.predict(np.array([[0.23], [1.0]]))
    assert mean[0] == pytest.approx(100.0 + np.sin(6 * 0.23), abs=0.02)
    assert deviation[1] > 5 * deviation[0]


def test_values_that_are_missing_are_left_out() -> None:
    X = CUBE.sample(40, np.random.default_rng(2))
    y = ishigami(X)
    y[::2] = np.nan
    fitted = Fitted.of(CUBE, X, y, np.random.default_rng(0))
    assert fitted.rows.tolist() == list(range(1, 40, 2))
    with pytest.raises(ProblemError, match="at least 5"):
        Fitted.of(CUBE, X[:8], y[:8], np.random.default_rng(0))


def test_a_constant_has_a_model() -> None:
    X = CUBE.sample(10, np.random.default_rng(3))
    mean, _ = Fitted.of(CUBE, X, np.full(10, 5.0), np.random.default_rng(0)).predict(X)
    np.testing.assert_allclose(mean, 5.0)
    assert len(Fitted.of(CUBE, X, np.full(10, 5.0), np.random.default_rng(0)).mean(X[:0])) == 0
