"""Runs of the BoTorch engine: what every ask must keep, and what each option is for."""

from __future__ import annotations

import pickle
import sys
import time
from typing import Any

import numpy as np
import pytest

from optengine.core.errors import MissingDependency, OptionError, SolverNotSuitable
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Failed, Problem
from optengine.core.solver import StopAsking
from optengine.core.space import Categorical, Integer, Permutation, Real, Row, Space
from optengine.engine import solve
from optengine.solvers.bayes import BO
from optengine.solvers.bayes.torch_options import TorchOptions
from optengine.surrogates.botorch_support import require_torch

try:
    require_torch()
except MissingDependency:
    pytest.skip("the extra 'bayes' is not installed", allow_module_level=True)

QUICK: dict[str, Any] = {"engine": "botorch", "n_initial": 5, "n_raw": 64, "n_starts": 2}
SHORT = TorchOptions(maxiter=15, fit_maxiter=20, n_samples=16, n_optima=4)
BOX = [(-2.0, 3.0), (0.0, 5.0)]


def bowl(x: np.ndarray) -> float:
    return float((x[0] - 1.0) ** 2 + (x[1] - 2.0) ** 2 + 0.5 * np.sin(3 * x[0]))


def quick(**options: Any) -> BO:
    return BO(**QUICK, torch=options.pop("torch", SHORT), **options)


def dear(*names: str) -> list[Any]:
    """Options that take CPU seconds to try: one of each kind runs by default, these do not."""
    return [pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize(
    "acquisition", ["logei", "ts", *dear("qlognei", "ucb", "mes", "kg", "gibbon", "jes", "pes")]
)
def test_every_acquisition_finds_a_bowl(acquisition: str) -> None:
    result = solve(Problem(bowl, BOX), quick(acquisition=acquisition), budget=11, seed=1)
    assert result.fun < 0.7
    assert result.details["engine"] == "botorch"


@pytest.mark.parametrize("acquisition", ["logei", *dear("ts", "ucb", "kg")])
def test_observed_constraints_hold_at_the_end(acquisition: str) -> None:
    def plant(x: np.ndarray) -> dict[str, float]:
        return {"cost": bowl(x), "heat": 1.5 - float(x[0])}

    problem = Problem(plant, BOX, objectives="cost", constraints="heat")
    result = solve(problem, quick(acquisition=acquisition), budget=9, seed=0)
    assert result.feasible
    assert result.x[0] >= 1.5


@pytest.mark.parametrize("surrogate", ["mixed", *dear("ibnn", "saas", "additive")])
def test_surrogates_drive_a_run_over_numbers_and_categories(surrogate: str) -> None:
    space = Space(a=Real(-2, 3), n=Integer(0, 5), kind=Categorical(["u", "v", "w"]))
    problem = Problem(lambda a, n, kind: (a - 1) ** 2 + abs(n - 2) + (kind != "v"), space)
    result = solve(problem, quick(surrogate=surrogate), budget=8, seed=0)
    assert result.n_evaluations == 8
    assert len(np.unique(result.history.X, axis=0)) == 8


def test_a_small_space_is_enumerated_without_duplicates() -> None:
    space = Space(a=Categorical(["x", "y", "z"]), b=Integer(1, 4))
    problem = Problem(lambda a, b: float(b) + (a == "y"), space)
    result = solve(problem, quick(), budget=30, seed=0)
    assert result.status == "converged"
    assert len(np.unique(result.history.X, axis=0)) == result.n_evaluations == 12


def test_a_used_up_space_stops_the_asking() -> None:
    problem = Problem(lambda a: float(a), Space(a=Integer(0, 2)))
    run = quick().start(problem, np.random.default_rng(0))
    X = run.ask(3)
    run.tell(X, problem.evaluate(X))
    with pytest.raises(StopAsking):
        run.ask(1)


def test_pending_points_stay_apart() -> None:
    problem = Problem(bowl, BOX)
    run = quick().start(problem, np.random.default_rng(0))
    X = run.ask(8)
    run.tell(X, problem.evaluate(X))
    U = problem.space.to_unit(np.concatenate([run.ask(2), run.ask(2)]))
    away = np.abs(U[:, None] - U[None]).max(axis=2) + np.eye(4)
    assert away.min() > 1e-3


def test_known_constraints_hold_for_every_point() -> None:
    space = Space(BOX, rows=[Row([1, 1], lower=2), Row([1, -1], upper=0)])
    result = solve(Problem(bowl, space), quick(), budget=9, seed=0)
    assert space.satisfies(result.history.X).all()


def test_where_evaluations_fail_few_follow() -> None:
    def fragile(x: np.ndarray) -> Any:
        return Failed("broken") if x[0] > 0.5 else bowl(x + np.array([1.5, 0.0]))

    problem = Problem(fragile, BOX)
    result = solve(problem, quick(), budget=18, seed=0, catch=True)
    assert (result.history.X[8:, 0] > 0.5).mean() <= 0.2


def test_only_failures_ask_on() -> None:
    problem = Problem(lambda x: Failed("never"), BOX)
    result = solve(problem, quick(), budget=9, seed=0, catch=True)
    assert result.n_evaluations == 9
    assert len(np.unique(result.history.X, axis=0)) == 9


def test_a_seed_is_a_run_and_another_is_another() -> None:
    problem = Problem(bowl, BOX)
    runs = [solve(problem, quick(), budget=8, seed=seed).history.X for seed in (3, 3, 4)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0] != runs[2]).any()


