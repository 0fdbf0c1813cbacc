"""`optengine show`: journaled runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from optengine.batch.folder import INDEX, journal_path, read_index, run_name
from optengine.batch.rows import Row
from optengine.cli.output import check_writable, deliver, say
from optengine.core.errors import OptionError, StorageError, did_you_mean
from optengine.core.result import Result
from optengine.report.stored import result_of
from optengine.report.tables import Table, duration, number, write
from optengine.store import Journal

STEPS = 12  # improvements shown


def show(options: argparse.Namespace) -> int:
    """Show one run, or list runs."""
    check_writable(options)
    place, run = _target(options.run, options.storage)
    if run is None:
        if options.plot is not None or options.json is not None:
            raise OptionError(f"--plot and --json need one run, as in {place}#RUN, got a list of runs")
        write(_batch_list(Path(place)) if Path(place).is_dir() else _run_list(place))
        return 0
    result = _read(place, run)
    say(str(result))
    if len(result.objectives) == 1 and len(result.history):
        say()
        write(_improvements(result))
    deliver(result, options)
    return 0


def _target(text: str, storage: str | None) -> tuple[str, str | None]:
    """Return the place and the run's name: DB#RUN, DB, DIR#RUN, DIR, or RUN with its storage."""
    if storage is not None:
        return storage, text
    place, mark, run = text.partition("#")
    if mark:
        return place, run or None
    if "://" in text or Path(text).is_dir() or text.lower().endswith((".db", ".sqlite", ".sqlite3")):
        return text, None
    raise OptionError(f"RUN needs --storage, or write it as DB#RUN, got {text!r}")


def _read(place: str, run: str) -> Result:
    folder = Path(place)
    if not folder.is_dir():
        with Journal(place, readonly=True) as journal:
            return result_of(journal.read(run))
    index = _index(folder)
    if run not in index:
        raise StorageError(f"batch {place!r} has no run {run!r}{did_you_mean(run, index)}")
    row = Row(**index[run]["row"])
    with Journal(folder / journal_path(row.key), readonly=True) as journal:
        return result_of(journal.read(run))


def _index(folder: Path) -> dict[str, dict[str, Any]]:
    if not (folder / INDEX).is_file():
        raise StorageError(f"folder {str(folder)!r} is not that of a batch: it holds no {INDEX}")
    return read_index(folder)


def _batch_list(folder: Path) -> Table:
    table = Table(["run", ">value", "status", ">evaluations", ">time"], title=str(folder))
    rows = [Row(**entry["row"]) for entry in _index(folder).values()]
    labels = list(dict.fromkeys([label for row in rows for label in (row.problem, row.solver)]))
    rows.sort(key=lambda row: (labels.index(row.problem), labels.index(row.solver), row.seed))
    for row in rows:
        name = run_name(row.key)
        facts = [name, number(row.value), row.status, str(row.n_evaluations), duration(row.seconds)]
        table.rows.append(facts)
    return table


def _run_list(storage: str) -> Table:
    table = Table(["run", "solver", "status", ">evaluations", "begun", "ended"], title=storage)
    with Journal(storage, readonly=True) as journal:
        for info in journal.runs():
            begun = f"{info.created.astimezone():%Y-%m-%d %H:%M:%S}"
            ended = "-" if info.finished is None else f"{info.finished.astimezone():%Y-%m-%d %H:%M:%S}"
            facts = [info.name, info.solver, info.status, str(info.n_evaluations), begun, ended]
            table.rows.append(facts)
    return table


def _improvements(result: Result) -> Table:
    """The evaluations that became incumbents: the last ones, where there are many."""
    history = result.history
    best = history.best
    rises = [i for i in range(len(best)) if best[i] == best[i] and (i == 0 or best[i] != best[i - 1])]
    table = Table([">evaluation", ">time", f">{result.objectives[0][0]}"])
    if len(rises) > STEPS:
        table.title = f"last {STEPS} of {len(rises)} improvements"
    for i in rises[-STEPS:]:
        table.rows.append(
            [str(history.number[i]), duration(float(history.seconds[i])), number(float(best[i]))]
        )
    return table
