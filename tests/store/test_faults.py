"""Every way in which a database can be unusable is said in one sentence, and nothing is lost where it can be cured."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from optengine.core.errors import MissingDependency, StorageError
from optengine.store import Journal, RunLog
from optengine.store.address import database_url


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with one run of 500 evaluations."""
    with Journal(tmp_path / "runs.db") as journal, journal.open_run("r", {"solver": "cem"}, 0) as log:
        log.ask(0, "ask", None, 0, np.zeros((500, 20)), 0)
        log.rows(range(500), np.zeros((500, 2)), np.zeros((500, 2)), np.zeros(500, dtype=bool))
        log.snapshot(1, 1, b"x" * 10000)
    return tmp_path / "runs.db"


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("runs.txt", "must be 'sqlite:///path.db', a path ending in .db, .*, got 'runs.txt'"),
        ("", "got ''"),
        (3, "got 3"),
        (None, "got None"),
        ("redis://localhost", "got 'redis://localhost'"),
        ("mysql://me:secret@localhost/db", r"got 'mysql://me:\*\*\*@localhost/db'"),
        ("postgresql+asyncpg://localhost/db", "must be"),
        ("postgresql://me:secret@host:port/db", "beginning with 'postgresql' that cannot be read"),
        ("sqlite://", "a plain file"),
        ("sqlite:///:memory:", "a plain file"),
        ("sqlite:///runs.db?mode=ro", "a plain file"),
        ("no/such/folder/runs.db", "folder that does not exist"),
    ],
)
def test_addresses_that_cannot_be(storage, message: str) -> None:
    with pytest.raises(StorageError, match=message) as caught:
        Journal(storage)
    assert "secret" not in str(caught.value)


def test_addresses_that_can_be(tmp_path: Path) -> None:
    for storage in (tmp_path / "a.db", str(tmp_path / "b.SQLITE3"), f"sqlite:///{tmp_path / 'c.anything'}"):
        with Journal(storage) as journal:
            assert journal.storage.startswith("sqlite:///")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.db", "b.SQLITE3", "c.anything"]


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_spoken_through_psycopg(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    assert database_url(f"{scheme}://me@host/db").drivername == "postgresql+psycopg"
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingDependency, match=r"optengine\[postgres\]"):
        database_url(f"{scheme}://me@host/db")


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "runs.db").mkdir()
    with pytest.raises(StorageError, match="is a folder"):
        Journal(tmp_path / "runs.db")


def test_a_text_file(tmp_path: Path) -> None:
    file = tmp_path / "notes.db"
    file.write_text("no database, " * 500)
    with pytest.raises(StorageError, match="is not a SQLite database; give another path"):
        Journal(file)
    assert file.read_text() == "no database, " * 500


def test_a_truncated_file(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StorageError, match="is damaged"):
        Journal(path)


def test_a_file_with_a_hole(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192 - 4096))
    with pytest.raises(StorageError, match="is damaged"), Journal(path) as journal:
        journal.read("r")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("UPDATE optengine_asks SET X = x'00'", "ask 0 of member 0 holds 1 bytes, 80000 were written"),
        ("UPDATE optengine_evaluations SET F = x'00' WHERE number = 3", "blobs of F"),
        ("UPDATE optengine_runs SET fingerprint = '{'", "fingerprint is no JSON"),
        ("DELETE FROM optengine_asks", "evaluation 0 belongs to no ask"),
    ],
)
def test_damaged_contents(path: Path, damage: str, message: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(damage)
    connection.commit()
    connection.close()
    with Journal(path) as journal, pytest.raises(StorageError, match=f"the journal is damaged: .*{message}"):
        journal.read("r").points()


def test_tables_of_a_newer_version(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE optengine_meta SET value = '7' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match="tables of version 7, and this optengine knows version 2"):
        Journal(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold SQLite's write lock on `path`."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def test_locked_by_another_writer(path: Path, write_rows) -> None:
    with Journal(path, timeout=0.1) as journal:
        with locked(path):
            assert len(journal.read("r").evaluations) == 500  # readers do not wait
            with pytest.raises(
                StorageError, match=r"stayed locked by another process for 0.1 s; wait for it"
            ):
                journal.open_run("r", {"solver": "cem"}, 0)
        with journal.open_run("r", {"solver": "cem"}, 0) as log:
            log.ask(1, "ask", None, 500, np.zeros((2, 20)), 0)
            log.flush()
            log.rows([500], np.ones((1, 2)), np.ones((1, 2)), [False])
            with locked(path), pytest.raises(StorageError, match="stayed locked"):
                log.flush()
            log.rows([501], np.ones((1, 2)), np.ones((1, 2)), [False])
        assert len(journal.read("r").evaluations) == 502


def limit_pages(log: RunLog, pages: int) -> None:
    """Make SQLite say that the disk is full beyond `pages` pages."""
    connection = log._session.connection.connection.dbapi_connection
    connection.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path / "runs.db") as journal:
        with journal.open_run("r", {}, 0) as log:
            log.ask(0, "ask", None, 0, np.zeros((300, 1)), 0)
            log.flush()
            limit_pages(log, 30)
            failures = []
            for i in range(300):
                try:
                    log.rows([i], [[float(i)] * 50], [[]], [False])
                    log.flush()
                except StorageError as error:
                    failures.append(str(error))
            assert len(failures) > 100
            assert all("cannot grow because the disk is full" in failure for failure in failures)
            before = journal.read("r").evaluations.numbers  # what is there is a beginning
            assert before.tolist() == list(range(len(before)))
            limit_pages(log, 10000)
            log.flush()
            assert journal.read("r").evaluations.F[:, 0].tolist() == list(range(300))
            limit_pages(log, 30)
            log.ask(1, "ask", None, 300, np.zeros((3000, 100)), 0)
            with pytest.raises(StorageError, match="disk is full"):
                log.close()
        journal.open_run("r", {}, 0).close()  # the run is free all the same


def test_a_failure_at_the_end_does_not_hide_the_first_error(tmp_path: Path) -> None:
    def loop(journal: Journal) -> None:
        with journal.open_run("r", {}, 0) as log:
            limit_pages(log, 1)
            log._committed = np.inf  # not due
            log.ask(0, "ask", None, 0, np.zeros((3000, 100)), 0)
            raise ZeroDivisionError

    with Journal(tmp_path / "runs.db") as journal:
        with pytest.raises(ZeroDivisionError) as caught:
            loop(journal)
        assert "disk is full" in caught.value.__notes__[0]


def test_what_no_database_takes_is_refused_before_it_is_buffered(tmp_path: Path) -> None:
    with Journal(tmp_path / "runs.db") as journal, journal.open_run("r", {}, 0) as log:
        with pytest.raises(StorageError, match="1001000 points of 125 columns, 1 GB"):
            log.ask(0, "ask", None, 0, np.broadcast_to(0.0, (1_001_000, 125)), 0)
        log.ask(0, "ask", None, 0, np.zeros((1, 125)), 0)


@contextmanager
def without_rights() -> Iterator[None]:
    """Be nobody for a while: the superuser may write everywhere."""
    if not hasattr(os, "geteuid"):
        pytest.skip("no user ids on this system")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def public(tmp_path: Path) -> Iterator[Path]:
    """A folder that everybody can enter and read, and nobody but root can write to."""
    parents = [folder for folder in (tmp_path, *tmp_path.parents) if folder.is_relative_to("/tmp")]
    if not all(os.access(folder, os.X_OK) for folder in parents):
        pytest.skip("the temporary folder is elsewhere")
    modes = [(folder, folder.stat().st_mode) for folder in parents[:-1]]
    for folder, mode in modes:
        folder.chmod(mode | 0o555)
    yield tmp_path
    for folder, mode in modes:
        folder.chmod(mode)


def protect(folder: Path) -> None:
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)