def test_a_pickled_run_goes_on() -> None:
    problem = Problem(bowl, BOX)
    run = quick().start(problem, np.random.default_rng(0))
    X = run.ask(6)
    run.tell(X, problem.evaluate(X))
    run.ask(1)
    twin = pickle.loads(pickle.dumps(run))
    np.testing.assert_array_equal(run.ask(1), twin.ask(1))


def test_values_known_beforehand_stand_for_the_design() -> None:
    problem = Problem(bowl, BOX)
    run = quick().start(problem, np.random.default_rng(0))
    X = problem.space.sample(12, np.random.default_rng(5))
    evaluation = problem.evaluate(X)
    evaluation.ids = np.full(12, -1)
    run.tell(X, evaluation)
    x = run.ask(1)[0]
    assert bowl(x) < np.median(evaluation.F)


def test_earlier_runs_can_be_another_task() -> None:
    problem = Problem(bowl, BOX)
    X = problem.space.sample(14, np.random.default_rng(5))
    shifted = problem.evaluate(X).F[:, 0] * 3.0 + 50.0  # another unit and level
    result = solve(problem, quick(surrogate="multitask"), budget=8, seed=0, data=(X, shifted))
    assert result.fun < 1.0
    assert result.details["surrogate"] == "multitask"


def test_derivatives_come_from_the_problem() -> None:
    class Smooth(Problem):
        def gradient(self, X: np.ndarray) -> np.ndarray:
            """Derivatives (n, width) of the objective by the columns, in the user's units and direction."""
            return np.stack([2 * (X[:, 0] - 1) + 1.5 * np.cos(3 * X[:, 0]), 2 * (X[:, 1] - 2)], axis=1)

    result = solve(Smooth(bowl, BOX), quick(surrogate="gradients"), budget=9, seed=0)
    assert result.fun < 0.1


def test_noisy_values_are_recommended_by_the_mean() -> None:
    rng = np.random.default_rng(0)
    problem = Problem(lambda x: bowl(x) + rng.normal(0, 0.3), BOX, noisy=True)
    result = solve(problem, quick(noise=0.3), budget=14, seed=0)
    assert result.details["acquisition"] == "qlognei"
    assert bowl(np.asarray(result.details["recommended"])) < 2.0


def test_an_ask_keeps_its_time() -> None:
    problem = Problem(bowl, BOX)
    run = BO(engine="botorch", max_ask_seconds=1e-3, n_raw=4096).start(problem, np.random.default_rng(0))
    X = run.ask(8)
    run.tell(X, problem.evaluate(X))
    run.ask(1)  # loads what is loaded late
    start = time.process_time()
    assert problem.space.contains(run.ask(1)).all()
    assert time.process_time() - start < 5.0


