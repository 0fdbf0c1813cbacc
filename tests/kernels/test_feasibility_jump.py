"""The compiled moves against their definitions, and a search that keeps its own books."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng
from scipy import sparse

from optengine.core.linear import LinearModel
from optengine.kernels import feasibility_jump as kernel


def model(seed: int, n: int = 9, m: int = 7) -> LinearModel:
    """Bits, whole and real columns; rows of every kind; some columns without bounds."""
    rng = default_rng(seed)
    A = rng.integers(-4, 5, (m, n)) * (rng.random((m, n)) < 0.6)
    middle = A @ rng.integers(0, 2, n).astype(float)
    lower = np.where(rng.random(m) < 0.6, middle - rng.integers(0, 3, m), -np.inf)
    upper = np.where(rng.random(m) < 0.6, middle + rng.integers(0, 3, m), np.inf)
    kind = rng.integers(0, 3, n)  # 0 bit, 1 whole, 2 real
    ub = np.where(kind == 0, 1.0, np.where(rng.random(n) < 0.3, np.inf, 5.0))
    lb = np.where((kind == 2) & (rng.random(n) < 0.3), -np.inf, 0.0)
    return LinearModel(
        rng.integers(-5, 6, n), sparse.csr_array(A.astype(float)), lower, upper, lb, ub, kind < 2
    )


def walked(seed: int, n_moves: int) -> tuple[LinearModel, kernel.Rows, kernel.State]:
    linear = model(seed)
    rows = kernel.prepare(linear)
    state = kernel.begin(rows)
    kernel.search(rows, state, n_moves, seed)
    return linear, rows, state


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60))
def test_gains_and_jumps_are_the_definitions(seed: int, n_moves: int) -> None:
    _, rows, state = walked(seed, n_moves)
    rng = default_rng(seed)
    for j in range(len(rows.cost)):
        value = float(rng.uniform(-2, 6))
        assert kernel.gain(rows, state, j, value) == pytest.approx(
            kernel.gain_reference(rows, state, j, value), rel=1e-9, abs=1e-9
        )
        jumped = kernel.jump(rows, state, j)
        assert rows.lb[j] <= jumped <= rows.ub[j]
        assert not rows.whole[j] or jumped == np.rint(jumped)
        if np.isfinite([rows.lb[j], rows.ub[j]]).all():
            assert kernel.gain(rows, state, j, jumped) == pytest.approx(
                kernel.jump_reference(rows, state, j), rel=1e-9, abs=1e-9
            )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 300))
def test_the_search_keeps_its_books(seed: int, n_moves: int) -> None:
    linear, rows, state = walked(seed, n_moves)
    activity = sparse.csr_array(linear.A) @ state.x
    size = np.abs(linear.A.toarray()).max(axis=1)
    assert state.activity * np.where(size > 0, size, 1.0) == pytest.approx(activity, abs=1e-8)
    broken = (state.activity < rows.low - rows.slack) | (state.activity > rows.high + rows.slack)
    n_broken, n_dear = state.counts[kernel.BROKEN], state.counts[kernel.DEAR]
    assert sorted(state.broken[:n_broken]) == np.flatnonzero(broken).tolist()
    assert (state.broken[state.broken_at[broken]] == np.flatnonzero(broken)).all()
    could = ((rows.cost > 0) & (state.x > rows.lb)) | ((rows.cost < 0) & (state.x < rows.ub))
    assert sorted(state.dear[:n_dear]) == np.flatnonzero(could).tolist()
    assert (state.x >= rows.lb).all()
    assert (state.x <= rows.ub).all()
    assert (state.x[rows.whole] == np.rint(state.x[rows.whole])).all()
    assert state.numbers[kernel.VALUE] == pytest.approx(rows.cost @ state.x)
    if np.isfinite(state.numbers[kernel.BEST]):
        assert linear.violation(state.best) <= 1e-6
        assert rows.cost @ state.best == pytest.approx(state.numbers[kernel.BEST])


def test_the_same_seed_makes_the_same_moves_whatever_the_turns() -> None:
    _, rows, state = walked(3, 200)
    again = kernel.begin(rows)
    for turn in (1, 7, 92, 100):
        kernel.search(rows, again, turn, 3)
    assert (again.x == state.x).all()
    assert (again.weight == state.weight).all()


def test_a_small_covering_is_solved() -> None:
    # Three rows, columns 0 to 2 cover one each at cost 1, column 3 covers all at cost 2: the optimum is column 3 alone.
    A = np.array([[1.0, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1]])
    rows = kernel.prepare(LinearModel([1, 1, 1, 2], A, 1.0, np.inf, 0.0, 1.0, True))
    state = kernel.begin(rows)
    kernel.search(rows, state, 200, 0)
    assert state.best.tolist() == [0, 0, 0, 1]


def test_weights_stay_finite() -> None:
    rows = kernel.prepare(LinearModel([1.0], [[1.0], [1.0]], [1, -np.inf], [np.inf, 0], 0.0, 1.0, True))
    state = kernel.begin(rows)
    kernel.search(rows, state, 100_000, 0)  # no point keeps both rows
    assert np.isinf(state.numbers[kernel.BEST])
    assert np.isfinite(state.weight).all()


def test_stored_zeros_are_left_out_and_the_model_stays_as_it_is() -> None:
    A = sparse.csr_array(
        (np.array([2.0, 0.0, 1.0]), (np.array([0, 0, 1]), np.array([1, 0, 0]))), shape=(3, 2)
    )
    linear = LinearModel([1.0, 1.0], A, [1.0, 1.0, -np.inf], np.inf, 0.0, 4.0, True)
    stored = linear.A.nnz
    rows = kernel.prepare(linear)
    assert linear.A.nnz == stored
    assert len(rows.value) == 2
    state = kernel.begin(rows)
    kernel.search(rows, state, 50, 0)
    assert state.best.tolist() == [1, 1]
