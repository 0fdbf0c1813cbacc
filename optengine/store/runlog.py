"""The journal of one run while it is being written."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import ArrayLike

from optengine.core.errors import StorageError
from optengine.store.buffer import Buffer, RowBlock
from optengine.store.database import Database
from optengine.store.lock import RunLock
from optengine.store.numbers import NumberSet
from optengine.store.plain import Ints, float_blob, int_blob, printable, to_json
from optengine.store.record import RunRecord
from optengine.store.schema import members, runs

LARGEST = 1_000_000_000  # bytes of one blob: SQLite's default limit; PostgreSQL's is 7 % higher
INTERVAL = 0.05  # seconds between commits: a killed process loses at most what happened in so long a time

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """What one opening of a run owns."""

    database: Database
    connection: sa.Connection
    lock: RunLock
    run_id: int
    member: int
    token: str  # written into the member's row: tells this session from any other


class RunLog:
    """Writes one run. A context manager; made by `Journal.open_run`.

    Events are buffered and committed together, in their order, with the first call that comes 50 ms or more after the
    last commit, and by `flush`, `finish` and `close`. So a crash leaves a beginning of what happened. Call `flush`
    before a wait whose loss would hurt, such as handing points to somebody else.

    A write that fails raises StorageError and keeps the buffer: what the failing call brought is in it, so do not
    bring it again; call `flush` when the trouble is over.

    Attributes:
        record: what was journaled when the run was opened.
        member: number of this process among those that share the run; 0 when it owns it alone.
    """

    def __init__(self, session: Session, record: RunRecord, *, lenient: bool = False) -> None:
        self.record = record
        self.member = session.member
        self._session = session
        self._database = session.database
        self._buffer = Buffer(session.database.engine.dialect, session.run_id, session.member, lenient)
        self._known = NumberSet(record.evaluations.numbers)
        self._mutex = threading.RLock()
        self._committed = -np.inf  # time.monotonic() of the last commit
        self._commits = 0  # transactions of this session that are known to be committed
        self._doubtful = False  # whether an attempt ended without our knowing if it was committed
        self._closed = False

    def ask(self, ask: int, kind: str, requested: int | None, first: int, X: ArrayLike, after: int) -> None:
        """Note that points were handed out.

        Args:
            ask: sequence of this member's asks, from 0.
            kind: 'ask', 'x0' or 'search'.
            requested: the n given to ask(n); None for the natural batch.
            first: number of the first point.
            X: (count, width) as they will be evaluated; 1 GB at most.
            after: tells that the solver had received before.
        """
        points = np.asarray(X, dtype=np.float64)
        if points.ndim != 2:
            raise StorageError(f"X of an ask must have shape (count, width), got {points.shape}")
        count, width = points.shape
        if points.nbytes > LARGEST:
            raise StorageError(
                f"X of an ask holds {count} points of {width} columns, {points.nbytes / 1e9:.2g} GB, and a journal "
                f"takes 1 GB at most; ask for fewer points at a time"
            )
        wanted = None if requested is None else int(requested)
        with self._mutex:
            self._check_open()
            self._buffer.asks.append(
                (int(ask), str(kind), wanted, int(first), count, int(after), width, float_blob(points))
            )
            self._commit_if_due()

    def rows(
        self,
        numbers: ArrayLike,
        F: ArrayLike,
        G: ArrayLike,
        failed: ArrayLike,
        noise: ArrayLike | None = None,
        cost: ArrayLike | None = None,
        seconds: ArrayLike | None = None,
        at: ArrayLike = 0.0,
        errors: Mapping[int, str] | None = None,
        notes: Mapping[int, Any] | None = None,
    ) -> None:
        """Note evaluations; see `record.Rows` for shapes and units.

        Args:
            numbers: (n,), each once in the whole run.
            F: (n, objectives).
            G: (n, constraints); (n, 0) where there are none.
            failed: (n,) bool.
            noise: (n, objectives) or None.
            cost: (n,) or None.
            seconds: (n,), one number for all, or None.
            at: (n,) or one number for all: seconds since the run began, over all its sessions.
            errors: number -> text.
            notes: number -> what else the evaluation gave, a JSON-able dict.

        Raises:
            StorageError: a number was evaluated before (in a shared run the first evaluation stands and later ones
                are passed over), or the write failed.
        """
        block = row_block(numbers, F, G, failed, noise, cost, seconds, at, errors, notes)
        with self._mutex:
            self._check_open()
            block = self._fresh(block)
            if len(block.numbers):
                self._known.add(block.numbers)
                self._buffer.rows.append(block)
            self._commit_if_due()

    def tell(self, tell: int, numbers: ArrayLike) -> None:
        """Note that the solver was told the evaluations `numbers` (n,), in this order; -1: rows never asked."""
        told = np.array(numbers, dtype=np.int64).reshape(-1)
        with self._mutex:
            self._check_open()
            self._buffer.tells.append((int(tell), int_blob(told)))
            self._commit_if_due()

    def snapshot(self, after_ask: int, after_tell: int, data: bytes) -> None:
        """Keep the solver's state after so many asks and tells, in place of the last one; 1 GB at most."""
        if len(data) > LARGEST:
            raise StorageError(f"data of a snapshot must be 1 GB at most, got {len(data) / 1e9:.2g} GB")
        with self._mutex:
            self._check_open()
            self._buffer.snapshots.append((int(after_ask), int(after_tell), bytes(data)))
            self._commit_if_due()

    def flush(self) -> None:
        """Commit what is buffered; nothing to do when there is nothing.

        Raises:
            StorageError: not written; the buffer is kept.
        """
        with self._mutex:
            self._check_open()
            if self._buffer:
                self._write()

    def finish(self, status: str, result: Mapping[str, Any]) -> None:
        """Commit everything together with the run's end.

        Args:
            status: of the result, e.g. 'budget_exhausted'.
            result: what a finished run gives back when it is called again; JSON-able.
        """
        text = to_json(result, "result")
        self._set(status=str(status), result=text, finished=self._database.clock())

    def reopen(self) -> None:
        """Take back the end of a finished run, e.g. because its budget was raised."""
        self._set(status="running", result=None, finished=None)

    def close(self) -> None:
        """Commit what is buffered and give the run free. A second call does nothing.

        Raises:
            StorageError: the buffer could not be written; the run is free all the same.
        """
        with self._mutex:
            if self._closed:
                return
            try:
                self._write(self._depart)
            finally:
                self._closed = True
                leave(self._session)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except StorageError as failure:
            if error is None:
                raise
            error.add_note(f"Moreover, the journal could not be closed properly: {failure}")

    def _set(self, **values: Any) -> None:
        def update(connection: sa.Connection) -> None:
            connection.execute(runs.update().where(runs.c.id == self._session.run_id).values(values))

        with self._mutex:
            self._check_open()
            self._write(update)

    def _depart(self, connection: sa.Connection) -> None:
        mine = (members.c.run_id == self._session.run_id, members.c.member == self.member)
        connection.execute(members.update().where(*mine).values(departed=self._database.clock()))

    def _fresh(self, block: RowBlock) -> RowBlock:
        """Return the rows to be written; raise when one was written before."""
        numbers = block.numbers
        known = self._known.has(numbers)
        if known.any():
            raise StorageError(
                f"evaluation {numbers[known][0]} of run {self.record.name!r} is journaled already; "
                f"every number is evaluated once"
            )
        return block

    def _commit_if_due(self) -> None:
        if time.monotonic() - self._committed >= INTERVAL:
            self._write()

    def _write(self, action: Callable[[sa.Connection], T] | None = None) -> T | None:
        """Commit the buffer, and what `action` does, in one transaction; return what `action` returned.

        When the connection breaks during the commit, nobody on this side knows whether it came through. The member's
        row counts the commits, so the next attempt sees whether the last one did.
        """
        session = self._session
        with self._database.write(session.connection) as connection:
            if not session.lock.acquire(
                connection
            ):  # only a session that was lost in between has to ask again
                raise StorageError(
                    f"run {self.record.name!r} in {self._database.shown} was taken by another process"
                )
            if self._doubtful:
                self._settle(connection)
            self._stamp(connection)
            self._buffer.mark()
            self._doubtful = True
            self._buffer.write(connection)
            outcome = None if action is None else action(connection)
        self._commits += 1
        self._buffer.drop_marked()
        self._doubtful = False
        self._committed = time.monotonic()
        return outcome

    def _settle(self, connection: sa.Connection) -> None:
        """Find out whether the last attempt was committed, and if so forget what it wrote."""
        mine = (members.c.run_id == self._session.run_id, members.c.member == self.member)
        query = sa.select(members.c.commits).where(*mine, members.c.token == self._session.token)
        if connection.execute(query).scalar() == self._commits + 1:
            self._commits += 1
            self._buffer.drop_marked()
        self._doubtful = False

    def _stamp(self, connection: sa.Connection) -> None:
        """Count this transaction in the member's row, which must still be this session's."""
        c = members.c
        mine = (c.run_id == self._session.run_id, c.member == self.member, c.token == self._session.token)
        values = {"commits": self._commits + 1, "heartbeat": self._database.clock()}
        if connection.execute(members.update().where(*mine).values(values)).rowcount != 1:
            raise StorageError(
                f"run {self.record.name!r} in {self._database.shown} was taken over by another process "
                f"while the connection was lost; what it had not journaled by then stays unwritten"
            )

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f"the journal of run {self.record.name!r} is closed; open the run again")


