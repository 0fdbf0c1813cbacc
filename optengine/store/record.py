"""What a journal holds of a run, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from optengine.core.errors import StorageError
from optengine.store.plain import Floats, Ints, floats, from_json, ints, stacked
from optengine.store.schema import asks, evaluations, runs, snapshots, tells


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One line of a journal's list of runs.

    Attributes:
        name: of the run, unique in its journal.
        created: when it was begun, with time zone.
        finished: when it ended; None while it runs, or when it was killed.
        status: 'running', or the status of its result.
        n_evaluations: rows evaluated and journaled.
        solver: name of the solver from the fingerprint; '' where the fingerprint has none.
    """

    name: str
    created: datetime
    finished: datetime | None
    status: str
    n_evaluations: int
    solver: str


@dataclass(frozen=True, slots=True, eq=False)
class AskRecord:
    """Points handed out together.

    Attributes:
        member: who asked; 0 is the owner of an unshared run.
        ask: sequence of this member's asks, from 0.
        kind: 'ask', 'x0' or 'search'.
        requested: the n given to ask(n); None for the natural batch.
        first: number of the first row.
        count: rows.
        after: tells that this member's solver had received before.
        X: (count, width) points as they are evaluated.
    """

    member: int
    ask: int
    kind: str
    requested: int | None
    first: int
    count: int
    after: int
    X: Floats


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotRecord:
    """State of a solver as bytes, taken after so many asks and tells."""

    after_ask: int
    after_tell: int
    data: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Evaluations, struct of arrays; without any row, F and G have shape (0, 0).

    Attributes:
        numbers: (n,) number of each row in its run.
        member: (n,) who evaluated it.
        F: (n, objectives), minimising; NaN where failed.
        G: (n, constraints).
        failed: (n,) bool.
        noise: (n, objectives) standard errors, NaN where unknown; None when no row has any.
        cost: (n,) cost in the user's unit, NaN where unknown; None when no row has any.
        seconds: (n,) wall time of each evaluation; NaN where unknown.
        at: (n,) seconds since the run began, over all its sessions.
        errors: number -> text, for rows that have one.
        notes: number -> what else the evaluation gave, for rows that have one.
    """

    numbers: Ints
    member: Ints
    F: Floats
    G: Floats
    failed: NDArray[np.bool_]
    noise: Floats | None
    cost: Floats | None
    seconds: Floats
    at: Floats
    errors: dict[int, str] = field(default_factory=dict)
    notes: dict[int, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass(slots=True, eq=False)
class RunRecord:
    """All that was journaled of a run.

    Attributes:
        name, seed, fingerprint: as given when the run was begun; the fingerprint as JSON gives it back.
        created, finished: seconds since 1970, UTC; None while it runs.
        status: 'running', or the status of its result.
        result: the finished run's result, None before.
        asks: in the order of members and of their sequences.
        evaluations: by number.
        tells: numbers told to the owner's solver (member 0), one array a tell; -1 for rows never asked.
        snapshot: the newest of the owner, or None.
        claimed: numbers handed out while the run was shared: 0..claimed-1.
    """

    name: str
    seed: int
    fingerprint: dict[str, Any]
    created: float
    finished: float | None
    status: str
    result: dict[str, Any] | None
    asks: list[AskRecord]
    evaluations: Rows
    tells: list[Ints]
    snapshot: SnapshotRecord | None
    claimed: int

    @property
    def seconds(self) -> float:
        """Seconds that the run had lasted, over all its sessions, at its last evaluation."""
        at = self.evaluations.at
        return float(np.nanmax(at)) if np.isfinite(at).any() else 0.0

    @property
    def shared(self) -> bool:
        """Whether several processes have worked on it, so that replaying one member's asks does not give the run."""
        return bool(self.claimed or (self.evaluations.member > 0).any())

    @property
    def next_number(self) -> int:
        """The smallest number above all that were handed out."""
        ends = [ask.first + ask.count for ask in self.asks]
        return max(
            [self.claimed, *ends, int(self.evaluations.numbers[-1]) + 1 if len(self.evaluations) else 0]
        )

    def points(self) -> Floats:
        """Return the points of `evaluations`, (n, width), row by row."""
        return gather(self.asks, self.evaluations.numbers, self.evaluations.member)

    def pending(self) -> tuple[Ints, Floats]:
        """Return the numbers (n,) and points (n, width) that were asked for and have no evaluation."""
        spans = [np.arange(ask.first, ask.first + ask.count, dtype=np.int64) for ask in self.asks]
        asked = np.unique(np.concatenate(spans)) if spans else np.empty(0, dtype=np.int64)
        numbers = np.setdiff1d(asked, self.evaluations.numbers, assume_unique=True)
        return numbers, gather(self.asks, numbers, None)


