"""Several objectives in the fast engine: the boxes, the expectation over them, and runs."""

from __future__ import annotations

import math
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, SolverNotSuitable
from optengine.core.problem import Objective
from optengine.core.space import Categorical, Integer, Real, Space
from optengine.solvers.bayes import BO
from optengine.solvers.bayes.volume import Boxes, log_ehvi, non_dominated
from optengine.surrogates.outcomes import standard_scaling


def hypervolume(F: np.ndarray, reference: np.ndarray) -> float:
    """Volume dominated by F below the reference, by inclusion and exclusion over the corners of a grid."""
    F = np.minimum(F, reference)
    axes = [np.unique(np.append(F[:, j], reference[j])) for j in range(F.shape[1])]
    total = 0.0
    for cell in np.ndindex(*[len(a) - 1 for a in axes]):
        low = np.array([a[i] for a, i in zip(axes, cell, strict=True)])
        high = np.array([a[i + 1] for a, i in zip(axes, cell, strict=True)])
        total += float(np.prod(high - low)) * bool((F <= low).all(axis=1).any())
    return total


def corners(boxes: Boxes) -> tuple[np.ndarray, np.ndarray]:
    m = len(boxes.values)
    return tuple(  # type: ignore[return-value]
        np.stack([boxes.values[j][places[:, j]] for j in range(m)], axis=1)
        for places in (boxes.lower, boxes.upper)
    )


def front(m: int, n: int, seed: int = 0) -> np.ndarray:
    F = np.random.default_rng(seed).random((n, m))
    return F[non_dominated(F)]


def test_non_dominated_rows() -> None:
    F = np.array([[1, 2], [2, 1], [2, 2], [1, 2], [0, 3]], dtype=float)
    assert non_dominated(F).tolist() == [True, True, False, False, True]
    assert non_dominated(np.empty((0, 2))).tolist() == []
    F = np.round(np.random.default_rng(0).random((60, 3)), 1)
    brute = [not any((g <= f).all() and (g < f).any() for g in F) for f in F]
    assert {tuple(f) for f in F[non_dominated(F)]} == {tuple(f) for f in F[brute]}
    assert len(F[non_dominated(F)]) == len({tuple(f) for f in F[brute]})


@pytest.mark.parametrize(("m", "n"), [(2, 0), (2, 1), (2, 9), (3, 8), (4, 7)])
def test_boxes_cover_what_is_not_dominated_once(m: int, n: int) -> None:
    F = front(m, n)
    boxes = Boxes.of(F, np.full(m, 0.9))
    P = np.random.default_rng(1).uniform(-0.5, 0.9, (3000, m))
    low, high = corners(boxes)
    inside = ((P[:, None] > low) & (P[:, None] <= high)).all(axis=2).sum(axis=1)
    dominated = (F[None] <= P[:, None]).all(axis=2).any(axis=1)
    np.testing.assert_array_equal(inside, ~dominated)


@pytest.mark.parametrize("m", [2, 3, 4])
def test_the_gain_of_a_sure_point_is_the_hypervolume_it_adds(m: int) -> None:
    F, reference = front(m, 8), np.ones(m)
    new = np.random.default_rng(2).random((6, m)) * 0.5
    value, _, _ = log_ehvi(new, np.full((6, m), 1e-14), Boxes.of(F, reference))
    before = hypervolume(F, reference)
    added = [hypervolume(np.vstack([F, y]), reference) - before for y in new]
    np.testing.assert_allclose(np.exp(value), added, atol=1e-6)


@pytest.mark.parametrize("m", [2, 3])
def test_the_expectation_is_that_of_samples(m: int) -> None:
    """Of 4000 samples: within five standard errors."""
    rng = np.random.default_rng(3)
    F, reference = front(m, 6), np.ones(m)
    mean, variance = rng.random((3, m)) * 0.8, rng.uniform(0.01, 0.05, (3, m))
    boxes = Boxes.of(F, reference)
    value, _, _ = log_ehvi(mean, variance, boxes)
    low, high = corners(boxes)
    for i in range(3):
        Y = mean[i] + np.sqrt(variance[i]) * rng.standard_normal((4000, m))
        gains = np.prod(np.maximum(high - np.maximum(Y[:, None], low), 0.0), axis=2).sum(axis=1)
        assert abs(math.exp(value[i]) - gains.mean()) < 5 * gains.std() / math.sqrt(4000)


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("away", [0.0, 3.0])
def test_gradients(m: int, away: float) -> None:
    rng = np.random.default_rng(4)
    boxes = Boxes.of(front(m, 6), np.ones(m))
    mean, variance = rng.random((4, m)) + away, rng.uniform(0.01, 0.05, (4, m))
    _, by_mean, by_variance = log_ehvi(mean, variance, boxes)
    h = 1e-6
    for j in range(m):
        e = h * np.eye(m)[j]
        numeric = (log_ehvi(mean + e, variance, boxes)[0] - log_ehvi(mean - e, variance, boxes)[0]) / (2 * h)
        np.testing.assert_allclose(by_mean[:, j], numeric, rtol=1e-5, atol=1e-6)
        numeric = (log_ehvi(mean, variance + e, boxes)[0] - log_ehvi(mean, variance - e, boxes)[0]) / (2 * h)
        np.testing.assert_allclose(by_variance[:, j], numeric, rtol=1e-4, atol=1e-5)


