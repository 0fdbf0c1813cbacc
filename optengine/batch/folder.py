"""The folder of a batch.

    OUT/results.csv                    one line a run
    OUT/index.json                     the same rows with messages, where each journal lies, and what was asked for
    OUT/runs/PROBLEM/SOLVER/SEED.db    the journal of the run named PROBLEM/SOLVER/SEED

Every run has a journal of its own, because one process writes a SQLite journal and runs may go side by side, however
many workers there are this time. The journals are the truth: index and CSV are written by the process that owns the
folder, and rebuilt from the journals where they are missing. A run whose line in the index answers to the same request
is not opened again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optengine.batch.rows import COLUMNS, Key, Row
from optengine.core.errors import StorageError
from optengine.core.result import Result
from optengine.report.stored import result_of
from optengine.store import Journal
from optengine.store.lock import FileLock

FORMAT = "optengine.batch.1"
INDEX, RESULTS = "index.json", "results.csv"
WRITE_SECONDS = 0.5  # at most so often while runs finish; always at the end
UNSAFE = re.compile(r"[^A-Za-z0-9._+=-]+")


class Folder:
    """One batch's folder, owned by this process. A context manager.

    Args:
        out: created where it is missing.

    Raises:
        StorageError: another batch works in it, it cannot be written, or it holds something else under our names.
    """

    def __init__(self, out: str | os.PathLike[str]) -> None:
        self.path = Path(out).expanduser().resolve()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(self.path / "batch", "batch", shared=False)
            if not self._lock.acquire():
                raise StorageError(
                    f"out {str(self.path)!r} is in use by another batch; wait for it or choose another out"
                )
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"out {str(self.path)!r} cannot be used: {error.strerror or error}") from error
        try:
            self._index: dict[str, dict[str, Any]] = read_index(self.path)
            self._facts = read_facts(self.path)
        except BaseException:
            self._lock.release()
            raise
        self._written = 0.0

    def journal(self, key: Key) -> Path:
        """Return the path of a run's journal; its folder exists."""
        path = self.path / journal_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def known(self, key: Key, request: str) -> Row | None:
        """Return the row of a run that has ended and answers to `request`, or None."""
        entry = self._index.get(run_name(key))
        if entry is None or entry["request"] != request or not (self.path / entry["journal"]).is_file():
            return None
        row = Row(**entry["row"])
        return row if row.done else None

    def describe(self, facts: dict[str, Any]) -> None:
        """Keep what reports say about the batch as a whole: its name, runs, problems, command and machine."""
        self._facts = facts

    def note(self, row: Row, request: str, trace: str = "") -> None:
        """Enter a row into the index, with the traceback of a run that raised."""
        self._index[run_name(row.key)] = {
            "request": request,
            "journal": journal_path(row.key).as_posix(),
            "row": row.to_dict(),
            **({"traceback": trace} if trace else {}),
        }

    def write(self, rows: Iterable[Row], final: bool = False) -> None:
        """Write index and CSV, each at one stroke; while runs finish only now and then."""
        if not final and time.monotonic() - self._written < WRITE_SECONDS:
            return
        index = {"format": FORMAT, "batch": self._facts, "runs": self._index}
        replace(self.path / INDEX, json.dumps(index, indent=1) + "\n")
        replace(self.path / RESULTS, csv_text(rows))
        self._written = time.monotonic()

    def close(self) -> None:
        self._lock.release()

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def stored_run(folder: Path, key: Key) -> Result | None:
    """Return what the journal of a run holds, finished or not; None before its first evaluation."""
    path = folder / journal_path(key)
    if not path.is_file():
        return None
    with Journal(path, readonly=True) as journal:
        if not any(info.name == run_name(key) and info.n_evaluations for info in journal.runs()):
            return None
        return result_of(journal.read(run_name(key)))


def run_name(key: Key) -> str:
    """Return `problem/solver/seed`, the name of a run in its journal."""
    return "/".join(str(part) for part in key)


def journal_path(key: Key) -> Path:
    """Return the path of a run's journal below the batch's folder."""
    return Path("runs", _slug(key[0]), _slug(key[1]), f"{key[2]}.db")


def _slug(label: str) -> str:
    """A folder's name for a label; labels that differ only in what file systems refuse or fold get a hash."""
    safe = UNSAFE.sub("-", label)[:80].strip(".") or "-"
    if safe == label and safe == safe.lower():
        return safe
    return f"{safe}.{hashlib.sha256(label.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def read_index(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the index of a batch's folder: run name -> its row, journal and request; empty where there is none.

    Raises:
        StorageError: the file is not an index of ours.
    """
    runs: dict[str, dict[str, Any]] = _read(folder).get("runs", {})
    return runs


def read_facts(folder: Path) -> dict[str, Any]:
    """Return what the index says of the batch as a whole (`Folder.describe`); empty where there is none."""
    facts: dict[str, Any] = _read(folder).get("batch", {})
    return facts


def _read(folder: Path) -> dict[str, Any]:
    path = folder / INDEX
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise StorageError(
            f"{str(path)!r} cannot be read as the index of a batch ({error}); move it away"
        ) from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise StorageError(
            f"{str(path)!r} is not the index of a batch ({FORMAT}); move it away or choose another out"
        )
    return data


def csv_text(rows: Iterable[Row]) -> str:
    """Return results.csv: numbers in full, nothing where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        facts = row.to_dict()
        writer.writerow(["" if facts[name] is None else facts[name] for name in COLUMNS])
    return text.getvalue()


def replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old text or the new one, never a part.

    Raises:
        StorageError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.new")  # one name: the folder has one owner
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StorageError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
