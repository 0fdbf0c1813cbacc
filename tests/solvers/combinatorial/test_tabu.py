"""The flip search: optima of small problems, the same seed the same run, starts kept, pools, sparse signs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

import optengine as oe
from optengine.core.errors import OptionError, SolverNotSuitable
from optengine.problems import QUBO, MaxCut
from optengine.solvers.combinatorial import Tabu


def torus(side: int, seed: int) -> MaxCut:
    """A torus with weights of +-1, as G11 and G32: plateaus everywhere."""
    n, rng = side * side, np.random.default_rng(seed)
    at = np.arange(n).reshape(side, side)
    ends = np.concatenate([np.stack([at, np.roll(at, -1, axis)], axis=-1).reshape(-1, 2) for axis in (0, 1)])
    w = rng.choice([-1.0, 1.0], len(ends))
    W = sp.coo_array((w, (ends[:, 0], ends[:, 1])), shape=(n, n))
    return MaxCut(W + W.T)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("options", [{}, {"anneal": True}])
def test_small_optima_are_found(real: bool, options: dict[str, object]) -> None:
    rng = np.random.default_rng(5)
    Q = rng.normal(size=(12, 12)) if real else rng.integers(-9, 10, (12, 12))
    problem = QUBO(Q)
    best = problem.evaluate(np.array(list(itertools.product((0.0, 1.0), repeat=12)))).F.min()
    result = oe.solve(problem, Tabu(**options), budget=40_000, seed=1)  # type: ignore[arg-type]
    assert result.fun == pytest.approx(best, rel=1e-12)
    assert result.status == "budget_exhausted"
    pool = result.details["pool"]
    assert pool["fun"][0] == result.fun
    assert len(np.unique(pool["x"], axis=0)) == len(pool["x"]) > 1


def test_auto_takes_it_and_a_seed_is_a_run() -> None:
    problem = torus(12, 0)
    runs = [oe.solve(problem, budget=3_000_000, seed=s) for s in (3, 3, 4)]
    assert runs[0].solver == "tabu"
    assert runs[0].history.X.tobytes() == runs[1].history.X.tobytes() != runs[2].history.X.tobytes()
    assert runs[0].details["tabu"] == "buckets"
    assert runs[0].details["pool"]["fun"].tolist() == runs[1].details["pool"]["fun"].tolist()


def test_a_torus_of_signs_is_solved_where_lowest_index_ties_are_far_off() -> None:
    """A tabu search that takes the lowest of equal indices stays some percent below."""
    problem = torus(20, 1)
    cuts = [oe.solve(problem, budget=20_000_000, seed=s).fun for s in range(3)]
    assert max(cuts) - min(cuts) <= 4  # of some 280
    alone = oe.solve(problem, Tabu(anneal=False), budget=20_000_000, seed=0).fun
    assert alone is not None
    assert alone >= 0.97 * max(cuts)


def test_a_start_is_never_lost() -> None:
    problem = QUBO.random(np.random.default_rng(0), 200)
    good = oe.solve(problem, budget=4_000_000, seed=0)
    again = oe.solve(problem, budget=300, x0=good.x, seed=1)
    assert again.fun == good.fun


def test_limits_hold_in_wide_problems() -> None:
    problem = QUBO.random(np.random.default_rng(0), 1200)
    result = oe.solve(problem, time_limit=0.3, seed=0)
    assert result.status == "time_limit"
    assert result.seconds < 2.0
    stopped = oe.solve(problem, time_limit=20, seed=0, callbacks=lambda s: s.n_evaluations > 10_000)
    assert stopped.status == "stopped"
    assert stopped.seconds < 10.0


def test_what_it_does_not_take() -> None:
    with pytest.raises(SolverNotSuitable, match="reads the couplings"):
        oe.solve(oe.Problem(lambda x: float(x.sum()), oe.Binary(shape=4), call="array"), "tabu", budget=10)
    with pytest.raises(OptionError, match="anneal must be True, False or None, got 'yes'"):
        Tabu(anneal="yes")  # type: ignore[arg-type]
