"""One database: its connections, its transactions and its errors.

SQLite runs in WAL mode with synchronous=NORMAL: a killed process loses nothing that was committed, a power cut may lose
the last transactions but never tears one. Every writing transaction begins with BEGIN IMMEDIATE, because a deferred one
that reads first and writes later fails at once, whatever the timeout, when another process wrote in between.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from optengine.core.errors import StorageError
from optengine.store.address import database_url, shown
from optengine.store.faults import explained
from optengine.store.schema import SCHEMA, evaluations, meta, metadata

_CREATING = 0x6F7074656E67696E  # advisory lock held while the tables are made: the bytes "optengin"
_WRITE = "optengine_write"  # execution option read by the begin event


class Database:
    """An opened journal database with this version's tables in it.

    Args:
        storage: address, see `address.database_url`.
        timeout: seconds to wait for a database that somebody else has locked.
        readonly: never write, not even the tables; the journal must exist.

    Raises:
        StorageError: cannot be opened, is no database, is damaged, or was written by a newer version.
    """

    def __init__(self, storage: str | os.PathLike[str], timeout: float, readonly: bool) -> None:
        url = database_url(storage)
        self.shown = shown(url)
        self.timeout = timeout
        self.readonly = readonly
        self.is_sqlite = url.drivername == "sqlite+pysqlite"
        self.path = Path(url.database) if self.is_sqlite and url.database else None
        if self.path is not None and readonly and not self.path.is_file():
            raise StorageError(f"storage {self.shown!r} does not exist")
        self.engine = self._sqlite_engine() if self.is_sqlite else self._postgresql_engine(url)
        driver = self.engine.dialect.loaded_dbapi
        self._errors: tuple[type[BaseException], ...] = (sa.exc.SQLAlchemyError, driver.Error)
        try:
            self._prepare()
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Close all idle connections."""
        self.engine.dispose()

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Turn errors of the driver into StorageError."""
        try:
            yield
        except self._errors as error:
            raise explained(error, self.shown, self.timeout) from error

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection inside a transaction that sees one state of the database."""
        with self.guard(), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    @contextmanager
    def write(self, connection: sa.Connection | None = None) -> Iterator[sa.Connection]:
        """Yield a connection inside a writing transaction, committed at the end.

        Args:
            connection: one of `connect()`; None takes one from the pool.
        """
        if self.readonly:
            raise StorageError(
                f"storage {self.shown!r} was opened for reading only; open it without readonly=True"
            )
        with self.guard():
            if connection is not None:
                with connection.begin():
                    yield connection
            else:
                with self.connect() as connection, connection.begin():
                    yield connection

    def connect(self) -> sa.Connection:
        """Return a connection of one's own, for `write`; SQLite's begin their transactions IMMEDIATE."""
        with self.guard():
            return self.engine.connect().execution_options(**{_WRITE: True})

    def clock(self) -> sa.ColumnElement[float]:
        """Return the time, in seconds since 1970, by the one clock that all members of a run share."""
        if self.is_sqlite:  # one host
            return sa.literal(time.time())
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))

    def _sqlite_engine(self) -> sa.Engine:
        assert self.path is not None
        database, query = str(self.path), {}
        if self.readonly:
            database, query = self.path.as_uri(), {"mode": "ro", "uri": "true"}
            wal = Path(f"{self.path}-wal")
            writable = os.access(
                self.path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids
            )
            if not writable and not (wal.exists() and wal.stat().st_size):
                # WAL needs a file beside the database; where none can be made and none is there, nobody writes.
                query["immutable"] = "1"
        engine = sa.create_engine(
            sa.URL.create("sqlite+pysqlite", database=database, query=query),
            connect_args={"timeout": self.timeout, "check_same_thread": False},
            max_overflow=-1,  # every open run keeps a connection
        )

        @sa.event.listens_for(engine, "connect")
        def connected(connection: sqlite3.Connection, _: Any) -> None:
            connection.isolation_level = None  # the begin event below says how a transaction begins
            if not self.readonly:
                in_wal = self._to_wal(connection)
                connection.execute(f"PRAGMA synchronous={'NORMAL' if in_wal else 'FULL'}")

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            mode = "IMMEDIATE" if connection.get_execution_options().get(_WRITE) else "DEFERRED"
            connection.exec_driver_sql(f"BEGIN {mode}")

        return engine

    def _to_wal(self, connection: sqlite3.Connection) -> bool:
        """Put the file into WAL mode where its file system allows; return whether it is."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                    return True
                return bool(connection.execute("PRAGMA journal_mode=WAL").fetchone()[0] == "wal")
            except sqlite3.OperationalError as error:
                # The change of mode ignores the busy timeout while another process is changing it too.
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _postgresql_engine(self, url: sa.URL) -> sa.Engine:
        seconds = max(1, round(self.timeout))
        engine = sa.create_engine(
            url,
            paramstyle="format",  # rows are given as tuples, see buffer.py
            pool_pre_ping=True,
            max_overflow=-1,  # every open run keeps a connection
            connect_args={"connect_timeout": max(2, seconds)},
        )

        @sa.event.listens_for(engine, "connect")
        def connected(connection: Any, _: Any) -> None:
            connection.execute(f"SET lock_timeout = '{seconds}s'")
            connection.commit()

        return engine

    def _prepare(self) -> None:
        """Make the tables where there are none; refuse those of a newer version."""
        with self.read() as connection:
            version = self._version(connection)
        if version is None and self.readonly:
            raise StorageError(f"storage {self.shown!r} holds no journal of optengine")
        if version is None:
            with self.write() as connection:
                if not self.is_sqlite:  # CREATE TABLE IF NOT EXISTS races with itself on PostgreSQL
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
                version = self._version(connection)
                if version is None:
                    metadata.create_all(connection)
                    connection.execute(meta.insert(), {"key": "schema", "value": str(SCHEMA)})
                    version = str(SCHEMA)
        if version == "1" and not self.readonly:
            version = self._add_notes()
        if not version.isdecimal() or int(version) != SCHEMA:
            raise StorageError(
                f"storage {self.shown!r} has tables of version {version}, and this optengine knows version {SCHEMA}; "
                f"install the optengine that wrote it, or give another storage"
            )

    def _add_notes(self) -> str:
        """Bring the tables of version 1 to version 2."""
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATING)))
            if self._version(connection) == "1":
                connection.exec_driver_sql(f"ALTER TABLE {evaluations.name} ADD COLUMN note TEXT")
                connection.execute(meta.update().where(meta.c.key == "schema").values(value=str(SCHEMA)))
        return str(SCHEMA)

    def _version(self, connection: sa.Connection) -> str | None:
        if not sa.inspect(connection).has_table(meta.name):
            return None
        return connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema")).scalar()
