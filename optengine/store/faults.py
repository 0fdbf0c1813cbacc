"""Errors of the database in one sentence."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from optengine.core.errors import StorageError

_SQLITE = {  # primary result codes, https://www.sqlite.org/rescode.html
    5: "stayed locked by another process for {timeout:g} s; wait for it, or give the journal a longer timeout",
    6: "stayed locked by another connection for {timeout:g} s; wait for it, or give the journal a longer timeout",
    8: "is read-only for this process; make the file and its folder writable",
    11: "is damaged ({text}); restore a copy of it, or try the .recover command of sqlite3",
    13: "cannot grow because the disk is full ({text}); free some space",
    14: "cannot be opened; check that its folder exists and is writable, and that it is a file",
    26: "is not a SQLite database; give another path",
}
_POSTGRESQL = {  # SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
    "55P03": "stayed locked by another process for {timeout:g} s; wait for it, or give the journal a longer timeout",
    "25006": "is read-only for this user ({text}); give an address that may be written to",
    "42501": "is not writable for this user ({text}); ask for the right to create tables there",
    "53100": "cannot grow because the server's disk is full ({text}); free some space",
}


def explained(error: BaseException, storage: str, timeout: float) -> StorageError:
    """Return the StorageError that says what `error` of the driver means for `storage`.

    Args:
        error: what SQLAlchemy or the driver raised.
        storage: the database, without password.
        timeout: seconds that a locked database was waited for.
    """
    origin: Any = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig is not None else error
    text = " ".join(str(origin).split()) or type(origin).__name__
    code, state = getattr(origin, "sqlite_errorcode", None), getattr(origin, "sqlstate", None)
    template = (
        _SQLITE.get(code & 0xFF) if code else _POSTGRESQL.get(state or "")
    )  # low byte: the primary code
    if template is None and getattr(error, "connection_invalidated", False):
        template = "lost its connection to the server ({text}); try again when the server is back"
    elif template is None and state is None and text.startswith("connection"):
        template = "cannot be reached ({text}); check the address and that the server runs"
    return StorageError(
        f"storage {storage!r} " + (template or "failed: {text}").format(text=text, timeout=timeout)
    )
