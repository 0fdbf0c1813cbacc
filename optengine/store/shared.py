"""A run on which several processes work."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import StorageError
from optengine.store.buffer import RowBlock
from optengine.store.lock import host_name, pid_alive
from optengine.store.plain import Floats, Ints
from optengine.store.record import AskRecord, Rows, RunRecord, gather, read_asks, read_rows
from optengine.store.runlog import RunLog, Session
from optengine.store.schema import asks, claims, evaluations, members, runs

HEARTBEAT = 3.0  # seconds between signs of life; a tenth of the default patience of `adopt`
STALE = 30.0  # seconds without a sign of life after which a member's points may be adopted


@dataclass(frozen=True, slots=True, eq=False)
class Adopted:
    """Numbers that this process is to evaluate in place of a member that is gone.

    Attributes:
        numbers: (n,) consecutive only by chance.
        X: (n, width) the points that carry them; None when the member was gone before its points were journaled: then
            the numbers run without a gap, and points of one's own are to be asked and journaled under them.
    """

    numbers: Ints
    X: Floats | None


class SharedRunLog(RunLog):
    """A member's log of a shared run; made by `Journal.open_run(..., shared=True)`.

    The members draw numbers from one pool (`claim`), so that together they evaluate each number of the budget once. A
    member that leaves or dies leaves numbers behind; the others take them over (`adopt`). Whoever is wrongly taken
    for dead does no harm: the first evaluation of a number stands, later ones are passed over.
    """

    def __init__(self, session: Session, record: RunRecord) -> None:
        super().__init__(session, record, lenient=True)
        self._claimed: set[int] = set()  # first numbers of the claims that this session knows to be its own
        self._unsure = False  # whether a claim may have been committed without our learning of it
        self._asks_seen: dict[int, int] = {}  # other member -> its asks that have been read
        self._open_asks: list[AskRecord] = []  # with rows that nobody has evaluated yet, as far as known
        self._width = record.asks[0].X.shape[1] if record.asks else 0
        self._keep(record.asks)
        self._beaten = time.monotonic()
        self._stop = threading.Event()
        # A thread, because an evaluation may keep the caller for hours.
        self._heart = threading.Thread(
            target=self._beat_on, name=f"optengine-heart-{self.member}", daemon=True
        )
        self._heart.start()

    def ask(self, ask: int, kind: str, requested: int | None, first: int, X: ArrayLike, after: int) -> None:
        """Note that points were handed out under claimed or adopted numbers; see `RunLog.ask`."""
        points = np.array(X, dtype=np.float64)
        with self._mutex:
            try:
                super().ask(ask, kind, requested, first, points, after)
            finally:  # also when the write failed: the ask is in the buffer then
                if points.ndim == 2:
                    self._keep(
                        [AskRecord(self.member, ask, kind, requested, first, len(points), after, points)]
                    )

    def claim(self, n: int, budget: int | None) -> tuple[int, int]:
        """Reserve the next numbers for this process.

        What is buffered is committed with it.

        Args:
            n: how many are wanted, at least 1.
            budget: numbers of the whole run; None: no limit.

        Returns:
            first, count: the numbers first..first+count-1; count is smaller than n at the end of the budget, 0 after.
        """
        run = runs.c.id == self._session.run_id

        def reserve(connection: sa.Connection) -> tuple[int, int]:
            first = int(
                connection.execute(sa.select(runs.c.claimed).where(run).with_for_update()).scalar_one()
            )
            count = int(n) if budget is None else max(0, min(int(n), int(budget) - first))
            if count:
                values = {
                    "run_id": self._session.run_id,
                    "first": first,
                    "size": count,
                    "member": self.member,
                }
                connection.execute(claims.insert().values(values))
                connection.execute(runs.update().where(run).values(claimed=first + count))
            return first, count

        if n < 1:
            raise StorageError(f"claim needs a number of evaluations of at least 1, got {n}")
        with self._mutex:
            self._check_open()
            self._unsure, unsure = True, self._unsure
            outcome = self._write(reserve)
            assert outcome is not None
            first, count = outcome
            if count:
                self._claimed.add(first)
            self._unsure = unsure
            return first, count

    def news(self) -> tuple[Rows, Floats]:
        """Return the evaluations of other members since the last call, and their points (n, width).

        The first call reports what was journaled after the run was opened. Rows of one call come by number.
        """
        run_id, c = self._session.run_id, evaluations.c
        with self._mutex:
            self._check_open()
            with self._database.read() as connection:
                rows = read_rows(
                    connection, run_id, c.number >= self._known.first_missing, c.member != self.member
                )
                rows = take_rows(rows, ~self._known.has(rows.numbers))
                if len(rows):
                    self._read_new_asks(connection)
            if not len(rows):
                return rows, np.empty((0, self._width))
            X = gather(self._open_asks, rows.numbers, rows.member)
            self._known.add(rows.numbers)
            self._keep([])
            return rows, X

    def adopt(self, older_than: float = STALE) -> list[Adopted]:
        """Take over the numbers that members claimed, did not evaluate, and never will.

        A member is gone when it closed the run, when it gave no sign of life for `older_than` seconds, or when it ran
        on this host and its process exists no more.

        Args:
            older_than: seconds.

        Returns:
            What this process is to evaluate now; empty when nothing was left behind.
        """
        with self._mutex:
            self._check_open()
            return self._write(lambda connection: self._take_over(connection, older_than)) or []

    def outstanding(self) -> int:
        """Return how many numbers have been claimed, by anybody, and have no journaled evaluation yet."""
        run_id = self._session.run_id
        counted = sa.select(sa.func.count()).select_from(evaluations).where(evaluations.c.run_id == run_id)
        query = sa.select(runs.c.claimed - counted.scalar_subquery()).where(runs.c.id == run_id)
        with self._mutex:
            self.flush()
            with self._database.read() as connection:
                return int(connection.execute(query).scalar_one())

    def beat(self) -> None:
        """Give a sign of life; does nothing when the last one is less than 3 seconds old."""
        if self._closed or time.monotonic() - self._beaten < HEARTBEAT:
            return
        c = members.c
        mine = (c.run_id == self._session.run_id, c.member == self.member, c.token == self._session.token)
        with self._database.write() as connection:
            connection.execute(members.update().where(*mine).values(heartbeat=self._database.clock()))
        self._beaten = time.monotonic()

    def close(self) -> None:
        """Commit what is buffered and leave the run; the others may adopt what was claimed and not evaluated."""
        self._stop.set()
        try:
            super().close()
        finally:
            self._heart.join()

    def _fresh(self, block: RowBlock) -> RowBlock:
        """Drop the rows that somebody else evaluated in the meantime."""
        known = self._known.has(block.numbers)
        return block.take(~known) if known.any() else block

    def _beat_on(self) -> None:
        while not self._stop.wait(HEARTBEAT):
            with suppress(StorageError):  # the next write of the member itself reports what is wrong
                self.beat()

    def _keep(self, records: Sequence[AskRecord]) -> None:
        """Add asks, and drop those whose rows are all known."""
        for record in records:
            self._asks_seen[record.member] = max(self._asks_seen.get(record.member, 0), record.ask + 1)
            self._width = record.X.shape[1]
        kept = [record for record in (*self._open_asks, *records) if not self._known.has(span(record)).all()]
        self._open_asks = kept

    def _read_new_asks(self, connection: sa.Connection) -> None:
        """Read the asks that other members journaled since the last call; each member's own come in sequence."""
        run_id, c = self._session.run_id, asks.c
        others = sa.select(members.c.member).where(
            members.c.run_id == run_id, members.c.member != self.member
        )
        for member in connection.execute(others).scalars().all():
            seen = self._asks_seen.get(member, 0)
            self._keep(read_asks(connection, run_id, c.member == member, c.ask >= seen))

    def _take_over(self, connection: sa.Connection, older_than: float) -> list[Adopted]:
        run_id, c = self._session.run_id, claims.c
        connection.execute(
            sa.select(runs.c.id).where(runs.c.id == run_id).with_for_update()
        )  # one adopter at a time
        gone = self._gone(connection, older_than)
        left = list(
            connection.execute(
                sa.select(claims).where(c.run_id == run_id, c.member.in_(gone)).order_by(c.first)
            )
        )
        if self._unsure:
            mine = sa.select(claims).where(c.run_id == run_id, c.member == self.member)
            left += [row for row in connection.execute(mine) if row.first not in self._claimed]
        if not left:
            return []
        done = sa.select(evaluations.c.number).where(
            evaluations.c.run_id == run_id, evaluations.c.number >= min(row.first for row in left)
        )
        evaluated = np.array(connection.execute(done).scalars().all(), dtype=np.int64)
        adopted: list[Adopted] = []
        for row in left:
            numbers = np.setdiff1d(np.arange(row.first, row.first + row.size, dtype=np.int64), evaluated)
            this = (c.run_id == run_id, c.first == row.first)
            if not len(numbers):
                connection.execute(claims.delete().where(*this))  # done: nobody needs to look again
                continue
            connection.execute(claims.update().where(*this).values(member=self.member))
            self._claimed.add(row.first)
            adopted += with_points(numbers, self._asks_of(connection, row))
        return adopted

    def _gone(self, connection: sa.Connection, older_than: float) -> set[int]:
        """Return the members that will evaluate nothing more."""
        now = float(connection.execute(sa.select(self._database.clock())).scalar_one())
        gone = {0}  # an owner holds the run alone: while it is shared, there is none
        here = host_name()
        for row in connection.execute(sa.select(members).where(members.c.run_id == self._session.run_id)):
            dead = row.host == here and not pid_alive(row.pid)
            if row.member != self.member and (
                dead or row.departed is not None or now - row.heartbeat > older_than
            ):
                gone.add(row.member)
        return gone

    def _asks_of(self, connection: sa.Connection, claim: sa.Row[tuple[int, ...]]) -> list[AskRecord]:
        """Return the asks that gave points to the numbers of `claim`, its holder's first."""
        c = asks.c
        found = read_asks(
            connection,
            self._session.run_id,
            c.first < claim.first + claim.size,
            c.first + c.size > claim.first,
        )
        return sorted(found, key=lambda record: record.member != claim.member)


