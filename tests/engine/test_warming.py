"""warmup: every solver runs once on small problems of each kind, so that compiled code waits in Numba's cache."""

from typing import Any

import pytest

from optengine import registry
from optengine.core.problem import Problem
from optengine.warming import warmup


def test_every_solver_runs_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    make = registry.make
    monkeypatch.setattr(registry, "names", lambda: ["random", "cem"])
    monkeypatch.setattr(registry, "make", lambda name: ran.append(name) or make(name))  # type: ignore[func-returns-value]
    reported: dict[str, float] = {}
    seconds = warmup(reported.__setitem__)
    assert list(reported) == ["random", "cem"]
    assert set(ran) == {"random", "cem"}
    assert seconds >= sum(reported.values()) > 0


def test_a_solver_that_refuses_a_problem_is_not_run_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import optengine.engine

    solved: list[Problem] = []

    class Picky:
        def refuses(self, problem: Any) -> str | None:
            return "no rows, please" if problem.space.rows else None

    monkeypatch.setattr(registry, "names", lambda: ["picky"])
    monkeypatch.setattr(registry, "make", lambda name: Picky())
    monkeypatch.setattr(optengine.engine, "solve", lambda problem, **_: solved.append(problem))
    warmup()
    assert len(solved) == 2
    assert not any(problem.space.rows for problem in solved)
