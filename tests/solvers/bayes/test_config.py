"""CONFIG: bounds of the objective under bounds of the constraints, and infeasibility declared."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.solver import StopAsking
from optengine.solvers.bayes import BO
from optengine.solvers.bayes.config import ConfigScore, LeastBound
from optengine.surrogates.gp import GP, Hyper, Shape

CONFIG = BO(acquisition="config")


def never(x: Any) -> dict[str, float]:
    return {"f": float(np.sum(x)), "g": 0.5 + float(np.sum(np.square(x)))}


def gramacy(x: Any) -> dict[str, float]:
    a, b = x
    wave = np.sin(2 * np.pi * (a * a - 2 * b))
    return {"f": a + b, "c1": 1.5 - a - 2 * b - 0.5 * wave, "c2": a * a + b * b - 1.5}


def test_what_is_infeasible_is_declared_with_its_certificate() -> None:
    problem = oe.Problem(never, [(-1, 1)], objectives="f", constraints=["g"])
    result = oe.solve(problem, solver=CONFIG, budget=30, seed=0)
    assert result.status == "infeasible"
    assert result.n_evaluations <= 15
    certificate = result.details["certificate"]
    assert certificate["bound"] > 0
    assert certificate["confidence"] == 3.0
    assert "largest lower bound" in result.message
    assert oe.Result.from_json(result.to_json()).details["certificate"]["bound"] == certificate["bound"]


def test_what_is_feasible_is_never_declared_infeasible() -> None:
    problem = oe.Problem(gramacy, [(0, 1)] * 2, objectives="f", constraints=["c1", "c2"])
    result = oe.solve(problem, solver=CONFIG, budget=30, seed=1)
    assert result.status == "budget_exhausted"
    assert result.feasible
    assert result.fun < 0.65
    assert "certificate" not in result.details


def test_an_optimizer_says_so_as_well_and_finite_spaces_are_judged_whole() -> None:
    space = oe.Space(a=oe.Integer(0, 12), b=oe.Categorical(["u", "v"]))
    problem = oe.Problem(
        lambda a, b: {"f": float(a), "g": 1.0 + (a / 12) ** 2 + (b == "v")},
        space,
        objectives="f",
        constraints=["g"],
    )
    with oe.Optimizer(problem, CONFIG, seed=0) as optimizer:
        for _ in range(25):
            if optimizer.done:
                break
            candidates = optimizer.ask(1)
            optimizer.tell(candidates, [problem.function(**c.x) for c in candidates])
        assert optimizer.result().status == "infeasible"
    assert optimizer.result().n_evaluations < 25


def processes() -> tuple[GP, GP]:
    """f falls to the right, g rises to the right: at 0.2 it is -1, at 0.8 it is 1."""
    shape = Shape(np.zeros(1, dtype=np.int64), 1, np.zeros(1, dtype=bool), np.empty(0, dtype=np.int64))
    Z = np.array([[0.0], [0.2], [0.8], [1.0]])
    hyper = Hyper(np.array([0.6]), 1.0, 1e-6)
    return GP(shape, hyper, Z, np.array([1.0, 0.5, -0.5, -1.0])), GP(
        shape, hyper, Z, np.array([-1.5, -1.0, 1.0, 1.5])
    )


def test_the_score_is_the_bound_and_the_constraint_bounds_it() -> None:
    """Without the constraint's bound the best place would be the right end."""
    main, limit = processes()
    Z = np.linspace(0, 1, 201)[:, None]
    score = ConfigScore(main, [limit], 3.0, True, False)
    free = ConfigScore(main, [], 3.0, True, False)
    mean, variance = main.predict(Z)
    assert free(Z) == pytest.approx(-(mean - 3.0 * np.sqrt(variance)))
    assert Z[free(Z).argmax(), 0] > 0.9
    chosen = Z[score(Z).argmax()]
    assert chosen[0] < 0.8
    assert score.bounds(chosen[None, :])[0, 0] <= 1e-3
    nearest = Z[np.flatnonzero(score.bounds(Z)[:, 0] <= 0)]
    assert chosen[0] == pytest.approx(
        nearest[free(nearest).argmax(), 0], abs=0.01
    )  # the definition, on a grid


@pytest.mark.parametrize("kind", ["config", "least"])
def test_gradients(kind: str) -> None:
    main, limit = processes()
    score = ConfigScore(main, [limit, main], 3.0, True, False)
    score = LeastBound(score) if kind == "least" else score
    Z, step = np.array([[0.07], [0.41], [0.66], [0.93]]), 1e-6
    value, gradient = score.with_gradient(Z)
    assert value == pytest.approx(score(Z))
    assert gradient[:, 0] == pytest.approx(
        (score(Z + step) - score(Z - step)) / (2 * step), rel=1e-4, abs=1e-4
    )


def test_one_value_told_counts_once() -> None:
    """Asks without news in between are no further evidence."""
    problem = oe.Problem(never, [(-1, 1)], objectives="f", constraints=["g"])
    run = CONFIG.start(problem, np.random.default_rng(0))
    X = np.linspace(-1, 1, 7)[:, None]
    run.tell(X, problem.evaluate(X))
    for _ in range(5):
        run.ask(1)
    assert "certificate" not in run.details

    def converse() -> None:
        for _ in range(12):
            x = run.ask(1)
            run.tell(x, problem.evaluate(x))

    with pytest.raises(StopAsking) as signal:
        converse()
    assert signal.value.infeasible
    assert run.details["certificate"]["bound"] > 0


def test_options() -> None:
    with pytest.raises(OptionError, match="confidence"):
        BO(acquisition="config", confidence=0)
    with pytest.raises(OptionError, match="only one of beliefs"):
        BO(acquisition="config", beliefs={"x": {"a": 1}})
    with pytest.raises(OptionError, match="acquisition of engine"):
        BO(acquisition="config", engine="botorch")
    space = oe.Space(x=oe.Real(0, 1), s=oe.Real(0.1, 1, fidelity=True, target=1.0))
    assert "fidelities" in str(CONFIG.refuses(oe.Problem(lambda x, s: x, space)))
