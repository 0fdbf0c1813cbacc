"""Begin a run in a journal, or take it up again."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from optengine.core.errors import StorageError
from optengine.store.database import Database
from optengine.store.lock import AdvisoryLock, FileLock, RunLock, host_name, pid_alive
from optengine.store.plain import first_difference, from_json, to_json
from optengine.store.record import read_record
from optengine.store.runlog import RunLog, Session, leave
from optengine.store.schema import asks, claims, evaluations, insert_new, members, runs
from optengine.store.shared import SharedRunLog

_LONGEST_NAME = 500  # characters; PostgreSQL's unique index takes no more than 2700 bytes
_PATIENCE = 0.25  # seconds: a member that leaves tries for the whole lock, and a killed session ends, in less


def open_log(
    database: Database, name: str, fingerprint: Mapping[str, Any], seed: int | None, shared: bool
) -> RunLog | SharedRunLog:
    """Return the log of the run `name`; see `Journal.open_run`."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise StorageError(
            f"name of a run must be 1 to {_LONGEST_NAME} printable characters, got {name!r:.80}"
        )
    text = to_json(fingerprint, "fingerprint")
    connection = database.connect()
    lock: RunLock = (
        FileLock(database.path, name, shared) if database.path is not None else AdvisoryLock(name, shared)
    )
    try:
        _acquire(database, connection, lock, name, shared)
        with database.write(connection):
            run_id = _enter(connection, database, name, text, seed)
            member, token = _enlist(connection, database, run_id, shared)
        session = Session(database, connection, lock, run_id, member, token)
        with database.read() as reader:
            record = read_record(reader, name)
        assert record is not None
        return SharedRunLog(session, record) if shared else RunLog(session, record)
    except BaseException:
        leave(Session(database, connection, lock, -1, -1, ""))
        raise


def _acquire(database: Database, connection: sa.Connection, lock: RunLock, name: str, shared: bool) -> None:
    """Take the run's lock, or say who holds it."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            with database.write(connection):
                if lock.acquire(connection):
                    return
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(
                f"run {name!r} in {database.shown} cannot be locked: {error.strerror or error} ({error.filename}); "
                f"make the folder of the database writable"
            ) from error
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    advice = (
        "wait for it, choose another name, or start both with shared=True"
        if shared
        else "wait for it, choose another name, or pass shared=True"
    )
    raise StorageError(f"run {name!r} in {database.shown} is in use by {_holder(database, name)}; {advice}")


def _holder(database: Database, name: str) -> str:
    """Return who works on the run: the member with the latest sign of life."""
    c = members.c
    query = (
        sa.select(c.pid, c.host)
        .join_from(members, runs, runs.c.id == c.run_id)
        .where(runs.c.name == name, c.departed.is_(None))
        .order_by(c.heartbeat.desc())
    )
    with database.read() as connection:
        for row in connection.execute(query):
            if row.host != host_name() or pid_alive(row.pid):
                return f"process {row.pid} on {row.host}"
    return "another process"


def _enter(
    connection: sa.Connection, database: Database, name: str, fingerprint: str, seed: int | None
) -> int:
    """Return the run's id, after making it or comparing it with what is asked for."""
    query = sa.select(runs.c.id, runs.c.fingerprint, runs.c.seed).where(runs.c.name == name).with_for_update()
    row = connection.execute(query).one_or_none()
    if row is None:
        values = {
            "name": name,
            "fingerprint": fingerprint,
            "seed": str(int(seed) if seed is not None else secrets.randbits(128)),
            "status": "running",
            "claimed": 0,
        }
        # On PostgreSQL another member may be making the same run right now: then its row is compared with below.
        connection.execute(insert_new(runs, connection.dialect, {**values, "created": database.clock()}))
        row = connection.execute(query).one()
    was_seed = int(row.seed)
    given = {"seed": was_seed if seed is None else int(seed), **json.loads(fingerprint)}
    stored = {"seed": was_seed, **from_json(row.fingerprint, "fingerprint")}
    if difference := first_difference(stored, given):
        path, was, asked = difference
        raise StorageError(
            f"run {name!r} in {database.shown} was begun with {path} = {was} and cannot go on with {asked}; "
            f"use what it was begun with, or choose another name"
        )
    return int(row.id)


def _enlist(connection: sa.Connection, database: Database, run_id: int, shared: bool) -> tuple[int, str]:
    """Enter this process among the run's members; return its number and its token."""
    member = 0
    if shared:
        top = connection.execute(
            sa.select(sa.func.max(members.c.member)).where(members.c.run_id == run_id)
        ).scalar()
        member = int(top or 0) + 1
        _claim_for_owner(connection, run_id)
    mine = (members.c.run_id == run_id, members.c.member == member)
    connection.execute(members.delete().where(*mine))
    token = secrets.token_hex(8)
    values = {"run_id": run_id, "member": member, "token": token, "pid": os.getpid(), "host": host_name()}
    connection.execute(members.insert().values(**values, heartbeat=database.clock(), commits=0))
    return member, token


def _claim_for_owner(connection: sa.Connection, run_id: int) -> None:
    """Turn what sessions that owned the run alone have asked into claims, so that members can adopt what is left."""
    claimed = connection.execute(
        sa.select(runs.c.claimed).where(runs.c.id == run_id).with_for_update()
    ).scalar_one()
    query = sa.select(asks.c.first, asks.c.size).where(asks.c.run_id == run_id, asks.c.first >= claimed)
    spans = sorted((int(first), int(count)) for first, count in connection.execute(query))
    done = sa.select(evaluations.c.number).where(
        evaluations.c.run_id == run_id, evaluations.c.number >= claimed
    )
    numbers = np.sort(np.array(connection.execute(done).scalars().all(), dtype=np.int64))
    ends = [first + count for first, count in spans] + [int(n) + 1 for n in numbers[-1:]]
    for first, count in spans:
        low, high = np.searchsorted(numbers, (first, first + count))
        if high - low < count:
            values = {"run_id": run_id, "first": first, "size": count, "member": 0}
            connection.execute(claims.insert().values(values))
    end = max([claimed, *ends])
    connection.execute(runs.update().where(runs.c.id == run_id).values(claimed=end))
