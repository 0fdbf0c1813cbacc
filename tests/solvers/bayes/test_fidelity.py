"""Fidelities in the fast engine: cheap values are used, only the target counts, and no torch is loaded."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import SolverNotSuitable
from optengine.core.space import Categorical, Integer, Ordinal, Real, Space
from optengine.solvers.bayes import BO
from optengine.solvers.bayes.fast import FastRun

COST = {1: 1.0, 2: 3.0, 3: 10.0}


def wave(x: float, s: int) -> float:
    """Two valleys at the target, the better one at 0.78; cheaper versions are off by a slope and a constant."""
    return float(np.sin(9 * x) + 0.3 * x + (3 - s) * (0.4 * x + 2.0))


def ladder(**more: Any) -> oe.Problem:
    return oe.Problem(
        wave,
        Space(x=Real(0, 1), s=Ordinal([1, 2, 3], fidelity=True)),
        **({"cost": lambda x: COST[x["s"]]} | more),
    )


LEAST = min(wave(x, 3) for x in np.linspace(0, 1, 2001))


def test_cheap_values_come_first_and_the_target_decides() -> None:
    result = oe.solve(ladder(), solver="bo", budget=100, max_cost=60.0, seed=0)
    level = result.history.X[:, 1]
    assert result.details["engine"] == "fast"
    assert (level[:4] == 0).all()
    assert 1 <= (level == 2).sum() <= 5
    assert result.x["s"] == 3
    assert result.fun < LEAST + 0.01


def test_the_target_alone_where_that_is_asked_for() -> None:
    result = oe.solve(ladder(), BO(surrogate="gp"), budget=7, seed=0)
    assert (result.history.X[:, 1] == 2).all()


def test_a_fidelity_is_needed_for_that_surrogate() -> None:
    with pytest.raises(SolverNotSuitable, match="fidelity=True"):
        oe.solve(
            oe.Problem(lambda x: float(x[0]), [(0, 1)]),
            BO(engine="fast", surrogate="multifidelity"),
            budget=5,
        )


def test_a_fidelity_of_one_level_is_no_fidelity() -> None:
    space = Space(x=Real(0, 1), s=Ordinal([3], fidelity=True), t=Ordinal([1, 3], fidelity=True))
    result = oe.solve(oe.Problem(lambda x, s, t: wave(x, t), space), solver="bo", budget=12, seed=0)
    assert (result.history.X[:, 2] == 0).any()
    space = Space(x=Real(0, 1), s=Ordinal([3], fidelity=True))
    result = oe.solve(oe.Problem(wave, space), solver="bo", budget=7, seed=0)
    assert result.n_evaluations == 7


def test_reported_costs_mixed_spaces_constraints_and_batches() -> None:
    def simulate(x: float, kind: str, t: float) -> dict[str, float]:
        value = (x - 0.3 - 0.2 * (kind == "b")) ** 2 + 0.2 * (1 - t) * x + (kind == "c")
        return {"f": value, "g": 0.25 - x, "cost": 1.0 + 9.0 * t}

    space = Space(x=Real(0, 1), kind=Categorical(list("abc")), t=Real(0.1, 1.0, fidelity=True))
    problem = oe.Problem(simulate, space, objectives="f", constraints=["g"])
    result = oe.solve(problem, BO(batch=2), budget=40, max_cost=120.0, seed=0)
    assert (result.history.X[:, 2] < 1.0).any()
    assert result.x["t"] == 1.0
    assert result.feasible
    assert result.fun < 0.01


def test_noise_failures_and_two_fidelities() -> None:
    rng = np.random.default_rng(0)

    def simulate(x: float, a: int, b: float) -> float:
        if x > 0.9:
            raise RuntimeError("broken")
        return float((x - 0.4) ** 2 + 0.1 * (5 - a) * x + 0.1 * (1 - b) + 0.01 * rng.normal())

    space = Space(x=Real(0, 1), a=Integer(1, 5, fidelity=True), b=Real(0, 1, fidelity=True))
    result = oe.solve(
        oe.Problem(simulate, space, noisy=True, cost=lambda x: x["a"] * (0.2 + x["b"])),
        solver="bo", budget=40, seed=0, catch=RuntimeError,
    )  # fmt: skip
    assert (result.x["a"], result.x["b"]) == (5, 1.0)
    assert abs(result.x["x"] - 0.4) < 0.15


def test_a_small_space_is_asked_at_the_target_in_the_end() -> None:
    space = Space(k=Integer(0, 4), s=Ordinal([1, 2], fidelity=True))
    problem = oe.Problem(lambda k, s: float((k - 3) ** 2 + (2 - s)), space, cost=lambda x: float(x["s"]) ** 2)
    result = oe.solve(problem, solver="bo", budget=40, seed=0)
    assert result.x == {"k": 3, "s": 2}
    assert len(np.unique(result.history.X, axis=0)) == len(result.history.X)


def test_snapshots_go_on_as_if_nothing_happened() -> None:
    problem = ladder()
    run: FastRun = BO().start(problem, np.random.default_rng(0))
    twin: FastRun = BO().start(problem, np.random.default_rng(1))

    def step(each: FastRun, i: int) -> np.ndarray:
        X = each.ask(1)
        evaluation = problem.evaluate(X)
        evaluation.ids = np.array([i])
        each.tell(X, evaluation)
        return np.asarray(X)

    for i in range(14):
        step(run, i)
    twin.restore(run.snapshot())
    for i in range(14, 18):
        np.testing.assert_array_equal(step(run, i), step(twin, i))


def test_no_torch() -> None:
    code = """
        import sys
        import optengine as oe
        space = oe.Space(x=oe.Real(0, 1), s=oe.Ordinal([1, 2], fidelity=True))
        r = oe.minimize(lambda x, s: (x - 0.3) ** 2 / s, space, solver="bo", budget=12, seed=0)
        assert r.n_evaluations == 12
        assert not {"torch", "gpytorch", "botorch"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
