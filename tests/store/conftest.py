"""Journals to test on: a SQLite file, and a PostgreSQL server of one's own where its programs are installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from optengine.store import Journal, RunLog


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a server started for this session, without the database's name."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = _postgresql_programs()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    as_server: list[str] = []
    if hasattr(os, "getuid") and os.getuid() == 0:  # initdb and pg_ctl refuse root
        if (
            shutil.which("runuser") is None
            or subprocess.run(["id", "postgres"], capture_output=True).returncode
        ):
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres or no runuser")
        as_server = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="optengine-pg-"))
    if as_server:
        shutil.chown(folder, "postgres")
    port = _free_port()

    def call(program: str, *arguments: str) -> None:
        command = [*as_server, str(binaries / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    settings = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c max_connections=60"
    try:
        call("initdb", "-A", "trust", "-U", "optengine", "-E", "UTF8", "--locale=C", "--no-sync")
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql://optengine@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address where no journal is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    server = request.getfixturevalue("postgresql")
    import psycopg

    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")  # much cheaper than a database
    return f"{server}/postgres?options=-csearch_path%3D{name}"


@pytest.fixture
def journal(storage: str) -> Iterator[Journal]:
    with Journal(storage) as opened:
        yield opened


class Child:
    """A Python process that runs `code` with `arguments` in sys.argv[1:] and prints lines."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self) -> str:
        """Wait for the next line that it prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def kill(self) -> None:
        """End it at once."""
        self.process.kill()
        self.close()

    def close(self) -> int:
        """Close its pipes, wait for its end and return its exit code."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        return self.process.wait()


@pytest.fixture
def child() -> Iterator[Callable[..., Child]]:
    """Start a child process; all are ended with the test."""
    started: list[Child] = []

    def start(code: str, *arguments: object) -> Child:
        started.append(Child(code, *map(str, arguments)))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def write_rows() -> Callable[..., None]:
    """Write evaluations whose F is 10 * number (one objective, no constraints)."""

    def write(log: RunLog, numbers: list[int], at: float = 0.0) -> None:
        F = 10.0 * np.array(numbers, dtype=np.float64)[:, None]
        log.rows(numbers, F, np.empty((len(numbers), 0)), np.zeros(len(numbers), dtype=bool), at=at)

    return write


def _postgresql_programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (place for place in places if (place / "pg_ctl").exists() and (place / "initdb").exists()), None
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
