"""Rounding to whole numbers that rows allow, against enumeration."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.kernels.rounding import round_reference, round_rows

SEEDS = st.integers(0, 2**32 - 1)


def rows(seed: int) -> tuple[np.ndarray, ...]:
    rng = default_rng(seed)
    d, m = int(rng.integers(2, 6)), int(rng.integers(1, 4))
    whole = rng.random(d) < 0.8
    whole[0] = True
    ub = np.where(whole, rng.integers(1, 5, d), 1).astype(float)
    A = rng.integers(-3, 5, (m, d)).astype(float)
    inside = np.where(whole, np.rint(rng.random(d) * ub), rng.random(d))
    upper = A @ inside
    lower = np.where(rng.random(m) < 0.4, upper, -np.inf)
    target = rng.random((5, d)) * ub
    return target, target, A, lower, upper, np.zeros((1, d)), ub[None], whole


def allowed(x: np.ndarray, case: tuple[np.ndarray, ...]) -> bool:
    _, _, A, lower, upper, lb, ub, whole = case
    least = np.minimum(A * lb[0], A * ub[0])[:, ~whole].sum(axis=1)
    most = np.maximum(A * lb[0], A * ub[0])[:, ~whole].sum(axis=1)
    activity = A[:, whole] @ x[whole]
    return bool((activity + most >= lower - 1e-9).all() and (activity + least <= upper + 1e-9).all())


@settings(max_examples=300)
@given(SEEDS)
def test_what_it_finds_is_allowed(seed: int) -> None:
    case = rows(seed)
    whole = case[-1]
    Y, found = round_rows(*case)
    for x, good in zip(Y, found, strict=True):
        assert (x[whole] == np.rint(x[whole])).all()
        assert (x[whole] >= 0).all()
        assert (x <= case[6][0]).all()
        assert not good or allowed(x, case)
    assert np.array_equal(Y[:, ~whole], case[0][:, ~whole])


def test_finds_most_and_near_to_the_nearest() -> None:
    excess, hits, total = [], 0, 0
    for seed in range(150):
        case = rows(seed)
        Y, found = round_rows(*case)
        R, possible = round_reference(*case)
        whole, scale = case[-1], np.maximum(case[6], 1.0)
        away = [(np.abs(Z - case[1]) / scale)[:, whole].sum(axis=1) for Z in (Y, R)]
        hits, total = hits + int((found & possible).sum()), total + int(possible.sum())
        assert not (found & ~possible).any()
        both = found & possible
        assert (away[0][both] >= away[1][both] - 1e-9).all()
        excess += (away[0] - away[1])[both].tolist()
    assert hits >= 0.9 * total
    assert np.mean(excess) <= 0.2


def test_a_row_of_reals_alone_counts() -> None:
    X = np.array([[1.0, 0.5]])
    A = np.array([[0.0, 1.0]])
    box = np.zeros((1, 2)), np.ones((1, 2))
    _, found = round_rows(X, X, A, np.array([2.0]), np.array([3.0]), *box, np.array([True, False]))
    assert not found[0]
