"""The journal: a stopped run goes on, a finished one comes back, a changed one is refused."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import optengine as oe
from optengine import EvaluationFailed, Problem, Result, StorageError
from optengine.core.evaluation import Evaluation
from optengine.engine import Snapshot
from optengine.store import Journal
from optengine.testing import Climber

BOX = [(-1.0, 1.0)] * 2


def sphere(x: Any) -> float:
    return float((x**2).sum())


@pytest.fixture
def stored(tmp_path: Path) -> dict[str, Any]:
    return {"storage": tmp_path / "runs.db", "name": "plant"}


def solve(problem: Problem | None = None, **arguments: Any) -> Result:
    return oe.solve(
        problem or Problem(sphere, BOX), **({"solver": Climber(), "budget": 60, "seed": 1} | arguments)
    )


class Stop(Exception):
    """What ends a run in its middle, as a power cut would, but here."""


def dying(problem: Problem, after: int) -> Problem:
    """The same problem; its evaluation number `after` raises."""
    calls = 0

    def function(X: Any) -> Any:
        nonlocal calls
        calls += len(X) if problem.vectorized else 1
        if calls > after:
            raise Stop
        return problem.function(X)

    more = {
        "constraints": problem.constraints,
        "objectives": problem.objectives,
        "vectorized": problem.vectorized,
    }
    return Problem(function, problem.space, call=problem.call, name=problem.name, **more)


PROBLEMS = {
    "plain": Problem(sphere, BOX),
    "vectorized": Problem(lambda X: (X**2).sum(axis=1), BOX, vectorized=True),
    "constrained": Problem(lambda x: {"f": x[0], "g": 0.3 - x[1]}, BOX, objectives="f", constraints="g"),
    "several": Problem(lambda x: [x[0], x[1] ** 2], BOX, objectives=["a", "b"]),
    "rows": Problem(sphere, oe.Space(BOX, rows=[oe.Row([1, 1], lower=0.5)])),
    "predicate": Problem(
        sphere, oe.Space(BOX, where=[oe.Predicate(lambda x: bool(x[0] * x[1] > 0.05), name="away")])
    ),
    "mixed": Problem(
        lambda x: x.get("a", 0.5) + len(x["s"]) + x["p"][0],
        oe.Space(
            kind=oe.Categorical(["x", "y"]),
            a=oe.Real(0, 1, when=("kind", "x")),
            s=oe.Subset(4),
            p=oe.Permutation(3),
        ),
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
@pytest.mark.parametrize("x0", [False, True])
def test_a_resumed_run_is_the_uninterrupted_run(
    name: str, x0: bool, stored: dict[str, Any], same_run: Any
) -> None:
    problem = PROBLEMS[name]
    more: dict[str, Any] = (
        {"x0": problem.space.decode(problem.space.sample(3, np.random.default_rng(5)))} if x0 else {}
    )
    straight = solve(problem, **more)
    for after in (0, 2, 17, 40):  # dead four times
        with pytest.raises(EvaluationFailed):
            solve(dying(problem, after), **more, **stored)
    resumed = solve(problem, **more, **stored)
    same_run(resumed, straight)
    assert np.array_equal(resumed.history.best, straight.history.best, equal_nan=True)
    assert resumed.message == straight.message == ""
    if straight.front is not None:
        assert resumed.front is not None
        assert np.array_equal(resumed.front.F, straight.front.F)


def test_known_values_are_told_again_on_resuming(stored: dict[str, Any], same_run: Any) -> None:
    data = ([[0.1, 0.1], [0.5, 0.5]], [0.02, 0.5])
    with pytest.raises(EvaluationFailed):
        solve(dying(PROBLEMS["plain"], 21), data=data, **stored)
    same_run(solve(data=data, **stored), solve(data=data))


def test_a_run_stopped_by_a_callback_goes_on(stored: dict[str, Any], same_run: Any) -> None:
    def enough(snapshot: Snapshot) -> bool:
        return snapshot.n_evaluations >= 24

    assert solve(callbacks=enough, **stored).status == "stopped"
    same_run(solve(**stored), solve())


def test_unordered_runs_keep_what_they_have(stored: dict[str, Any]) -> None:
    with ThreadPoolExecutor(3) as executor:
        pool: dict[str, Any] = {"executor": executor, "workers": 3, "ordered": False}
        with pytest.raises(EvaluationFailed) as caught:
            solve(dying(PROBLEMS["plain"], 20), **pool, **stored)
        assert len(caught.value.result.history) == len(set(caught.value.result.history.number))  # type: ignore[attr-defined]
        with Journal(stored["storage"], readonly=True) as journal:
            before = journal.read("plant")
        resumed = solve(**pool, **stored)
    assert 15 <= len(before.evaluations) <= 20
    assert resumed.n_evaluations == len(resumed.history) == 60
    assert sorted(resumed.history.number) == list(range(1, 61))
    rows = {int(n): x for n, x in zip(resumed.history.number - 1, resumed.history.X, strict=True)}
    for number, x in zip(before.evaluations.numbers, before.points(), strict=True):
        assert np.array_equal(rows[int(number)], x)


# -- finished runs ----------------------------------------------------------------------------------------------------


def counted() -> tuple[Problem, list[int]]:
    calls: list[int] = []

    def function(x: Any) -> float:
        calls.append(1)
        return sphere(x)

    return Problem(function, BOX), calls


def test_a_finished_run_comes_back_as_it_was(stored: dict[str, Any], same_run: Any) -> None:
    problem, calls = counted()
    first = solve(problem, **stored)
    again = solve(problem, **stored)
    assert len(calls) == 60
    same_run(again, first)
    assert (again.seconds, again.seed, again.solver, again.options) == (
        first.seconds,
        1,
        "Climber",
        first.options,
    )
    assert again.x.tolist() == first.x.tolist()
    assert again.space.fingerprint() == first.space.fingerprint()
    smaller = solve(problem, budget=20, **stored)
    assert smaller.n_evaluations == 60
    assert solve(problem, seed=None, **stored).n_evaluations == 60


def test_a_larger_budget_extends_a_run(stored: dict[str, Any]) -> None:
    problem, calls = counted()
    first = solve(problem, **stored)
    longer = solve(problem, budget=90, **stored)
    assert len(calls) == longer.n_evaluations == len(longer.history) == 90
    assert longer.history.X[:60].tobytes() == first.history.X.tobytes()
    assert longer.seconds >= first.seconds
    assert solve(problem, budget=90, **stored).fun == longer.fun
    assert len(calls) == 90


def test_a_reached_target_stays_reached(stored: dict[str, Any]) -> None:
    problem, calls = counted()
    first = solve(problem, target=0.2, **stored)
    n = len(calls)
    again = solve(problem, target=0.2, **stored)
    assert (len(calls), again.n_evaluations, len(again.history)) == (n, n, n)
    assert (again.status, again.fun) == ("target_reached", first.fun)
    further = solve(problem, target=0.01, budget=500, **stored)
    assert further.fun <= 0.01  # type: ignore[operator]
    assert len(calls) == further.n_evaluations > n
    assert sorted(further.history.number) == list(range(1, len(calls) + 1))


def test_spent_time_stays_spent(stored: dict[str, Any]) -> None:
    def slow(x: Any) -> float:
        time.sleep(0.01)
        return sphere(x)

    problem = Problem(slow, BOX)
    first = solve(problem, budget=None, time_limit=0.15, **stored)
    assert first.status == "time_limit"
    again = solve(problem, budget=None, time_limit=0.15, **stored)
    assert (again.n_evaluations, again.seconds) == (first.n_evaluations, first.seconds)
    longer = solve(problem, budget=None, time_limit=0.3, **stored)
    assert longer.n_evaluations > first.n_evaluations
    assert 0.3 <= longer.seconds < 0.3 + 0.15


def test_spent_cost_stays_spent(stored: dict[str, Any]) -> None:
    problem = Problem(sphere, BOX, cost=1.0)
    assert solve(problem, budget=None, max_cost=10, **stored).n_evaluations == 10
    assert solve(problem, budget=None, max_cost=10, **stored).n_evaluations == 10
    assert solve(problem, budget=None, max_cost=25, **stored).n_evaluations == 25
    assert solve(problem, budget=40, max_cost=25, **stored).n_evaluations == 25
    assert solve(problem, budget=40, **stored).n_evaluations == 40


def test_a_lowered_budget_is_kept_by_what_was_pending(stored: dict[str, Any]) -> None:
    with pytest.raises(EvaluationFailed):
        solve(dying(PROBLEMS["plain"], 17), batch_size=40, **stored)
    assert solve(budget=25, batch_size=40, **stored).n_evaluations == 25
    with ThreadPoolExecutor(2) as executor:
        pool: dict[str, Any] = {"executor": executor, "workers": 2, "ordered": False}
        assert solve(budget=31, batch_size=40, **pool, **stored).n_evaluations == 31


def test_failures_and_infeasible_runs_come_back(stored: dict[str, Any]) -> None:
    first = solve(Problem(lambda x: None, BOX), budget=5, catch=True, **stored)
    again = solve(Problem(lambda x: None, BOX), budget=5, catch=True, **stored)
    assert first.status == again.status == "failed"
    assert again.history.failed.all()
    assert again.details == {"n_failed": 5}


class Kernel:
    """A choice that only this program knows."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and self.width == other.width

    def __hash__(self) -> int:
        return self.width


