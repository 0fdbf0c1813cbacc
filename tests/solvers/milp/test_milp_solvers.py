"""The solvers of mixed-integer programs: proofs, what is believed, and the search around predictions."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng
from scipy import sparse

import optengine as oe
from optengine.backends import BACKENDS, LinearResult, LinearStatus, linear, terms
from optengine.core.errors import OptionError, ProblemError, SolverNotSuitable
from optengine.problems.milp import MILP
from optengine.solvers.milp import exact, stage
from optengine.solvers.milp.neighbourhoods import Neighbourhoods
from optengine.solvers.milp.predictor import choose
from optengine.solvers.milp.restrict import near

SOLVERS = ("milp", "predict_and_search", "relaxation_induced", "local_branching")


def easy(seed: int = 0, real: float = 0.2) -> MILP:
    return MILP.random(default_rng(seed), 25, 6, real=real)


def hard(n: int = 300) -> MILP:
    return MILP.random(default_rng(1), n, 50, density=0.25, real=0.1)


class Oracle:
    """Predicts a given point, some of it wrongly."""

    def __init__(self, x: Any, wrong: int = 0, seed: int = 0) -> None:
        self._scores = np.array(x, dtype=float)
        flipped = default_rng(seed).permutation(len(x))[:wrong]
        self._scores[flipped] = 1 - self._scores[flipped]

    def scores(self, problem: MILP) -> Any:
        return self._scores


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("seed", range(3))
def test_small_models_are_solved(solver: str, seed: int) -> None:
    problem = easy(seed)
    best = linear.solve_linear(problem.model)
    result = oe.solve(problem, solver, seed=0, time_limit=90)
    assert result.fun == pytest.approx(-best.value)
    assert result.status == "optimal"
    assert result.bound == pytest.approx(result.fun, rel=1e-6)
    assert result.feasible


@pytest.mark.parametrize("backend", [b for b in BACKENDS if BACKENDS[b].integers] + ["race"])
def test_every_backend_and_the_race(backend: str) -> None:
    if backend in BACKENDS and not terms.installed(backend):
        pytest.skip("needs ortools")
    problem = easy(real=0.0)
    result = oe.solve(problem, oe.solvers.MILPExact(backend=backend), seed=0)
    assert result.status == "optimal"
    assert result.fun == pytest.approx(-linear.solve_linear(problem.model).value)
    assert "proved by" in result.message
    if backend == "race":
        assert result.details["raced"]


def test_auto_takes_it() -> None:
    result = oe.solve(easy())
    assert result.solver == "milp"
    assert result.reason.startswith("rule 0: a mixed-integer program")
    assert exact.backend_for(easy().model, 1) == "highs"
    assert exact.backend_for(easy(real=0.0).model, 8) == ("cpsat" if terms.installed("cpsat") else "highs")


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_short_limit_gives_a_valid_result(solver: str) -> None:
    problem = hard()
    result = oe.solve(problem, solver, time_limit=0.1, seed=0)
    assert result.status == "time_limit"
    assert result.bound is None or result.fun is None or result.bound >= result.fun
    if result.fun is not None:
        assert problem.evaluate(problem.space.encode(result.x)).feasible()[0] == result.feasible


@pytest.mark.parametrize("solver", SOLVERS)
def test_incumbents_only_improve_and_bounds_hold(solver: str) -> None:
    problem = hard(120)
    result = oe.solve(problem, solver, time_limit=0.8, seed=0)
    assert result.feasible
    history = result.history
    assert (np.diff(history.best[history.violation <= 0]) >= 0).all()
    longer = oe.solve(problem, "milp", time_limit=0.8, x0=result.x, seed=1)
    assert longer.fun >= result.fun
    for each in (result, longer):
        assert each.bound is None or each.bound >= longer.fun - 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_infeasible_models_say_who_proved_it(solver: str) -> None:
    A = sparse.csr_array([[1.0, 1.0], [1.0, -1.0]])
    problem = MILP([1, 1], A, [0.5, 0], [0.7, 0], (0, 1), True)  # x = y, x + y a fraction
    result = oe.solve(problem, solver)
    assert result.status == "infeasible"
    assert "proved by" in result.message
    assert result.x is None


def test_unbounded_models() -> None:
    result = oe.solve(MILP([1, 1], sense="max", integrality=True))
    assert result.status == "unbounded"
    assert "proved by HiGHS" in result.message


def test_linear_programmes() -> None:
    problem = MILP([1, 2], [[1, 1]], lower=1)
    for backend in ("auto", "glop", "race"):
        if backend == "glop" and not terms.installed("glop"):
            continue
        result = oe.solve(problem, oe.solvers.MILPExact(backend=backend))
        assert (result.status, result.fun) == ("optimal", 1)
    if terms.installed("pdlp"):
        result = oe.solve(problem, oe.solvers.MILPExact(backend="pdlp"))
        assert (result.status, result.bound) == ("converged", None)
        assert result.fun == pytest.approx(1, abs=1e-5)


def test_what_cannot_be_solved_is_said() -> None:
    real = MILP([1, 2], [[1, 1]], lower=1)
    for solver, message in (
        ("predict_and_search", "needs binary variables to predict, and the model has none"),
        ("local_branching", "needs binary variables, and the model has none"),
        ("relaxation_induced", "needs whole variables, and the model has none"),
    ):
        with pytest.raises(SolverNotSuitable, match=message):
            oe.solve(real, solver)
    with pytest.raises(SolverNotSuitable, match="reads the rows of a MILP"):
        oe.solve(oe.problems.QAP.random(default_rng(0), 5), "milp")
    with pytest.raises(SolverNotSuitable, match="backend 'glop' solves models without whole variables"):
        oe.solve(easy(), oe.solvers.MILPExact(backend="glop"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "scipp"}, "backend must be one of .*; did you mean 'scip'"),
        ({"mode": "guess"}, "mode must be one of"),
        ({"k0": 1.5}, r"k0 must be in \[0, 1\], got 1.5"),
        ({"k0": 0.7, "k1": 0.7}, "k0 [+] k1 must be at most 1"),
        ({"radius": -1}, "radius must be in"),
        ({"predictor": 3}, r"predictor must have a method scores\(problem\), got 3"),
        ({"model": 3}, "model must be a path"),
        ({"predictor": Oracle([1]), "model": "a.pt"}, "model must be None where a predictor is given"),
        ({"first": 2}, "first must be in"),
        ({"gap": float("nan")}, "gap must be"),
        ({"threads": 0}, "threads must be"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        oe.solvers.PredictAndSearch(**options)


def test_x0_is_a_starting_point_by_name_too() -> None:
    problem = MILP([3, 2], [[1, 1]], upper=1, bounds=(0, 1), integrality=True, sense="max", names=["a", "b"])
    result = oe.solve(problem, x0={"b": 1})
    assert result.fun == 3
    assert result.history.value[0] == 2


def test_a_point_that_rounding_breaks_gets_new_real_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend whose tolerance lets y = 1e-7 stand for 0 where x <= 1e6 y."""
    problem = MILP(
        [1.0, -0.1], [[1, -1e6]], upper=0, bounds=[(0, 10), (0, 1)], integrality=[0, 1], sense="max"
    )

    def sloppy(*_: Any, **given: Any) -> LinearResult:
        x = np.array([0.1, 0.0])
        given["incumbent"](x, -0.1)
        return LinearResult(status=LinearStatus.OPTIMAL, x=x, value=-0.1, bound=-0.1, message="sloppy")

    monkeypatch.setattr(exact, "solve_linear", sloppy)
    result = oe.solve(problem, "milp")
    assert result.feasible
    assert result.x.tolist() == [0, 0]
    assert result.fun == 0
    assert result.status != "optimal"  # its bound belongs to a point that does not count


