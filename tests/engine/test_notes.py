"""What an evaluation gives beside its values: notes that the journal keeps, and values of what was stopped."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import ProblemError, StorageError
from optengine.store import Journal

SPACE = {"x": oe.Real(0, 1)}


def noted(x: float) -> dict[str, Any]:
    return {"loss": x, "note": {"seen": [x, None], "kind": "first" if x < 0.5 else "second"}}


def test_notes_come_back_from_the_journal(tmp_path: Path) -> None:
    storage: dict[str, Any] = {"storage": tmp_path / "n.db", "name": "n"}
    result = oe.minimize(noted, SPACE, solver="random", budget=5, seed=0, **storage)
    with Journal(tmp_path / "n.db", readonly=True) as journal:
        notes = journal.read("n").evaluations.notes
    assert [notes[i]["seen"][0] for i in range(5)] == result.history.value.tolist()
    assert oe.minimize(noted, SPACE, solver="random", budget=5, seed=0).fun == result.fun


def test_an_optimizer_tells_what_it_was_told(tmp_path: Path) -> None:
    problem = oe.Problem(noted, SPACE)
    arguments: dict[str, Any] = {"solver": "random", "seed": 0, "storage": tmp_path / "o.db", "name": "o"}
    with oe.Optimizer(problem, **arguments) as optimizer:
        candidates = optimizer.ask(4)
        optimizer.tell(candidates[1], oe.Failed("broken", {"why": "heat"}))
        optimizer.tell(candidates[3], oe.Partial({"loss": -5.0, "note": {"epochs": 2}}, 2))
        optimizer.tell(candidates[0], 0.25)
        assert optimizer.snapshot().n_evaluations == 3
    with oe.Optimizer(problem, **arguments) as optimizer:
        told = optimizer.told
        assert [(c.number, note) for c, note in told] == [
            (0, None),
            (1, {"why": "heat"}),
            (3, {"epochs": 2, "stopped": 2}),
        ]
        assert told[0][0].x == candidates[0].x
        assert [c.number for c in optimizer.pending] == [2]
        result = optimizer.result()
    assert result.fun == 0.25  # what was stopped is no incumbent, however low
    assert result.history.failed.sum() == 1
    assert np.nanmin(result.history.value) == -5.0
    assert np.nanmin(result.history.best) == 0.25


def test_partial_values_are_read_as_values() -> None:
    problem = oe.Problem(noted, SPACE)
    with pytest.raises(ProblemError, match="must return a number"):
        problem.read(oe.Partial("nothing"))
    assert problem.read(oe.Partial(float("nan"))).reason is not None


def test_a_note_that_json_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="a note cannot be kept as JSON"):
        oe.minimize(
            lambda x: {"loss": x, "note": {"what": object()}},
            SPACE,
            solver="random",
            budget=1,
            storage=tmp_path / "j.db",
        )


def test_journals_without_notes_are_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    arguments: dict[str, Any] = {"solver": "random", "seed": 0, "storage": path, "name": "old"}
    old = oe.minimize(lambda x: x, SPACE, budget=3, **arguments)
    with sqlite3.connect(path) as connection:
        connection.execute("ALTER TABLE optengine_evaluations DROP COLUMN note")
        connection.execute("UPDATE optengine_meta SET value = '1' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(StorageError, match="tables of version 1"):
        Journal(path, readonly=True)
    longer = oe.minimize(lambda x: x, SPACE, budget=6, **arguments)
    assert longer.history.value[:3].tolist() == old.history.value.tolist()
    oe.minimize(noted, SPACE, budget=2, **{**arguments, "name": "new"})
