"""Descents of many orders against factorizing anew for each move."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels.order_descent import descend_orders, descend_orders_numpy
from optengine.kernels.order_search import insertions_numpy, scores_numpy, swaps_numpy

MOST = 1 << 60


def instance(seed: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((40, d)) @ (np.eye(d) + np.triu(rng.standard_normal((d, d)), 1))
    orders, nodes = (rng.permuted(np.tile(np.arange(d), (4, 1)), axis=1) for _ in range(2))
    return X.T @ X / 40, orders, nodes


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("swaps", [False, True])
def test_descents_are_those_of_factorizing_anew(seed: int, swaps: bool) -> None:
    G, orders, nodes = instance(seed, 7)
    before = np.zeros((7, 7), dtype=bool)
    if seed % 2:
        before[0, [1, 2]] = before[3, 4] = True
        orders[:] = [0, 3, 1, 2, 4, 5, 6]
    found, values, seen, ended = descend_orders(G, orders, before, nodes, swaps, 1e-12, MOST)
    expected, scores = descend_orders_numpy(G, orders, before, nodes, swaps, 1e-12)
    assert np.allclose(values, scores, rtol=1e-10)
    assert np.array_equal(found, expected)
    assert ended.all()
    assert (seen > 0).all()


def test_nothing_in_the_neighbourhood_of_the_end_is_better() -> None:
    G, orders, nodes = instance(1, 30)
    free = np.zeros((30, 30), dtype=bool)
    found, values, _, _ = descend_orders(G, orders, free, nodes, True, 1e-12, MOST)
    assert np.allclose(values, scores_numpy(G, found), rtol=1e-9)
    for order, value in zip(found, values, strict=True):
        assert insertions_numpy(G, order).min() >= -1e-9 * value
        assert swaps_numpy(G, order).min() >= -1e-9 * value


def test_a_descent_that_is_cut_short_goes_on() -> None:
    G, orders, nodes = instance(2, 20)
    free = np.zeros((20, 20), dtype=bool)
    whole = descend_orders(G, orders, free, nodes, True, 1e-12, MOST)
    found, calls = orders, 0
    while True:
        found, values, seen, ended = descend_orders(G, found, free, nodes, True, 1e-12, 700)
        calls += 1
        assert (seen <= 700).all()
        if ended.all():
            break
        assert calls < 100
    assert calls > 2
    assert (values <= scores_numpy(G, orders)).all()
    assert np.allclose(values.min(), whole[1].min(), rtol=1e-2)
