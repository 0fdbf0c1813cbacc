"""A batch's folder as a report: one HTML page, and its pictures, tables and runs as files."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from optengine.batch.folder import INDEX, read_facts, read_index, run_name, stored_run
from optengine.batch.outcome import BatchResult
from optengine.batch.rows import Row
from optengine.core.errors import OptionError, StorageError
from optengine.core.result import Result, Status
from optengine.report.comparison import Comparison, Trace, improvements
from optengine.report.exports import export
from optengine.report.page import page


def write_report(
    runs: str | os.PathLike[str] | BatchResult,
    html: str | os.PathLike[str] | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Write the report of a batch, finished or not, and return what it is made of.

    Args:
        runs: the folder of a batch, or what `run_batch` returned with `out`.
        html: file for the page; it needs nothing beside it.
        folder: for pictures (SVG, PNG), tables (CSV, LaTeX, Parquet where pandas can) and the runs in the formats of
            IOHprofiler and COCO.

    Raises:
        StorageError: it is not the folder of a batch, or a file cannot be written.
        OptionError: no run of one objective has begun, or neither `html` nor `folder` is given.
        MissingDependency: matplotlib is not installed.
    """
    if html is None and folder is None:
        raise OptionError("html or folder must be given, got neither")
    comparison, facts = compare(runs)
    if not comparison.traces:
        raise OptionError(f"runs must hold a run of one objective, got none in {facts['folder']!r}")
    try:
        if html is not None:
            path = Path(html).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page(comparison, facts), encoding="utf-8")
        if folder is not None:
            export(comparison, Path(folder).expanduser())
    except OSError as error:
        raise StorageError(f"the report cannot be written: {error}") from error
    return comparison


def compare(runs: str | os.PathLike[str] | BatchResult) -> tuple[Comparison, dict[str, Any]]:
    """Return the runs of a batch's folder beside each other, and facts for the page."""
    if isinstance(runs, BatchResult):
        if runs.folder is None:
            raise OptionError("runs must be a batch that was run with out=, got one that is kept nowhere")
        runs = runs.folder
    place = Path(runs).expanduser()
    if not (place / INDEX).is_file():
        raise StorageError(f"folder {str(place)!r} is not that of a batch: it holds no {INDEX}")
    stored, traces, directions, left_out = read_facts(place), [], {}, []
    rows = sorted(
        (Row(**entry["row"]) for entry in read_index(place).values()), key=_order(stored.get("runs", []))
    )
    for row in rows:
        result = stored_run(place, row.key)
        if result is not None and len(result.objectives) > 1:
            left_out.append(row.problem)
            continue
        if result is not None:
            directions[row.problem] = result.objectives[0][1]
        traces.append(_trace(row, result))
    directions = {**{k: v["direction"] for k, v in stored.get("problems", {}).items()}, **directions}
    known = {
        problem: facts["best_known"]
        for problem, facts in stored.get("problems", {}).items()
        if facts.get("best_known") is not None
    }
    facts = {
        "name": stored.get("name") or place.resolve().name,
        "folder": str(place),
        "command": stored.get("command", ""),
        "machine": stored.get("machine", {}),
        "runs": len(stored.get("runs", [])) or len(rows),
        "interrupted": any(row.status == Status.STOPPED for row in rows),
        "failures": [(run_name(row.key), row.message) for row in rows if row.status == Status.FAILED],
        "made": f"Drawn {datetime.now().astimezone():%Y-%m-%d %H:%M %Z} from {place.resolve().name}.",
    }
    return Comparison(traces, directions, known, list(dict.fromkeys(left_out))), facts


def _order(planned: list[str]) -> Any:
    """Runs in the order of the batch; those of an older batch in the same folder last."""
    place = {name: i for i, name in enumerate(planned)}
    return lambda row: (place.get(run_name(row.key), len(place)), row.key)


def _trace(row: Row, result: Result | None) -> Trace:
    if result is None or not len(result.history):
        number, best, seconds = improvements((), *[_empty()] * 2)
    else:
        history = result.history
        number, best, seconds = improvements(history.number, history.best, history.seconds)
    return Trace(
        row.problem,
        row.solver,
        row.seed,
        row.status,
        row.message,
        number,
        best,
        seconds,
        row.value,
        row.bound,
        row.n_evaluations,
        row.seconds,
        1 if result is None else result.space.width,
    )


def _empty() -> Any:
    import numpy as np

    return np.empty(0)
