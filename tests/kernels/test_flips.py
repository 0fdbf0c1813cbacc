"""One-flip kernels against their definitions; their books; ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from optengine.kernels import flips, flips_sparse


def instance(seed: int, n: int, density: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """linear, coupling and a point, in small whole numbers: many ties."""
    rng = np.random.default_rng(seed)
    upper = np.triu(rng.integers(-3, 4, (n, n)) * (rng.random((n, n)) < density), 1)
    return rng.integers(-5, 6, n).astype(float), (upper + upper.T).astype(float), rng.integers(0, 2, n)


def value(linear: np.ndarray, coupling: np.ndarray, x: np.ndarray) -> float:
    return float(linear @ x + 0.5 * x @ coupling @ x)


def dense(
    case: Any, low: int, spread: int, seed: int, cuts: list[int], dtype: type
) -> tuple[np.ndarray, float, int]:
    linear, coupling, x = case
    n, m = len(x), flips.padded(len(x))
    minus = flips.penalty(float((np.abs(coupling).sum(axis=1) + np.abs(linear)).max()))
    rows = np.zeros((n, m), dtype)
    rows[:, :n] = coupling
    gains, signs = np.full(m, -4 * minus, dtype), np.ones(m, dtype)
    gains[:n], signs[:n] = flips.gains_of(linear, coupling, x.astype(float)), 2 * x - 1
    ring, chain = np.full(low + spread + 1, -1), np.full(n, -1)
    state, fallen, best = np.zeros(flips.STATE, np.int64), np.zeros(2), signs.copy()
    state[flips.SEED] = seed
    taken = 0
    for cut in cuts:
        taken += flips.tabu_dense(
            rows, gains, signs, ring, chain, low, spread, minus, state, fallen, best, cut, 1 << 40
        )
    now = (signs[:n] > 0).astype(float)
    assert value(linear, coupling, x) - value(linear, coupling, now) == fallen[0]
    return (best[:n] > 0).astype(np.int64), fallen[1], taken


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dense_walk_is_its_definition_however_it_is_cut(dtype: type) -> None:
    for seed in range(25):
        n = int(np.random.default_rng(seed).integers(2, 200))
        case = instance(seed, n, 1.0 if seed % 2 else 0.1)
        low, spread = min(5, max(1, n // 4)), 3
        expected, fallen = flips.tabu_reference(*case, low, spread, seed, 120)
        found, fell, taken = dense(case, low, spread, seed, [1, 40, 79], dtype)
        assert taken == 120
        assert fell == fallen
        assert found.tolist() == expected.tolist()


def test_a_walk_goes_on_where_all_bits_are_tabu() -> None:
    case = instance(0, 3)
    _, fell, taken = dense(case, 5, 2, 1, [60], np.float64)
    assert taken == 60
    best = min(value(case[0], case[1], np.array(list(np.binary_repr(i, 3)), dtype=float)) for i in range(8))
    assert value(*case) - fell == best


def sparse(case: Any, seed: int) -> tuple[Any, ...]:
    linear, coupling, x = case
    rows = sp.csr_array(coupling)
    return (
        rows.indptr.astype(np.int64),
        rows.indices.astype(np.int32),
        flips.gains_of(linear, coupling, x.astype(float)),
    )


@pytest.mark.parametrize("cuts", [[300], [1, 99, 200]])
def test_the_sparse_walk_keeps_its_books_and_takes_best_moves(cuts: list[int]) -> None:
    for seed in range(12):
        n = 5 + 11 * seed
        linear, coupling, x = case = instance(seed, n, 0.2)
        indptr, indices, gains = sparse(case, seed)
        weights = sp.csr_array(coupling).data.astype(np.int64)
        gains, signs = gains.astype(np.int64), 2 * x - 1
        wide = 2 * int((np.abs(coupling).sum(axis=1) + np.abs(linear)).max()) + 1
        low, spread = max(1, min(10, n // 4)), 5
        ring, chain = np.full(low + spread + 1, -1), np.full(n, -1)
        room, sizes, place = np.zeros((wide, n), np.int32), np.zeros(wide, np.int64), np.zeros(n, np.int64)
        state, fallen, best = np.zeros(flips.STATE, np.int64), np.zeros(2), signs.copy()
        state[flips.SEED] = seed
        for cut in cuts:
            flips_sparse.tabu_sparse(
                indptr, indices, weights, gains, signs, ring, chain, room, sizes, place, low, spread, state, fallen,
                best, cut, 1 << 40,
            )  # fmt: skip
        at, top = (signs + 1) / 2.0, (best + 1) / 2.0
        assert value(linear, coupling, x) - value(linear, coupling, at) == fallen[0]
        assert value(linear, coupling, x) - value(linear, coupling, top) == fallen[1]
        assert gains.tolist() == flips.gains_of(linear, coupling, at).tolist()


def test_annealing_keeps_its_books_however_it_is_cut() -> None:
    for seed in range(8):
        linear, coupling, x = case = instance(seed, 20 + 17 * seed, 0.1)
        ends = []
        for cuts in ([30], [1, 4, 25]):
            indptr, indices, gains = sparse(case, seed)
            signs = 2.0 * x - 1.0
            fallen, best, done = np.zeros(2), signs.copy(), 0
            for cut in cuts:
                flips_sparse.anneal_sparse(
                    indptr, indices, sp.csr_array(coupling).data, gains, signs, 3.0, 0.2, done, 30, cut, seed, fallen,
                    best,
                )  # fmt: skip
                done += cut
            at = (signs + 1) / 2.0
            assert value(linear, coupling, x) - value(linear, coupling, at) == fallen[0]
            assert value(linear, coupling, x) - value(linear, coupling, (best + 1) / 2.0) == fallen[1]
            ends.append((fallen.tolist(), best.tolist()))
        assert ends[0] == ends[1]


def test_ties_are_broken_from_a_random_start() -> None:
    """On a torus with weights of +-1 most gains are level: the first step must not always be the lowest index."""
    n = 128
    first = {flips.first_largest(np.zeros(n), seed, 0) for seed in range(60)}
    assert len(first) > 30
    assert max(first) > 100 > 30 > min(first)
