"""Sampling kernels: laws of the distributions, compiled loops against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import truncnorm

from optengine.kernels import sampling

seeds = st.integers(0, 2**32 - 1)


def uniforms(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Uniform numbers with some at both ends of [0, 1)."""
    U = rng.random(shape)
    U[rng.random(shape) < 0.02] = 0.0
    U[rng.random(shape) < 0.02] = np.nextafter(1.0, 0.0)
    return U


@settings(max_examples=200)
@given(d=st.integers(1, 12), seed=seeds, exponent=st.floats(-12, 1))
def test_truncated_normal_is_the_quantile_function(d: int, seed: int, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    mean, sigma = rng.random(d), np.full(d, 10.0**exponent)
    mean[rng.random(d) < 0.3] = rng.integers(0, 2)  # at a bound
    U = uniforms(rng, 20, d)
    X = sampling.truncated_normal(mean, sigma, U)
    assert ((X >= 0) & (X <= 1)).all()
    middle = np.clip(U, 1e-9, 1 - 1e-9)
    exact = truncnorm.ppf(middle, -mean / sigma, (1 - mean) / sigma, mean, sigma)
    ours = sampling.truncated_normal(mean, sigma, middle)
    np.testing.assert_allclose((ours - mean) / sigma, (exact - mean) / sigma, atol=1e-5)


@settings(max_examples=200)
@given(d=st.integers(1, 8), seed=seeds, exponent=st.floats(-3, 1))
def test_truncated_moments(d: int, seed: int, exponent: float) -> None:
    mean, sigma = np.random.default_rng(seed).random(d), np.full(d, 10.0**exponent)
    mean[0] = 0.0
    first, second = sampling.truncated_moments(mean, sigma)
    exact = truncnorm(-mean / sigma, (1 - mean) / sigma, mean, sigma)
    np.testing.assert_allclose(mean + first, exact.mean(), atol=1e-9)
    np.testing.assert_allclose(second, exact.var() + (exact.mean() - mean) ** 2, rtol=1e-6)


def test_truncated_moments_of_a_narrow_distribution() -> None:
    first, second = sampling.truncated_moments(np.array([0.3, 0.0]), np.full(2, 1e-10))
    np.testing.assert_allclose(first, [0.0, 1e-10 * np.sqrt(2 / np.pi)])
    np.testing.assert_allclose(second, 1e-20)


@settings(max_examples=200)
@given(levels=st.lists(st.integers(1, 9), min_size=1, max_size=8), seed=seeds)
def test_categories_invert_each_column(levels: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    tables = [rng.dirichlet(np.ones(k)) for k in levels]
    offsets = np.concatenate([[0], np.cumsum(levels)])
    cumulative = np.concatenate([j + np.cumsum(p) for j, p in enumerate(tables)])
    cumulative[offsets[1:] - 1] = np.arange(1, len(levels) + 1)
    U = uniforms(rng, 30, len(levels))
    X = sampling.categories(cumulative, offsets, U)
    assert ((X >= 0) & (X < np.array(levels))).all()
    for j, p in enumerate(tables):
        edges = np.cumsum(p)[:-1]
        clear = (np.abs(U[:, j, None] - edges) > 1e-9).all(axis=1)  # off the edges rounding decides nothing
        assert (X[clear, j] == np.searchsorted(edges, U[clear, j])).all()


@settings(max_examples=200)
@given(n=st.integers(1, 9), m=st.integers(1, 3), seed=seeds, data=st.data())
def test_subsets_keep_their_sizes(n: int, m: int, seed: int, data: st.DataObject) -> None:
    low = data.draw(st.integers(0, n))
    high = data.draw(st.integers(low, n))
    rng = np.random.default_rng(seed)
    X = sampling.subsets(rng.normal(0, 5, (m, n)), low, high, uniforms(rng, 25, m, n))
    assert X.shape == (25, m, n)
    assert np.isin(X, (0.0, 1.0)).all()
    assert ((X.sum(axis=-1) >= low) & (X.sum(axis=-1) <= high)).all()


def test_subsets_have_their_inclusion_probabilities() -> None:
    p = np.array([[0.9, 0.8, 0.6, 0.4, 0.2, 0.1, 0.5, 0.5]])  # sum 4
    U = np.random.default_rng(0).random((20_000, 1, 8))
    free = sampling.subsets(np.log(p / (1 - p)), 0, 8, U).mean(axis=0)
    fixed = sampling.subsets(np.log(p / (1 - p)), 4, 4, U).mean(axis=0)
    np.testing.assert_allclose(free, p, atol=0.015)
    np.testing.assert_allclose(fixed, p, atol=0.03)  # Pareto sampling is exact only in the limit


@settings(max_examples=200)
@given(shape=st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 6)), seed=seeds)
def test_shares_sum_to_one(shape: tuple[int, int, int], seed: int) -> None:
    Z = np.random.default_rng(seed).normal(0, 300, shape)
    W = sampling.shares(Z)
    assert (W >= 0).all()
    np.testing.assert_allclose(W.sum(axis=-1), 1.0)
    np.testing.assert_allclose(W, sampling.shares(Z + 7.0), atol=1e-12)