@pytest.mark.parametrize("risk", ["cvar", *dear("expectation", "var", "worst")])
def test_robust_points_lie_on_the_broad_slope(risk: str) -> None:
    def narrow(x: np.ndarray) -> float:  # a deep narrow valley at 0.2 and a broad one at 0.7
        return float(-1.2 * np.exp(-(((x[0] - 0.2) / 0.02) ** 2)) - np.exp(-(((x[0] - 0.7) / 0.2) ** 2)))

    torch = TorchOptions(
        maxiter=15, fit_maxiter=20, n_samples=16, risk=risk, input_noise=0.05, n_perturbations=8
    )
    problem = Problem(narrow, [(0.0, 1.0)])
    run = quick(torch=torch).start(problem, np.random.default_rng(0))
    X = np.array([[0.2], *np.linspace(0.05, 0.95, 10)[:, None]])
    told = problem.evaluate(X)
    told.ids = np.full(len(X), -1)
    run.tell(X, told)
    assert problem.space.contains(run.ask(1)).all()
    assert abs(run.details["recommended"][0] - 0.7) < 0.2


def test_missing_torch_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botorch", None)
    with pytest.raises(MissingDependency, match=r"optengine\[bayes\]"):
        quick().start(Problem(bowl, BOX), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("threads", 0),
        ("n_samples", 2.5),
        ("maxiter", True),
        ("beta", 0.0),
        ("risk", "mean"),
        ("risk_level", 1.0),
        ("input_noise", -1.0),
        ("input_noise", {}),
        ("cost_weight", float("nan")),
    ],
)
def test_options_are_checked(option: str, value: Any) -> None:
    with pytest.raises(OptionError, match=option):
        TorchOptions(**{option: value})


def two(x: np.ndarray) -> tuple[float, float]:
    return bowl(x), -bowl(x)


@pytest.mark.parametrize(
    ("options", "problem", "says"),
    [
        ({"acquisition": "kg"}, Problem(two, BOX, objectives=["a", "b"]), "for one objective"),
        ({"acquisition": "qlognehvi"}, Problem(bowl, BOX), "several objectives"),
        ({"acquisition": "mfkg"}, Problem(bowl, BOX), "fidelity=True"),
        ({"acquisition": "mes", "surrogate": "saas"}, Problem(bowl, BOX), "one Gaussian process"),
        ({"trust_region": True}, Problem(bowl, BOX), "trust region"),
        ({"surrogate": "saas", "warping": True}, Problem(bowl, BOX), "warping"),
        ({"surrogate": "additive"}, Problem(lambda x: 0.0, Space(Permutation(4))), "additive"),
        ({"surrogate": "gradients"}, Problem(bowl, BOX), "gradient"),
        ({"torch": TorchOptions(risk="var")}, Problem(bowl, Space(Integer(0, 9, shape=2))), "real variable"),
        (
            {"reference_point": [1.0]},
            Problem(two, BOX, objectives=["a", "b"]),
            "2 numbers",
        ),
    ],
)
def test_what_cannot_be_had_together_is_refused(options: dict[str, Any], problem: Problem, says: str) -> None:
    solver = BO(engine="botorch", **options)
    reason = solver.refuses(problem)
    assert reason is not None
    assert says in reason
    with pytest.raises(SolverNotSuitable):
        solve(problem, solver, budget=3)


def test_warped_inputs_and_matern_kernels_run() -> None:
    problem = Problem(bowl, BOX)
    result = solve(problem, quick(warping=True, kernel="matern52"), budget=9, seed=0)
    assert result.fun < 3.0


def test_told_rows_may_come_in_any_order() -> None:
    problem = Problem(bowl, BOX)
    run = quick().start(problem, np.random.default_rng(0))
    X = run.ask(7)
    for rows in ([5, 1], [0], [6, 2, 3]):
        told: Evaluation = problem.evaluate(X[rows])
        told.ids = np.array(rows)
        run.tell(X[rows], told)
    assert problem.space.contains(run.ask(2)).all()


def test_a_run_says_that_it_is_not_repeated() -> None:
    """Where "auto" resolves to BoTorch by the problem alone, the solver's options do not know."""
    five = Problem(lambda x: [float(x[0])] * 5, BOX, objectives=list("abcde"))
    solver = BO()
    assert solver.replayable
    assert not solver.start(five, np.random.default_rng(0)).replayable
    assert not BO(torch=TorchOptions(risk="var")).replayable
