"""Journals to test on: a SQLite file, and a schema of a PostgreSQL server."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from optengine.store import Journal, RunLog


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