@settings(max_examples=200)
@given(n=st.integers(1, 14), rows=st.integers(0, 12), seed=seeds, sparse=st.booleans())
def test_permutations_are_their_definition(n: int, rows: int, seed: int, sparse: bool) -> None:
    rng = np.random.default_rng(seed)
    P = rng.random((n, n)) * (rng.random((n, n)) < 0.4 if sparse else 1.0)
    U = uniforms(rng, rows, 2 * n)
    X = sampling.permutations(P, U)
    np.testing.assert_array_equal(X, sampling.permutations_reference(P, U))
    assert (np.sort(X, axis=1) == np.arange(n)).all()


def test_permutations_follow_a_certain_matrix() -> None:
    goal = np.random.default_rng(1).permutation(9)
    X = sampling.permutations(np.eye(9)[goal], np.random.default_rng(2).random((50, 18)))
    assert (X == goal).all()


def test_permutations_of_a_flat_matrix_are_uniform() -> None:
    X = sampling.permutations(np.full((5, 5), 0.2), np.random.default_rng(3).random((40_000, 10)))
    shares = sampling.position_frequencies(X, np.full(len(X), 1 / len(X)))
    np.testing.assert_allclose(shares, 0.2, atol=0.01)  # five standard errors


@settings(max_examples=200)
@given(n=st.integers(1, 14), rows=st.integers(0, 20), seed=seeds)
def test_permutation_steps_are_their_definition(n: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.permuted(np.tile(np.arange(float(n)), (rows, 1)), axis=1)
    before, U = X.copy(), uniforms(rng, rows, 3)
    Y = sampling.permutation_steps(X, U)
    np.testing.assert_array_equal(Y, sampling.permutation_steps_reference(X, U))
    np.testing.assert_array_equal(X, before)
    assert (np.sort(Y, axis=1) == np.arange(n)).all()
    if n > 1:
        assert (Y != X).any(axis=1).all()


@pytest.mark.parametrize(
    ("kind", "expected"), [(0.0, [0, 4, 2, 3, 1]), (0.4, [0, 2, 3, 4, 1]), (0.9, [0, 4, 3, 2, 1])]
)
def test_permutation_steps_by_hand(kind: float, expected: list[int]) -> None:
    """Swap, insertion and reversal of positions 1 and 4."""
    Y = sampling.permutation_steps(np.arange(5.0)[None], np.array([[kind, 0.25, 0.8]]))
    assert Y[0].tolist() == expected


@settings(max_examples=200)
@given(n=st.integers(1, 14), rows=st.integers(0, 20), seed=seeds)
def test_position_frequencies_are_their_definition(n: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X = rng.permuted(np.tile(np.arange(float(n)), (rows, 1)), axis=1)
    weights = rng.random(rows)
    shares = sampling.position_frequencies(X, weights)
    np.testing.assert_array_equal(shares, sampling.position_frequencies_reference(X, weights))
    np.testing.assert_allclose(shares.sum(axis=0), weights.sum())