def test_choices_are_themselves_in_a_stored_result(stored: dict[str, Any]) -> None:
    space = oe.Space(
        kernel=oe.Categorical([Kernel(1), Kernel(2), max]), order=oe.Categorical([("a", 1), ("b", 2)])
    )
    problem = Problem(lambda kernel, order: getattr(kernel, "width", 3) + order[1], space)
    for _ in range(2):
        result = solve(problem, budget=20, **stored)
        assert result.x == {"kernel": Kernel(1), "order": ("a", 1)}


# -- changed runs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"problem": Problem(sphere, [(-1.0, 2.0)] * 2)}, "space"),
        ({"problem": Problem(sphere, BOX, direction="maximize")}, "maximize"),
        ({"problem": Problem(lambda x: {}, BOX, objectives="cost")}, "cost"),
        ({"problem": Problem(sphere, BOX, constraints="heat")}, "constraints"),
        ({"solver": "random"}, "solver"),
        ({"solver": Climber(scale=0.2)}, "scale"),
        ({"seed": 2}, "seed"),
        ({"batch_size": 5}, "batch_size"),
        ({"x0": [0.1, 0.1]}, "x0"),
        ({"data": ([[0.1, 0.1]], [0.02])}, "data"),
    ],
)
def test_a_changed_run_is_refused(
    clear: Any, stored: dict[str, Any], change: dict[str, Any], word: str
) -> None:
    solve(**stored)
    with clear(StorageError, "'plant'", word):
        solve(**(stored | {"budget": 80} | change))


