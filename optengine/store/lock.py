"""Who owns a run: one process alone, or several that agreed to share it.

On SQLite the owner holds an operating system's lock on a small file beside the database. The kernel releases it
whenever the process ends, killed or not; executed children do not inherit it and forked ones drop it at birth. On
PostgreSQL it is a session's advisory lock, which the server releases with the connection.
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import weakref
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

_SLOTS = 1024  # bytes of the lock file on Windows: an owner locks all of them, a sharing member any one


def host_name() -> str:
    """Return the name of this machine, as written beside a member's pid."""
    return socket.gethostname()


def pid_alive(pid: int) -> bool:
    """Return whether a process `pid` runs on this host; True where that cannot be told."""
    if sys.platform == "win32":
        return True  # os.kill would end it; the heartbeat decides instead
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] != "Z"  # a zombie is dead and only not yet waited for


class RunLock(Protocol):
    """The lock on one run's name."""

    def acquire(self, connection: sa.Connection) -> bool:
        """Take the lock without waiting; return False when somebody else holds it in a way that conflicts."""

    def release(self, connection: sa.Connection) -> None:
        """Give the lock back; harmless when it is not held."""


class FileLock:
    """Lock on the file `<database>.<hash of the run's name>.lock`, exclusive or shared."""

    def __init__(self, database: Path, name: str, shared: bool) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:16]
        self.path = Path(f"{database}.{digest}.lock")
        self._shared = shared
        self._file: int | None = None

    def acquire(self, connection: sa.Connection | None = None) -> bool:
        """Take the lock; raises OSError when the file cannot be made."""
        if self._file is not None:
            return True
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                locked = _lock(file, self._shared)
                current = locked and self._is_current(file)
            except BaseException:
                os.close(file)
                raise
            if current:
                self._file = file
                _drop_in_forked_children(self)
                return True
            os.close(file)
            if not locked:
                return False
            # else: the last owner removed the file between our opening and locking it; take the new one

    def release(self, connection: sa.Connection | None = None) -> None:
        """Give the lock back, and remove the file when nobody else holds it."""
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if sys.platform != "win32" and (not self._shared or _lock(file, False)):
                self.path.unlink(missing_ok=True)  # while locked: see acquire
        except OSError:
            pass  # a file left behind is locked by nobody
        finally:
            os.close(file)

    def forget(self) -> None:
        """Close this process's copy of the lock without giving it back: for a forked child."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def __del__(self) -> None:
        if getattr(self, "_file", None) is not None:
            self.release()

    def _is_current(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self.path.stat())
        except FileNotFoundError:
            return False


class AdvisoryLock:
    """Advisory lock of the PostgreSQL session that also writes the run."""

    def __init__(self, name: str, shared: bool) -> None:
        self._name = name
        self._key = 0  # known when first acquired
        self._shared = shared
        self._session: object | None = None  # the driver's connection that holds the lock

    def acquire(self, connection: sa.Connection) -> bool:
        """Take the lock, again after a lost connection."""
        session = connection.connection.dbapi_connection
        if self._session is not None and self._session is session:
            return True
        schema = connection.execute(sa.select(sa.func.current_schema())).scalar()
        # Advisory locks belong to the database; the journals in two of its schemas have nothing to do with each other.
        digest = hashlib.sha256(f"optengine run {schema} {self._name}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        function = sa.func.pg_try_advisory_lock_shared if self._shared else sa.func.pg_try_advisory_lock
        held = bool(connection.execute(sa.select(function(self._key))).scalar())
        self._session = session if held else None
        return held

    def release(self, connection: sa.Connection) -> None:
        """Give the lock back."""
        session, self._session = self._session, None
        if session is None or connection.invalidated or connection.connection.dbapi_connection is not session:
            return
        function = sa.func.pg_advisory_unlock_shared if self._shared else sa.func.pg_advisory_unlock
        connection.execute(sa.select(function(self._key)))
        connection.commit()


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, shared: bool) -> bool:
        """Lock all bytes, or any single one: msvcrt knows no shared locks."""
        for offset in range(_SLOTS) if shared else (0,):
            os.lseek(file, offset, os.SEEK_SET)
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1 if shared else _SLOTS)
            except OSError:
                continue
            return True
        return False
else:
    import fcntl

    def _lock(file: int, shared: bool) -> bool:
        """Lock the file, or change the lock that this descriptor holds."""
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()
_registered = False


def _drop_in_forked_children(lock: FileLock) -> None:
    """Keep a forked child from holding `lock` on when this process is killed: flock belongs to the open file."""
    global _registered
    _held.add(lock)
    if not _registered and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_forget_all)
        _registered = True


def _forget_all() -> None:
    for lock in list(_held):
        lock.forget()
