"""`auto`: which rule names which solver, which stages, and what the reason says."""

from __future__ import annotations

import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import registry, rules
from optengine.core.errors import MissingDependency
from optengine.core.problem import Problem
from optengine.core.space import Binary, Categorical, Integer, Permutation, Real, Row, Space

BOX = [(-5.0, 5.0)] * 5


def zero(X: np.ndarray) -> np.ndarray:
    return np.zeros(len(X))


@pytest.mark.parametrize(
    ("space", "objectives", "budget", "workers", "solver", "rule"),
    [
        (BOX, 1, 1000, 1, "hybrid", "rule 7:"),
        (BOX, 1, None, 1, "cmaes", "rule 7:"),
        (BOX, 1, 10_001, 1, "cmaes", "rule 7:"),
        (Space(Real(0, 1, shape=500)), 1, 10**5, 1, "hybrid", "rule 7:"),
        (BOX, 1, 19, 1, "sobol", "rule 5:"),
        (BOX, 1, 100, 21, "sobol", "rule 2:"),
        (Space(BOX, rows=[Row([1, 1, 1, 1, 1], upper=2)]), 1, 19, 1, "random", "rule 5:"),
        (Space(x=Real(0, 1), n=Integer(0, 9)), 1, 1000, 1, "cmaes", "rule 9:"),
        (Space(x=Real(0, 1), c=Categorical(["a", "b"])), 1, None, 1, "cmaes", "rule 9:"),
        (Space(x=Real(0, 1), n=Integer(0, 9)), 1, 79, 1, "cem", "rule 10:"),
        (Space(Integer(0, 9, shape=201)), 1, 1000, 1, "cem", "rule 10:"),
        (Space(x=Real(0, 1), p=Permutation(4)), 1, 1000, 1, "cem", "rule 10:"),
        (Space(x=Real(0, 1), n=Integer(3, 3)), 1, 1000, 1, "hybrid", "rule 7:"),
        (Space(Categorical(list("abc"), shape=6)), 1, 600, 1, "cmaes", "rule 8:"),
        (Space(Binary(shape=9)), 1, 1000, 1, "ils", "rule 3:"),
        (Space(Binary(shape=9)), 1, 20, 1, "ils", "rule 3:"),
        (Space(Permutation(9)), 1, 1000, 1, "ils", "rule 3:"),
        (BOX, 2, 1000, 1, "nsga2", "rule 1"),
        (Space(Permutation(9)), 3, None, 1, "nsga2", "rule 1"),
        (BOX, 4, 1000, 1, "nsga3", "rule 1"),
        (BOX, 2, 199, 1, "sobol", "rule 1"),
    ],
)
def test_rules(
    encoded: Any, space: Any, objectives: int, budget: int | None, workers: int, solver: str, rule: str
) -> None:
    if objectives > 1:
        pytest.importorskip("pymoo")
    names = [f"f{i}" for i in range(objectives)]
    pytest.importorskip("cmaes")
    problem = encoded(zero, space, objectives=names)
    chosen, reason = registry.choose(problem, budget, workers)
    assert chosen == solver
    assert reason.startswith(rule)
    assert registry.load(chosen)().refuses(problem) is None


@pytest.mark.parametrize(
    ("problem", "budget", "solver"),
    [
        (Problem(lambda **x: 0.0, Space(x=Real(0, 1), n=Integer(0, 9))), 60, "bo"),
        (Problem(lambda **x: 0.0, Space(x=Real(0, 1), n=Integer(0, 9))), 101, "cmaes"),
        (Problem(lambda **x: 0.0, Space(x=Real(0, 1), n=Integer(0, 9))), None, "cmaes"),
        (Problem(lambda **x: 0.0, Space(x=Real(0, 1), n=Integer(0, 9, shape=20))), 100, "cem"),
        (Problem(lambda **x: 0.0, Space(x=Real(0, 1), p=Permutation(4))), 60, "cem"),
        (Problem(lambda x: 0.0, BOX), 60, "hybrid"),
        (Problem(lambda x: 0.0, BOX, noisy=True), 60, "bo"),
        (Problem(lambda x: {"f": 0.0, "g": 0.0}, BOX, objectives="f", constraints="g"), 60, "bo"),
        (Problem(lambda x: 0.0, Space(Binary(shape=9))), 60, "ils"),
    ],
)
def test_few_evaluations_of_harder_functions_get_a_model(
    problem: Problem, budget: int | None, solver: str
) -> None:
    pytest.importorskip("cmaes")
    chosen, reason = registry.choose(problem, budget, 1)
    assert chosen == solver
    assert reason.startswith("rule 6") == (solver == "bo")
    assert registry.load(chosen)().refuses(problem) is None


