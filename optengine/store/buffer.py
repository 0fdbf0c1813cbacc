"""Events of a run that wait for their transaction.

Rows go to the driver as tuples, through a statement that SQLAlchemy compiled once: `execute` with a list of dicts
costs 9 to 12 microseconds a row of `evaluations` on SQLite, this way a third of it, most of it inside SQLite. The run's
id and the member are written into the statement, and columns that hold nothing are left out of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from optengine.store.plain import Floats, Ints, row_blobs
from optengine.store.schema import asks, evaluations, insert_new, snapshots, tells

_ASK_COLUMNS = ("ask", "kind", "requested", "first", "size", "after", "width", "X")
_TELL_COLUMNS = ("tell", "numbers")


@dataclass(frozen=True, slots=True, eq=False)
class RowBlock:
    """Rows of one call, as arrays of the journal's own; see `record.Rows` for the shapes."""

    numbers: Ints
    F: Floats
    G: Floats
    failed: NDArray[np.bool_]
    noise: Floats | None
    cost: Floats | None
    seconds: Floats | None
    at: Floats
    errors: dict[int, str]
    notes: dict[int, str]  # number -> JSON

    def take(self, index: NDArray[np.bool_]) -> RowBlock:
        """Return the rows `index`."""
        return RowBlock(
            self.numbers[index],
            self.F[index],
            self.G[index],
            self.failed[index],
            None if self.noise is None else self.noise[index],
            None if self.cost is None else self.cost[index],
            None if self.seconds is None else self.seconds[index],
            self.at[index],
            self.errors,
            self.notes,
        )

    def columns(self) -> dict[str, Any]:
        """Return one sequence a column of `evaluations`, without the columns that would be null throughout."""
        columns: dict[str, Any] = {"number": self.numbers.tolist(), "F": row_blobs(self.F)}
        if self.G.shape[1]:
            columns["G"] = row_blobs(self.G)
        columns["failed"] = self.failed.tolist() if self.failed.any() else repeat(False, len(self.numbers))
        if self.errors:
            columns["error"] = [self.errors.get(number) for number in columns["number"]]
        if self.noise is not None:
            columns["noise"] = row_blobs(self.noise)
        if self.cost is not None:
            columns["cost"] = self.cost.tolist()
        if self.seconds is not None:
            columns["seconds"] = self.seconds.tolist()
        columns["at"] = self.at.tolist()
        if self.notes:
            columns["note"] = [self.notes.get(number) for number in columns["number"]]
        return columns


class Buffer:
    """What happened and is not yet committed, in order.

    Not safe by itself for use from several threads.
    """

    def __init__(self, dialect: sa.Dialect, run_id: int, member: int, lenient: bool) -> None:
        """Make an empty buffer.

        Args:
            dialect: of the database.
            run_id: written into every row.
            member: written into every row.
            lenient: whether a second evaluation of a number is passed over in silence, not refused.
        """
        self._dialect = dialect
        self._run_id = run_id
        self._member = member
        self._lenient = lenient
        self._statements: dict[tuple[str, ...], str] = {}
        self.asks: list[tuple[Any, ...]] = []  # in the order of _ASK_COLUMNS
        self.rows: list[RowBlock] = []
        self.tells: list[tuple[Any, ...]] = []  # in the order of _TELL_COLUMNS
        self.snapshots: list[tuple[int, int, bytes]] = []
        self._marks = (0, 0, 0, 0)

    def __bool__(self) -> bool:
        return bool(self.asks or self.rows or self.tells or self.snapshots)

    def mark(self) -> None:
        """Remember that everything in the buffer now is about to be written."""
        self._marks = (len(self.asks), len(self.rows), len(self.tells), len(self.snapshots))

    def drop_marked(self) -> None:
        """Forget what was there at the last `mark`: it is committed."""
        marks, self._marks = self._marks, (0, 0, 0, 0)
        del self.asks[: marks[0]], self.rows[: marks[1]], self.tells[: marks[2]], self.snapshots[: marks[3]]

    def write(self, connection: sa.Connection) -> None:
        """Write everything into the transaction of `connection`; the buffer keeps it until `drop_marked`."""
        if self.asks:
            connection.exec_driver_sql(self._insert(asks, _ASK_COLUMNS), self.asks)
        tuples: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}  # many small calls go as few statements
        for block in self.rows:
            columns = block.columns()
            tuples.setdefault(tuple(columns), []).extend(zip(*columns.values(), strict=True))
        for names, rows in tuples.items():
            connection.exec_driver_sql(self._insert(evaluations, names), rows)
        if self.tells:
            connection.exec_driver_sql(self._insert(tells, _TELL_COLUMNS), self.tells)
        if self.snapshots:
            after_ask, after_tell, data = self.snapshots[-1]
            mine = (snapshots.c.run_id == self._run_id, snapshots.c.member == self._member)
            connection.execute(snapshots.delete().where(*mine))
            row = {
                "run_id": self._run_id,
                "member": self._member,
                "after_ask": after_ask,
                "after_tell": after_tell,
            }
            connection.execute(snapshots.insert(), row | {"data": data})

    def _insert(self, table: sa.Table, columns: Sequence[str]) -> str:
        """Return the INSERT of `columns` in this order, in the driver's own notation."""
        key = (table.name, *columns)
        if key not in self._statements:
            values: dict[str, Any] = {name: sa.bindparam(name, type_=table.c[name].type) for name in columns}
            values |= {
                "run_id": sa.literal_column(str(self._run_id)),
                "member": sa.literal_column(str(self._member)),
            }
            statement = table.insert().values(values)
            if self._lenient and table is evaluations:
                statement = insert_new(table, self._dialect, values)
            compiled: Any = statement.compile(dialect=self._dialect)
            # The compiler follows the order of the table's columns; so do the tuples, by construction.
            assert list(compiled.positiontup) == list(columns), (compiled.positiontup, columns)
            self._statements[key] = str(compiled)
        return self._statements[key]
