"""A journal: many runs in one database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, Self, overload

import sqlalchemy as sa

from optengine.core.errors import StorageError, did_you_mean
from optengine.store.database import Database
from optengine.store.opening import open_log
from optengine.store.plain import from_json
from optengine.store.record import RunInfo, RunRecord, read_record
from optengine.store.runlog import RunLog
from optengine.store.schema import evaluations, runs
from optengine.store.shared import SharedRunLog


class Journal:
    """Runs and their evaluations in a SQLite file or a PostgreSQL database. A context manager.

    SQLite files serve the processes of one host; a folder on a network does not serve several hosts. For those, give
    the URL of a PostgreSQL database.
    """

    def __init__(
        self, storage: str | os.PathLike[str], *, timeout: float = 30.0, readonly: bool = False
    ) -> None:
        """Open the journal, creating it where there is none.

        Args:
            storage: 'sqlite:///path.db', a path ending in .db, .sqlite or .sqlite3, or 'postgresql://...'.
            timeout: seconds to wait while another process has the database locked.
            readonly: only look: nothing is created or written, and `open_run` is refused.

        Raises:
            StorageError: no such address, no database, damaged, locked for too long, not writable, or disk full.
            MissingDependency: PostgreSQL without psycopg.
        """
        self._database = Database(storage, timeout, readonly)

    @property
    def storage(self) -> str:
        """The database's URL, without password."""
        return self._database.shown

    def runs(self) -> list[RunInfo]:
        """Return all runs, oldest first."""
        counted = (
            sa.select(evaluations.c.run_id, sa.func.count().label("n"))
            .group_by(evaluations.c.run_id)
            .subquery()
        )
        fields = (runs.c.name, runs.c.created, runs.c.finished, runs.c.status, runs.c.fingerprint)
        query = (
            sa.select(*fields, sa.func.coalesce(counted.c.n, 0).label("n"))
            .select_from(runs.outerjoin(counted, counted.c.run_id == runs.c.id))
            .order_by(runs.c.id)
        )
        with self._database.read() as connection:
            return [
                RunInfo(
                    name=row.name,
                    created=datetime.fromtimestamp(row.created, UTC),
                    finished=None if row.finished is None else datetime.fromtimestamp(row.finished, UTC),
                    status=row.status,
                    n_evaluations=row.n,
                    solver=_solver(from_json(row.fingerprint, "fingerprint")),
                )
                for row in connection.execute(query)
            ]

    def read(self, name: str) -> RunRecord:
        """Return what is journaled of the run `name`, without any lock; the run may be going on.

        Raises:
            StorageError: no such run, or damaged.
        """
        with self._database.read() as connection:
            record = read_record(connection, name)
            if record is not None:
                return record
            known = list(connection.execute(sa.select(runs.c.name)).scalars())
        raise StorageError(f"storage {self.storage!r} has no run {name!r}{did_you_mean(name, known)}")

    @overload
    def open_run(
        self, name: str, fingerprint: Mapping[str, Any], seed: int | None, *, shared: Literal[False] = False
    ) -> RunLog: ...
    @overload
    def open_run(
        self, name: str, fingerprint: Mapping[str, Any], seed: int | None, *, shared: Literal[True]
    ) -> SharedRunLog: ...
    @overload
    def open_run(
        self, name: str, fingerprint: Mapping[str, Any], seed: int | None, *, shared: bool
    ) -> RunLog | SharedRunLog: ...
    def open_run(
        self, name: str, fingerprint: Mapping[str, Any], seed: int | None, *, shared: bool = False
    ) -> RunLog | SharedRunLog:
        """Begin the run `name`, or go on with it where it exists.

        Args:
            name: unique in the journal, 1 to 500 characters.
            fingerprint: what must not change while the run lasts: space, solver, options; JSON-able.
            seed: likewise; None takes the stored one, and draws one for a new run (`log.record.seed` tells which).
            shared: let other processes that also say so work on the same run.

        Raises:
            StorageError: another process owns the run, or it was begun with another fingerprint or seed.
        """
        return open_log(self._database, name, fingerprint, seed, shared)

    def close(self) -> None:
        """Close the connections; open runs have to be closed before."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _solver(fingerprint: Any) -> str:
    solver = fingerprint.get("solver", "") if isinstance(fingerprint, dict) else ""
    if isinstance(solver, dict):
        solver = solver.get("name", "")
    return solver if isinstance(solver, str) else ""
