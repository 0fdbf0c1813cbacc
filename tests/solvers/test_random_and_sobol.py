"""Random search and Sobol points: uniform, even, and inside known constraints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.core.space import Permutation, Real, Row, Simplex, Space
from optengine.solvers import sobol
from optengine.solvers.random_search import RandomSearch
from optengine.solvers.sobol import Sobol


def test_random_points_keep_known_constraints(encoded: Callable[..., Problem]) -> None:
    space = Space(w=Real(0, 1, shape=4), rows=[Row({"w": [1, 1, 1, 1]}, upper=0.5)])
    problem = encoded(lambda X: X.sum(axis=1), space)
    X = RandomSearch().start(problem, np.random.default_rng(0)).ask(200)
    assert space.satisfies(X).all()
    assert (X.sum(axis=1) < 0.49).mean() > 0.5  # drawn inside, not moved to the boundary


def test_random_points_are_uniform(encoded: Callable[..., Problem]) -> None:
    problem = encoded(lambda X: X.sum(axis=1), [(0, 1), (-4, 4)])
    X = RandomSearch().start(problem, np.random.default_rng(0)).ask(20_000)
    np.testing.assert_allclose(X.mean(axis=0), [0.5, 0.0], atol=0.1)
    np.testing.assert_allclose(X.var(axis=0), [1 / 12, 64 / 12], rtol=0.05)


@pytest.mark.parametrize("asks", [[64], [1] * 64, [10, 20, 34], [100]])
def test_sobol_points_do_not_depend_on_how_they_are_asked(
    asks: list[int], encoded: Callable[..., Problem]
) -> None:
    problem = encoded(lambda X: X.sum(axis=1), [(0.0, 1.0)] * 3)
    run = Sobol().start(problem, np.random.default_rng(5))
    X = np.concatenate([run.ask(n) for n in asks])[:64]
    whole = Sobol().start(problem, np.random.default_rng(5)).ask(64)
    np.testing.assert_array_equal(X, whole)
    for j in range(3):  # 64 points of a (t, 6, 3) net: one in each interval of 1/64 on every axis
        assert sorted((X[:, j] * 64).astype(int)) == list(range(64))


def test_sobol_fills_every_kind_evenly(encoded: Callable[..., Problem]) -> None:
    run = Sobol().start(
        encoded(lambda X: X[:, 0], Space(p=Permutation(3), m=Simplex(3))), np.random.default_rng(1)
    )
    X = run.ask(512)
    orders, counts = np.unique(X[:, :3], axis=0, return_counts=True)
    assert len(orders) == 6
    assert abs(counts - 512 / 6).max() < 10
    np.testing.assert_allclose(X[:, 3:].mean(axis=0), 1 / 3, atol=0.02)


def test_sobol_refuses_what_it_has_no_numbers_for(encoded: Callable[..., Problem]) -> None:
    wide = encoded(lambda X: X[:, 0], Space(x=Real(0, 1, shape=21_202)))
    reason = Sobol().refuses(wide)
    assert reason is not None
    assert "21202" in reason
    assert Sobol().refuses(encoded(lambda X: X[:, 0], [(0, 1)])) is None


def test_sobol_ends_when_its_points_do(monkeypatch: pytest.MonkeyPatch, encoded: Callable[..., Any]) -> None:
    monkeypatch.setattr(sobol, "BITS", 7)
    run = Sobol().start(encoded(lambda X: X[:, 0], [(0, 1)]), np.random.default_rng(0))
    assert len(run.ask(100)) == 100
    assert len(run.ask(100)) == 28
    with pytest.raises(StopAsking):
        run.ask()
