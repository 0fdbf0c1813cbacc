"""Kernels of order search against factorizing anew, on well and ill conditioned Gram matrices."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels import order_search as kernels


def gram(seed: int, d: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """A Gram matrix and an order; every third one with scales of 1e-2 to 1e2 and correlations of condition 1e6."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(2, 61)) if d is None else d
    X = rng.standard_normal((2 * d + 5, d))
    if seed % 3 == 0:
        X[:, -1] = X[:, 0] + 1e-3 * X[:, -1]
        X *= 10.0 ** rng.uniform(-2, 2, d)
    return X.T @ X / len(X), rng.permutation(d)


def factors(G: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    U, M = np.empty(G.shape), np.empty(G.shape)
    assert kernels.factor(G, order, U) > 0
    kernels.invert(U, M)
    return U, M


@pytest.mark.parametrize("block", range(10))
def test_insertions_and_swaps_are_those_of_factorizing_anew(block: int) -> None:
    for seed in range(20 * block, 20 * block + 20):
        G, order = gram(seed)
        U, M = factors(G, order)
        value = kernels.scores(G, order[None, :])[0]
        rng, d = np.random.default_rng(seed), len(order)
        insertions, swaps = kernels.insertions(U, M), kernels.swaps(U, M)
        pairs = rng.integers(d, size=(60, 2))
        for (i, j), one, two in zip(
            pairs, kernels.changes(U, M, pairs, False), kernels.changes(U, M, pairs, True), strict=True
        ):
            inserted, swapped = np.insert(np.delete(order, i), j, order[i]), order.copy()
            swapped[[i, j]] = order[[j, i]]
            after = kernels.scores_numpy(G, np.array([inserted, swapped]))
            scale = max(value, *after)
            for change, new in (
                (insertions[i, j], after[0]),
                (one, after[0]),
                (swaps[i, j], after[1]),
                (two, after[1]),
            ):
                assert abs(value + change - new) <= 1e-9 * scale


def test_the_definitions_agree_with_the_tables() -> None:
    for seed in (1, 2, 3):
        G, order = gram(seed, 9)
        U, M = factors(G, order)
        scale = 1e-9 * kernels.scores_numpy(G, order[None, :])[0] * 10
        assert np.allclose(
            kernels.insertions(U, M), kernels.insertions_numpy(G, order), rtol=1e-7, atol=scale
        )
        assert np.allclose(kernels.swaps(U, M), kernels.swaps_numpy(G, order), rtol=1e-7, atol=scale)


@pytest.mark.parametrize("seed", range(30))
def test_a_shifted_node_has_the_factors_of_its_order(seed: int) -> None:
    G, order = gram(seed)
    rng, d = np.random.default_rng(seed), len(order)
    U, M = factors(G, order)
    none = np.zeros((d, d), dtype=bool)
    for _ in range(5):
        i, j = rng.integers(d, size=2)
        expected = np.insert(np.delete(order, i), j, order[i])
        assert kernels.shift(order, U, M, none, i, j) == j
        assert np.array_equal(order, expected)
    again, inverse = factors(G, order)
    assert np.allclose(U, again, rtol=1e-7, atol=1e-9 * np.abs(again).max())
    assert np.allclose(M, inverse, rtol=1e-6, atol=1e-6 * np.abs(inverse).max())


@pytest.mark.parametrize("seed", range(10))
def test_searches_keep_what_must_stand_before_and_never_worsen(seed: int) -> None:
    G, _ = gram(seed, 12)
    rng, order = np.random.default_rng(seed), np.arange(12)
    before = np.triu(rng.random((12, 12)) < 0.1, 1)
    for _ in range(4):
        before |= before @ before
    U, M = factors(G, order)
    value = kernels.score(U)
    nodes = np.array([rng.permutation(12) for _ in range(20)])
    seen, _, rounds = kernels.kicks(order, U, M, before, nodes, rng.random((20, 3, 2)), 5000, 1e-12)
    assert seen <= 5000
    assert rounds <= 20
    place = np.argsort(order)
    assert all(place[u] < place[v] for u, v in np.argwhere(before))
    after = kernels.scores_numpy(G, order[None, :])[0]
    assert after <= value * (1 + 1e-12)
    assert np.isclose(kernels.score(U), after, rtol=1e-9)
    change, i, j, _ = kernels.best_swap(order, U, M, before, np.arange(12), 10**6)
    assert change <= 0
    assert i <= j
