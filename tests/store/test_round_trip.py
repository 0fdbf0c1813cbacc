"""What goes into a journal comes out of it, on every database."""

from __future__ import annotations

import math

import numpy as np
import pytest

from optengine.core.errors import StorageError
from optengine.store import Journal

FINGERPRINT = {
    "solver": {"name": "cem", "options": {"population": 64}},
    "space": {"x": ["real", 0.0, math.inf]},
}


def test_all_columns_survive_with_nan_and_infinity(journal: Journal) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 3))
    X[0] = [np.inf, -np.inf, -0.0]
    F = np.array([[1.0, np.nan], [np.inf, -np.inf], [np.nan, np.nan], [-0.0, 5e-324]])
    G = np.array([[0.0], [np.inf], [np.nan], [-1.0]])
    failed = np.array([False, False, True, False])
    noise = np.array([[0.1, 0.2], [np.nan, np.nan], [np.nan, 1.0], [0.0, np.inf]])
    cost = np.array([1.0, np.nan, np.inf, 0.5])
    with journal.open_run("r", FINGERPRINT, 2**100 + 1) as log:
        log.ask(0, "x0", None, 0, X[:1], 0)
        log.ask(1, "ask", 3, 1, X[1:], 0)
        order = [3, 0, 2, 1]  # rows come in any order and are given back by number
        log.rows(
            np.array(order), F[order], G[order], failed[order], noise[order], cost[order], np.arange(4.0)[order],
            np.array(order) / 2, {2: "leak \0 \udc80 ü"},
        )  # fmt: skip
        log.tell(0, [1, 0, -1, 3])
        log.tell(1, [])
        log.snapshot(1, 0, b"old")
        log.snapshot(2, 1, b"\0new")
    record = journal.read("r")
    assert (record.name, record.seed, record.status, record.result) == ("r", 2**100 + 1, "running", None)
    assert record.fingerprint == FINGERPRINT
    first, second = record.asks
    assert (first.kind, first.requested, first.first, first.count, first.after) == ("x0", None, 0, 1, 0)
    assert (second.ask, second.kind, second.requested, second.first, second.count) == (1, "ask", 3, 1, 3)
    np.testing.assert_array_equal(np.concatenate([first.X, second.X]).view(np.int64), X.view(np.int64))
    rows = record.evaluations
    np.testing.assert_array_equal(rows.numbers, np.arange(4))
    np.testing.assert_array_equal(rows.F, F)
    assert np.signbit(rows.F[3, 0])
    np.testing.assert_array_equal(rows.G, G)
    np.testing.assert_array_equal(rows.failed, failed)
    np.testing.assert_array_equal(rows.noise, noise)
    np.testing.assert_array_equal(rows.cost, cost)
    np.testing.assert_array_equal(rows.seconds, np.arange(4.0))
    np.testing.assert_array_equal(rows.at, np.arange(4) / 2)
    assert rows.errors == {2: "leak \\0 \\udc80 ü"}
    assert [told.tolist() for told in record.tells] == [[1, 0, -1, 3], []]
    assert record.snapshot is not None
    assert (record.snapshot.after_ask, record.snapshot.after_tell, record.snapshot.data) == (2, 1, b"\0new")
    np.testing.assert_array_equal(record.points(), X)
    assert record.seconds == 1.5
    assert not record.shared


def test_optional_columns_may_be_absent(journal: Journal) -> None:
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((4, 2)), 0)
        log.rows([0, 1], [[1.0], [2.0]], np.empty((2, 0)), [False, False], seconds=0.25, at=1.0)
        log.rows([2], [[3.0]], np.empty((1, 0)), [False], [[0.5]], [7.0], None, 2.0)
    rows = journal.read("r").evaluations
    assert rows.G.shape == (3, 0)
    np.testing.assert_array_equal(rows.noise, [[np.nan], [np.nan], [0.5]])
    np.testing.assert_array_equal(rows.cost, [np.nan, np.nan, 7.0])
    np.testing.assert_array_equal(rows.seconds, [0.25, 0.25, np.nan])
    assert rows.errors == {}


