"""Offline problems: tables from arrays, frames, files and results; what is wrong with a table; the tasks."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import OptEngineError
from optengine.core.errors import OptionError, ProblemError, SolverNotSuitable, SpaceError
from optengine.problems import Offline, offline_task
from optengine.problems.offline_tasks import (
    NK,
    TASKS,
    Motifs,
    ackley,
    branin,
    hartmann6,
    log_rosenbrock,
    pendulum,
)

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "offline"
BOX = [(0.0, 1.0)] * 2
X20 = np.random.default_rng(0).random((20, 2))
Y20 = X20.sum(axis=1)


def test_a_table_keeps_its_rows_in_order() -> None:
    problem = Offline(BOX, X20, Y20, 5, direction="maximize")
    np.testing.assert_array_equal(problem.X, X20)
    np.testing.assert_array_equal(problem.y, Y20)
    assert problem.objectives[0].direction == "maximize"
    twin = pickle.loads(pickle.dumps(problem))
    assert twin.fingerprint() == problem.fingerprint()
    assert Offline(BOX, X20, Y20 + 1e-9, 5).fingerprint() != problem.fingerprint()


def changed(X: Any, at: Any, value: Any) -> Any:
    X = np.array(X)
    X[at] = value
    return X


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"X": X20[:7], "y": Y20[:7]}, ProblemError, "at least 8 distinct points, got 7"),
        ({"y": np.ones(20)}, ProblemError, "more than one value, got 1"),
        ({"y": Y20[:19]}, ProblemError, r"shape \(20,\)"),
        ({"y": changed(Y20, 3, np.nan)}, ProblemError, "nan in row 3"),
        ({"y": ["a"] * 20}, ProblemError, "20 numbers"),
        ({"X": changed(X20, (4, 1), np.nan)}, OptEngineError, "row 4"),
        ({"X": changed(X20, (4, 1), 1.5)}, SpaceError, "row 4"),
        ({"X": changed(X20, 5, X20[2])}, ProblemError, "rows 2 and 5 equal .*duplicates='mean'"),
        ({"duplicates": "first"}, ProblemError, "duplicates"),
        ({"n_candidates": 0}, ProblemError, "n_candidates must be an integer >= 1, got 0"),
        ({"n_candidates": 2.5}, ProblemError, "n_candidates"),
        ({"constraints": {"heat": Y20[:3]}}, ProblemError, "heat must have shape"),
        ({"constraints": ["heat"]}, ProblemError, "constraints must be a dict"),
        ({"direction": "up"}, ProblemError, "direction"),
        ({"X": X20, "encoded": True, "space": [(0, 1)] * 3}, ProblemError, r"shape \(n, 3\)"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(arguments: Any, error: Any, says: str) -> None:
    given: dict[str, Any] = {"space": BOX, "X": X20, "y": Y20} | arguments
    with pytest.raises(error, match=says) as caught:
        Offline(**given)
    assert "\n" not in str(caught.value)


def test_an_unseen_category_is_named_with_its_row() -> None:
    space = oe.Space(k=oe.Categorical(["a", "b"]), v=oe.Real(0, 1))
    points = [{"k": "a" if i % 2 else "b", "v": i / 20} for i in range(20)]
    points[7]["k"] = "c"
    with pytest.raises(SpaceError, match=r"row 7.*'c'"):
        Offline(space, points, Y20)


def test_more_candidates_than_points_are_refused() -> None:
    space = oe.Space(oe.Binary(shape=4))
    X = np.array([[i >> k & 1 for k in range(4)] for i in range(10)])
    assert Offline(space, X, np.arange(10), 6).n_candidates == 6
    with pytest.raises(ProblemError, match="n_candidates must be <= 6"):
        Offline(space, X, np.arange(10), 7)


def test_duplicates_are_averaged_on_request_and_merged_where_they_agree() -> None:
    X = changed(X20, 5, X20[2])
    problem = Offline(BOX, X, Y20, duplicates="mean")
    assert problem.X.shape == (19, 2)
    assert problem.y[2] == pytest.approx((Y20[2] + Y20[5]) / 2)
    agreeing = Offline(BOX, X, changed(Y20, 5, Y20[2]))
    assert agreeing.y[2] == Y20[2]


def test_observed_constraints_are_excesses() -> None:
    heat = oe.Constraint("heat", lower=0.2, upper=0.7)
    problem = Offline(BOX, X20, Y20, constraints={heat: X20[:, 0]})
    np.testing.assert_allclose(problem.G[:, 0], np.maximum(X20[:, 0] - 0.7, 0.2 - X20[:, 0]))


def test_nothing_can_be_evaluated() -> None:
    problem = Offline(BOX, X20, Y20, 4)
    with pytest.raises(ProblemError, match="no function to evaluate"):
        problem.evaluate(X20)
    with pytest.raises(SolverNotSuitable, match=r"only a table of values.*gp_portfolio"):
        oe.solve(problem, "cem", budget=10)
    for argument in ({"x0": X20[0]}, {"data": (X20, Y20)}, {"target": 1.0}):
        with pytest.raises(OptionError, match="nothing is evaluated"):
            oe.solve(problem, **argument)


def test_a_frame_and_a_file_give_the_same_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    space = oe.Space(kind=oe.Categorical(["a", "b"]), w=oe.Real(0, 1, shape=2))
    kinds = ["a" if i % 3 else "b" for i in range(20)]
    frame = pandas.DataFrame(
        {
            "kind": kinds,
            "w[0]": X20[:, 0],
            "w[1]": X20[:, 1],
            "gain": Y20,
            "heat": X20[:, 0] - 0.5,
            "note": "x",
        }
    )
    frame.to_csv(tmp_path / "runs.csv", index=False)
    options: Any = {"constraints": ["heat"], "direction": "maximize"}
    one = Offline.from_frame(frame, space, "gain", 5, **options)
    other = Offline.load(tmp_path / "runs.csv", space, "gain", 5, **options)
    np.testing.assert_allclose(one.X, other.X)
    np.testing.assert_allclose(one.G, other.G)
    assert other.name == "runs"
    assert one.X[0, 0] == 1.0
    for wrong, says in (("gian", "did you mean 'gain'"), ("cost", "no column 'cost'")):
        with pytest.raises(ProblemError, match=says):
            Offline.from_frame(frame, space, wrong)
    with pytest.raises(ProblemError, match="no column 'w'"):
        Offline.from_frame(frame.drop(columns="w[1]"), space, "gain")
    with pytest.raises(ProblemError, match="must end in one of"):
        Offline.load(tmp_path / "runs.txt", space, "gain")
    with pytest.raises(ProblemError, match="must be a file"):
        Offline.load(tmp_path / "none.csv", space, "gain")


def test_parquet_is_read_as_csv_is(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="pandas reads Parquet with pyarrow")
    frame = pandas.DataFrame({"x[0]": X20[:, 0], "x[1]": X20[:, 1], "gain": Y20})
    frame.to_parquet(tmp_path / "runs.parquet")
    table = Offline.load(tmp_path / "runs.parquet", [(0, 1)] * 2, "gain", 5)
    np.testing.assert_array_equal(table.X, Offline.from_frame(frame, [(0, 1)] * 2, "gain", 5).X)
    (tmp_path / "broken.parquet").write_bytes(b"not a table")
    with pytest.raises(ProblemError, match="no table that pandas reads"):
        Offline.load(tmp_path / "broken.parquet", [(0, 1)] * 2, "gain", 5)


def test_texts_are_sequences(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("ACGT"), 5)) for _ in range(30)]
    frame = pandas.DataFrame({"x": words, "y": rng.random(30)})
    problem = Offline.from_frame(
        frame, oe.Space(oe.Categorical(list("ACGT"), shape=5)), "y", 4, duplicates="mean"
    )
    assert problem.X[0].tolist() == ["ACGT".index(c) for c in words[0]]


def test_an_earlier_run_is_a_table() -> None:
    def toy(x: Any) -> dict[str, float]:
        return {"cost": float(((x - 0.3) ** 2).sum()), "heat": 0.2 - float(x[0])}

    problem = oe.Problem(toy, BOX, objectives="cost", constraints="heat")
    earlier = oe.solve(problem, "random", budget=40, seed=0)
    table = Offline.from_result(earlier, 6)
    assert table.X.shape == (40, 2)
    assert table.n_constraints == 1
    result = oe.solve(table, seed=0)
    assert result.status == "unverified"
    found = [toy(x) for x in table.space.decode(result.details["candidates"])]
    assert min(f["cost"] for f in found if f["heat"] <= 0) <= earlier.fun * 1.05


def test_proposals_are_a_frame() -> None:
    pytest.importorskip("pandas")
    space = oe.Space(a=oe.Real(0, 1), b=oe.Real(0, 1))
    problem = Offline(space, [{"a": a, "b": b} for a, b in X20], Y20, 4)
    result = oe.solve(problem, seed=1)
    frame = problem.proposals(result)
    assert list(frame.columns[:3]) == ["a", "b", "prediction"]
    assert (frame["low"] <= frame["prediction"]).all()
    assert (frame["prediction"] <= frame["high"]).all()
    assert result.details["nearest_y"] in Y20


@pytest.mark.parametrize(
    ("function", "x", "optimum"),
    [
        (hartmann6, [[0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573]], 3.32237),
        (ackley, [[0.0] * 20], 0.0),
        (log_rosenbrock, [[1.0] * 10], 0.0),
        (branin, [[(np.pi + 5) / 15, 2.275 / 15]], -0.397887),
    ],
)
def test_oracles_at_their_optima(function: Any, x: Any, optimum: float) -> None:
    assert function(np.array(x))[0] == pytest.approx(optimum, abs=1e-5)


def test_the_pendulum_hangs_without_torque() -> None:
    """Zero weights: from the bottom (pi) nothing moves, and each step costs pi^2."""
    cost = -pendulum(np.zeros((1, 31)))[0]
    assert cost > 0
    assert pendulum(np.zeros((2, 31)))[0] == pendulum(np.zeros((2, 31)))[1]


def test_nk_by_hand() -> None:
    nk = NK(4, 1, 0)
    x = np.array([[1.0, 0.0, 1.0, 1.0]])
    by_hand = np.mean([nk._tables[i, int(x[0, a] + 2 * x[0, b])] for i, (a, b) in enumerate(nk._read)])
    assert nk(x)[0] == pytest.approx(by_hand)
    assert nk.optimum() == pytest.approx(
        max(nk(np.array([[float(i >> k & 1) for k in range(4)]]))[0] for i in range(16))
    )


def test_motifs_side_by_side_are_the_optimum() -> None:
    motifs = Motifs(5)
    x = np.zeros(32)
    for i in range(4):
        x[8 * i + motifs._places[i]] = motifs._letters[i]
    assert motifs(x[None, :])[0] == pytest.approx(1.0)


@pytest.mark.parametrize("name", [t for t in TASKS if not t.startswith("tfbind")])
def test_tasks_show_only_the_worst(name: str) -> None:
    task = offline_task(name, 0)
    scores = task.score(task.problem.X)
    assert scores.min() == pytest.approx(0.0)
    assert scores.max() < 1.0
    np.testing.assert_array_equal(offline_task(name, 0).problem.X, task.problem.X)
    assert not np.array_equal(offline_task(name, 1).problem.X, task.problem.X)


def test_tfbind8() -> None:
    if not (DATA / "tfbind8_six6.npy").is_file():
        pytest.skip("the table of TF-Bind-8 is not here")
    task = offline_task("tfbind8_six6", 0, data=DATA)
    assert task.problem.X.shape == (32768, 8)
    assert task.score(task.problem.X).max() == pytest.approx(0.4393, abs=1e-4)
    with pytest.raises(ProblemError, match="data must be a folder"):
        offline_task("tfbind8_six6")
    with pytest.raises(ProblemError, match="did you mean 'hartmann6'"):
        offline_task("hartman6")
