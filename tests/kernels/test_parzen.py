"""Parzen mixtures against their definition, and that they are densities that draws follow."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.kernels.parzen import Mixture, draw, log_densities, log_densities_reference


def points(n: int, n_levels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    U = rng.random((n, len(n_levels)))
    return np.where(n_levels > 0, np.floor(U * np.maximum(n_levels, 1)), U)


def mixture(rng: np.random.Generator, n_levels: np.ndarray, conditional: bool = True) -> Mixture:
    m, d = int(rng.integers(0, 9)), len(n_levels)
    counts = rng.random((m, d)) < (0.7 if conditional else 2.0)
    spread = np.where(n_levels > 0, rng.uniform(0.05, 0.9, d), 10.0 ** rng.uniform(-2, 0.5, d))
    prior = rng.uniform(0.1, 1.0) if m else 1.0
    weights = rng.dirichlet(np.ones(m)) * (1.0 - prior) if m else np.empty(0)
    return Mixture(points(m, n_levels, rng), counts, n_levels, spread, weights, prior)


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_the_definition(seed: int) -> None:
    rng = default_rng(seed)
    n_levels = rng.choice([0, 0, 2, 3, 50], int(rng.integers(1, 6)))
    mix = mixture(rng, n_levels)
    X = points(5, n_levels, rng)
    active = rng.random(X.shape) < 0.7
    expected = log_densities_reference(mix, X, active)
    np.testing.assert_allclose(log_densities(mix, X, active), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_it_is_a_density(seed: int) -> None:
    n_levels = np.array([0, 3])
    mix = mixture(default_rng(seed), n_levels)
    at = (np.arange(20_000) + 0.5) / 20_000
    X = np.concatenate([np.column_stack([at, np.full(len(at), level)]) for level in range(3)])
    density = np.exp(log_densities(mix, X, np.ones(X.shape, dtype=bool)))
    assert density.sum() / len(at) == pytest.approx(1.0, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_draws_follow_the_density(seed: int) -> None:
    rng = default_rng(seed)
    n_levels = np.array([0, 4])
    mix = mixture(rng, n_levels)
    n = 40_000
    X = draw(mix, rng.random((n, 5)))
    assert ((X[:, 0] >= 0) & (X[:, 0] <= 1)).all()
    assert np.isin(X[:, 1], np.arange(4)).all()
    at = (np.arange(4000) + 0.5) / 4000
    for level in range(4):
        grid = np.column_stack([at, np.full(len(at), level)])
        density = np.exp(log_densities(mix, grid, np.ones(grid.shape, dtype=bool)))
        for low, high in ((0.0, 0.3), (0.3, 0.6), (0.6, 1.0)):
            share = density[(at >= low) & (at < high)].sum() / len(at)
            seen = ((X[:, 0] >= low) & (X[:, 0] < high) & (X[:, 1] == level)).mean()
            assert (
                abs(seen - share) < 5 * np.sqrt(share / n) + 2e-3
            )  # five standard errors, and the grid's edges