HANGING = Space(
    kind=Categorical(["a", "b"]), rate=Real(0, 1, when=("kind", "a")), depth=Integer(1, 9, when=("kind", "b"))
)
FOUR = Space(x=Real(0, 1, shape=3), n=Integer(0, 9))
LETTERS = Space(Categorical(list("abcd"), shape=10))


@pytest.mark.parametrize(
    ("problem", "budget", "words"),
    [
        (
            Problem(lambda x: {"f": 0.0, "g": 0.0}, BOX, objectives="f", constraints="g"), 500,
            "bo, 50 evaluations -> hybrid",
        ),
        (Problem(lambda **x: 0.0, FOUR), 120, "bo, 50 evaluations -> cmaes"),
        (Problem(lambda **x: 0.0, FOUR), 300, "cmaes"),
        (Problem(lambda **x: 0.0, FOUR), 500, "race of cmaes and cem, 40 evaluations each"),
        (
            Problem(lambda **x: {"f": 0.0, "g": 0.0}, FOUR, objectives="f", constraints="g"), 500,
            "bo, 50 evaluations -> cmaes",
        ),
        (Problem(lambda x: 0.0, LETTERS, call="array"), 1000, "tpe, 60 evaluations -> cmaes, 240 evaluations -> ga"),
        (Problem(lambda x: 0.0, LETTERS, call="array"), 140, "tpe"),
        (Problem(lambda x: 0.0, HANGING, call="dict"), 60, "bandit"),
        (Problem(lambda x: 0.0, HANGING, call="dict"), 1000, "bandit, 50 evaluations -> tpe, 250 evaluations -> cmaes"),
        (Problem(lambda x: (0.0, 0.0), BOX, objectives=["a", "b"]), 100, "bo, 50 evaluations -> nsga2"),
    ],
)  # fmt: skip
def test_stages_hand_over_what_was_evaluated(problem: Problem, budget: int, words: str) -> None:
    for package in ("cmaes", "pymoo"):
        pytest.importorskip(package)
    choice = rules.plan(problem, budget, 1)
    assert rules.said_of(choice.solver, choice.options) == words
    assert registry.refusal(registry.make(choice.solver, choice.options), problem) is None
    assert choice == rules.plan(problem, budget, 1)


def test_reasons_say_what_more_budget_would_change() -> None:
    pytest.importorskip("cmaes")
    mixed = Problem(lambda **x: 0.0, Space(x=Real(0, 1), n=Integer(0, 9)))
    assert "10 times the budget would go to race of cmaes and cem" in rules.plan(mixed, 60, 1).reason
    smooth = Problem(lambda x: 0.0, BOX)
    assert rules.plan(smooth, 1000, 1).reason.endswith("10 or 100 times the budget would go to the same")
    assert "would go to hybrid (rule 7)" in rules.plan(smooth, 19, 1).reason


def test_models_are_left_out_where_evaluations_are_fast_and_time_is_short() -> None:
    pytest.importorskip("cmaes")
    mixed = Problem(lambda **x: 0.0, Space(x=Real(0, 1), n=Integer(0, 9)))
    assert rules.plan(mixed, 60, 1, seconds=1.0).solver == "bo"
    assert rules.plan(mixed, 60, 1, seconds=1e-3).solver == "cem"
    wider = Problem(lambda **x: 0.0, FOUR)
    assert "bo, 50 evaluations" in rules.plan(wider, 120, 1, seconds=1.0).reason
    assert rules.plan(wider, 120, 1, seconds=1e-3).solver == "cem"