def test_runs_of_one_journal_are_told_apart_by_name(tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'runs.db'}"
    a = solve(storage=storage, name="a")
    b = solve(storage=storage, name="b", seed=2)
    assert a.history.X.tobytes() != b.history.X.tobytes()
    solve(storage=storage)
    with Journal(storage, readonly=True) as journal:
        assert [(info.name, info.n_evaluations, info.solver) for info in journal.runs()] == [
            ("a", 60, "Climber"),
            ("b", 60, "Climber"),
            ("sphere", 60, "Climber"),
        ]
        assert json.dumps(journal.read("a").fingerprint)


# -- solvers that cannot be replayed, or say how to be restored -------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Moody:
    """Like the Climber, but its asks depend on the time of the day."""

    replayable: ClassVar[bool] = True
    told: ClassVar[list[int]] = []  # how many rows of each tell were never asked

    def refuses(self, problem: Problem) -> str | None:
        return None

    def start(self, problem: Problem, rng: Any) -> Any:
        run = Climber().start(problem, np.random.default_rng(time.time_ns()))
        tell = run.tell

        def heard(X: Any, evaluation: Evaluation) -> None:
            assert evaluation.ids is not None
            self.told.append(int((evaluation.ids < 0).sum()))
            tell(X, evaluation)

        run.tell = heard  # type: ignore[method-assign]
        return run


class Honest(Moody):
    """The same, and it says so."""

    replayable = False


@pytest.mark.parametrize("kind", [Moody, Honest])
def test_what_cannot_be_repeated_keeps_its_values_and_says_so(kind: Any, stored: dict[str, Any]) -> None:
    with pytest.raises(EvaluationFailed):
        solve(dying(PROBLEMS["plain"], 21), solver=kind(), **stored)
    with Journal(stored["storage"], readonly=True) as journal:
        before = journal.read("plant")
    Moody.told.clear()
    result = solve(solver=kind(), **stored)
    assert 21 in Moody.told  # the journaled values came as data
    assert result.n_evaluations == len(result.history) == 60
    assert sorted(result.history.number) == list(range(1, 61))
    assert ("bit for bit" if kind.replayable else "journaled values") in result.message
    assert result.history.X[:21].tobytes() == before.points().tobytes()
    assert result.fun == result.history.value.min()


@pytest.mark.parametrize("name", ["plain", "predicate"])
def test_snapshots_spare_the_replay(
    name: str, stored: dict[str, Any], monkeypatch: Any, same_run: Any
) -> None:
    import pickle

    monkeypatch.setattr("optengine.engine.journaling.SNAPSHOT_SECONDS", 0.0)
    asks: list[int] = []

    @dataclass(frozen=True, kw_only=True)
    class Dear(Climber):
        def start(self, problem: Problem, rng: Any) -> Any:
            run = Climber().start(problem, rng)
            ask = run.ask

            def asked(n: int | None = None) -> Any:
                asks.append(1)
                return ask(n)

            def restore(data: bytes) -> None:
                run._parent, run._value, run._rng.bit_generator.state = pickle.loads(data)

            run.ask, run.restore = asked, restore  # type: ignore[method-assign,attr-defined]
            run.snapshot = lambda: pickle.dumps((run._parent, run._value, run._rng.bit_generator.state))  # type: ignore[attr-defined]
            return run

    x0 = PROBLEMS[name].space.decode(PROBLEMS[name].space.sample(2, np.random.default_rng(5)))
    straight = solve(PROBLEMS[name], solver=Dear(), x0=x0)
    with pytest.raises(EvaluationFailed):
        solve(dying(PROBLEMS[name], 43), solver=Dear(), x0=x0, **stored)
    asks.clear()
    resumed = solve(PROBLEMS[name], solver=Dear(), x0=x0, **stored)
    same_run(resumed, straight)
    assert len(asks) <= 4  # the batch in flight and what was left, not the five before
