"""Kernels on permutations against their NumPy definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from optengine.core.errors import OptionError
from optengine.kernels.permutation import (
    apply_moves,
    assignment_costs,
    assignment_costs_reference,
    assignment_swaps,
    assignment_swaps_reference,
)


@given(n=st.integers(1, 9), seed=st.integers(0, 10**6), integral=st.booleans())
def test_compiled_forms_agree_with_the_definition(n: int, seed: int, integral: bool) -> None:
    rng = np.random.default_rng(seed)
    flow, distance = (
        rng.integers(-50, 50, (n, n)) if integral else rng.normal(size=(n, n)) for _ in range(2)
    )
    X = rng.permuted(np.tile(np.arange(n), (7, 1)), axis=1)
    moves = rng.integers(0, n, (11, 2))
    costs, swaps = assignment_costs(flow, distance, X), assignment_swaps(flow, distance, X[0], moves)
    assert costs.dtype == swaps.dtype == flow.dtype
    tol = 0.0 if integral else 1e-11
    np.testing.assert_allclose(costs, assignment_costs_reference(flow, distance, X), rtol=0, atol=tol)
    np.testing.assert_allclose(
        swaps, assignment_swaps_reference(flow, distance, X[0], moves), rtol=0, atol=tol
    )


def test_definition_by_hand() -> None:
    flow, distance = np.array([[0, 3], [5, 0]]), np.array([[0, 7], [11, 0]])
    X = np.array([[0, 1], [1, 0]])
    assert assignment_costs_reference(flow, distance, X).tolist() == [3 * 7 + 5 * 11, 3 * 11 + 5 * 7]


def test_moves_by_hand() -> None:
    x, one = np.array([4, 3, 2, 1, 0]), np.array([[1, 3]])
    assert apply_moves(x, "swap", one).tolist() == [[4, 1, 2, 3, 0]]
    assert apply_moves(x, "insertion", one).tolist() == [[4, 2, 1, 3, 0]]
    assert apply_moves(x, "insertion", one[:, ::-1]).tolist() == [[4, 1, 3, 2, 0]]
    assert apply_moves(x, "reversal", one).tolist() == apply_moves(x, "reversal", one[:, ::-1]).tolist()
    assert apply_moves(x, "reversal", np.array([[0, 3]])).tolist() == [[1, 2, 3, 4, 0]]
    with pytest.raises(OptionError, match="kind must be"):
        apply_moves(x, "flip", one)


@given(
    n=st.integers(1, 8), seed=st.integers(0, 10**6), kind=st.sampled_from(["swap", "insertion", "reversal"])
)
def test_moves_keep_permutations_and_undo(n: int, seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    x, moves = rng.permutation(n), rng.integers(0, n, (6, 2))
    moved = apply_moves(x, kind, moves)
    assert (np.sort(moved, axis=1) == np.arange(n)).all()
    back = moves[:, ::-1] if kind == "insertion" else moves
    for y, move in zip(moved, back, strict=True):
        assert apply_moves(y, kind, move[np.newaxis])[0].tolist() == x.tolist()
