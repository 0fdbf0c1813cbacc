"""The tables of a journal.

Names carry the prefix `optengine_`, because a PostgreSQL database is often shared with tools that own a table `runs`.
Numbers of evaluations count from 0 within a run and are never given twice. Member 0 is the process that owns a run
alone; members 1, 2, ... are the processes that share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

SCHEMA = 2  # 2: evaluations carry a note; version of these tables, kept in optengine_meta

Double = sa.Float(53)  # DOUBLE PRECISION on PostgreSQL

metadata = sa.MetaData()

meta = sa.Table(
    "optengine_meta",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

runs = sa.Table(
    "optengine_runs",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created", Double, nullable=False),  # seconds since 1970, UTC
    sa.Column("fingerprint", sa.Text, nullable=False),  # JSON
    sa.Column("seed", sa.Text, nullable=False),  # decimal: seeds have up to 128 bits
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("result", sa.Text),  # JSON
    sa.Column("finished", Double),
    sa.Column("claimed", sa.BigInteger, nullable=False),  # numbers handed out by `claim`: 0..claimed-1
)

asks = sa.Table(
    "optengine_asks",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("member", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ask", sa.BigInteger, primary_key=True, autoincrement=False),  # sequence of this member
    sa.Column("kind", sa.Text, nullable=False),  # 'ask', 'x0' or 'search'
    sa.Column("requested", sa.BigInteger),  # the n of ask(n)
    sa.Column("first", sa.BigInteger, nullable=False),  # number of the first row
    sa.Column("size", sa.BigInteger, nullable=False),  # rows; not `count`, a method of SQLAlchemy's rows
    sa.Column("after", sa.BigInteger, nullable=False),  # tells of this member before this ask
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("X", sa.LargeBinary, nullable=False),  # float64 (size, width), as they will be evaluated
)

evaluations = sa.Table(
    "optengine_evaluations",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("member", sa.Integer, nullable=False),
    sa.Column("F", sa.LargeBinary, nullable=False),  # float64 (objectives,)
    sa.Column("G", sa.LargeBinary),  # float64 (constraints,); null where there are none
    sa.Column("failed", sa.Boolean, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("noise", sa.LargeBinary),  # float64 (objectives,)
    sa.Column("cost", Double),
    sa.Column("seconds", Double),
    sa.Column("at", Double),  # seconds since the run began, over all its sessions
    sa.Column("note", sa.Text),  # JSON: what else the evaluation gave (scores of folds, values step by step)
    sqlite_with_rowid=False,  # the rows lie in the order of the primary key: one B-tree, not two
)

tells = sa.Table(
    "optengine_tells",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("member", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("tell", sa.BigInteger, primary_key=True, autoincrement=False),  # sequence of this member
    sa.Column("numbers", sa.LargeBinary, nullable=False),  # int64, in the order told; -1: never asked
)

snapshots = sa.Table(  # the newest of each member; older ones serve nobody and can be large
    "optengine_snapshots",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("member", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("after_ask", sa.BigInteger, nullable=False),
    sa.Column("after_tell", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),
)

members = sa.Table(
    "optengine_members",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("member", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("token", sa.Text, nullable=False),  # of the session that is this member now
    sa.Column("pid", sa.BigInteger, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("heartbeat", Double, nullable=False),  # seconds since 1970 by the server's clock
    sa.Column("departed", Double),  # when it closed the run properly
    sa.Column("commits", sa.BigInteger, nullable=False),  # transactions written by this session
)

claims = sa.Table(
    "optengine_claims",
    metadata,
    sa.Column("run_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("first", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("member", sa.Integer, nullable=False),  # who is to evaluate them: changes when they are adopted
)


def insert_new(table: sa.Table, dialect: sa.Dialect, values: Mapping[str, Any]) -> sa.Insert:
    """Return the INSERT of `values` that passes over rows whose key is there already."""
    if dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).values(values).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql  # a tenth of a second that SQLite's users need not wait

    return postgresql.insert(table).values(values).on_conflict_do_nothing()
