"""Branch and bound over levels: relaxations against HiGHS, dropped levels never the optimum's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from optengine.kernels import minmax_branch as kernel, minmax_simplex as simplex


def instance(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A, c, h and the levels of 2 to 6 variables; every fourth A has a column twice, every fifth integer entries."""
    rng = np.random.default_rng(seed)
    m, n = int(rng.integers(1, 25)), int(rng.integers(2, 7))
    A = rng.standard_normal((m, n))
    if seed % 4 == 0:
        A[:, 1] = -A[:, 0]
    if seed % 5 == 0:
        A = np.round(A)
    count = rng.integers(2, 5, n)
    values = np.concatenate([np.sort(rng.normal(0, 2, k)) for k in count])
    h = np.where(rng.random(m) < 0.5, 0.0, rng.exponential(0.3, m))
    return A, rng.normal(0, 2, m), h, values, np.concatenate([[0], np.cumsum(count)[:-1]]), count


def relaxation(A: np.ndarray, c: np.ndarray, h: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    one = -np.ones((len(A), 1))
    rows = np.concatenate([np.hstack([A, one]), np.hstack([-A, one])])
    bounds = [*zip(low, high, strict=True), (0, None)]
    answer = linprog(np.append(np.zeros(len(low)), 1.0), rows, np.concatenate([h + c, h - c]), bounds=bounds)
    return float(answer.fun)


@pytest.mark.parametrize("seed", range(100))
def test_dual_simplex_is_the_linear_programme(seed: int) -> None:
    A, c, h, values, start, count = instance(seed)
    m, n = A.shape
    low, high = values[start], values[start + count - 1]
    basis, inverse = np.empty(n + 1, dtype=np.int64), np.empty((n + 1, n + 1))
    lam, age, z = np.empty(n + 1), np.zeros(1, dtype=np.int64), np.empty(n + 1)
    simplex.restart(m, basis, inverse, lam)
    head = (A, np.ascontiguousarray(A.T), c, h)
    size = np.abs(A).max(axis=0)
    status, bound = simplex.resolve(*head, low, high, size, basis, inverse, lam, age, z, 1e3)
    assert status == simplex.OPTIMAL
    assert bound == pytest.approx(relaxation(A, c, h, low, high), abs=1e-7)
    high[0] = low[0]  # a branch, from the parent's basis
    status, bound = simplex.resolve(*head, low, high, size, basis, inverse, lam, age, z, 1e3)
    assert status == simplex.OPTIMAL
    assert bound == pytest.approx(relaxation(A, c, h, low, high), abs=1e-7)


@pytest.mark.parametrize("seed", range(100))
def test_any_multipliers_bound_from_below(seed: int) -> None:
    A, c, h, values, start, count = instance(seed)
    rng = np.random.default_rng(seed)
    m, n = A.shape
    low, high = values[start], values[start + count - 1]
    basis, lam = rng.integers(0, 2 * m, n + 1), rng.exponential(1.0, n + 1)
    assert simplex.safe_bound(A, c, h, low, high, basis, lam) <= relaxation(A, c, h, low, high) + 1e-7


@pytest.mark.parametrize("seed", range(100))
def test_branch_and_bound_is_exhaustion(seed: int) -> None:
    A, c, h, values, start, count = instance(seed)
    m, n = A.shape
    points = np.array(list(itertools.product(*[range(k) for k in count])))
    X = values[start + points]
    every = np.maximum(np.abs(X @ A.T - c) - h, 0.0).max(axis=1)
    low, high = np.zeros((n + 2, n), dtype=np.int64), np.zeros((n + 2, n), dtype=np.int64)
    high[0] = count - 1
    basis, inverse = np.zeros((n + 2, n + 1), dtype=np.int64), np.zeros((n + 2, n + 1, n + 1))
    lam, age = np.zeros((n + 2, n + 1)), np.zeros((n + 2, 1), dtype=np.int64)
    where, middle = np.zeros((n + 2, 5), dtype=np.int64), np.zeros((n + 2, 2))
    simplex.restart(m, basis[0], inverse[0], lam[0])
    best, value = points[0].copy(), np.array([every[0], 0.0])
    state = (low, high, basis, inverse, lam, age, where, middle)
    head = (A, np.ascontiguousarray(A.T), c, h, values, start, np.abs(A).max(axis=0))
    n_nodes = 1 + seed % 7
    for _ in range(10_000):
        done = kernel.branch(*head, *state, best, value, n_nodes)
        assert value[1] <= n_nodes
        if done == kernel.DONE:
            break
    assert value[0] == pytest.approx(every.min(), rel=1e-5, abs=1e-9)
    at_best = np.maximum(np.abs(A @ values[start + best] - c) - h, 0.0).max()
    assert value[0] == pytest.approx(at_best, abs=1e-12)
