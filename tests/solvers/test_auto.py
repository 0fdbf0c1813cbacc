"""`auto`: which rule names which solver."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any

import numpy as np
import pytest

from optengine import registry
from optengine.core.errors import MissingDependency
from optengine.core.problem import Problem
from optengine.core.space import Binary, Categorical, Integer, Permutation, Real, Row, Space

BOX = [(-5.0, 5.0)] * 5


def zero(X: np.ndarray) -> np.ndarray:
    return np.zeros(len(X))


@pytest.mark.parametrize(
    ("space", "objectives", "budget", "workers", "solver", "rule"),
    [
        (BOX, 1, 1000, 1, "hybrid", "rule 3"),
        (BOX, 1, None, 1, "cmaes", "rule 3"),
        (BOX, 1, 10_001, 1, "cmaes", "rule 3"),
        (Space(Real(0, 1, shape=500)), 1, 10**5, 1, "hybrid", "rule 3"),
        (BOX, 1, 19, 1, "sobol", "rule 2"),
        (BOX, 1, 100, 21, "sobol", "rule 2"),
        (Space(BOX, rows=[Row([1, 1, 1, 1, 1], upper=2)]), 1, 19, 1, "random", "rule 2"),
        (Space(x=Real(0, 1), n=Integer(0, 9)), 1, 1000, 1, "cmaes", "rule 4"),
        (Space(x=Real(0, 1), c=Categorical(["a", "b"])), 1, None, 1, "cmaes", "rule 4"),
        (Space(x=Real(0, 1), n=Integer(0, 9)), 1, 79, 1, "cem", "rule 6"),
        (Space(Integer(0, 9, shape=201)), 1, 1000, 1, "cem", "rule 6"),
        (Space(x=Real(0, 1), p=Permutation(4)), 1, 1000, 1, "cem", "rule 6"),
        (Space(x=Real(0, 1), n=Integer(3, 3)), 1, 1000, 1, "hybrid", "rule 3"),
        (Space(Binary(shape=9)), 1, 1000, 1, "ils", "rule 5"),
        (Space(Permutation(9)), 1, 1000, 1, "ils", "rule 5"),
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
    assert reason.startswith("rule 2b") == (solver == "bo")
    assert registry.load(chosen)().refuses(problem) is None


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
