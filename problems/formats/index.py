"""Best-known values of a collection, kept in a file `INDEX.tsv` beside the instances or above them.

The file is a table with tabs and a header line. Columns used: `file` (path from the index, with `/`), `best_known`
(a number; several separated by `;` for a file with several instances; `-` for none), `status` (`opt` where proved) and
`reference`. Other columns are ignored.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from optengine.core.errors import ProblemError
from optengine.problems.formats.source import is_number

INDEX_NAME = "INDEX.tsv"
LEVELS_ABOVE = 2  # collection/class/file and collection/class/size/file, not the whole disk
STATUSES = {"opt": "proved optimal", "best": "best known, not proved", "best-GA": "best known, not proved"}


@dataclass(frozen=True)
class BestKnown:
    """What a collection's index says of one file."""

    values: tuple[float | None, ...]  # one an instance, in the user's direction
    source: str


def best_known(path: Path) -> BestKnown | None:
    """Look `path` up in the nearest index that lists it; None where there is none.

    Raises:
        ProblemError: the index lists the file with something that is not a number.
    """
    path = path.absolute()  # links are not followed: a collection may link to its files
    for folder in (path.parent, *path.parent.parents[:LEVELS_ABOVE]):
        index = folder / INDEX_NAME
        if index.is_file():
            name = path.relative_to(folder).as_posix()
            found = _look_up(index, {name, name.removesuffix(".gz")})
            if found is not None:
                return found
    return None


def _look_up(index: Path, names: set[str]) -> BestKnown | None:
    with index.open(encoding="utf-8", errors="replace", newline="") as stream:
        for line, row in enumerate(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE), start=2):
            if row.get("file") in names:
                return _row(row, f"{index.name}, line {line}")
    return None


def _row(row: dict[str, str | None], where: str) -> BestKnown | None:
    words = [word.strip() for word in (row.get("best_known") or "-").split(";")]
    for word in words:
        if word not in ("", "-") and not is_number(word):
            raise ProblemError(f"{where}: best_known of {row['file']} must be a number or '-', got {word!r}")
    if all(word in ("", "-") for word in words):
        return None
    status = (row.get("status") or "").strip()
    told = STATUSES.get(status, f"status {status}" if status else "status unknown")
    reference = (row.get("reference") or "").strip() or "no reference given"
    return BestKnown(tuple(float(w) if is_number(w) else None for w in words), f"{told}: {reference}")
