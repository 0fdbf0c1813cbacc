"""The journal of runs and evaluations: SQLite by default, PostgreSQL by URL.

A journal is append-only: what was asked, what every evaluation gave, what the solver was told, in the order in which it
happened, so that a killed run leaves a beginning of itself and goes on from there. It holds arrays as little-endian
blobs and everything else as JSON text or plain columns; never a pickle.

Importing this package loads SQLAlchemy; the engine does so only when `storage=` is given.
"""

from optengine.store.journal import Journal as Journal
from optengine.store.record import (
    AskRecord as AskRecord,
    Rows as Rows,
    RunInfo as RunInfo,
    RunRecord as RunRecord,
    SnapshotRecord as SnapshotRecord,
)
from optengine.store.runlog import RunLog as RunLog
from optengine.store.shared import Adopted as Adopted, SharedRunLog as SharedRunLog

__all__ = [
    "Adopted",
    "AskRecord",
    "Journal",
    "Rows",
    "RunInfo",
    "RunLog",
    "RunRecord",
    "SharedRunLog",
    "SnapshotRecord",
]
