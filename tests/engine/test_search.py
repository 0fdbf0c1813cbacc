"""Solvers that search by themselves: what their control gives them and takes from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import optengine as oe
from optengine import EvaluationFailed, OptionError, Problem

BOX = [(-1.0, 1.0)] * 2


def sphere(x: Any) -> float:
    return float((x**2).sum())


Act = Callable[[Any], Any]


@dataclass(frozen=True, kw_only=True)
class Script:
    """A search solver that does what the test tells it; it needs no limit of its own."""

    replayable: ClassVar[bool] = False
    needs_limit: ClassVar[bool] = False
    act: ClassVar[Act] = staticmethod(lambda control: None)

    def refuses(self, problem: Problem) -> str | None:
        return None

    def start(self, problem: Problem, rng: Any) -> Any:
        solver = self

        class Run:
            details: ClassVar = {"nodes": 3}

            def search(self, control: Any) -> None:
                solver.act(control)

        return Run()


def solve(act: Act, problem: Problem | None = None, **arguments: Any) -> oe.Result:
    script = type("Script", (Script,), {"act": staticmethod(act)})
    return oe.solve(problem or Problem(sphere, BOX), solver=script(), **arguments)


def descend(control: Any) -> None:
    """Halve the point until told to stop; one move each."""
    x = np.ones(2) if control.x0 is None else control.x0[0].copy()
    while not control.stop():
        control.spend(1)
        control.incumbent(x)
        x = x / 2 if np.abs(x).max() > 1e-9 else x


def test_incumbents_are_evaluated_and_must_be_better() -> None:
    answers: list[Any] = []

    def act(control: Any) -> None:
        for x in ([1.0, 1.0], [0.5, 0.5], [0.5, 0.5], [0.9, 0.0], [0.5, 0.25]):
            control.spend(2)
            answers.append(control.incumbent(np.array(x)))

    result = solve(act)
    assert answers == [2.0, 0.5, None, None, 0.3125]
    assert (result.fun, result.status, result.n_evaluations) == (0.3125, "converged", 10)
    assert result.x.tolist() == [0.5, 0.25]
    assert result.history.value.tolist() == [2.0, 0.5, 0.3125]
    assert result.details["nodes"] == 3
    assert result.history.best.tolist() == [2.0, 0.5, 0.3125]


def test_a_search_that_finds_nothing_says_so() -> None:
    result = solve(lambda control: None)
    assert (result.x, result.fun, result.feasible, result.status) == (None, None, False, "converged")
    concluded = solve(lambda control: control.conclude("infeasible", "row 3 cannot hold"))
    assert (concluded.status, concluded.message) == ("infeasible", "row 3 cannot hold")


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_bounds_are_shown_in_the_users_direction(direction: str) -> None:
    sign = 1.0 if direction == "minimize" else -1.0

    def act(control: Any) -> None:
        control.incumbent(np.array([1.0, 1.0]))
        for bound in (-5.0, 0.5, float("nan"), 0.25):
            control.bound(bound)

    result = solve(act, Problem(lambda x: sign * sphere(x), BOX, direction=direction))
    assert (result.fun, result.bound, result.gap) == (sign * 2, sign * 0.5, 0.75)
    assert result.status == "converged"

    def prove(control: Any) -> None:
        control.bound(0.0)
        assert control.incumbent(np.zeros(2)) == 0

    proved = solve(prove, Problem(lambda x: sign * sphere(x), BOX, direction=direction))
    assert (proved.status, proved.gap, abs(proved.bound or 0)) == ("optimal", 0, 0)


def test_limits_stop_a_search() -> None:
    by_budget = solve(descend, budget=7)
    assert (by_budget.n_evaluations, by_budget.status) == (7, "budget_exhausted")
    by_target = solve(descend, target=0.01)
    assert by_target.status == "target_reached"
    assert by_target.fun <= 0.01  # type: ignore[operator]
    began = time.perf_counter()
    by_clock = solve(descend, time_limit=0.2)
    assert (by_clock.status, time.perf_counter() - began < 1) == ("time_limit", True)
    by_callback = solve(descend, callbacks=lambda s: s.fun < 0.1)
    assert by_callback.status == "stopped"
    assert by_callback.fun < 0.1  # type: ignore[operator]


def test_callbacks_are_called_while_nothing_better_is_found() -> None:
    def idle(control: Any) -> None:
        while not control.stop():
            time.sleep(0.01)

    result = solve(idle, time_limit=20, callbacks=lambda s: s.seconds > 0.6)
    assert result.status == "stopped"
    assert result.seconds < 5


def test_a_search_knows_what_is_left() -> None:
    seen: list[Any] = []

    def act(control: Any) -> None:
        control.spend(3)
        seen.append((control.remaining, control.seconds_left, control.device, control.threads, control.x0))

    solve(act, budget=10, time_limit=9, device="cpu", workers=5)
    solve(act)
    assert seen[0][0] == 7
    assert 8 < seen[0][1] <= 9
    assert seen[0][2:] == ("cpu", 5, None)
    assert seen[1][:3] == (None, None, "auto")
    assert seen[1][3] >= 1


def test_starting_points_come_best_first_and_count() -> None:
    seen: list[Any] = []
    x0 = [[0.9, 0.0], [-0.1, 0.1], [0.5, 0.5], [0.9, 0.0]]
    result = solve(lambda control: seen.append(control.x0), x0=x0)
    assert seen[0].tolist() == [[-0.1, 0.1], [0.9, 0.0], [0.5, 0.5]]
    assert result.fun == pytest.approx(0.02)
    assert result.history.value.tolist() == pytest.approx([0.81, 0.02])


def test_the_same_seed_gives_a_search_the_same_numbers() -> None:
    drawn: list[float] = []
    for seed in (3, 3, 4):
        solve(lambda control: drawn.append(control.rng.random()), seed=seed)
    assert drawn[0] == drawn[1] != drawn[2]


def test_known_constraints_are_repaired_before_a_search_is_believed() -> None:
    problem = Problem(sphere, oe.Space(BOX, rows=[oe.Row([1, 1], lower=1)]))
    result = solve(lambda control: control.incumbent(np.zeros(2)), problem)
    assert result.x.sum() >= 1 - 1e-9
    assert result.fun == sphere(result.x)


def test_only_the_target_fidelity_counts_for_a_search() -> None:
    space = oe.Space(x=oe.Real(0, 1), epochs=oe.Integer(1, 9, fidelity=True))
    answers: list[Any] = []

    def act(control: Any) -> None:
        answers.append(control.incumbent(np.array([0.1, 3.0])))
        answers.append(control.incumbent(np.array([0.4, 9.0])))

    result = solve(act, Problem(lambda x, epochs: x, space))
    assert answers == [None, 0.4]
    assert result.x == {"x": 0.4, "epochs": 9}


def broken(x: Any) -> float:
    if x[0] > 0.5:
        raise ValueError("pipe burst")
    return sphere(x) if x[1] < 0.5 else float("nan")


def test_failed_evaluations_reach_the_user_or_are_passed_over(clear: Any) -> None:
    answers: list[Any] = []

    def act(control: Any) -> None:
        answers.extend(control.incumbent(np.array(x)) for x in ([1.0, 0.0], [0.0, 1.0], [0.25, 0.0]))

    result = solve(act, Problem(broken, BOX), catch=True)
    assert (answers, result.fun) == ([None, None, 0.0625], 0.0625)
    with clear(EvaluationFailed, "pipe burst") as caught:
        solve(act, Problem(broken, BOX), catch=KeyError)
    assert caught.value.result.status == "failed"
    with clear(EvaluationFailed, "no value", "catch=True"):
        solve(lambda control: control.incumbent(np.array([0.0, 1.0])), Problem(broken, BOX))


def test_several_objectives_give_a_search_a_front() -> None:
    def act(control: Any) -> None:
        for x in ([0.5, 0.5], [1.0, 0.0], [0.0, 1.0], [0.6, 0.6]):
            control.incumbent(np.array(x))

    result = solve(act, Problem(lambda x: [x[0], x[1]], BOX, objectives=["a", "b"]))
    assert result.front is not None
    assert result.front.F.tolist() == [[0, 1], [0.5, 0.5], [1, 0]]


# -- the journal ------------------------------------------------------------------------------------------------------


def test_a_search_resumes_from_its_incumbent(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"storage": tmp_path / "runs.db", "name": "search", "seed": 0}
    first = solve(descend, budget=5, **settings)
    calls: list[int] = []

    def watched(control: Any) -> None:
        calls.append(1)
        assert control.x0 is not None
        assert control.x0[0].tolist() == first.x.tolist()
        descend(control)

    stored = solve(watched, budget=5, **settings)
    assert calls == []  # a finished search is not searched again
    assert (stored.fun, stored.n_evaluations, stored.status) == (first.fun, 5, "budget_exhausted")
    assert stored.history.value.tolist() == first.history.value.tolist()
    longer = solve(watched, budget=9, **settings)
    assert calls == [1]
    assert longer.n_evaluations == 9
    assert longer.fun < first.fun  # type: ignore[operator]
    assert (
        len(longer.history) == len(first.history) + 3
    )  # its first move offers the incumbent, which is not better


def test_a_stored_bound_is_still_proved(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"storage": tmp_path / "runs.db", "seed": 0, "time_limit": 0.05}

    def act(control: Any) -> None:
        control.bound(-1.0)
        descend(control)

    first = solve(act, **settings)
    assert first.status == "time_limit"
    again = solve(act, **settings)
    assert (again.n_evaluations, again.seconds, again.bound) == (first.n_evaluations, first.seconds, -1)
    longer = solve(lambda control: None, **(settings | {"time_limit": 60}))
    assert longer.bound == -1
    assert longer.fun == first.fun


def test_a_search_cannot_be_asked(clear: Any) -> None:
    with clear(OptionError, "'Script'", "searches by itself", "solve()"):
        oe.Optimizer(Problem(sphere, BOX), Script())