def test_a_read_only_file(public: Path, path: Path) -> None:
    Journal(path).close()
    protect(public)
    with without_rights():
        with pytest.raises(StorageError, match="is read-only for this process"), Journal(path) as journal:
            journal.open_run("r", {"solver": "cem"}, 0)
        with pytest.raises(StorageError, match=r"cannot be opened|is read-only"):
            Journal(public / "new.db")
        with Journal(path, readonly=True) as journal:
            assert len(journal.read("r").evaluations) == 500
            assert [info.name for info in journal.runs()] == ["r"]


def test_looking_only(tmp_path: Path, path: Path) -> None:
    with pytest.raises(StorageError, match="does not exist"):
        Journal(tmp_path / "none.db", readonly=True)
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "empty.db").touch()
    with pytest.raises(StorageError, match="holds no journal of optengine"):
        Journal(tmp_path / "empty.db", readonly=True)
    with Journal(path) as writing, writing.open_run("r", {"solver": "cem"}, 0) as log:
        log.ask(1, "ask", None, 500, np.zeros((1, 20)), 0)
        log.rows([500], np.ones((1, 2)), np.ones((1, 2)), [False])
        log.flush()
        with Journal(path, readonly=True) as looking:
            assert len(looking.read("r").evaluations) == 501
            with pytest.raises(StorageError, match="opened for reading only"):
                looking.open_run("s", {}, 0)


def test_a_database_of_another_program_is_not_disturbed(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "theirs.db")
    connection.execute("CREATE TABLE runs (x)")
    connection.execute("INSERT INTO runs VALUES (1)")
    connection.commit()
    with Journal(tmp_path / "theirs.db") as journal:
        journal.open_run("r", {}, 0).close()
        assert [info.name for info in journal.runs()] == ["r"]
    assert connection.execute("SELECT * FROM runs").fetchall() == [(1,)]
    connection.close()


def test_a_server_that_is_not_there() -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(StorageError, match=r"me:\*\*\*@127.0.0.1:1/db' cannot be reached") as caught:
        Journal("postgresql://me:secret@127.0.0.1:1/db", timeout=2)
    assert "secret" not in str(caught.value)


def test_a_server_without_the_database_or_the_rights(postgresql: str) -> None:
    import psycopg

    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        Journal(f"{postgresql}/nowhere")
    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE closed")
        connection.execute("CREATE ROLE guest LOGIN")
    with pytest.raises(StorageError, match=r"is not writable for this user .*permission denied"):
        Journal(f"{postgresql.replace('optengine@', 'guest@')}/closed")


def test_a_server_whose_table_is_locked(postgresql: str) -> None:
    import psycopg

    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE busy")
    with (
        Journal(f"{postgresql}/busy", timeout=1) as journal,
        journal.open_run("r", {}, 0) as log,
        psycopg.connect(f"{postgresql}/busy") as other,
    ):
        other.execute("LOCK TABLE optengine_asks IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StorageError, match="stayed locked by another process for 1 s"):
            log.ask(0, "ask", None, 0, np.zeros((1, 1)), 0)
        other.rollback()
        log.flush()
        assert len(journal.read("r").asks) == 1
