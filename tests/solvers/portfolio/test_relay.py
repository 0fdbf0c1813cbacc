"""Relays: stages know all that was evaluated, races end with the best, counts are kept, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.solvers.portfolio import Relay
from optengine.testing import check_solver, small_problems


def bowl(x: Any) -> float:
    return float(((np.asarray(x) - 0.3) ** 2).sum())


BOX = oe.Problem(bowl, [(-5.0, 5.0)] * 3)


def listener(low: float = -5.0, stop_after: int | None = None) -> Any:
    """A solver of one's own: draws points above `low`; `heard` holds what it was told and had not asked."""
    from dataclasses import dataclass

    heard: list[np.ndarray] = []

    @dataclass(frozen=True)
    class Listening:
        replayable = True

        def refuses(self, problem: Any) -> str | None:
            return None

        def start(self, problem: Any, rng: Any) -> Any:
            return Run(problem, rng)

    class Run:
        batch = 4

        def __init__(self, problem: Any, rng: Any) -> None:
            self.problem, self.rng, self.n = problem, rng, 0

        def ask(self, n: int | None = None) -> np.ndarray:
            if stop_after is not None and self.n >= stop_after:
                from optengine.core.solver import StopAsking

                raise StopAsking
            self.n += n or 4
            return np.asarray(self.rng.uniform(low, 5.0, (n or 4, self.problem.space.width)))

        def tell(self, X: np.ndarray, evaluation: Any) -> None:
            foreign = evaluation.ids < 0
            heard.extend(X[foreign])

    solver = Listening()
    object.__setattr__(solver, "heard", heard)
    return solver


def test_the_next_stage_is_told_everything_and_nothing_is_evaluated_twice() -> None:
    first, second, third = listener(), listener(), listener()
    stages = [_stage(first, 20), _stage(second, 30), third]
    result = oe.solve(BOX, Relay(stages=stages), budget=80, seed=0, x0=[0.0, 0.0, 0.0])
    X = result.history.X
    assert len(np.unique(X, axis=0)) == len(X) == 80
    asked = [stage["members"] for stage in result.details["stages"]]
    assert [next(iter(members.values()))["asked"] for members in asked] == [20, 30, 29]
    assert len(first.heard) == 1
    np.testing.assert_array_equal(second.heard, X[:21])
    np.testing.assert_array_equal(third.heard, X[:51])


def _stage(solver: Any, evaluations: int) -> Any:
    from optengine.solvers.portfolio.relay import Stage

    return Stage((("listener", solver),), None, evaluations)


def test_the_best_racer_goes_on_and_hears_of_the_others() -> None:
    far, near = listener(low=4.0), listener()
    result = oe.solve(BOX, Relay(stages=[{"members": [far, near], "race": 10}]), budget=60, seed=1)
    (stage,) = result.details["stages"]
    labels = list(stage["members"])
    assert stage["leader"] == labels[1]
    assert [stage["members"][label]["asked"] for label in labels] == [10, 50]
    assert len(near.heard) == 10
    assert not far.heard
    assert "race of 10 evaluations each" in result.reason
    assert f"{labels[1]} went on" in result.reason


def test_who_has_no_more_to_propose_leaves_the_race_or_the_stage() -> None:
    ends, goes = listener(stop_after=6), listener()
    racing = oe.solve(BOX, Relay(stages=[{"members": [ends, goes], "race": 10}]), budget=40, seed=1)
    assert racing.n_evaluations == 40
    after = oe.solve(BOX, Relay(stages=[_stage(listener(stop_after=6), 20), listener()]), budget=40, seed=1)
    assert after.n_evaluations == 40
    over = oe.solve(BOX, Relay(stages=[listener(stop_after=6)]), budget=40, seed=1)
    assert over.status == "converged"
    assert over.n_evaluations == 6


def test_the_same_seed_gives_the_same_run_and_a_killed_one_goes_on(tmp_path: Any) -> None:
    stages = [
        {"name": "sobol", "evaluations": 10},
        {"members": ["de", "cem"], "race": 15, "evaluations": 60},
        "slsqp",
    ]
    whole = oe.solve(BOX, "relay", options={"stages": stages}, budget=100, seed=3)
    run: dict[str, Any] = {"seed": 3, "storage": str(tmp_path / "a.db"), "name": "a"}
    oe.solve(BOX, "relay", options={"stages": stages}, budget=37, **run)
    resumed = oe.solve(BOX, "relay", options={"stages": stages}, budget=100, **run)
    np.testing.assert_array_equal(resumed.history.X, whole.history.X)
    assert whole.fun is not None
    assert whole.fun < 1e-8


def test_contract() -> None:
    problems = {
        k: v for k, v in small_problems().items() if k in ("bounds", "conditional", "constraints", "front")
    }
    assert check_solver(Relay(), problems)
    stages = [{"name": "random", "evaluations": 7}, {"members": ["cem", "random"], "race": 5}]
    assert check_solver(Relay(stages=stages), {"bounds": problems["bounds"]})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"stages": "cem"}, "stages must be a list"),
        ({"stages": []}, "stages must hold at least one"),
        ({"stages": ["cem", "de"]}, "must have evaluations in all but the last"),
        ({"stages": ["cemm"]}, "did you mean 'cem'"),
        ({"stages": [{"name": "cem", "evaluations": 0}]}, "evaluations of a stage must be an integer >= 1"),
        ({"stages": [{"members": ["cem"], "race": 5}]}, "at least two and say race"),
        ({"stages": [{"members": ["cem", "de"]}]}, "at least two and say race"),
        (
            {"stages": [{"members": ["cem", "de"], "race": 5, "evaluations": 9}]},
            "at least race times members",
        ),
        ({"seconds": 0}, "seconds must be a finite number > 0"),
        ({"seconds": 1.0, "stages": ["cem"]}, "seconds must be None beside stages"),
        ({"workers": 0}, "workers must be an integer >= 1"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], says: str) -> None:
    with pytest.raises(oe.OptionError, match=says):
        Relay(**options)


def test_what_is_refused() -> None:
    front = small_problems()["front"]
    with pytest.raises(oe.SolverNotSuitable, match="a race compares one objective"):
        oe.solve(front, Relay(stages=[{"members": ["cem", "random"], "race": 5}]), budget=20)
    with pytest.raises(oe.SolverNotSuitable, match="its member 'slsqp'"):
        oe.solve(oe.Problem(bowl, oe.Binary(shape=4), call="array"), Relay(stages=["slsqp"]), budget=20)
    with pytest.raises(oe.OptionError, match="asked and told, got 'tabu'"):
        oe.solve(oe.problems.QUBO(np.eye(3)), Relay(stages=["tabu"]), budget=20)
