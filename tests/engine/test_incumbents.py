"""What may be an incumbent: feasible, at its target fidelity, not dominated; and what becomes of failed evaluations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine import EvaluationFailed, Problem
from optengine.core.evaluation import Evaluation
from optengine.engine.incumbent import Incumbent
from optengine.store import Journal
from optengine.testing import Climber

few = st.sampled_from([-1.0, 0.0, 0.5, 1.0, 2.0])
NAN = np.nan


def dominated(F: Any, i: int) -> bool:
    return bool(((F <= F[i]).all(axis=1) & (F < F[i]).any(axis=1)).any())


@settings(max_examples=200)
@given(st.data(), st.integers(1, 3))
def test_incumbents_are_what_brute_force_finds(data: st.DataObject, objectives: int) -> None:
    incumbent = Incumbent(1, objectives)
    told: list[tuple[float, Any, Any, bool]] = []
    for _ in range(data.draw(st.integers(1, 5))):
        n = data.draw(st.integers(1, 6))
        F = np.array([[data.draw(few) for _ in range(objectives)] for _ in range(n)])
        G = np.array([[data.draw(few)] for _ in range(n)])
        failed = np.array([data.draw(st.booleans()) for _ in range(n)])
        counts = np.array([data.draw(st.booleans()) for _ in range(n)])
        F[failed], G[failed] = NAN, NAN
        X = len(told) + np.arange(float(n))[:, None]
        before = (incumbent.f, incumbent.violation, len(incumbent.front_F))
        improved = incumbent.update(X, Evaluation(F, G, failed), counts)
        if not improved:
            assert before == (incumbent.f, incumbent.violation, len(incumbent.front_F))
        told += [
            (x[0], f, max(g[0], 0), not bad and good)
            for x, f, g, bad, good in zip(X, F, G, failed, counts, strict=True)
        ]
        usable = [row for row in told if row[3]]
        feasible = [row for row in usable if row[2] == 0]
        assert incumbent.feasible == bool(feasible)
        if not usable:
            assert incumbent.x is None
        elif not feasible:
            least = min(usable, key=lambda row: row[2])
            assert incumbent.x is not None
            assert (incumbent.x[0], incumbent.violation) == (least[0], least[2])
        elif objectives == 1:
            best = min(feasible, key=lambda row: row[1][0])  # of equals the first
            assert incumbent.x is not None
            assert (incumbent.x[0], incumbent.f) == (best[0], best[1][0])
        else:
            F = np.array([row[1] for row in feasible])
            front = {tuple(F[i]) for i in range(len(F)) if not dominated(F, i)}
            assert {tuple(f) for f in incumbent.front_F} == front
            assert len(incumbent.front_F) == len(front)


@pytest.mark.parametrize("vectorized", [False, True])
def test_the_front_of_a_run_is_the_set_of_all_that_is_not_dominated(vectorized: bool) -> None:
    def plant(x: Any) -> Any:
        x = np.atleast_2d(x)
        values = {"cost": x[:, 0] ** 2 + x[:, 1], "gain": x[:, 0] + x[:, 2], "heat": x[:, 1] - 0.5}
        return values if vectorized else {name: float(v[0]) for name, v in values.items()}

    problem = Problem(
        plant,
        [(0, 1)] * 3,
        objectives=["cost", oe.Objective("gain", "maximize")],
        constraints="heat",
        vectorized=vectorized,
    )
    result = oe.solve(problem, Climber(), budget=300, seed=1)
    assert result.front is not None
    F = result.history.F * problem.signs
    F = F[result.history.violation == 0]
    front = np.array([f for i, f in enumerate(F) if not dominated(F, i)])
    assert len(front) > 5
    assert np.array_equal(result.front.F * problem.signs, front[np.argsort(front[:, 0])])
    again = problem.evaluate(result.front.X)
    assert np.array_equal(again.F * problem.signs, result.front.F)
    assert (again.G <= 0).all()
    assert (result.x, result.fun, result.feasible, result.violation) == (None, None, True, 0)


def test_a_target_for_several_objectives_is_an_error(clear: Any) -> None:
    with clear(oe.OptionError, "target", "2 objectives"):
        oe.minimize(lambda x: [0, 1], [(0, 1)], objectives=["a", "b"], solver="random", budget=5, target=0.1)


def test_infeasible_fronts_are_empty_and_say_how_far() -> None:
    result = oe.minimize(
        lambda x: {"a": x[0], "b": -x[0], "g": 1 + x[0]},
        [(0, 1)],
        objectives=["a", "b"],
        constraints="g",
        solver="random",
        budget=9,
        seed=0,
    )
    assert result.front is not None
    assert len(result.front) == 0
    assert (result.fun, result.feasible) == (None, False)
    assert result.violation == result.history.violation.min() == 1 + result.x[0]


# -- fidelity ---------------------------------------------------------------------------------------------------------

FIDELITY = oe.Space(
    x=oe.Real(0, 1), epochs=oe.Integer(1, 50, fidelity=True), share=oe.Ordinal([0.1, 1.0], fidelity=True)
)


def train(x: float, epochs: int, share: float) -> float:
    return (x - 0.3) ** 2 - (50 - epochs) - (1 - share)  # the less effort, the better it looks


def test_only_points_at_the_target_fidelity_become_incumbents() -> None:
    points = [
        {"x": 0.9, "epochs": 50, "share": 1.0},
        {"x": 0.3, "epochs": 1, "share": 1.0},
        {"x": 0.3, "epochs": 50, "share": 0.1},
        {"x": 0.5, "epochs": 50, "share": 1.0},
    ]
    result = oe.minimize(train, FIDELITY, solver="random", budget=4, x0=points, seed=0)
    assert result.x == points[3]
    assert result.fun == result.history.value[3]
    assert result.fun > result.history.value.min()  # type: ignore[operator]
    assert result.history.best.tolist() == result.history.value[[0, 0, 0, 3]].tolist()
    low = oe.minimize(train, FIDELITY, solver="random", budget=2, target=-1, x0=points[1:3], seed=0)
    assert (low.status, low.x) == ("budget_exhausted", None)
    assert "all" not in low.message
    default = oe.minimize(train, FIDELITY, solver=Climber(), budget=30, seed=0)
    assert default.x["epochs"] == 50
    assert default.x["share"] == 1.0


# -- evaluations that fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("vectorized", [False, True])
def test_nan_is_never_best(vectorized: bool) -> None:
    def holes(x: Any) -> Any:
        value = np.where(x[..., 0] < 0.5, np.nan, x[..., 0])
        return value if vectorized else float(value)

    for direction in ("minimize", "maximize"):
        problem = Problem(holes, [(0, 1)], direction=direction, vectorized=vectorized)
        result = oe.solve(problem, "random", budget=50, seed=0, catch=True)
        good = result.history.value[~result.history.failed]
        assert 5 < len(good) < 45
        assert result.fun == (good.min() if direction == "minimize" else good.max())
        assert result.details["n_failed"] == 50 - len(good)


def test_the_37th_call_raises_and_36_values_are_kept(clear: Any, tmp_path: Path) -> None:
    calls = 0

    def fragile(x: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 37:
            raise OSError("sensor offline")
        return float(x.sum())

    storage = tmp_path / "runs.db"
    settings: dict[str, Any] = {
        "solver": "random",
        "budget": 100,
        "seed": 0,
        "storage": storage,
        "name": "plant",
    }
    with clear(EvaluationFailed, "OSError: sensor offline", "array([") as caught:
        oe.minimize(fragile, [(0, 1)] * 2, **settings)
    kept = caught.value.result
    assert (kept.n_evaluations, len(kept.history), kept.status) == (36, 36, "failed")
    assert kept.fun == kept.history.value.min()
    assert isinstance(caught.value.__cause__, OSError)
    with Journal(storage, readonly=True) as journal:
        record = journal.read("plant")
    assert len(record.evaluations) == 36
    assert record.status == "running"
    resumed = oe.minimize(fragile, [(0, 1)] * 2, **settings)
    assert (resumed.n_evaluations, calls) == (100, 101)
    straight = oe.minimize(
        lambda x: float(x.sum()), [(0, 1)] * 2, **(settings | {"storage": None, "name": None})
    )
    assert resumed.history.X.tobytes() == straight.history.X.tobytes()


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, ("returned None",)),
        (NAN, ("returned NaN",)),
        (oe.Failed("leak"), ("leak",)),
        ({"f": None}, ("NaN",)),
    ],
)
@pytest.mark.parametrize("catch", [(), True])
def test_missing_values_are_errors_or_failures(clear: Any, returned: Any, words: Any, catch: Any) -> None:
    def run() -> oe.Result:
        return oe.minimize(lambda x: returned, [(0, 1)], solver="random", budget=3, seed=0, catch=catch)

    if catch:
        assert run().details["n_failed"] == 3
    else:
        with clear(EvaluationFailed, *words, "array([", "catch=True") as caught:
            run()
        assert caught.value.candidate.shape == (1,)
        assert caught.value.result.n_evaluations == 0


def test_a_nan_among_vectorised_values_keeps_the_others(clear: Any) -> None:
    def rows(X: Any) -> Any:
        F = X[:, 0].copy()
        F[3] = np.nan
        return F

    problem = Problem(rows, [(0, 1)], vectorized=True)
    with clear(EvaluationFailed, "returned NaN", "array([") as caught:
        oe.solve(problem, "random", budget=10, seed=0)
    assert caught.value.result.n_evaluations == 9
    assert sorted(caught.value.result.history.number) == [1, 2, 3, 5, 6, 7, 8, 9, 10]
    result = oe.solve(problem, "random", budget=10, seed=0, catch=True)
    assert result.history.failed.tolist() == [i == 3 for i in range(10)]


def test_a_vectorised_objective_that_raises_fails_its_batch(clear: Any) -> None:
    calls = 0

    def rows(X: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ValueError("pipe burst")
        return X[:, 0]

    problem = Problem(rows, [(0, 1)], vectorized=True)
    with clear(EvaluationFailed, "pipe burst", "10 candidates") as caught:
        oe.solve(problem, "random", budget=30, batch_size=10, seed=0)
    assert caught.value.result.n_evaluations == 10
    calls = 0
    result = oe.solve(problem, "random", budget=30, batch_size=10, seed=0, catch=ValueError)
    assert result.history.failed.tolist() == [10 <= i < 20 for i in range(30)]


def test_reasons_reach_the_journal(tmp_path: Path) -> None:
    storage = tmp_path / "runs.db"

    def broken(x: Any) -> float:
        if x[0] < 0.5:
            raise ValueError("pipe burst")
        return float("nan")

    oe.minimize(
        broken, [(0, 1)], solver="random", budget=10, seed=0, catch=True, storage=storage, name="plant"
    )
    with Journal(storage, readonly=True) as journal:
        errors = journal.read("plant").evaluations.errors
    assert len(errors) == 10
    assert {"pipe burst" in text or "returned NaN" in text for text in errors.values()} == {True}


def test_an_objective_that_raises_our_own_error_is_its_own_message(clear: Any) -> None:
    def picky(x: Any) -> float:
        raise oe.ProblemError("the plant is closed")

    with clear(oe.ProblemError, "the plant is closed") as caught:
        oe.minimize(picky, [(0, 1)], solver="random", budget=3, catch=True)
    assert caught.value.result.n_evaluations == 0
