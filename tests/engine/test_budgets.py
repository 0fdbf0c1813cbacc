"""Budget, target, cost and clock: what runs out first stops the run, at the very evaluation."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pytest

import optengine as oe
from optengine import OptionError, Problem
from optengine.core.solver import StopAsking
from optengine.engine.limits import Clock, Limits, Spent

BOX = [(-1.0, 1.0)] * 3


def sphere(x: Any) -> float:
    return float((x**2).sum())


def rows(X: Any) -> Any:
    return (X**2).sum(axis=1)


@pytest.mark.parametrize("budget", [1, 7, 64, 100, 101])
@pytest.mark.parametrize("how", ["serial", "vectorized", "threads", "unordered threads", "batches of 16"])
def test_the_budget_is_used_exactly(budget: int, how: str) -> None:
    count = 0

    def counted(x: Any) -> Any:
        nonlocal count
        count += 1 if x.ndim == 1 else len(x)
        return (x**2).sum(axis=-1)

    arguments: dict[str, Any] = {"solver": "random", "budget": budget, "seed": 0}
    if how == "vectorized":
        arguments["vectorized"] = True
    if how == "batches of 16":
        arguments["batch_size"] = 16
    if "threads" in how:
        with ThreadPoolExecutor(3) as executor:
            ordered = how == "threads"
            result = oe.minimize(counted, BOX, executor=executor, workers=3, ordered=ordered, **arguments)
    else:
        result = oe.minimize(counted, BOX, **arguments)
    assert count == result.n_evaluations == len(result.history) == budget
    assert result.status == "budget_exhausted"
    assert sorted(result.history.number) == list(range(1, budget + 1))
    assert result.fun == result.history.F.min()
    assert sphere(result.x) == result.fun


@pytest.mark.parametrize("settings", [{}, {"vectorized": True}, {"direction": "maximize"}])
def test_the_target_stops_at_the_evaluation_that_reaches_it(settings: dict[str, Any]) -> None:
    sign = -1.0 if "direction" in settings else 1.0
    problem = Problem(lambda x: sign * (x**2).sum(axis=-1), BOX, **settings)
    result = oe.solve(problem, "random", budget=5000, target=sign * 0.2, seed=0)
    assert result.status == "target_reached"
    assert sign * result.fun <= 0.2  # type: ignore[operator]
    assert result.n_evaluations < 1000
    if not problem.vectorized:  # a batch of a vectorised objective is evaluated whole
        assert (sign * result.history.value[:-1] > 0.2).all()


def test_an_infeasible_point_reaches_no_target() -> None:
    result = oe.minimize(
        lambda x: {"f": x[0], "g": 0.5 - x[0]},
        BOX,
        constraints="g",
        solver="random",
        budget=60,
        target=0.6,
        seed=0,
    )
    assert result.status == "target_reached"
    assert result.feasible
    assert 0.5 <= result.fun <= 0.6  # type: ignore[operator]
    never = oe.minimize(
        lambda x: {"f": x[0], "g": 1.0}, BOX, constraints="g", solver="random", budget=60, target=0.6, seed=0
    )
    assert (never.status, never.feasible) == ("budget_exhausted", False)


def test_cost_is_summed_and_stops_the_run() -> None:
    by_value = oe.minimize(lambda x: {"f": x[0], "cost": 2.5}, BOX, solver="random", max_cost=10, seed=0)
    assert (by_value.n_evaluations, by_value.status) == (4, "budget_exhausted")
    by_function = oe.minimize(
        sphere, BOX, cost=lambda x: 1.0, solver="random", max_cost=9.5, budget=50, seed=0
    )
    assert by_function.n_evaluations == 10
    first = oe.minimize(sphere, BOX, cost=1.0, solver="random", max_cost=90, budget=5, seed=0)
    assert first.n_evaluations == 5
    whole = oe.minimize(
        rows, BOX, vectorized=True, cost=1.0, solver="random", max_cost=10, seed=0, batch_size=8
    )
    assert whole.n_evaluations == 16  # batches of a vectorised objective are whole
    missing = oe.minimize(
        lambda x: {"f": 1, "cost": None}, BOX, solver="random", budget=5, max_cost=3, seed=0
    )
    assert missing.n_evaluations == 5


def slow(x: Any) -> float:
    time.sleep(0.02)
    return sphere(x)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_clock_stops_the_run(workers: int) -> None:
    with ThreadPoolExecutor(2) as executor:
        began = time.perf_counter()
        pool = {"executor": executor, "workers": 2} if workers == 2 else {}
        result = oe.minimize(slow, BOX, solver="random", time_limit=0.3, seed=0, **pool)
        assert time.perf_counter() - began < 1.5
    assert result.status == "time_limit"
    assert 2 <= result.n_evaluations <= 16 * workers
    assert result.seconds >= 0.3


def test_without_limits_nothing_starts(clear: Any) -> None:
    with clear(OptionError, "'random'", "budget", "time_limit"):
        oe.minimize(sphere, BOX, solver="random")
    with clear(OptionError, "budget"):
        oe.minimize(sphere, BOX, solver="random", target=0.1)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A solver that comes to its end: it proposes n points, the last batch short."""

    replayable: ClassVar[bool] = True
    points: int = 10
    told: list[int] = field(default_factory=list, compare=False)

    def refuses(self, problem: Problem) -> str | None:
        return None

    def start(self, problem: Problem, rng: Any) -> GridRun:
        return GridRun(self, problem)


