"""Exploring: where values tell most, what matters, and over which share of the space a claim holds."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError
from optengine.solvers.bayes import BO
from optengine.solvers.bayes.variance import VarianceScore
from optengine.surrogates.gp import GP, Hyper, Shape
from optengine.workflows import Exploration, explore

SPACE = oe.Space(a=oe.Real(0, 1), b=oe.Real(1e-3, 1, log=True), kind=oe.Categorical(["u", "v"]))


def function(a: float, b: float, kind: str) -> float:
    """Additive: a and the kind matter, b does not. u is better than v where a < 0.7."""
    return 3.0 * a + (0.0 if kind == "u" else 2.1 - 3.0 * a)


@pytest.fixture(scope="module")
def found() -> Exploration:
    return explore(function, SPACE, budget=25, seed=0)


def test_indices_and_effects(found: Exploration) -> None:
    by_name = dict(zip(found.names, found.total, strict=True))
    assert by_name["b"] < 0.02
    assert by_name["a"] > 0.3
    effect = found.effect("a")
    assert effect.mean[-1] - effect.mean[0] == pytest.approx(1.5, abs=0.2)  # half of the space is u
    assert (effect.deviation < 0.2).all()
    assert found.effect("kind").values == ["u", "v"]


def test_shares_of_the_space(found: Exploration) -> None:
    share = found.share(less=({"kind": "u"}, {"kind": "v"}))
    assert share.low - 0.03 <= 0.7 <= share.high + 0.03
    assert share.mean == pytest.approx(0.7, abs=0.05)
    assert found.share(below=10.0).mean == 1.0
    half = found.share(above=1.5)
    assert half.mean == pytest.approx(0.25 + 0.5, abs=0.06)  # of u one half, of v all
    assert "%" in str(half)


def test_intervals_shrink_with_evaluations() -> None:
    widths = []
    for budget in (6, 24):
        share = explore(lambda x: float(np.sin(7 * x[0]) + x[1]), [(0, 1)] * 2, budget=budget, seed=1).share(
            below=0.5
        )
        widths.append(share.high - share.low)
    assert widths[1] < widths[0]


def test_directions_are_the_users_and_everything_pickles() -> None:
    problem = oe.Problem(lambda a, b, kind: 5.0 + a, SPACE, direction="maximize")
    found = explore(problem, budget=10, seed=0)
    assert found.share(above=4.9).mean == 1.0
    assert pickle.loads(pickle.dumps(found)).share(above=4.9) == found.share(above=4.9)
    assert len(found.plot().axes) == 4


def gp(n: int = 6, noise: float = 1e-4) -> GP:
    rng = np.random.default_rng(0)
    shape = Shape(np.arange(2), 2, np.zeros(2, dtype=bool), np.empty(0, dtype=np.int64))
    return GP(shape, Hyper(np.array([0.3, 0.5]), 1.0, noise), rng.random((n, 2)), rng.normal(size=n))


def test_the_score_is_the_fall_of_the_mean_variance() -> None:
    """Against the definition: variances of the process conditioned on one more value, at every point."""
    model, rng = gp(), np.random.default_rng(1)
    Q, Z = rng.random((64, 2)), rng.random((5, 2))
    score = VarianceScore(model, Q, [], False)
    before = model.look(Q).variance.mean()
    for z, value in zip(Z, np.exp(score(Z)), strict=True):
        after = model.extended(z[None, :], np.zeros((1, 1)), noise=model.hyper.noise).look(Q).variance.mean()
        assert value == pytest.approx(before - after, rel=1e-5)


def test_gradient() -> None:
    model, rng = gp(), np.random.default_rng(2)
    score, Z, h = VarianceScore(model, rng.random((32, 2)), [], False), rng.random((4, 2)), 1e-6
    value, gradient = score.with_gradient(Z)
    assert value == pytest.approx(score(Z))
    for j in range(2):
        step = np.eye(2)[j] * h
        assert gradient[:, j] == pytest.approx(
            (score(Z + step) - score(Z - step)) / (2 * h), rel=1e-4, abs=1e-5
        )


def test_points_spread_where_an_optimiser_would_crowd() -> None:
    """Without the criterion the points would be where the value is least."""
    problem = oe.Problem(lambda x: float(((x - 0.2) ** 2).sum()), [(0, 1)] * 2)
    explored = oe.solve(problem, solver=BO(acquisition="variance"), budget=24, seed=0).history.X[6:]
    crowd = oe.solve(problem, solver=BO(), budget=24, seed=0).history.X[6:]
    assert explored.std(axis=0).min() > 0.25 > np.median(np.abs(crowd - 0.2))
    nearest = np.sort(np.abs(explored[:, None] - explored).max(axis=2), axis=1)[:, 1]
    assert nearest.min() > 0.03


@pytest.mark.parametrize(
    ("claim", "words"),
    [
        ({}, "takes one of"),
        ({"below": 1.0, "above": 0.0}, "takes one of"),
        ({"less": ({"kind": "u"},)}, "two dicts"),
        ({"less": ({"kin": "u"}, {"kind": "v"})}, "did you mean 'kind'"),
    ],
)
def test_claims_that_are_none(found: Exploration, claim: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        found.share(**claim)


def test_what_cannot_be_explored(found: Exploration) -> None:
    with pytest.raises(OptionError, match="name must be"):
        found.effect("c")
    with pytest.raises(ProblemError, match="space must be given"):
        explore(function, budget=5)
    with pytest.raises(ProblemError, match="one objective"):
        explore(oe.Problem(lambda x: (0.0, 1.0), [(0, 1)], objectives=["f", "g"]), budget=5)
    assert math.isfinite(found.first.sum())
