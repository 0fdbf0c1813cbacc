"""Searches of linear orders and of facilities: optima of small problems, starts, seeds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.problems import LinearOrdering, MaxCoverage, PMedian
from optengine.solvers.combinatorial import FacilitySearch, LinearOrderSearch


def optimum(problem: PMedian | MaxCoverage, n: int) -> float:
    X = np.array([problem.point(c) for c in itertools.combinations(range(n), problem.k)])
    evaluation = problem.evaluate(X)
    assert evaluation.feasible().all()
    return float(problem.signs[0] * evaluation.F[:, 0].min())


def test_small_optima_are_found() -> None:
    orders = np.array(list(itertools.permutations(range(7))), dtype=float)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        ordering, real = LinearOrdering.random(rng, 7), LinearOrdering(rng.normal(size=(7, 7)))
        for problem in (ordering, real):
            result = oe.solve(problem, budget=20_000, seed=0)
            assert result.solver == "linear_order"
            assert result.fun == pytest.approx(-problem.evaluate(orders).F.min())
        median, coverage = PMedian.random(rng, 10, 14), MaxCoverage.random(rng, 10, 25)
        for places in (median, coverage):
            result = oe.solve(places, FacilitySearch(), budget=3_000, seed=0)
            assert result.fun == optimum(places, 10)
            assert result.feasible
            assert result.bound is None


def test_a_seed_is_a_run_and_a_start_is_kept() -> None:
    rng = np.random.default_rng(0)
    for problem, solver in (
        (LinearOrdering.random(rng, 60), LinearOrderSearch()),
        (PMedian.random(rng, 60, 50), FacilitySearch()),
        (MaxCoverage.random(rng, 60, 90), FacilitySearch()),
    ):
        first, again = (oe.solve(problem, solver, budget=100_000, seed=2) for _ in range(2))
        assert first.history.X.tobytes() == again.history.X.tobytes()
        kept = oe.solve(problem, solver, budget=100, x0=first.x, seed=3)
        sign = problem.signs[0]
        assert sign * kept.fun <= sign * first.fun
        pool = first.details["pool"]
        assert len(np.unique(pool["x"], axis=0)) == len(pool["x"]) >= 1


def test_edges_and_refusals() -> None:
    assert "there is one" in (LinearOrderSearch().refuses(LinearOrdering([[0]])) or "")
    assert "LinearOrdering" in (LinearOrderSearch().refuses(PMedian([[1, 2]], 1)) or "")
    assert "PMedian" in (FacilitySearch().refuses(LinearOrdering([[0]])) or "")
    every = oe.solve(PMedian([[1, 2], [2, 1]], 2), FacilitySearch(), budget=10, seed=0)
    assert every.fun == 2.0
    assert oe.solve(PMedian([[3, 2]], 1), FacilitySearch(), budget=10, seed=0).fun == 2.0
    with pytest.raises(OptionError, match="strength must be an integer >= 1, got 0"):
        LinearOrderSearch(strength=0)
    with pytest.raises(OptionError, match="temperature must be in"):
        FacilitySearch(temperature=-1.0)