class GridRun:
    batch = 4

    def __init__(self, solver: Grid, problem: Problem) -> None:
        self._left = np.linspace(0, 1, solver.points)[:, None] * np.ones(problem.space.width)
        self._told = solver.told

    def ask(self, n: int | None = None) -> Any:
        n = self.batch if n is None else n
        if not len(self._left):
            raise StopAsking("the grid is done")
        asked, self._left = self._left[:n], self._left[n:]
        return asked

    def tell(self, X: Any, evaluation: Any) -> None:
        self._told.extend(evaluation.ids.tolist())


@pytest.mark.parametrize("ordered", [True, False])
def test_a_solver_may_end_by_itself(ordered: bool) -> None:
    solver = Grid()
    with ThreadPoolExecutor(3) as executor:
        pool = {} if ordered else {"executor": executor, "workers": 3, "ordered": False}
        result = oe.minimize(slow, BOX, solver=solver, budget=500, seed=0, **pool)
    assert (result.status, result.n_evaluations) == ("converged", 10)
    assert sorted(solver.told) == list(range(10))
    assert result.message
    optimizer = oe.Optimizer(Problem(sphere, BOX), Grid(points=5), seed=0)
    sizes = []
    while not optimizer.done:
        candidates = optimizer.ask(4)
        sizes.append(len(candidates))
        optimizer.tell(candidates, [sphere(c.x) for c in candidates])
    assert sizes == [4, 1, 0]
    assert optimizer.result().status == "converged"


def test_a_solver_that_proposes_too_much_is_named(clear: Any) -> None:
    class Greedy(GridRun):
        def ask(self, n: int | None = None) -> Any:
            return np.zeros((99, 3))

    class Flat(GridRun):
        def ask(self, n: int | None = None) -> Any:
            return np.zeros(3)

    for wrong in (Greedy, Flat):
        with clear(oe.OptEngineError, "'Odd'", "shape"):
            oe.minimize(sphere, BOX, solver=make_solver("Odd", wrong), budget=5)


def make_solver(name: str, run: Any) -> Any:
    def start(self: Any, problem: Problem, rng: Any) -> Any:
        return run(Grid(), problem)

    return dataclass(frozen=True)(
        type(name, (), {"replayable": True, "refuses": lambda s, p: None, "start": start})
    )()


def test_a_solver_that_changes_what_it_gave_changes_no_history() -> None:
    class Reused(GridRun):
        """Gives the same array every time and writes into it in between."""

        def __init__(self, solver: Grid, problem: Problem) -> None:
            self._x = np.zeros((4, 3))

        def ask(self, n: int | None = None) -> Any:
            self._x += 0.01
            return self._x[: n or 4]

        def tell(self, X: Any, evaluation: Any) -> None:
            self._x += 0.01

    result = oe.minimize(sphere, BOX, solver=make_solver("Reused", Reused), budget=12)
    assert np.array_equal(rows(result.history.X), result.history.value)


# -- the pieces -------------------------------------------------------------------------------------------------------


def test_limits_and_clock() -> None:
    limits = Limits(budget=10, time_limit=2, target="3" if False else 3, max_cost=7)
    assert limits.to_dict() == {"budget": 10, "time_limit": 2, "target": 3.0, "max_cost": 7}
    assert Limits().none
    assert Limits(target=1).none
    assert not limits.none
    assert Limits(budget=1e3).budget == 1000  # type: ignore[arg-type]
    assert type(Limits(budget=np.int64(5)).budget) is int  # type: ignore[arg-type]
    clock = Clock(1.5)
    assert clock.seconds == 1.5
    assert Spent(9, 6.9).exhausted(limits, clock) is None
    assert Spent(10).exhausted(limits, clock) == "budget_exhausted"
    assert Spent(0, 7).exhausted(limits, clock) == "budget_exhausted"
    assert Spent(0).exhausted(limits, Clock(2.0)) == "time_limit"
    clock.start()
    clock.start()
    assert 1.5 < clock.seconds < 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("budget", v) for v in (0, -1, 2.5, "10", float("nan"), float("inf"), True, [1])]
    + [(n, v) for n in ("time_limit", "max_cost") for v in (0, -1.0, "5", float("nan"), True, [1])]
    + [("target", v) for v in ("low", "1", float("nan"), [1])],
)
def test_bad_limits_are_refused_in_one_sentence(clear: Any, name: str, value: Any) -> None:
    with clear(OptionError, name, repr(value)):
        oe.minimize(sphere, BOX, **({"solver": "random", "budget": 5} | {name: value}))
