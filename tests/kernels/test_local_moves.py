"""Additive models of an order: the compiled forms against the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from optengine.kernels import local_moves as kernels
from optengine.kernels.permutation import apply_moves

NONE = np.empty((0, 0))
seeds = st.integers(0, 2**32 - 1)
parts_of = st.sets(st.sampled_from("ABPF"), min_size=1)


def model(rng: np.random.Generator, n: int, parts: set[str]) -> list[Any]:
    """Matrices of whole numbers, so that sums are exact."""
    made = [rng.integers(-9, 10, (n, n)).astype(float) if part in parts else NONE for part in "ABPF"]
    return [*made, rng.integers(-9, 10, (n, n)).astype(float) if "F" in parts else NONE]


def orders(rng: np.random.Generator, m: int, n: int) -> Any:
    return np.array([rng.permutation(n) for _ in range(m)], dtype=np.int64).reshape(m, n)


def same(a: Any, b: Any) -> None:
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


@settings(deadline=None, max_examples=200)
@given(n=st.integers(2, 9), m=st.integers(0, 5), parts=parts_of, wrap=st.booleans(), seed=seeds)
def test_values_and_their_adjoint(n: int, m: int, parts: set[str], wrap: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, matrices = orders(rng, m, n), model(rng, n, parts)
    same([kernels.order_values(X, *matrices, wrap)], [kernels.order_values_reference(X, *matrices, wrap)])
    r = rng.integers(-5, 6, m).astype(float)
    gradients = kernels.order_adjoint(X, r, *matrices[:3], wrap)
    same(gradients, kernels.order_adjoint_reference(X, r, *matrices[:3], wrap))
    linear = kernels.order_values(X, *matrices[:3], NONE, NONE, wrap)
    inner = sum(float((g * part).sum()) for g, part in zip(gradients, matrices[:3], strict=True))
    assert inner == float(r @ linear)


@settings(deadline=None, max_examples=200)
@given(n=st.integers(2, 8), parts=parts_of, wrap=st.booleans(), seed=seeds)
def test_screen_and_search(n: int, parts: set[str], wrap: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, matrices = rng.permutation(n), model(rng, n, parts)
    shares, U = rng.dirichlet(np.ones(3)), rng.random((7, 3))
    same(
        kernels.screen_order(x, *matrices, wrap, shares, U),
        kernels.screen_order_reference(x, *matrices, wrap, shares, U),
    )
    U, patience, strongest = rng.random((150, 4)), int(rng.integers(1, 20)), int(rng.integers(2, 6))
    for limit in (1, 3, 1000):
        found, value = kernels.search_order(x, *matrices, wrap, U, patience, strongest, limit)
        same(
            [found, value],
            kernels.search_order_reference(x, *matrices, wrap, U, patience, strongest, limit),
        )
        assert sorted(found) == list(range(n))
        assert value == kernels.order_values_reference(found[np.newaxis, :], *matrices, wrap)[0]
        assert value <= kernels.order_values_reference(x[np.newaxis, :], *matrices, wrap)[0]


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_moves_are_those_of_the_other_kernels(kind: int) -> None:
    name = ("swap", "insertion", "reversal")[kind]
    rng = np.random.default_rng(kind)
    for _ in range(50):
        x, (i, j) = rng.permutation(9), rng.choice(9, 2, replace=False)
        y = kernels.move_reference(x, kind, i, j)
        same([y], apply_moves(x, name, np.array([[i, j]])))
