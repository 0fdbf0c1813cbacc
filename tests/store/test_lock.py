"""One process a run, unless all agree to share it."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from optengine.core.errors import StorageError
from optengine.store import Journal

HOLDER = """
import sys
from optengine.store import Journal

with Journal(sys.argv[1]) as journal, journal.open_run("r", {}, 0, shared=sys.argv[2] == "shared") as log:
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("held", ["alone", "shared"])
def test_a_second_process(storage: str, child: Callable[..., Any], held: str) -> None:
    holder = child(HOLDER, storage, held)
    assert holder.line() == "ready"
    with Journal(storage) as journal:
        for shared in (False, True):
            if held == "shared" and shared:
                journal.open_run("r", {}, 0, shared=True).close()
                continue
            with pytest.raises(StorageError) as caught:
                journal.open_run("r", {}, 0, shared=shared)
            who = f"in use by process {holder.process.pid} on {re.escape(socket.gethostname())}; wait for it"
            assert re.search(who, str(caught.value))
            assert "shared=True" in str(caught.value)
            assert "runs.db" in str(caught.value) or "127.0.0.1" in str(caught.value)
        journal.open_run("another", {}, 0).close()  # only this run is locked
        assert journal.read("r").name == "r"  # and only for writing
        holder.kill()
        journal.open_run("r", {}, 0).close()  # a kill frees it
        journal.open_run("r", {}, 0, shared=True).close()


def test_an_orderly_end_frees_the_run(storage: str, child: Callable[..., Any]) -> None:
    holder = child(HOLDER, storage, "alone")
    assert holder.line() == "ready"
    assert holder.close() == 0
    with Journal(storage) as journal:
        journal.open_run("r", {}, 0).close()
        journal.open_run("r", {}, 0, shared=True).close()
        journal.open_run("r", {}, 0).close()


def test_the_lock_holds_inside_one_process_too(journal: Journal) -> None:
    with journal.open_run("r", {}, 0), pytest.raises(StorageError, match=f"process {os.getpid()}"):
        journal.open_run("r", {}, 0)
    with journal.open_run("r", {}, 0, shared=True), journal.open_run("r", {}, 0, shared=True) as second:
        assert second.member == 2
        with pytest.raises(StorageError, match="in use by"):
            journal.open_run("r", {}, 0)


def test_lock_files_do_not_stay(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"
    with Journal(path) as journal:
        with journal.open_run("r", {}, 0, shared=True), journal.open_run("r", {}, 0, shared=True):
            assert len(list(tmp_path.glob("runs.db.*.lock"))) == 1
        with journal.open_run("r", {}, 0):
            assert len(list(tmp_path.glob("runs.db.*.lock"))) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["runs.db"]


def test_two_schemas_of_one_database_do_not_meet(postgresql: str) -> None:
    import psycopg

    with psycopg.connect(f"{postgresql}/postgres", autocommit=True) as connection:
        connection.execute("CREATE SCHEMA one")
        connection.execute("CREATE SCHEMA two")
    address = f"{postgresql}/postgres?options=-csearch_path%3D"
    with (
        Journal(address + "one") as one,
        Journal(address + "two") as two,
        one.open_run("r", {}, 0),
        two.open_run("r", {"its": "own"}, 0),
    ):
        assert two.read("r").fingerprint == {"its": "own"}


def test_two_spellings_of_one_file_meet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs.db"
    (tmp_path / "elsewhere").mkdir()
    with Journal(path) as journal, journal.open_run("r", {}, 0):
        (tmp_path / "elsewhere" / "link.db").symlink_to(path)
        monkeypatch.chdir(tmp_path / "elsewhere")
        for spelling in ("link.db", "sqlite:///../runs.db"):
            with Journal(spelling) as other, pytest.raises(StorageError, match="in use by"):
                other.open_run("r", {}, 0)


def test_a_forgotten_log_frees_the_run_when_collected(tmp_path: Path) -> None:
    import gc

    with Journal(tmp_path / "runs.db") as journal:
        log = journal.open_run("r", {}, 0)
        del log
        gc.collect()
        journal.open_run("r", {}, 0).close()


FORKING = """
import os, sys, time
from optengine.store import Journal

with Journal(sys.argv[1]) as journal, journal.open_run("r", {}, 0):
    worker = os.fork()
    if worker == 0:
        time.sleep(20)  # outlives its parent, as a worker of a killed pool may
        os._exit(0)
    print(worker, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path, child: Callable[..., Any]) -> None:
    path = tmp_path / "runs.db"
    holder = child(FORKING, path)
    worker = int(holder.line())
    try:
        with Journal(path) as journal:
            with pytest.raises(StorageError, match="in use by process"):
                journal.open_run("r", {}, 0)
            holder.process.kill()
            holder.process.wait()
            journal.open_run("r", {}, 0).close()
    finally:
        os.kill(worker, 9)


SPAWNING = """
import subprocess, sys
from optengine.store import Journal

with Journal(sys.argv[1]) as journal, journal.open_run("r", {}, 0):
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(20)"], close_fds=False)
    print(worker.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills by signal")
def test_an_executed_child_does_not_inherit_the_lock(tmp_path: Path, child: Callable[..., Any]) -> None:
    path = tmp_path / "runs.db"
    holder = child(SPAWNING, path)
    worker = int(holder.line())
    try:
        holder.process.kill()
        holder.process.wait()
        with Journal(path) as journal:
            journal.open_run("r", {}, 0).close()
    finally:
        os.kill(worker, 9)


def test_many_processes_in_turn(storage: str, child: Callable[..., Any]) -> None:
    """A lock file that is removed and made again never lets two owners in."""
    code = """
import sys, time
from optengine.core.errors import StorageError
from optengine.store import Journal

held = 0
with Journal(sys.argv[1]) as journal:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            log = journal.open_run("r", {}, 0)
        except StorageError as error:
            assert "in use by" in str(error), error
            continue
        with log:
            held += 1
            n = log.record.next_number
            log.ask(len(log.record.asks), "ask", None, n, [[0.0]], 0)
            log.rows([n], [[1.0]], [[]], [False])
print(held, flush=True)
"""
    workers = [child(code, storage) for _ in range(3)]
    held = [int(worker.line() or -1) for worker in workers]
    assert [worker.close() for worker in workers] == [0, 0, 0]
    with Journal(storage) as journal:
        record = journal.read("r")
    assert len(record.evaluations) == len(record.asks) == sum(held) > 0
