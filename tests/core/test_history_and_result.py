"""What a run gives back: the history's columns, and a Result as table, JSON, pickle and frame."""

from __future__ import annotations

import json
import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import Result, Space, Status, StorageError
from optengine.core.history import History
from optengine.core.result import jsonable, relative_gap

SPACE = Space(
    lr=oe.Real(1e-4, 1, log=True),
    kind=oe.Categorical(["svm", ("knn", 3), None]),
    c=oe.Real(0, 1, when=("kind", "svm")),
    order=oe.Permutation(3),
    chosen=oe.Subset(4),
)


def value(x: dict[str, Any]) -> dict[str, float]:
    if x["lr"] < 2e-4:
        return {"gain": math.nan, "heat": 0.0}
    return {"gain": x["lr"] + x.get("c", 0.5) + x["order"][0], "heat": len(x["chosen"]) - 2.0}


def run(**settings: Any) -> Result:
    arguments = {"solver": "random", "budget": 60, "seed": 3, "catch": True} | settings
    return oe.maximize(value, SPACE, objectives="gain", constraints="heat", **arguments)


@pytest.fixture(scope="module")
def result() -> Result:
    return run()


def same(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return bool(np.array_equal(a, b))


def equal_results(a: Result, b: Result) -> bool:
    plain = (
        "fun",
        "feasible",
        "violation",
        "status",
        "n_evaluations",
        "solver",
        "seed",
        "message",
        "problem",
    )
    columns = ("number", "seconds", "X", "F", "G", "failed", "bound", "best")
    return (
        same(a.x, b.x)
        and all(getattr(a, name) == getattr(b, name) for name in plain)
        and all(np.array_equal(getattr(a.history, n), getattr(b.history, n), equal_nan=True) for n in columns)
    )


# -- history ----------------------------------------------------------------------------------------------------------


def test_history_shows_the_users_direction() -> None:
    history = History(np.array([-1.0]), 2, 1)
    assert len(history) == 0
    assert history.best.shape == (0,)
    X, none = np.arange(6.0).reshape(3, 2), np.zeros(3, dtype=bool)
    history.append(np.arange(1, 4), 0.5, X, -np.array([[1.0], [3], [2]]), np.array([[0.0], [1], [-1]]), none)
    history.append(
        np.array([4]), np.array([0.7]), X[:1], np.array([[np.nan]]), np.array([[np.nan]]), ~none[:1], bound=-9
    )
    history.append(np.array([5]), 0.8, X[:1], np.array([[-8.0]]), np.array([[0.0]]), none[:1], none[:1])
    assert history.number.tolist() == [1, 2, 3, 4, 5]
    assert history.seconds.tolist() == [0.5, 0.5, 0.5, 0.7, 0.8]
    assert history.value[:3].tolist() == [1, 3, 2]
    assert history.violation.tolist() == [0, 1, 0, np.inf, 0]
    assert history.best.tolist() == [1, 1, 2, 2, 2]  # row 2 is infeasible, row 5 stands at another fidelity
    assert history.bound[3] == 9
    assert history.failed.tolist() == [False, False, False, True, False]
    assert repr(history) == "History(5 rows)"
    twin = pickle.loads(pickle.dumps(history))
    assert np.array_equal(twin.F, history.F, equal_nan=True)
    twin.append(np.array([6]), 1.0, X[:1], np.array([[-9.0]]), np.array([[0.0]]), none[:1])
    assert (len(twin), len(history)) == (6, 5)
    assert twin.best[-1] == 9


def test_history_of_infinite_values() -> None:
    history = History(np.array([1.0]), 1, 0)
    F = np.array([[np.inf], [2.0], [-np.inf]])
    history.append(np.arange(1, 4), 0.0, np.zeros((3, 1)), F, np.zeros((3, 0)), np.zeros(3, dtype=bool))
    assert history.best.tolist() == [np.inf, 2.0, -np.inf]


def test_history_best_is_the_running_best(result: Result) -> None:
    h = result.history
    good = np.where((h.violation <= 0) & ~h.failed, h.value, -np.inf)
    expected = np.maximum.accumulate(good)
    assert np.array_equal(h.best, np.where(np.isinf(expected), np.nan, expected), equal_nan=True)
    assert h.best[-1] == result.fun
    assert h.number.tolist() == list(range(1, 61))
    assert (np.diff(h.seconds) >= 0).all()


# -- result -----------------------------------------------------------------------------------------------------------


def test_a_result_says_what_happened(result: Result) -> None:
    assert result.status == "budget_exhausted"
    assert result.status is Status.BUDGET_EXHAUSTED
    assert result.feasible
    assert result.violation == 0
    assert result.n_evaluations == len(result.history) == 60
    assert result.fun == value(result.x)["gain"]
    assert result.details["n_failed"] == int(result.history.failed.sum()) > 0
    assert result.objectives == (("gain", "maximize"),)
    assert result.options == {"population": 100}
    text = str(result)
    for word in ("budget_exhausted", "gain", "x.lr", "random", "60 in", "seed 3"):
        assert word in text
    assert "\n\n" not in text


def test_results_survive_pickle_and_json(result: Result, tmp_path: Path) -> None:
    assert equal_results(pickle.loads(pickle.dumps(result)), result)
    text = result.to_json(tmp_path / "result.json")
    for source in (text, tmp_path / "result.json", str(tmp_path / "result.json")):
        again = Result.from_json(source)
        assert equal_results(again, result)
        assert type(again.x["lr"]) is float
    assert Result.from_json(again.to_json()).to_json() == again.to_json()
    strict = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert strict["x"]["lr"] == result.x["lr"]
    bare = Result.from_dict(json.loads(json.dumps(result.to_dict(history=False))))
    assert len(bare.history) == 0
    assert bare.fun == result.fun


def test_results_of_all_shapes_survive() -> None:
    nothing = run(budget=3, catch=True, x0={"lr": 1e-4, "kind": None, "order": [0, 1, 2], "chosen": []})
    nothing = oe.minimize(lambda x: math.nan, [(0, 1)], solver="random", budget=4, seed=0, catch=True)
    assert (nothing.x, nothing.fun, nothing.feasible, nothing.status) == (None, None, False, "failed")
    infeasible = oe.minimize(
        lambda x: {"f": x[0], "g": 1 + x[0]}, [(0, 1)], constraints="g", solver="random", budget=9, seed=0
    )
    assert not infeasible.feasible
    assert infeasible.violation == infeasible.history.violation.min() == 1 + infeasible.x[0]
    assert "nothing feasible" in str(infeasible)
    several = oe.minimize(
        lambda x: [x[0], 1 - x[0]], [(0, 1)], objectives=["a", "b"], solver="random", budget=9, seed=0
    )
    assert (several.x, several.fun) == (None, None)
    assert several.front is not None
    assert len(several.front.x) == len(several.front) == 9
    assert "9 points (a, b)" in str(several)
    extreme = oe.maximize(lambda x: math.inf, [(0, 1)], solver="random", budget=2, seed=0)
    assert extreme.fun == math.inf
    for one in (nothing, infeasible, several, extreme):
        for again in (Result.from_json(one.to_json()), pickle.loads(pickle.dumps(one))):
            assert equal_results(again, one)
            assert str(again) == str(one)
    again = Result.from_json(several.to_json())
    assert again.front is not None
    assert np.array_equal(again.front.X, several.front.X)
    assert np.array_equal(again.front.F, several.front.F)
    assert (np.diff(again.front.F[:, 0]) >= 0).all()


def test_predicates_stay_out_of_stored_results() -> None:
    space = Space(a=oe.Real(0, 1), where=[oe.Predicate(lambda x: x["a"] < 0.5)])
    result = oe.minimize(lambda a: -a, space, solver="random", budget=8, seed=0)
    assert result.x["a"] < 0.5
    assert pickle.loads(pickle.dumps(result)).x == result.x
    assert Result.from_json(result.to_json()).x == result.x


def test_what_is_no_result_is_refused(clear: Any, tmp_path: Path) -> None:
    with clear(StorageError, "JSON of a Result"):
        Result.from_json("{broken")
    with clear(StorageError, "optengine.result.1"):
        Result.from_json("{}")
    (tmp_path / "list.json").write_text("[]")
    with clear(StorageError, "optengine.result.1"):
        Result.from_json(tmp_path / "list.json")


def test_frames_have_one_row_an_evaluation(result: Result) -> None:
    pytest.importorskip("pandas")
    frame = result.to_frame()
    assert list(frame.columns) == [
        "number", "seconds", "lr", "kind", "c", "order[0]", "order[1]", "order[2]",
        "chosen[0]", "chosen[1]", "chosen[2]", "chosen[3]", "gain", "heat", "failed",
    ]  # fmt: skip
    assert len(frame) == 60
    assert frame["c"].isna().equals(frame["kind"].map(lambda kind: kind != "svm"))
    best = frame.loc[frame["gain"].where(frame["heat"] <= 0).idxmax()]
    assert best["lr"] == result.x["lr"]
    plain = oe.minimize(lambda x: float(x[0]), [(0, 1)] * 2, solver="random", budget=3, seed=0).to_frame()
    assert list(plain.columns) == ["number", "seconds", "x[0]", "x[1]", "objective", "failed"]


def test_frames_keep_columns_of_one_name_apart() -> None:
    pytest.importorskip("pandas")
    space = Space(seconds=oe.Real(1, 2), cost=oe.Real(5, 6))
    result = oe.minimize(
        lambda seconds, cost: {"cost": seconds}, space, objectives="cost", solver="random", budget=3, seed=0
    )
    frame = result.to_frame()
    assert frame["seconds"].max() < 1
    assert frame["x.seconds"].min() >= 1
    assert frame["cost"].max() <= 2
    assert frame["x.cost"].min() >= 5


@pytest.mark.parametrize(
    ("fun", "bound", "gap"),
    [(None, 1, None), (1, None, None), (2, 2, 0), (2, 1, 0.5), (0, 0, 0), (0, 1, math.inf), (-4, -5, 0.25)],
)
def test_gap_as_mip_solvers_define_it(fun: Any, bound: Any, gap: Any) -> None:
    assert relative_gap(fun, bound) == gap


def test_details_of_all_kinds_become_json() -> None:
    details = {
        "a": np.float64(1.5), "b": np.arange(3), "c": (1, [2.0, math.inf]), "d": {"x": None, 3: np.bool_(True)},
        "e": Status.OPTIMAL, "f": np.array([1.0, np.nan]), "g": np.array(["u", None], dtype=object), "h": 1 + 2j,
        "i": {1, 2}, "j": np.array([1j]), "k": np.array([[np.inf]]),
    }  # fmt: skip
    text = json.dumps(jsonable(details))
    read = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert read["a"] == 1.5
    assert read["d"] == {"x": None, "3": True}
    assert read["e"] == "optimal"
    result = oe.minimize(lambda x: 0.0, [(0, 1)], solver="random", budget=1, seed=0)
    result.details = details
    again = Result.from_json(result.to_json())
    assert np.array_equal(again.details["b"], np.arange(3))
    assert again.details["c"] == [1, [2.0, math.inf]]
    assert np.array_equal(again.details["f"], details["f"], equal_nan=True)
    assert again.details["k"].tolist() == [[math.inf]]
