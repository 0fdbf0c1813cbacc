"""What a batch gave: one row a run, and the comparison of solvers on each problem."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from optengine.batch.folder import stored_run
from optengine.batch.rows import COLUMNS, Key, Row
from optengine.core.errors import OptionError, did_you_mean, require
from optengine.core.result import Result, Status
from optengine.report.tables import Table, duration, number

if TYPE_CHECKING:
    from pandas import DataFrame


SHOWN_FAILURES = 5  # reasons told below the table


@dataclass
class BatchResult:
    """The table of a batch. Iterating gives its `Row`s, printing it the comparison.

    Attributes:
        rows: in the order of problems, solvers, seeds; only runs that were begun.
        directions: problem -> "minimize" or "maximize". best_known: problem -> value, where one is known.
        interrupted: whether Ctrl-C or a callback ended the batch before its last run.
        n_planned: runs that the batch consists of.
        name: title of the table. folder: where it is kept, or None.
    """

    rows: list[Row]
    directions: dict[str, str]
    best_known: dict[str, float]
    n_planned: int
    interrupted: bool = False
    name: str = ""
    folder: Path | None = None
    _results: dict[Key, Result] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def failed(self) -> list[Row]:
        """Runs that raised, or whose evaluations all failed."""
        return [row for row in self.rows if row.status == Status.FAILED]

    def result(self, problem: str, solver: str, seed: int) -> Result:
        """Return the whole result of one run; with `out` it is read from the run's journal.

        Raises:
            OptionError: the batch has no such run, or it gave no result.
        """
        key = (problem, solver, seed)
        if key not in {row.key for row in self.rows}:
            known = ["/".join(map(str, row.key)) for row in self.rows]
            wanted = "/".join(map(str, key))
            raise OptionError(f"the batch has no run {wanted!r}{did_you_mean(wanted, known)}")
        result = self._results.get(key) if self.folder is None else stored_run(self.folder, key)
        if result is None:
            raise OptionError(
                f"run {'/'.join(map(str, key))!r} gave no result: it failed before its first evaluation"
            )
        return result

    def to_frame(self) -> DataFrame:
        """Return one line a run as a pandas DataFrame."""
        pandas = require("pandas", extra="frame")
        frame: DataFrame = pandas.DataFrame(
            [row.to_dict() for row in self.rows], columns=[*COLUMNS, "message"]
        )
        return frame

    def summary(self) -> Table:
        """Return a line for each problem and solver: best, median and quartiles of the value over seeds."""
        known, several = bool(self.best_known), len({row.status for row in self.rows}) > 1
        columns = [
            "problem",
            *([">best known"] if known else []),
            "=solver",
            ">runs",
            ">best",
            ">median",
            ">quartiles",
        ]
        table = Table([*columns, ">evaluations", ">time", *(["status"] if several else [])], title=self.name)
        winners = self._winners()
        for (problem, solver), rows in self._groups().items():
            line = [problem, *([number(self.best_known.get(problem))] if known else []), solver]
            line += self._values(rows, solver in winners[problem])
            line.append(number(float(np.median([row.n_evaluations for row in rows]))))
            line.append(duration(float(np.median([row.seconds for row in rows]))))
            table.rows.append([*line, *([_statuses(rows)] if several else [])])
        table.notes += self._notes(any(winners.values()))
        return table

    def _values(self, rows: list[Row], wins: bool) -> list[str]:
        """Cells about the values of one problem and solver; runs without a value are counted, not averaged."""
        values = np.array([row.value for row in rows if row.value is not None])
        count = str(len(rows)) if len(values) in (0, len(rows)) else f"{len(values)} of {len(rows)}"
        if not len(values):
            return [count, "-", "-", "-"]
        best = values.max() if self._maximised(rows[0].problem) else values.min()
        low, middle, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
        median = number(middle) + (" *" if wins else "  ")
        return [count, number(float(best)), median, f"{number(low, 5)} .. {number(high, 5)}"]

    def _groups(self) -> dict[tuple[str, str], list[Row]]:
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row.problem, row.solver), []).append(row)
        return groups

    def _maximised(self, problem: str) -> bool:
        return self.directions.get(problem) == "maximize"

    def _winners(self) -> dict[str, set[str]]:
        """Solvers with the best median of each problem, where there are several to compare."""
        medians: dict[str, dict[str, float]] = {}
        for (problem, solver), rows in self._groups().items():
            values = [row.value if row.value is not None else math.inf for row in rows]
            if self._maximised(problem):
                values = [-row.value if row.value is not None else math.inf for row in rows]
            medians.setdefault(problem, {})[solver] = float(np.median(values))
        return {
            problem: {s for s, m in each.items() if m == min(each.values()) < math.inf}
            if len(each) > 1
            else set()
            for problem, each in medians.items()
        }

    def _notes(self, starred: bool) -> list[str]:
        notes = (
            ["* best median of its problem; quartiles, evaluations and time are over the seeds"]
            if starred
            else []
        )
        statuses = {row.status for row in self.rows}
        if len(statuses) == 1:
            notes.append(f"every run ended with status {statuses.pop()}")
        if len(self.rows) < self.n_planned:
            notes.append(f"{self.n_planned - len(self.rows)} of {self.n_planned} runs have not begun")
        messages: dict[str, list[str]] = {}
        for row in self.failed:
            messages.setdefault(row.message, []).append("/".join(map(str, row.key)))
        for message, runs in list(messages.items())[:SHOWN_FAILURES]:
            others = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
            notes.append(f"failed: {runs[0]}{others}: {message}")
        if rest := sum(len(runs) for runs in list(messages.values())[SHOWN_FAILURES:]):
            place = "their rows' messages" if self.folder is None else str(self.folder / "index.json")
            notes.append(f"failed: {rest} more, for other reasons: see {place}")
        return notes

    def __str__(self) -> str:
        return str(self.summary())


def _statuses(rows: list[Row]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.status] = counts.get(row.status, 0) + 1
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {status}" for status, count in counts.items())