def test_a_new_run_is_empty(journal: Journal) -> None:
    with journal.open_run("r", {}, None) as log:
        record = log.record
    assert record.evaluations.F.shape == (0, 0)
    assert (record.asks, record.tells, record.snapshot, record.seconds, record.next_number) == (
        [],
        [],
        None,
        0.0,
        0,
    )
    numbers, X = record.pending()
    assert len(numbers) == len(X) == len(record.points()) == 0
    with journal.open_run("r", {}, None) as log:
        assert log.record.seed == record.seed  # drawn once, and kept
    other = journal.open_run("s", {}, None)
    assert other.record.seed != record.seed
    other.close()


def test_an_ask_without_points_and_calls_without_rows(journal: Journal) -> None:
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", 5, 0, np.empty((0, 3)), 0)
        log.rows([], np.empty((0, 1)), np.empty((0, 0)), [])
    assert journal.read("r").asks[0].X.shape == (0, 3)


def test_pending_points_are_those_without_evaluation(journal: Journal, write_rows) -> None:
    X = np.arange(10.0).reshape(5, 2)
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", None, 0, X[:3], 0)
        log.ask(1, "ask", None, 3, X[3:], 0)
        write_rows(log, [4, 1])
    record = journal.read("r")
    numbers, points = record.pending()
    assert numbers.tolist() == [0, 2, 3]
    np.testing.assert_array_equal(points, X[[0, 2, 3]])
    np.testing.assert_array_equal(record.points(), X[[1, 4]])
    assert record.next_number == 5


def test_a_run_goes_on_where_it_stopped(journal: Journal, write_rows) -> None:
    with journal.open_run("r", FINGERPRINT, 7) as log:
        log.ask(0, "ask", None, 0, np.zeros((2, 1)), 0)
        write_rows(log, [0], at=3.0)
    with journal.open_run("r", FINGERPRINT, 7) as log:
        assert log.record.seconds == 3.0
        assert log.record.pending()[0].tolist() == [1]
        write_rows(log, [1], at=4.0)
    assert journal.read("r").evaluations.F[:, 0].tolist() == [0.0, 10.0]


def test_results_are_kept_and_taken_back(journal: Journal) -> None:
    result = {
        "x": {"a": np.int64(3), "b": [np.float64(0.5)]},
        "fun": math.nan,
        "front": np.eye(2),
        "text": "\ud800",
    }
    with journal.open_run("r", {}, 0) as log:
        log.finish("budget_exhausted", result)
    record = journal.read("r")
    assert record.status == "budget_exhausted"
    assert record.finished is not None
    assert record.finished >= record.created
    assert record.result is not None
    assert math.isnan(record.result.pop("fun"))
    assert record.result == {"x": {"a": 3, "b": [0.5]}, "front": [[1.0, 0.0], [0.0, 1.0]], "text": "\ud800"}
    with journal.open_run("r", {}, 0) as log:
        log.reopen()
    record = journal.read("r")
    assert (record.status, record.result, record.finished) == ("running", None, None)


def test_what_is_no_json_is_refused(journal: Journal) -> None:
    with journal.open_run("r", {}, 0) as log, pytest.raises(StorageError, match="type object"):
        log.finish("failed", {"x": object()})
    with pytest.raises(StorageError, match="fingerprint cannot be kept as JSON"):
        journal.open_run("s", {"x": object()}, 0)


def test_the_list_of_runs(journal: Journal, write_rows) -> None:
    assert journal.runs() == []
    with journal.open_run("a", FINGERPRINT, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((3, 1)), 0)
        write_rows(log, [0, 1, 2])
        log.finish("converged", {})
    journal.open_run("b", {"solver": "bo"}, 0).close()
    journal.open_run("c", {}, 0).close()
    infos = journal.runs()
    assert [(i.name, i.status, i.n_evaluations, i.solver) for i in infos] == [
        ("a", "converged", 3, "cem"),
        ("b", "running", 0, "bo"),
        ("c", "running", 0, ""),
    ]
    assert infos[0].created.tzinfo is not None
    assert infos[0].finished is not None
    assert infos[1].finished is None


