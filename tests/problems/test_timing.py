"""Quality against training time, and acquisition by cost."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError
from optengine.problems import timed
from optengine.solvers.bayes import BO
from optengine.solvers.bayes.cooled import CooledModel, CooledScore

SPACE = oe.Space(size=oe.Real(1, 100, log=True), rate=oe.Real(0, 1))


def train(size: float, rate: float) -> dict[str, float]:
    """Larger models are better and take longer."""
    return {"quality": 1 / size + (rate - 0.3) ** 2, "seconds": 0.5 * size}


def test_scalarised_form_trades_seconds_for_quality() -> None:
    problem = timed(train, SPACE, weight=0.1)
    F = problem.evaluate(SPACE.encode({"size": 10, "rate": 0.3}))
    assert F.F[0, 0] == pytest.approx(0.1 + 0.1 * math.log10(5))
    assert F.cost is not None
    assert F.cost[0] == pytest.approx(5.0)
    assert oe.solve(problem, solver="sobol", budget=256, seed=0).x["size"] < 40  # 1 / size alone wants 100
    gain = timed(lambda size, rate: {"quality": size, "seconds": 10}, SPACE, weight=2.0, direction="maximize")
    assert gain.evaluate(SPACE.encode({"size": 7, "rate": 0})).F[0, 0] == pytest.approx(-5.0)


def test_constrained_form_keeps_the_limit() -> None:
    problem = timed(train, SPACE, "constrained", limit=10.0)
    result = oe.solve(problem, solver="sobol", budget=256, seed=0)
    assert result.feasible
    assert 12 < result.x["size"] <= 20
    assert not problem.evaluate(SPACE.encode({"size": 21, "rate": 0.3})).feasible()[0]


def test_pareto_form_has_both() -> None:
    result = oe.solve(timed(train, SPACE, "pareto"), solver="sobol", budget=64, seed=0)
    assert result.front is not None
    assert len(result.front) > 3
    assert (np.diff(result.front.F[:, 1]) < 0).all()


def test_seconds_are_measured_where_they_are_not_returned() -> None:
    ticks = iter([0.0, 2.5])
    problem = timed(lambda size, rate: 0.25, SPACE, "constrained", limit=1.0, clock=lambda: next(ticks))
    evaluation = problem.evaluate(SPACE.encode({"size": 2, "rate": 0}))
    assert evaluation.cost is not None
    assert evaluation.cost[0] == 2.5
    assert evaluation.G[0, 0] == pytest.approx(math.log10(2.5))
    assert pickle.loads(pickle.dumps(timed(train, SPACE, "pareto"))).name == "train"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"form": "paretto"}, "did you mean 'pareto'"),
        ({}, "weight must be"),
        ({"form": "constrained"}, "limit must be"),
        ({"form": "pareto", "limit": 3.0}, "limit must be"),
        ({"weight": -1.0}, "weight must be"),
    ],
)
def test_what_a_form_does_not_take(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        timed(train, SPACE, **arguments)


def conversation(cooling: float | None, seed: int = 0, n: int = 12) -> tuple[Any, oe.Problem]:
    """Two equal basins, at 0.2 and 0.8, of which the right one costs a hundred times as much."""
    problem = oe.Problem(
        lambda x: {"f": float(-np.exp(-60 * (x[0] - 0.2) ** 2) - np.exp(-60 * (x[0] - 0.8) ** 2)),
                   "cost": 100.0 if x[0] > 0.5 else 1.0}, [(0, 1)], objectives="f",
    )  # fmt: skip
    run = BO(cooling=cooling, n_initial=4).start(problem, np.random.default_rng(seed))
    X = np.array([[0.05], [0.45], [0.55], [0.95]])
    run.tell(X, problem.evaluate(X))
    return run, problem


def test_cheap_places_come_first_and_the_cost_counts_less_and_less() -> None:
    """Without the division by the cost the two basins are equal: the score's two maxima are told apart by it alone."""
    run, _ = conversation(1000.0)
    score = run._model.score(run._told)
    assert isinstance(score, CooledScore)
    Z = np.array([[0.2], [0.8]])
    plain = score._inner(Z)
    assert plain[0] == pytest.approx(plain[1], abs=0.05)
    assert score(Z)[0] > score(Z)[1] + 2.0
    assert run.ask(1)[0, 0] < 0.5
    model = run._model
    assert isinstance(model, CooledModel)
    assert model.alpha(np.array([50.0, 50.0, 50.0, 50.0])) == 1.0
    assert model.alpha(np.array([50.0, 50.0, 50.0, 50.0, 400.0])) == pytest.approx(0.5)
    assert model.alpha(np.array([50.0, 50.0, 50.0, 50.0, 900.0, np.nan])) == 0.0


def test_gradient() -> None:
    run, _ = conversation(1000.0)
    score = run._model.score(run._told)
    Z, h = np.array([[0.13], [0.33], [0.71]]), 1e-6
    value, gradient = score.with_gradient(Z)
    assert value == pytest.approx(score(Z))
    assert gradient[:, 0] == pytest.approx((score(Z + h) - score(Z - h)) / (2 * h), rel=1e-3, abs=1e-3)


def test_without_costs_told_nothing_changes() -> None:
    problem = oe.Problem(lambda x: float(((x - 0.3) ** 2).sum()), [(0, 1)] * 2)
    assert oe.solve(problem, solver=BO(cooling=100.0), budget=15, seed=0).fun < 1e-2


def test_options() -> None:
    with pytest.raises(OptionError, match="cooling must be"):
        BO(cooling=0)
    with pytest.raises(OptionError, match="engine 'fast'"):
        BO(cooling=1.0, engine="botorch")
    with pytest.raises(OptionError, match="only one of"):
        BO(cooling=1.0, acquisition="config")
    assert "one objective" in str(BO(cooling=1.0).refuses(timed(train, SPACE, "pareto")))
