"""A journaled run read back is the result that the run gave, or its best so far."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.report.stored import result_of
from optengine.store import Journal


def read(path: Path, name: str) -> oe.Result:
    with Journal(path, readonly=True) as journal:
        return result_of(journal.read(name))


SPACE = oe.Space(a=oe.Real(-1, 1), k=oe.Integer(0, 5), p=oe.Permutation(4), c=oe.Categorical(["u", "v"]))


def cost(x: dict[str, Any]) -> dict[str, float]:
    return {"cost": x["a"] ** 2 + x["k"], "heat": 0.2 - x["a"]}


def flow(x: dict[str, Any]) -> dict[str, float]:
    return {"gain": x["a"] + x["k"], "cost": x["k"] ** 2 + x["p"][0]}


PROBLEMS = {
    "minimised": oe.Problem(lambda x: x["a"] + x["k"], SPACE, call="dict"),
    "maximised": oe.Problem(lambda x: x["a"] + x["k"], SPACE, call="dict", direction="maximize"),
    "constrained": oe.Problem(cost, SPACE, call="dict", objectives=["cost"], constraints=["heat"]),
    "two": oe.Problem(flow, SPACE, call="dict", objectives=[oe.Objective("gain", "maximize"), "cost"]),
    "hopeless": oe.Problem(
        lambda x: {"cost": x["a"], "heat": 3 - x["a"]},
        SPACE,
        call="dict",
        objectives=["cost"],
        constraints=["heat"],
    ),
    "bounds": oe.Problem(lambda x: float(x[0]), [(0.0, 1.0)]),
}


def same(one: oe.Result, other: oe.Result) -> None:
    assert str(one.x) == str(other.x)
    assert (one.fun, one.feasible, one.n_evaluations) == (other.fun, other.feasible, other.n_evaluations)
    assert one.violation == pytest.approx(other.violation)
    assert (one.objectives, one.constraints, one.seed) == (other.objectives, other.constraints, other.seed)
    np.testing.assert_array_equal(one.history.F, other.history.F)
    np.testing.assert_array_equal(one.history.best, other.history.best)
    if one.front is not None or other.front is not None:
        assert one.front is not None
        assert other.front is not None
        np.testing.assert_array_equal(one.front.F, other.front.F)


@pytest.mark.parametrize("name", PROBLEMS)
def test_finished_runs(tmp_path: Path, name: str) -> None:
    result = oe.solve(PROBLEMS[name], "random", budget=60, seed=0, storage=tmp_path / "r.db", name="run")
    stored = read(tmp_path / "r.db", "run")
    same(stored, result)
    assert (stored.status, stored.seconds, stored.problem) == (result.status, result.seconds, result.problem)


@pytest.mark.parametrize("name", PROBLEMS)
def test_unfinished_runs(tmp_path: Path, name: str) -> None:
    optimizer = oe.Optimizer(
        PROBLEMS[name], "random", budget=90, seed=0, storage=tmp_path / "r.db", name="run"
    )
    for _ in range(3):
        asked = optimizer.ask(20)
        optimizer.tell(asked, [oe.Failed("leak"), *(PROBLEMS[name].function(c.x) for c in asked[1:])])
    optimizer.close()
    stored = read(tmp_path / "r.db", "run")
    again = oe.Optimizer(PROBLEMS[name], "random", budget=90, seed=0, storage=tmp_path / "r.db", name="run")
    same(stored, again.result())
    again.close()
    assert stored.status == "stopped"
    assert "continues it" in stored.message
    assert stored.solver == "random"


def test_a_run_without_evaluations(tmp_path: Path) -> None:
    with oe.Optimizer(
        PROBLEMS["two"], "random", budget=9, storage=tmp_path / "r.db", name="run"
    ) as optimizer:
        optimizer.ask(2)
    stored = read(tmp_path / "r.db", "run")
    assert (stored.x, stored.fun, stored.feasible, stored.n_evaluations) == (None, None, False, 0)
    str(stored)
