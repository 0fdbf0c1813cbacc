"""The local search on rows: what it finds, what it is believed, and its place before other searches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

import optengine as oe
from optengine.backends import linear
from optengine.core.errors import OptionError, SolverNotSuitable
from optengine.problems.generators import combinatorial_auction, item_placement, set_cover
from optengine.problems.milp import MILP
from optengine.solvers.milp.jump import Jumper
from optengine.solvers.milp.predictor import ranked


class Scores:
    """A predictor of given scores, with settings."""

    def __init__(self, scores: Any, **settings: Any) -> None:
        self._scores, self.settings = np.asarray(scores, dtype=float), settings

    def scores(self, problem: MILP) -> Any:
        return self._scores


@pytest.mark.parametrize("seed", range(4))
def test_it_comes_near_the_optimum(seed: int) -> None:
    problem = MILP.random(default_rng(seed), 25, 6)
    best = -linear.solve_linear(problem.model).value
    result = oe.solve(problem, "feasibility_jump", budget=20_000, seed=0)
    assert result.feasible
    assert 0.9 * best <= result.fun <= best + 1e-6
    assert result.bound is None
    assert result.status == "budget_exhausted"
    assert result.n_evaluations == 20_000


@pytest.mark.parametrize("family", [set_cover, item_placement, combinatorial_auction])
def test_the_families_have_a_point_at_once(family: Any) -> None:
    size = (0, 3, 12, 2, 2) if family is item_placement else (0, 60, 150)
    problem = family(*size, **({"density": 0.08} if family is set_cover else {}))
    result = oe.solve(problem, "feasibility_jump", budget=5000, seed=1)
    assert result.feasible
    assert result.details["moves"] == 5000


def test_equalities_free_and_whole_columns() -> None:
    # x + y = 7.5 with x whole and y free, 2 x - z >= 3, z whole and at least 2: x >= 3; min x + 2 z + |y| as t.
    problem = MILP(
        [1, 0, 2, 1],
        [[1, 1, 0, 0], [2, 0, -1, 0], [0, -1, 0, 1], [0, 1, 0, 1]],
        lower=[7.5, 3, 0, 0],
        upper=[7.5, np.inf, np.inf, np.inf],
        bounds=([0, -np.inf, 2, 0], [20, np.inf, 9, np.inf]),
        integrality=[1, 0, 1, 0],
    )
    result = oe.solve(problem, "feasibility_jump", budget=20_000, seed=0)
    assert result.feasible
    assert result.fun == pytest.approx(linear.solve_linear(problem.model).value)


def test_never_worse_than_x0_and_nothing_where_there_is_no_point() -> None:
    problem = MILP.random(default_rng(5), 25, 6)
    best = oe.solve(problem, "milp")
    result = oe.solve(problem, "feasibility_jump", budget=50, seed=0, x0=best.x)
    assert result.fun == best.fun
    impossible = MILP([1.0], [[1.0], [1.0]], [1, -np.inf], [np.inf, 0], (0, 1), True)
    result = oe.solve(impossible, "feasibility_jump", budget=500, seed=0)
    assert not result.feasible
    assert result.status == "budget_exhausted"


def test_weights_start_afresh() -> None:
    problem = MILP.random(default_rng(2), 12, 4)
    result = oe.solve(problem, "feasibility_jump", budget=40_000, seed=0, options={"patience": 1000})
    assert result.details["restarts"] > 0
    assert result.fun == pytest.approx(-linear.solve_linear(problem.model).value)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(OptionError, match="patience must be an integer >= 1"):
        oe.solvers.FeasibilityJump(patience=0)
    with pytest.raises(SolverNotSuitable, match="reads the rows of a MILP"):
        oe.solve(oe.problems.QAP.random(default_rng(0), 5), "feasibility_jump", budget=5)
    with pytest.raises(OptionError, match="time_limit"):
        oe.solve(MILP.random(default_rng(0)), "feasibility_jump")


@pytest.mark.parametrize("solver", ["relaxation_induced", "local_branching", "predict_and_search"])
def test_it_comes_before_other_searches(solver: str) -> None:
    problem = set_cover(3, 60, 150, density=0.08)
    result = oe.solve(problem, solver, time_limit=20, seed=0, workers=1)
    assert result.details["start"]["value"] >= result.fun
    assert result.status == "optimal"
    assert "start" not in oe.solve(problem, solver, time_limit=20, seed=0, options={"jump": 0.0}).details


def test_a_budget_of_nodes_is_not_for_moves() -> None:
    result = oe.solve(set_cover(3, 60, 150, density=0.08), "relaxation_induced", budget=3, seed=0, workers=1)
    assert "start" not in result.details


def test_the_run_takes_the_predictors_settings_and_options_stand_above() -> None:
    problem = set_cover(1, 30, 60, density=0.1)
    tuned = Scores(
        np.arange(60), k0=0.5, k1=0.1, radius=0.0, mode="fix", jump=0.0, first=0.5, backend="highs"
    )
    result = oe.solve(problem, "predict_and_search", time_limit=20, seed=0, options={"predictor": tuned})
    assert result.details["predicted"] == [30, 6]
    assert result.details["radii"][0] == 0
    assert "start" not in result.details
    asked = {"predictor": tuned, "mode": "hint", "k0": 0.2, "jump": 0.1}
    result = oe.solve(problem, "predict_and_search", time_limit=20, seed=0, options=asked)
    assert result.details["predicted"] == [12, 6]
    assert result.details["radii"] == []
    assert "start" in result.details
    unknown = Scores(np.arange(60), backend="gone")
    result = oe.solve(problem, "predict_and_search", time_limit=20, seed=0, options={"predictor": unknown})
    assert result.details["backend"] == "highs"


def test_level_scores_are_not_chosen_in_blocks() -> None:
    scores = np.repeat([0.2, 0.4], 50)  # two items of fifty bins
    first = ranked(scores)[:25]
    assert (first < 50).all()
    assert 5 < (first < 25).sum() < 20
    assert (ranked(scores) == ranked(scores)).all()
    assert ranked(np.array([0.3, np.nan, 0.1, 0.2])).tolist() == [2, 3, 0]
    tiny = np.array([1e-9, 3e-9, 2e-9])  # probabilities near an end are told apart
    assert ranked(tiny).tolist() == [0, 2, 1]


def test_the_jumper_starts_where_it_is_told() -> None:
    problem = set_cover(1, 30, 60, density=0.1)

    class Desk:
        best, nodes_left, seconds_left = None, None, 10.0

        def stop(self) -> bool:
            return False

        def spend(self, n: int) -> None:
            pass

        def incumbent(self, x: Any, _: float = 0.0) -> None:
            self.best = np.array(x)

    desk: Any = Desk()
    x = np.full(60, np.nan)
    x[:30] = 1.0
    jumper = Jumper(problem, desk, default_rng(0), x=x)
    assert (jumper._state.x[:30] == 1).all()
    assert (jumper._state.x[30:] == 0).all()
    jumper.run(5.0)  # ends by itself: more moves do not pay
    assert problem.evaluate(desk.best[None]).feasible()[0]
