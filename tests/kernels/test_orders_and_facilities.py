"""Insertions of linear orders and swaps of facilities, against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels import facilities, linear_order
from optengine.problems import LinearOrdering


@pytest.mark.parametrize("kind", [np.int32, np.float64])
def test_the_best_insertion_is_that_of_the_definition(kind: type) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        W = rng.integers(0, 50, (12, 12)).astype(kind)
        skew, order = (W - W.T).astype(kind), rng.permutation(12).astype(np.int32)
        gains = linear_order.insertion_gains_reference(skew, order)
        pairs = np.array([(i, j) for i in range(12) for j in range(12)])
        change = LinearOrdering(W).delta(order, "insertion", pairs)[0]
        assert np.array_equal(gains.ravel(), -change[:, 0])
        for i in range(12):
            gain, j = linear_order.best_insertion(skew, order, i)
            assert gain == gains[i].max() == gains[i, j]


@pytest.mark.parametrize("kind", [np.int32, np.float64])
def test_books_of_orders_are_kept(kind: type) -> None:
    rng = np.random.default_rng(0)
    W = rng.integers(0, 50, (15, 15))
    skew, order = (W - W.T).astype(kind), rng.permutation(15).astype(np.int32)
    problem = LinearOrdering(W)
    place, home, best = np.argsort(order).astype(np.int32), order.copy(), order.copy()
    value = np.full(3, -problem.evaluate(order[None].astype(float)).F[0, 0])
    state = np.zeros(linear_order.STATE, dtype=np.int64)
    for _ in range(60):
        linear_order.search_linear_order(skew, order, place, home, best, value, state, 3, 20.0, 7)
        assert order[place].tolist() == list(range(15))
        F = problem.evaluate(np.array([order, home, best], dtype=float)).F[:, 0]
        assert np.array_equal(-F, value)
        if state[linear_order.IDLE] >= 15:
            assert linear_order.insertion_gains_reference(skew, order).max() <= 0


def test_swaps_are_those_of_the_definition_and_books_are_kept() -> None:
    for seed, k in ((0, 1), (1, 2), (2, 5)):
        rng = np.random.default_rng(seed)
        distance = rng.integers(-5, 30, (12, 20)).astype(float)
        places = rng.permutation(12)[:k]
        near, far, loss = np.empty((20, 2), dtype=np.int64), np.empty((20, 2)), np.empty(k)
        value = np.full(3, facilities.serve(distance, places, near, far))
        is_open = np.isin(np.arange(12), places)
        home, best, state = places.copy(), places.copy(), np.zeros(facilities.STATE, dtype=np.int64)
        for _ in range(60):
            facilities.search_medians(
                distance, places, is_open, near, far, home, best, value, state, 2, 5.0, 5
            )
            totals = [distance[some].min(axis=0).sum() for some in (places, home, best)]
            assert totals == value.tolist()
            assert np.flatnonzero(is_open).tolist() == sorted(places.tolist())
            changes = facilities.swap_changes_reference(distance, places)
            for f in np.flatnonzero(~is_open):
                change, r = facilities.best_swap(f, distance, near, far, loss)
                assert change == changes[f].min() == changes[f, r]
            if state[facilities.IDLE] >= 12 - k:
                assert changes[~is_open].min() >= 0
