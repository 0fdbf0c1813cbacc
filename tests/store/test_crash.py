"""A killed process leaves a beginning of what happened; a failed write loses nothing."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from optengine.core.errors import StorageError
from optengine.store import Journal, RunRecord

WRITER = """
import sys
import numpy as np
from optengine.store import Journal

storage, name = sys.argv[1:]
with Journal(storage) as journal, journal.open_run(name, {}, 0) as log:
    record = log.record
    i = len(record.tells)
    assert i == len(record.asks) == len(record.evaluations) // 3
    print("ready", flush=True)
    while True:
        n = 3 * i
        log.ask(i, "ask", None, n, np.arange(6.0).reshape(3, 2) + n, i)
        log.rows([n, n + 2], [[n], [n + 2]], np.empty((2, 0)), [False, False], at=i / 100)
        log.rows([n + 1], [[n + 1]], np.empty((1, 0)), [False], at=i / 100)
        log.tell(i, [n, n + 1, n + 2])
        i += 1
"""


def events(record: RunRecord) -> int:
    """Check that `record` is a beginning of what WRITER does, and return of how many events."""
    asks, rows, tells = len(record.asks), len(record.evaluations), len(record.tells)
    row_calls = 2 * (rows // 3) + (rows % 3 == 2)
    count = asks + row_calls + tells
    expected = {  # how many of each a beginning of `count` events has
        "asks": (count + 3) // 4,
        "rows": 3 * (count // 4) + {0: 0, 1: 0, 2: 2, 3: 3}[count % 4],
        "tells": count // 4,
    }
    assert {"asks": asks, "rows": rows, "tells": tells} == expected
    assert rows % 3 != 1
    np.testing.assert_array_equal(record.evaluations.F.ravel(), record.evaluations.numbers)
    np.testing.assert_array_equal(
        record.points()[:, :1].ravel(), [n + n % 3 for n in record.evaluations.numbers]
    )
    for i, (ask, told) in enumerate(zip(record.asks, record.tells, strict=False)):
        assert (ask.ask, ask.first, ask.after) == (i, 3 * i, i)
        assert told.tolist() == [3 * i, 3 * i + 1, 3 * i + 2]
    return count


def test_kill_leaves_a_beginning_that_can_be_continued(storage: str, child: Callable[..., Any]) -> None:
    rng = random.Random(0)
    names = ["a", "b", "c"]  # several writers of one database, each with its own run
    writers = [child(WRITER, storage, name) for name in names]
    assert [writer.line() for writer in writers] == ["ready"] * len(names)
    for writer in writers:
        time.sleep(rng.uniform(0.02, 0.2))
        writer.kill()
    with Journal(storage) as journal:
        counts = [events(journal.read(name)) for name in names]
        assert max(counts) > 4
        assert [info.status for info in journal.runs()] == ["running"] * len(names)
        complete(journal, "a")
    again = child(WRITER, storage, "a")
    assert again.line() == "ready"
    time.sleep(0.15)
    again.kill()
    with Journal(storage) as journal:
        assert events(journal.read("a")) > counts[0]


def complete(journal: Journal, name: str) -> None:
    """Do what is left of the last round of a killed writer."""
    with journal.open_run(name, {}, 0) as log:
        numbers, X = log.record.pending()
        assert len(numbers) == len(X) <= 3
        F = numbers[:, None].astype(float)
        log.rows(numbers, F, np.empty((len(numbers), 0)), np.zeros(len(numbers), dtype=bool))
        for i in range(len(log.record.tells), len(log.record.asks)):
            log.tell(i, [3 * i, 3 * i + 1, 3 * i + 2])
    events(journal.read(name))


def test_events_wait_for_their_turn_but_not_longer(journal: Journal, write_rows) -> None:
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((3, 1)), 0)  # the first is committed at once
        write_rows(log, [0])  # these wait
        log.tell(0, [0])
        record = journal.read("r")
        assert (len(record.asks), len(record.evaluations), len(record.tells)) == (1, 0, 0)
        time.sleep(0.06)
        write_rows(log, [1])
        record = journal.read("r")
        assert (len(record.evaluations), len(record.tells)) == (2, 1)
        write_rows(log, [2])
        log.flush()
        assert len(journal.read("r").evaluations) == 3


def test_an_error_in_the_loop_loses_nothing(journal: Journal, write_rows) -> None:
    def loop() -> None:
        with journal.open_run("r", {}, 0) as log:
            log.ask(0, "ask", None, 0, np.zeros((1, 1)), 0)
            write_rows(log, [0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop()
    assert len(journal.read("r").evaluations) == 1


def test_a_commit_whose_answer_was_lost_is_not_repeated(
    journal: Journal, write_rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((4, 1)), 0)
        write_rows(log, [0, 1])
        database = log._database
        write = database.write

        @contextmanager
        def committed_but_broken(connection: Any = None) -> Iterator[Any]:
            with write(connection) as inner:
                yield inner
            raise StorageError("the line broke")

        monkeypatch.setattr(database, "write", committed_but_broken)
        with pytest.raises(StorageError, match="the line broke"):
            log.flush()
        monkeypatch.setattr(database, "write", write)
        write_rows(log, [2])
        log.flush()
        write_rows(log, [3])
        log.flush()
    assert journal.read("r").evaluations.numbers.tolist() == [0, 1, 2, 3]


def test_a_rolled_back_commit_is_repeated(
    journal: Journal, write_rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    with journal.open_run("r", {}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((3, 1)), 0)
        write_rows(log, [0, 1])
        buffer = log._buffer
        write = buffer.write

        def written_but_interrupted(connection: sa.Connection) -> None:
            write(connection)
            raise KeyboardInterrupt

        monkeypatch.setattr(buffer, "write", written_but_interrupted)
        with pytest.raises(KeyboardInterrupt):
            log.flush()
        monkeypatch.setattr(buffer, "write", write)
        write_rows(log, [2])
        log.flush()
    assert journal.read("r").evaluations.numbers.tolist() == [0, 1, 2]


def test_a_lost_connection_is_found_again(
    postgresql: str, request: pytest.FixtureRequest, write_rows
) -> None:
    import psycopg

    with Journal(f"{postgresql}/postgres") as journal, journal.open_run("lost", {}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((2, 1)), 0)
        log.flush()
        write_rows(log, [0])
        with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            )
        with pytest.raises(StorageError, match="lost its connection to the server"):
            log.flush()
        log.flush()
        with pytest.raises(StorageError, match="in use by process"):  # the lock was taken again
            journal.open_run("lost", {}, 0)
        write_rows(log, [1])
    assert journal.read("lost").evaluations.numbers.tolist() == [0, 1]
    journal.close()


def test_a_run_taken_over_during_a_lost_connection_is_not_written(postgresql: str, write_rows) -> None:
    import psycopg

    with Journal(f"{postgresql}/postgres") as journal:
        log = journal.open_run("stolen", {}, 0)
        log.ask(0, "ask", None, 0, np.zeros((2, 1)), 0)
        log.flush()
        write_rows(log, [0])
        with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            )
        with journal.open_run("stolen", {}, 0) as thief:
            write_rows(thief, [0])
            with pytest.raises(StorageError, match="lost its connection"):
                log.flush()
            with pytest.raises(StorageError, match="taken by another process"):
                log.flush()
        with pytest.raises(StorageError, match="taken over by another process"):
            log.close()
    assert len(journal.read("stolen").evaluations) == 1
    journal.close()
