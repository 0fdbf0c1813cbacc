"""Covering direct search and directional attacks: bases, counts, and problems with known answers."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError, ProblemError, SolverNotSuitable
from optengine.solvers.covering.cdsm import householder, reflected


def sphere(x: np.ndarray) -> float:
    return float(((x - 0.3) ** 2).sum())


def test_bases_are_orthogonal_and_walls_reflect() -> None:
    H = householder(5, np.random.default_rng(0))
    np.testing.assert_allclose(H @ H.T, np.eye(5), atol=1e-12)
    np.testing.assert_allclose(reflected(np.array([-0.2, 0.4, 1.3, 2.5])), [0.2, 0.4, 0.7, 0.0])


def test_cdsm_descends_smooth_and_broken_functions() -> None:
    smooth = oe.minimize(sphere, [(-1, 1)] * 4, solver="cdsm", budget=1500, seed=0)
    assert smooth.fun < 1e-6
    broken = oe.minimize(
        lambda x: np.floor(4 * abs(x[0])) + abs(x[1] - 0.5), [(-3, 2)] * 2, solver="cdsm", budget=800, seed=0
    )
    assert broken.fun < 1e-3


def test_cdsm_orders_infeasible_points_by_violation() -> None:
    def plant(x: np.ndarray) -> dict[str, float]:
        return {"cost": float(x.sum()), "heat": 1.2 - float(x[0])}

    result = oe.minimize(
        plant, [(0, 2)] * 2, objectives="cost", constraints="heat", solver="cdsm", budget=600, seed=1
    )
    assert result.feasible
    assert result.fun == pytest.approx(1.2, abs=1e-3)


def test_options_and_problems_are_checked() -> None:
    with pytest.raises(OptionError, match="radius must be in"):
        oe.solvers.CDSM(radius=0.0)
    with pytest.raises(OptionError, match="steps must be an integer"):
        oe.solvers.DirectionalAttack(steps=0)
    with pytest.raises(SolverNotSuitable, match="real numbers"):
        oe.solve(oe.Problem(lambda x: 0.0, oe.Space(oe.Binary(shape=3))), "cdsm", budget=5)
    with pytest.raises(SolverNotSuitable, match="gradient of an NNProblem"):
        oe.solve(oe.Problem(sphere, [(0, 1)]), "directional_attack", budget=5)


def output(x: Any, out: Any) -> Any:
    return ((out - 0.5) ** 2).sum(dim=1)


def first(x: Any, out: Any) -> Any:
    return 0.2 - x[:, 0]


def network() -> Any:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(12, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2))


def test_a_network_problem_is_its_network() -> None:
    torch = pytest.importorskip("torch")
    phi = network()
    problem = oe.problems.NNProblem(phi, output, [(-1, 1)] * 12, c=first, direction="maximize")
    X = problem.space.sample(6, np.random.default_rng(0))
    evaluation = problem.evaluate(X)
    with torch.no_grad():
        out = phi(torch.tensor(X, dtype=torch.float32)).numpy()
    np.testing.assert_allclose(evaluation.F[:, 0], -((out - 0.5) ** 2).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(evaluation.G[:, 0], 0.2 - X[:, 0], rtol=1e-5)
    slope, step = problem.slope(X), np.zeros(12)
    step[3] = 1e-2
    change = (problem.evaluate(X + step).F - problem.evaluate(X - step).F)[:, 0] / 2e-2
    np.testing.assert_allclose(change, slope[:, 3], atol=2e-3)
    twin = pickle.loads(pickle.dumps(problem))
    assert twin.fingerprint() == problem.fingerprint()
    with pytest.raises(ProblemError, match="torch module"):
        oe.problems.NNProblem(output, output, [(0, 1)])
    with pytest.raises(ProblemError, match="real numbers"):
        oe.problems.NNProblem(phi, output, oe.Space(oe.Binary(shape=12)))


def test_attacks_beat_the_direct_search_at_equal_passes() -> None:
    problem = oe.problems.NNProblem(network(), output, [(-1, 1)] * 12, c=first)
    attack = [oe.solve(problem, "directional_attack", budget=150, seed=s) for s in range(3)]
    alone = [oe.solve(problem, "cdsm", budget=150, seed=s) for s in range(3)]
    assert all(r.feasible and r.n_evaluations <= 150 for r in attack)
    assert np.median([r.fun for r in attack]) < np.median([r.fun for r in alone])
    assert attack[0].details["attacks_accepted"] > 0