def test_ctrl_c_gives_the_best_so_far() -> None:
    timer = threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    began = time.perf_counter()
    result = oe.solve(hard(), "milp", time_limit=60, seed=0)
    timer.join()
    assert time.perf_counter() - began < 20
    assert result.status == "stopped"
    assert result.feasible


# -- predictions -------------------------------------------------------------------------------------------------------


def test_columns_are_chosen_by_rank() -> None:
    scores = np.array([0.9, np.nan, 0.1, 0.5, 0.4, 0.8])
    zeros, ones = choose(scores, 0.4, 0.2)
    assert (zeros.tolist(), ones.tolist()) == ([2, 4], [0])
    zeros, ones = choose(scores, 0.0, 1.0)
    assert (zeros.tolist(), ones.tolist()) == ([], [0, 2, 3, 4, 5])
    zeros, ones = choose(np.zeros(4), 0.5, 0.5)  # ties: at random, the same each time
    assert sorted([*zeros, *ones]) == [0, 1, 2, 3]
    assert len(zeros) == len(ones) == 2


def test_the_row_of_a_trust_region() -> None:
    """x0 + x2 + (1 - x3) <= 1 keeps the points that leave at most one prediction."""
    model = easy(real=0.0).model
    restricted = near(model, np.array([0, 2]), np.array([3]), 1)
    assert restricted.n_rows == model.n_rows + 1
    row = restricted.A.toarray()[-1]
    assert (row[[0, 2, 3]].tolist(), restricted.upper[-1]) == ([1, 1, -1], 0)
    assert np.count_nonzero(row) == 3
    for bits in np.ndindex(2, 2, 2):
        x = np.zeros(model.n_variables)
        x[[0, 2, 3]] = bits
        leaves = bits[0] + bits[1] + (1 - bits[2])
        assert (row @ x <= restricted.upper[-1]) == (leaves <= 1)