def test_far_from_the_front_there_still_is_a_slope() -> None:
    boxes = Boxes.of(front(2, 5), np.ones(2))
    value, by_mean, _ = log_ehvi(np.full((1, 2), 40.0), np.full((1, 2), 0.01), boxes)
    assert np.isfinite(value).all()
    assert (by_mean < -100).all()


def test_scaling_is_linear_where_hypervolume_counts() -> None:
    y = np.array([0.0, 1.0, 2.0, 3.0, 500.0, 1e9, 7.0, 9.0])
    scaled = standard_scaling(y, 20.0)(y)
    steps = np.diff(scaled[:4])
    np.testing.assert_allclose(steps, steps[0])
    assert (np.diff(scaled[np.argsort(y)]) > 0).all()
    assert np.isfinite(standard_scaling(np.ones(3), -5.0)(np.ones(3))).all()
    assert np.isfinite(standard_scaling(y, -5.0)(y)).all()


# -- runs ----------------------------------------------------------------------------------------------------------


def trade(x: np.ndarray) -> dict[str, float]:
    cost, gain = float(((x - 0.2) ** 2).sum()), -float(((x - 0.8) ** 2).sum())
    return {"cost": cost, "gain": gain, "heat": float(x[0]) - 0.9}


TRADE = oe.Problem(
    trade, [(0.0, 1.0)] * 2, objectives=["cost", Objective("gain", "maximize")], constraints="heat"
)


@pytest.mark.parametrize(
    "options", [{}, {"reference_point": [1.0, -1.0]}, {"batch": 3, "acquisition": "logehvi"}]
)
def test_fronts_are_found(options: dict[str, Any]) -> None:
    """The front is the segment between two points; 0.796 can be dominated, random points leave 0.64."""
    result = oe.solve(TRADE, BO(**options), budget=20, seed=0)
    assert result.details["engine"] == "fast"
    assert result.front is not None
    volume = hypervolume(result.front.F * np.array([1.0, -1.0]), np.ones(2))
    assert volume > 0.75


def test_three_objectives_levels_failures_and_noise() -> None:
    rng = np.random.default_rng(0)

    def three(x: float, n: int, kind: str) -> tuple[float, float, float]:
        if x > 0.95:
            raise RuntimeError("broken")
        shift = {"a": 0.0, "b": 0.3}[kind]
        return x + shift + 0.01 * rng.normal(), (1 - x) ** 2 + 0.1 * n, float(5 - n) + 0.01 * rng.normal()

    space = Space(x=Real(0, 1), n=Integer(0, 5), kind=Categorical(["a", "b"]))
    problem = oe.Problem(three, space, objectives=["f", "g", "h"], noisy=True)
    result = oe.solve(problem, solver="bo", budget=22, seed=0, catch=RuntimeError)
    assert result.front is not None
    assert len(result.front.F) >= 5
    assert (result.history.X[12:, 2] == 0).mean() > 0.6


def test_more_objectives_and_what_does_not_go_together() -> None:
    five = oe.Problem(lambda x: [float(x[0])] * 5, [(0, 1)], objectives=list("abcde"))
    assert BO().engine_for(five) == "botorch"
    assert BO().engine_for(TRADE) == "fast"
    with pytest.raises(SolverNotSuitable, match="at most 4 objectives"):
        oe.solve(five, BO(engine="fast"), budget=5)
    with pytest.raises(SolverNotSuitable, match="'logei' is for one objective"):
        oe.solve(TRADE, BO(engine="fast", acquisition="logei"), budget=5)
    with pytest.raises(SolverNotSuitable, match="reference_point must have 2 numbers"):
        oe.solve(TRADE, BO(reference_point=[1.0]), budget=5)
    with pytest.raises(OptionError, match="reference_point"):
        BO(reference_point="far")  # type: ignore[arg-type]


def test_no_torch() -> None:
    code = """
        import sys
        import optengine as oe
        r = oe.minimize(lambda x: (x[0] ** 2, (x[0] - 1) ** 2), [(0, 1)], objectives=["a", "b"], solver="bo",
                        budget=8, seed=0)
        assert len(r.front.F) > 2
        assert not {"torch", "gpytorch", "botorch"} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
