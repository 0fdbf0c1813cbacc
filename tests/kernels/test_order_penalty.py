"""Coordinate descent on a quadratic with an L1 penalty: its optimality conditions, alike columns, free coefficients."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels.order_penalty import coordinate_descent


def quadratic(seed: int, k: int, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """H (k, k) of columns that differ by `alike` from each other, and b (k,)."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((60, 1)) + alike * rng.standard_normal((60, k))
    return X.T @ X / 60, X.T @ rng.standard_normal(60) / 60 + rng.standard_normal(k) * alike


@pytest.mark.parametrize("alike", [1.0, 1e-2, 1e-4])
@pytest.mark.parametrize("seed", range(10))
def test_the_end_is_optimal(seed: int, alike: float) -> None:
    H, b = quadratic(seed, 12, alike)
    charged = np.full(12, 0.3 * np.abs(b).max())
    charged[: seed % 3] = 0.0
    w = coordinate_descent(H, b, charged, np.random.default_rng(seed).standard_normal(12))
    slope = H @ w - b
    kept = w != 0
    assert (kept | (charged > 0)).all()
    assert np.abs(slope + charged * np.sign(w))[kept].max(initial=0.0) < 1e-9
    assert (np.abs(slope)[~kept] <= charged[~kept] + 1e-9).all()


def test_no_coefficient_pays() -> None:
    H, b = quadratic(0, 5, 1.0)
    assert not coordinate_descent(H, b, np.full(5, 100.0), np.ones(5)).any()


def test_a_combination_of_others_does_no_harm() -> None:
    H, b = np.ones((3, 3)), np.ones(3)
    w = coordinate_descent(H, b, np.full(3, 0.1), np.ones(3))
    assert w.sum() == pytest.approx(0.9, abs=1e-9)
    assert (w >= 0).all()
