"""What `storage=` may be, and the database that it names."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa

from optengine.core.errors import StorageError, require

SUFFIXES = (".db", ".sqlite", ".sqlite3")
_WANTED = "storage must be 'sqlite:///path.db', a path ending in .db, .sqlite or .sqlite3, or 'postgresql://host/database'"


def database_url(storage: str | os.PathLike[str]) -> sa.URL:
    """Return the SQLAlchemy URL of `storage`, with SQLite paths made absolute.

    Absolute and without symbolic links, because connections are opened again later (after a change of folder too) and
    because the lock files lie beside the database: two spellings of one file must meet.

    Raises:
        StorageError: none of the accepted forms.
        MissingDependency: a PostgreSQL URL without psycopg.
    """
    if not isinstance(storage, str | os.PathLike):
        raise StorageError(f"{_WANTED}, got {storage!r}")
    text = os.fspath(storage)
    if "://" not in text:
        if not text.lower().endswith(SUFFIXES):
            raise StorageError(f"{_WANTED}, got {text!r}")
        return _sqlite(text)
    scheme = text.partition("://")[0]
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):  # the text may hold a password: do not repeat it
        raise StorageError(
            f"{_WANTED}, got an address beginning with {scheme!r} that cannot be read"
        ) from None
    if url.drivername in ("sqlite", "sqlite+pysqlite"):
        if not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.query:
            raise StorageError(
                f"storage must name a plain file that stays, as in 'sqlite:///path.db', got {shown(url)!r}"
            )
        return _sqlite(url.database)
    if url.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        require("psycopg", "postgres")
        return url.set(drivername="postgresql+psycopg")
    raise StorageError(f"{_WANTED}, got {shown(url)!r}")


def shown(url: sa.URL) -> str:
    """Return `url` for messages: without password and without the driver's name."""
    plain = url.set(drivername=url.drivername.partition("+")[0])
    return plain.render_as_string(hide_password=True)


def _sqlite(path: str) -> sa.URL:
    file = Path(path).expanduser().resolve()
    if file.is_dir():
        raise StorageError(
            f"storage {str(file)!r} is a folder; give the path of a file, as in {str(file / 'runs.db')!r}"
        )
    if not file.parent.is_dir():
        raise StorageError(
            f"storage {str(file)!r} lies in a folder that does not exist; create {str(file.parent)!r}"
        )
    return sa.URL.create("sqlite+pysqlite", database=str(file))