def test_an_unknown_run_names_the_nearest(journal: Journal) -> None:
    journal.open_run("plant-7", {}, 0).close()
    with pytest.raises(StorageError, match="has no run 'plant-8'; did you mean 'plant-7'"):
        journal.read("plant-8")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"solver": {"name": "cem", "options": {"population": 32}}},
            r"solver.options.population = 64 .* with 32",
        ),
        ({"solver": {"name": "cem", "options": {}}}, r"solver.options.population = 64 .* with nothing"),
        ({"space": {"x": ["real", 0.0, 1.0]}}, r"space.x\[2\] = inf .* with 1.0"),
        ({"space": {"x": ["real", 0.0, math.inf, 4]}}, r"space.x\[3\] = nothing .* with 4"),
        ({"extra": 1}, r"extra = nothing .* with 1"),
    ],
)
def test_a_changed_fingerprint_is_named(journal: Journal, given: dict, message: str) -> None:
    journal.open_run("r", FINGERPRINT, 0).close()
    with pytest.raises(StorageError, match=f"run 'r' in .* was begun with {message}"):
        journal.open_run("r", FINGERPRINT | given, 0)
    journal.open_run("r", FINGERPRINT, 0).close()  # and the refusal holds no lock


def test_a_changed_seed_is_named(journal: Journal) -> None:
    journal.open_run("r", FINGERPRINT, 1).close()
    with pytest.raises(StorageError, match="was begun with seed = 1 and cannot go on with 2"):
        journal.open_run("r", FINGERPRINT, 2)


def test_equal_fingerprints_in_other_clothes(journal: Journal) -> None:
    journal.open_run("r", {"a": (1, 2), "n": math.nan, "s": {3, 1}}, 0).close()
    journal.open_run("r", {"n": np.float64("nan"), "s": [1, 3], "a": np.array([1, 2])}, 0).close()


def test_every_number_is_evaluated_once(journal: Journal, write_rows) -> None:
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((3, 1)), 0)
        write_rows(log, [0, 2])
        with pytest.raises(StorageError, match="evaluation 2 of run 'r' is journaled already"):
            write_rows(log, [1, 2])
        with pytest.raises(StorageError, match="each once"):
            write_rows(log, [1, 1])
        write_rows(log, [1])
    with journal.open_run("r", {}, 0) as log, pytest.raises(StorageError, match="evaluation 0 of run 'r'"):
        write_rows(log, [0])
    assert len(journal.read("r").evaluations) == 3


def test_arrays_may_be_reused_by_the_caller(journal: Journal) -> None:
    X, F, G, failed = np.ones((2, 1)), np.ones((2, 1)), np.ones((2, 1)), np.zeros(2, dtype=bool)
    with journal.open_run("r", {}, 0) as log:
        log.tell(0, [])  # the next events wait for the next commit
        log.ask(0, "ask", None, 0, X, 0)
        log.rows([0, 1], F, G, failed, at=1.0)
        for array in (X, F, G):
            array[:] = 9.0
        failed[:] = True
    record = journal.read("r")
    assert (
        record.points().tolist()
        == record.evaluations.F.tolist()
        == record.evaluations.G.tolist()
        == [[1.0]] * 2
    )
    assert not record.evaluations.failed.any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"F": [1.0, 2.0]}, r"F must have 2 rows and two axes, got shape \(2,\)"),
        ({"F": np.empty((2, 0))}, "at least one objective"),
        ({"G": np.empty((1, 0))}, "G must have 2 rows"),
        ({"failed": [True]}, r"failed must have shape \(2,\)"),
        ({"at": [1.0, 2.0, 3.0]}, r"at must have shape \(2,\)"),
        ({"numbers": [-1, 0]}, "0 or more"),
    ],
)
def test_wrong_shapes_are_refused(tmp_path, change: dict, message: str) -> None:
    given = {"numbers": [0, 1], "F": [[1.0], [2.0]], "G": np.empty((2, 0)), "failed": [False, False]} | change
    with Journal(tmp_path / "runs.db") as journal, journal.open_run("r", {}, 0) as log:
        with pytest.raises(StorageError, match=message):
            log.rows(**given)
        with pytest.raises(StorageError, match="shape"):
            log.ask(0, "ask", None, 0, [1.0], 0)


@pytest.mark.parametrize("name", ["", "a\nb", "x" * 501, "\0", 3])
def test_names_that_cannot_be(tmp_path, name) -> None:
    with Journal(tmp_path / "runs.db") as journal, pytest.raises(StorageError, match="name of a run must be"):
        journal.open_run(name, {}, 0)


def test_a_closed_log_says_so(journal: Journal, write_rows) -> None:
    log = journal.open_run("r", {}, 0)
    log.close()
    log.close()
    with pytest.raises(StorageError, match="is closed"):
        write_rows(log, [0])
