"""Statistics of elites, against one column and one entry at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st

from optengine.kernels.elites import first_distinct, log_weights, weighted_moments

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=200)
@given(k=st.integers(1, 500))
def test_log_weights_fall_and_sum_to_one(k: int) -> None:
    weights = log_weights(k)
    assert weights.shape == (k,)
    assert (weights > 0).all()
    assert (np.diff(weights) < 0).all()
    np.testing.assert_allclose(weights.sum(), 1.0)


@settings(max_examples=200)
@given(rows=st.integers(1, 30), k=st.integers(1, 10), seed=seeds)
def test_first_distinct(rows: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    X, order = rng.integers(0, 2, (rows, 3)).astype(float), rng.permutation(rows)
    chosen = first_distinct(X, order, k)
    expected: list[int] = []
    for i in order:
        if len(expected) < k and not any((X[i] == X[j]).all() for j in expected):
            expected.append(int(i))
    assert chosen.tolist() == expected


@settings(max_examples=200)
@given(k=st.integers(1, 8), d=st.integers(1, 6), seed=seeds, masked=st.booleans())
def test_weighted_moments(k: int, d: int, seed: int, masked: bool) -> None:
    rng = np.random.default_rng(seed)
    X, centre, weights = rng.normal(size=(k, d)), rng.normal(size=d), rng.dirichlet(np.ones(k))
    active = rng.random((k, d)) < 0.5 if masked else None
    mean, moment, share = weighted_moments(X, weights, centre, active)
    for j in range(d):
        counts = np.ones(k, dtype=bool) if active is None else active[:, j]
        w = weights[counts]
        np.testing.assert_allclose(share[j], w.sum(), atol=1e-12)
        if counts.any():
            x, w = X[counts, j], w / w.sum()
            np.testing.assert_allclose(mean[j], w @ x)
            np.testing.assert_allclose(moment[j], w @ (x - centre[j]) ** 2, atol=1e-12)
        else:
            assert (mean[j], moment[j]) == (centre[j], 0.0)
