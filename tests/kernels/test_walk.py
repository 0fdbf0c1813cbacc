"""The walk kernel against its definition, and what it leaves invariant."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.kernels.walk import DRAWS, walk, walk_reference


def chains(seed: int) -> tuple[np.ndarray, ...]:
    """Chains over a real pair on a logarithmic scale and off it, and two whole columns."""
    rng = default_rng(seed)
    n, steps, d = 4, 12, 5
    A = np.array([[1.0, 1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0, 2.0]])
    lower, upper = np.array([-np.inf, 2.0]), np.array([2.5, 9.0])
    lb = np.tile([0.01, 0.0, 0.0, 0.0, 0.0], (n, 1))
    ub = np.tile([1.0, 1.0, 1.0, 3.0, 5.0], (n, 1))
    X = np.tile([0.5, 0.5, 0.5, 1.0, 1.0], (n, 1))
    lines = np.hstack([rng.normal(size=(6, 3)), np.zeros((6, 2))])
    lattice = np.array([[0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 2, -1]], dtype=float)
    log = np.array([0])
    return X, A, lower, upper, lb, ub, log, lines, lattice, log, rng.random((n, steps, DRAWS)), d  # type: ignore[return-value]


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_the_definition(seed: int) -> None:
    *case, _ = chains(seed)
    np.testing.assert_allclose(walk(*case), walk_reference(*case), rtol=0, atol=1e-11)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_stays_feasible(seed: int) -> None:
    X, A, lower, upper, lb, ub, *rest, _ = chains(seed)
    Y = walk(X, A, lower, upper, lb, ub, *rest)
    sums = Y @ A.T
    assert ((sums >= lower - 1e-12) & (sums <= upper + 1e-12)).all()
    assert ((lb <= Y) & (ub >= Y)).all()
    assert np.array_equal(Y[:, 3:], np.rint(Y[:, 3:]))


def test_nowhere_to_go() -> None:
    none = np.empty((0, 2))
    X = np.array([[0.25, 0.75]])
    box = np.zeros((1, 2)), np.ones((1, 2))
    empty = np.empty(0, dtype=np.int64)
    still = walk(
        X, none, np.empty(0), np.empty(0), *box, empty, none, none, empty, np.full((1, 3, DRAWS), 0.5)
    )
    assert np.array_equal(still, X)


def test_is_uniform_on_a_triangle() -> None:
    rng = default_rng(1)
    n = 4000
    lines = rng.normal(size=(64, 2))
    X = walk(
        np.full((n, 2), 0.25), np.ones((1, 2)), np.array([-np.inf]), np.ones(1), np.zeros((n, 2)), np.ones((n, 2)),
        np.empty(0, dtype=np.int64), lines, np.empty((0, 2)), np.empty(0, dtype=np.int64), rng.random((n, 40, DRAWS)),
    )  # fmt: skip
    mean, spread = X.mean(axis=0), X.var(axis=0)
    assert np.abs(mean - 1 / 3).max() < 5 * np.sqrt(1 / 18 / n)  # five standard errors: false alarm 1e-6
    assert np.abs(spread - 1 / 18).max() < 0.006
