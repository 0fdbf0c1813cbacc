"""The tour search: optima by enumeration, known tours, asymmetric instances refused, seeds and starts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import optengine as oe
from optengine import registry
from optengine.problems import TSP


@pytest.mark.parametrize("n", [3, 5, 8, 9])
def test_small_optima_are_found(n: int) -> None:
    problem = TSP(coordinates=np.random.default_rng(n).random((n, 2)))
    tours = np.array([(0, *rest) for rest in itertools.permutations(range(1, n))], dtype=float)
    best = problem.evaluate(tours).F.min()
    result = oe.solve(problem, budget=60_000, seed=0)
    assert result.solver == "tour"
    assert result.fun == pytest.approx(best, rel=1e-12)
    assert result.status == ("optimal" if n < 8 else "budget_exhausted")


def test_cities_on_a_circle_are_visited_round_it() -> None:
    angle = 2 * np.pi * np.random.default_rng(0).permutation(200) / 200
    problem = TSP(coordinates=np.c_[np.cos(angle), np.sin(angle)])
    result = oe.solve(problem, budget=2_000_000, seed=0)
    assert result.fun == pytest.approx(400 * np.sin(np.pi / 200), rel=1e-9)


def test_a_seed_is_a_run_and_a_start_is_kept() -> None:
    problem = TSP.random(np.random.default_rng(1), 150)
    first, again, other = (oe.solve(problem, budget=500_000, seed=s) for s in (1, 1, 2))
    assert first.history.X.tobytes() == again.history.X.tobytes() != other.history.X.tobytes()
    kept = oe.solve(problem, budget=50, x0=first.x, seed=3)
    assert kept.fun <= first.fun
    pool = first.details["pool"]
    assert len(np.unique(pool["x"], axis=0)) == len(pool["x"]) > 1


def test_asymmetric_instances_go_elsewhere() -> None:
    problem = TSP(np.random.default_rng(0).integers(1, 50, (12, 12)))
    assert "asymmetric" in (registry.make("tour").refuses(problem) or "")
    assert oe.solve(problem, budget=3000, seed=0).solver == "ils"
