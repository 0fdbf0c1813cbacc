"""Knapsack and cover searches: optima of small problems, proofs, starts, seeds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.problems import Knapsack, SetCover
from optengine.solvers.combinatorial import CoverSearch, KnapsackSearch

EVERY = np.array(list(itertools.product((0.0, 1.0), repeat=12)))


def optimum(problem: oe.Problem) -> float:
    evaluation = problem.evaluate(EVERY)
    return float(problem.signs[0] * evaluation.F[evaluation.feasible(), 0].min())


@pytest.mark.parametrize("relaxation", [True, False])
def test_small_optima_are_found_and_bounds_are_right(relaxation: bool) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        bag, cover = Knapsack.random(rng, 12, 3), SetCover.random(rng, 12, 9, 0.25)
        best = optimum(bag)
        result = oe.solve(bag, KnapsackSearch(relaxation=relaxation), budget=60_000, seed=0)
        assert result.fun == best
        assert result.bound is None or result.bound >= best
        assert (result.bound is not None) == relaxation
        best = optimum(cover)
        result = oe.solve(cover, CoverSearch(relaxation=relaxation), budget=60_000, seed=0)
        assert result.fun == best
        assert result.bound is None or result.bound <= best


def test_auto_takes_them_and_a_seed_is_a_run() -> None:
    rng = np.random.default_rng(0)
    for problem, name in (
        (Knapsack.random(rng, 60, 5), "knapsack"),
        (SetCover.random(rng, 150, 60), "cover"),
    ):
        first, again = (oe.solve(problem, budget=400_000, seed=2) for _ in range(2))
        assert first.solver == name
        assert first.history.X.tobytes() == again.history.X.tobytes()
        kept = oe.solve(problem, budget=1000, x0=first.x, seed=3)
        assert kept.fun == first.fun
        pool = first.details["pool"]
        assert len(np.unique(pool["x"], axis=0)) == len(pool["x"])


def test_a_negative_capacity_is_infeasible() -> None:
    assert oe.solve(Knapsack([1, 2], [[1, 1]], [-1]), budget=100, seed=0).status == "infeasible"


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="core must be an integer >= 2 or None, got 1"):
        KnapsackSearch(core=1)
    with pytest.raises(OptionError, match="temperature must be in"):
        KnapsackSearch(temperature=-1)
    with pytest.raises(OptionError, match="relaxation must be True or False, got 1"):
        CoverSearch(relaxation=1)  # type: ignore[arg-type]