def test_a_time_limit_alone_has_the_first_evaluations_timed() -> None:
    calls = []

    def slow(x: np.ndarray) -> float:
        calls.append(1)
        time.sleep(0.01)
        return float((x**2).sum())

    problem = Problem(slow, BOX)
    assert rules.plan(problem, None, 1, time_limit=2.0).solver == "relay"
    assert rules.plan(problem, 100, 1, time_limit=2.0).solver == "hybrid"
    result = oe.solve(problem, time_limit=1.0, seed=0)
    assert "rule 11: only a time limit" in result.reason
    assert "s an evaluation, so that" in result.reason
    assert "rule 7: real numbers" in result.reason
    assert result.details["chosen"] == "hybrid"
    assert len(calls) == result.n_evaluations


def test_a_journaled_run_with_a_time_limit_keeps_its_solver(tmp_path: Path) -> None:
    problem = Problem(lambda x: float((x**2).sum()), BOX)
    run = {"storage": str(tmp_path / "runs.db"), "name": "a", "seed": 0}
    first = oe.solve(problem, time_limit=0.1, **run)  # type: ignore[arg-type]
    assert oe.solve(problem, time_limit=0.3, **run).n_evaluations > first.n_evaluations  # type: ignore[arg-type]


def test_a_journaled_run_keeps_its_solver_when_its_budget_grows(tmp_path: Path) -> None:
    pytest.importorskip("cmaes")
    mixed = Problem(lambda x, n: (x - 0.3) ** 2 + n, Space(x=Real(0, 1), n=Integer(0, 9)))
    run = {"storage": str(tmp_path / "runs.db"), "name": "a", "seed": 0}
    assert oe.solve(mixed, budget=12, **run).solver == "bo"  # type: ignore[arg-type]
    for budget in (14, 1500):
        grown = oe.solve(mixed, budget=budget, max_cost=None, time_limit=0.5, **run)  # type: ignore[arg-type]
        assert grown.solver == "bo"
    assert rules.plan(mixed, 1500, 1).solver == "relay"


def test_without_optional_packages_others_are_named(encoded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    chosen, reason = registry.choose(encoded(zero, BOX, objectives=["a", "b"]), 1000, 1)
    assert chosen == "sobol"
    assert "optengine[moo]" in reason
    assert registry.choose(encoded(zero, Space(n=Integer(0, 9), x=Real(0, 1))), 1000, 1)[0] == "cem"


def test_objectives_that_are_called_point_by_point_get_the_hybrid_without_a_budget() -> None:
    assert registry.choose(Problem(lambda x: 0.0, BOX), None, 1)[0] == "hybrid"


@pytest.mark.parametrize(
    ("solver", "module", "extra"), [("nsga2", "pymoo", "moo"), ("cmaes", "cmaes", "evolution")]
)
def test_a_missing_package_names_its_extra(
    encoded: Any, monkeypatch: pytest.MonkeyPatch, solver: str, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    objectives = ["a", "b"] if solver == "nsga2" else None
    problem = encoded(zero, Space(n=Integer(0, 9), x=Real(0, 1)), objectives=objectives)
    with pytest.raises(MissingDependency, match=rf"optengine\[{extra}\]"):
        registry.make(solver).start(problem, np.random.default_rng(0))


def test_reals_need_no_optional_package(encoded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("cmaes", "cma", "pymoo"):
        monkeypatch.setitem(sys.modules, module, None)
    for solver in ("hybrid", "cmaes", "sep_cmaes", "de"):
        run = registry.make(solver).start(encoded(zero, BOX), np.random.default_rng(0))
        assert run.ask(3).shape == (3, 5)