def span(record: AskRecord) -> Ints:
    """Return the numbers of the points of `record`."""
    return np.arange(record.first, record.first + record.count, dtype=np.int64)


def take_rows(rows: Rows, index: NDArray[np.bool_]) -> Rows:
    """Return the rows `index`."""
    numbers = rows.numbers[index]
    return Rows(
        numbers,
        rows.member[index],
        rows.F[index],
        rows.G[index],
        rows.failed[index],
        None if rows.noise is None else rows.noise[index],
        None if rows.cost is None else rows.cost[index],
        rows.seconds[index],
        rows.at[index],
        {int(n): rows.errors[int(n)] for n in numbers if int(n) in rows.errors},
        {int(n): rows.notes[int(n)] for n in numbers if int(n) in rows.notes},
    )


def with_points(numbers: Ints, records: Sequence[AskRecord]) -> list[Adopted]:
    """Split `numbers` into those with a point and gapless stretches of those without."""
    covered = np.zeros(len(numbers), dtype=bool)
    for record in records:
        covered |= (numbers >= record.first) & (numbers < record.first + record.count)
    adopted = []
    if covered.any():
        adopted.append(Adopted(numbers[covered], gather(records, numbers[covered], None)))
    bare = numbers[~covered]
    if len(bare):
        adopted += [Adopted(part, None) for part in np.split(bare, np.flatnonzero(np.diff(bare) > 1) + 1)]
    return adopted