def leave(session: Session) -> None:
    """Give back the lock and the connection, whatever state they are in."""
    try:
        with session.database.guard():
            session.lock.release(session.connection)
    except StorageError:
        session.connection.invalidate()  # the server releases the lock of a closed session
    finally:
        session.connection.close()


def row_block(
    numbers: ArrayLike,
    F: ArrayLike,
    G: ArrayLike,
    failed: ArrayLike,
    noise: ArrayLike | None,
    cost: ArrayLike | None,
    seconds: ArrayLike | None,
    at: ArrayLike,
    errors: Mapping[int, str] | None,
    notes: Mapping[int, Any] | None,
) -> RowBlock:
    """Return checked copies of the arrays given to `RunLog.rows`: the caller may go on using its own."""
    ids: Ints = np.array(numbers, dtype=np.int64).reshape(-1)
    n = len(ids)

    def matrix(name: str, values: ArrayLike) -> Any:
        array = np.array(values, dtype=np.float64)
        if array.ndim != 2 or len(array) != n:
            raise StorageError(f"{name} must have {n} rows and two axes, got shape {array.shape}")
        return array

    def vector(name: str, values: ArrayLike | None, dtype: Any = np.float64) -> Any:
        if values is None:
            return None
        array = np.asarray(values, dtype=dtype)
        if array.ndim and array.shape != (n,):
            raise StorageError(f"{name} must have shape ({n},), got {array.shape}")
        return np.broadcast_to(array, (n,)).copy()

    ordered = np.sort(ids)
    if n and (ordered[0] < 0 or (ordered[1:] == ordered[:-1]).any()):
        raise StorageError("the numbers of evaluations must be 0 or more, each once in a call")
    objectives = matrix("F", F)
    if not objectives.shape[1]:
        raise StorageError("F must have at least one objective, got shape (n, 0)")
    texts = {int(number): printable(str(text)) for number, text in (errors or {}).items()}
    return RowBlock(
        ids,
        objectives,
        matrix("G", G),
        vector("failed", failed, bool),
        None if noise is None else matrix("noise", noise),
        vector("cost", cost),
        vector("seconds", seconds),
        vector("at", at),
        texts,
        {int(number): to_json(note, "a note") for number, note in (notes or {}).items()},
    )