def gather(records: Sequence[AskRecord], numbers: Ints, member: Ints | None) -> Floats:
    """Return the points (n, width) that carry `numbers`.

    Two members may have asked under one number, when one was taken for dead and its number adopted before its points
    were known. Then the point of the member that evaluated it counts, else the one of the first member.

    Raises:
        StorageError: a number that no ask covers.
    """
    width = records[0].X.shape[1] if records else 0
    X = np.empty((len(numbers), width))
    found = np.zeros(len(numbers), dtype=bool)
    order = np.argsort(numbers, kind="stable")
    sorted_numbers = numbers[order]
    by_others: list[AskRecord] = []
    for own in (True, False):
        for record in records if own else by_others:
            low, high = np.searchsorted(sorted_numbers, (record.first, record.first + record.count))
            rows = order[low:high]
            if own and member is not None:
                rows = rows[member[rows] == record.member]
            rows = rows[~found[rows]]
            X[rows] = record.X[numbers[rows] - record.first]
            found[rows] = True
            if own and len(rows) < high - low:
                by_others.append(record)
    if not found.all():
        raise StorageError(f"the journal is damaged: evaluation {numbers[~found][0]} belongs to no ask")
    return X


def read_record(connection: sa.Connection, name: str) -> RunRecord | None:
    """Return the run `name`, or None where there is none; the connection must be in a transaction."""
    row = connection.execute(sa.select(runs).where(runs.c.name == name)).one_or_none()
    if row is None:
        return None
    told = sa.select(tells.c.tell, tells.c.numbers).where(tells.c.run_id == row.id, tells.c.member == 0)
    taken = sa.select(snapshots).where(snapshots.c.run_id == row.id, snapshots.c.member == 0)
    snapshot = connection.execute(taken).one_or_none()
    return RunRecord(
        name=row.name,
        seed=int(row.seed),
        fingerprint=from_json(row.fingerprint, "fingerprint"),
        created=row.created,
        finished=row.finished,
        status=row.status,
        result=None if row.result is None else from_json(row.result, "result"),
        asks=read_asks(connection, row.id),
        evaluations=read_rows(connection, row.id),
        tells=[ints(t.numbers, f"tell {t.tell}") for t in connection.execute(told.order_by(tells.c.tell))],
        snapshot=None
        if snapshot is None
        else SnapshotRecord(snapshot.after_ask, snapshot.after_tell, snapshot.data),
        claimed=row.claimed,
    )


def read_asks(connection: sa.Connection, run_id: int, *where: sa.ColumnElement[bool]) -> list[AskRecord]:
    """Return the asks of a run that satisfy `where`."""
    query = sa.select(asks).where(asks.c.run_id == run_id, *where).order_by(asks.c.member, asks.c.ask)
    return [
        AskRecord(
            row.member,
            row.ask,
            row.kind,
            row.requested,
            row.first,
            row.size,
            row.after,
            floats(row.X, row.size, row.width, f"ask {row.ask} of member {row.member}"),
        )
        for row in connection.execute(query)
    ]


def read_rows(connection: sa.Connection, run_id: int, *where: sa.ColumnElement[bool]) -> Rows:
    """Return the evaluations of a run that satisfy `where`, by number."""
    c = evaluations.c
    fields = (c.number, c.member, c.F, c.G, c.failed, c.error, c.noise, c.cost, c.seconds, c.at, c.note)
    query = sa.select(*fields).where(c.run_id == run_id, *where).order_by(c.number)
    columns = list(zip(*connection.execute(query), strict=True)) or [()] * len(fields)
    number, member, F, G, failed, error, noise, cost, seconds, at, note = columns
    return Rows(
        numbers=np.array(number, dtype=np.int64),
        member=np.array(member, dtype=np.int64),
        F=stacked(F, "F"),
        G=stacked(G, "G"),
        failed=np.array(failed, dtype=bool),
        noise=None if _all_none(noise) else stacked(noise, "noise"),
        cost=None if _all_none(cost) else np.array(cost, dtype=np.float64),
        seconds=np.array(seconds, dtype=np.float64),
        at=np.array(at, dtype=np.float64),
        errors={n: text for n, text in zip(number, error, strict=True) if text is not None},
        notes={n: from_json(t, "note") for n, t in zip(number, note, strict=True) if t is not None},
    )


def _all_none(values: Iterable[object]) -> bool:
    return all(value is None for value in values)
