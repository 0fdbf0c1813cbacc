"""Robust tabu search: optima by enumeration, the same seed the same run, starts kept, the pool."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import OptionError
from optengine.problems import QAP
from optengine.solvers.combinatorial import RobustTabu


@pytest.mark.parametrize("kind", ["symmetric", "asymmetric", "real"])
def test_small_optima_are_found(kind: str) -> None:
    rng = np.random.default_rng(2)
    flow, distance = (rng.integers(0, 50, (7, 7)).astype(float) for _ in range(2))
    if kind == "symmetric":
        flow, distance = flow + flow.T, distance + distance.T
    if kind == "real":
        flow = flow + rng.random((7, 7))
    problem = QAP(flow, distance)
    best = problem.evaluate(np.array(list(itertools.permutations(range(7))), dtype=float)).F.min()
    result = oe.solve(problem, budget=60_000, seed=0)
    assert result.solver == "robust_tabu"
    assert result.fun == pytest.approx(best, rel=1e-12)
    pool = result.details["pool"]
    assert pool["fun"][0] == result.fun
    assert len(np.unique(pool["x"], axis=0)) == len(pool["x"]) > 1
    assert (np.diff(pool["fun"]) >= 0).all()


def test_a_seed_is_a_run_and_a_start_is_never_lost() -> None:
    problem = QAP.random(np.random.default_rng(0), 25)
    first, again, other = (oe.solve(problem, budget=3_000_000, seed=s) for s in (1, 1, 2))
    assert first.history.X.tobytes() == again.history.X.tobytes() != other.history.X.tobytes()
    kept = oe.solve(problem, budget=400, x0=first.x, seed=5)
    assert kept.fun <= first.fun


def test_options_are_checked() -> None:
    with pytest.raises(OptionError, match="tenure must be in"):
        RobustTabu(tenure=-1)
    with pytest.raises(OptionError, match="patience must be an integer >= 1 or None, got 0"):
        RobustTabu(patience=0)