@pytest.mark.parametrize("mode", ["trust_region", "hint", "fix"])
@pytest.mark.parametrize("wrong", [0, 10])
def test_a_prediction_right_or_wrong_ends_at_the_optimum(mode: str, wrong: int) -> None:
    problem = easy(real=0.0)
    best = linear.solve_linear(problem.model)
    solver = oe.solvers.PredictAndSearch(
        predictor=Oracle(best.x, wrong), mode=mode, k0=0.5, k1=0.5 - 1e-9, radius=0.1
    )
    result = oe.solve(problem, solver, seed=0)
    assert result.status == "optimal"
    assert result.fun == pytest.approx(-best.value)
    if mode != "hint":
        assert result.details["radii"][-1] is None  # down to the whole model
        assert result.details["radii"][0] == (0 if mode == "fix" else 3)


def test_a_restricted_bound_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restricted to the wrong points, the optimum is worse than the true one: its bound would cut it off."""
    problem = hard(80)
    told: list[tuple[bool, bool]] = []
    real = stage.solve_linear

    def spying(model: Any, **given: Any) -> LinearResult:
        whole = model.n_rows == problem.n_rows and np.array_equal(model.ub, problem.ub)
        told.append((whole, given["bound"] is not None))
        return real(model, **given)

    monkeypatch.setattr(stage, "solve_linear", spying)
    solver = oe.solvers.PredictAndSearch(predictor=Oracle(np.zeros(80)), k0=0.9, radius=0.02)
    result = oe.solve(problem, solver, time_limit=1.0, seed=0)
    assert told
    assert not told[0][0]
    assert all(whole == bound for whole, bound in told)
    better = oe.solve(problem, "milp", time_limit=1.0, x0=result.x, seed=0)
    assert result.bound is None or result.bound >= better.fun


def test_an_infeasible_prediction_is_relaxed() -> None:
    """One of four must be on, and all are predicted off."""
    problem = MILP([4, 3, 2, 1], [[1, 1, 1, 1]], 1, 1, (0, 1), True)
    for mode in ("fix", "trust_region"):
        solver = oe.solvers.PredictAndSearch(predictor=Oracle(np.zeros(4)), mode=mode, k0=1.0, radius=0.0)
        result = oe.solve(problem, solver, seed=0)
        assert (result.status, result.fun) == ("optimal", 1)


def test_settings_of_a_predictor_count_unless_said_otherwise() -> None:
    problem = easy(real=0.0)
    predictor = Oracle(np.linspace(0, 1, 25))
    predictor.settings = {"k0": 0.2, "k1": 0.4, "radius": 0.5}  # type: ignore[attr-defined]
    result = oe.solve(problem, oe.solvers.PredictAndSearch(predictor=predictor), seed=0)
    assert result.details["predicted"] == [5, 10]
    assert result.details["radii"][0] == 8
    result = oe.solve(problem, oe.solvers.PredictAndSearch(predictor=predictor, k0=0.0, radius=0.1), seed=0)
    assert result.details["predicted"] == [0, 10]
    assert result.details["radii"][0] == 1


def test_predictors_are_checked() -> None:
    class Bad:
        def __init__(self, scores: Any) -> None:
            self._scores = scores

        def scores(self, problem: MILP) -> Any:
            return self._scores

    for scores, message in (
        (np.zeros(3), r"must have shape \(25,\), got \(3,\)"),
        (np.full(25, np.nan), "NaN"),
    ):
        with pytest.raises(ProblemError, match=message):
            oe.solve(easy(), oe.solvers.PredictAndSearch(predictor=Bad(scores)))


def test_after_the_first_phase_neighbourhoods_are_guided() -> None:
    problem = hard(150)
    solver = oe.solvers.PredictAndSearch(predictor=Oracle(np.zeros(150)), first=0.3)
    result = oe.solve(problem, solver, time_limit=1.5, seed=0)
    tried = result.details["neighbourhoods"]["tried"]
    assert set(tried) == {"random", "branching", "relaxation", "predicted"}
    assert sum(tried.values()) > 0


def test_a_predicted_neighbourhood_frees_what_is_in_doubt() -> None:
    """Of four columns the prediction says of the first and the last otherwise than the incumbent."""
    problem = MILP(np.ones(4), np.ones((1, 4)), lower=1, bounds=(0, 1), integrality=1)
    scores, incumbent, empty = (
        np.array([0.1, 0.2, 0.8, 0.9]),
        np.array([1.0, 0, 1, 0]),
        SimpleNamespace(desk=None),
    )
    search: Any = Neighbourhoods(problem, empty, default_rng(0), scores, {}, ("random",), doubtful=0.5)  # type: ignore[arg-type]
    assert np.flatnonzero(search._freed("predicted", incumbent)).tolist() == [0, 3]


def test_neighbourhoods_improve_a_bad_start() -> None:
    problem = hard(150)
    for name in ("relaxation_induced", "local_branching"):
        result = oe.solve(problem, name, time_limit=1.5, x0=np.zeros(150), seed=0, options={"first": 0.01})
        assert result.fun > 0
        assert result.details["neighbourhoods"]["tried"]
