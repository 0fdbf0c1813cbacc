"""Tables of numbers with a header line (CSV, TSV, blanks between columns): data to learn a graph from.

One sample a line, one variable a column. The separator is what the header has: tabs, semicolons, commas, or blanks.
Names may be quoted. Where the header's first cell is empty, or it has one cell less than the lines, the first column
holds names of rows and is left out.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.dag import DAGProblem
from optengine.problems.formats.base import FITS, NO, RESEMBLES, Format
from optengine.problems.formats.source import QUOTED, Source, is_number

SEPARATORS = ("\t", ";", ",")
LOOKED_AT = 20  # lines by which a table is recognised


def _separator(header: str) -> str | None:
    """The separator of a header line; None: blanks."""
    return next((sign for sign in SEPARATORS if sign in header), None)


def _cells(line: str, separator: str | None) -> list[str]:
    if separator is None:
        return [word.strip("\"'") for word in line.split()]
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


@lru_cache(maxsize=4)
def _header(source: Source) -> tuple[list[str], str | None] | None:
    """Names of the columns, row names left out, and the separator; None where the first line is no header."""
    line = source.lines[source.first_line]
    separator = _separator(line)
    try:
        cells = _cells(line.strip("\r\n"), separator)
    except csv.Error:
        return None
    named = cells[1:] if cells and not cells[0] else cells
    if len(named) < 2 or not all(named) or any(is_number(cell) for cell in named):
        return None
    return named, separator


def _lines(source: Source) -> list[int]:
    return [i for i in range(source.first_line + 1, len(source.lines)) if source.lines[i].strip()]


def _recognise(source: Source) -> float:
    header = _header(source)
    if header is None:
        return NO
    names, separator = header
    shares = []  # of cells that are numbers, of lines with as many cells as the header
    lines = _lines(source)[:LOOKED_AT]
    for i in lines:
        cells = _cells(source.lines[i], separator)
        if len(cells) - len(names) in (0, 1):
            shares.append(float(np.mean([is_number(cell) for cell in cells[-len(names) :]])))
    if len(lines) < 2 or 2 * len(shares) <= len(lines) or np.mean(shares) < 0.5:
        return NO
    return FITS if len(shares) == len(lines) and min(shares) == 1.0 else RESEMBLES


def read_table(path: str | PathLike[str]) -> tuple[NDArray[np.float64], list[str]]:
    """Read a table with a header line: numbers (n, d), and the names of their columns.

    Raises:
        ProblemError: the file is missing, damaged, or no such table.
    """
    source = Source.open(path)
    if _header(source) is None:
        raise source.error(
            f"expected a header line with names of columns, got {source.quote(source.first_line)}"
        )
    return _columns(source)


def _columns(source: Source) -> tuple[NDArray[np.float64], list[str]]:
    """Numbers (n, d) and the names of their columns.

    Raises:
        ProblemError: a line with another number of cells, or a cell that is no finite number; both are named.
    """
    header = _header(source)
    assert header is not None  # recognised before
    names, separator = header
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise source.error(f"names of columns must differ, got {doubled[0]!r} twice", source.first_line)
    rows, extra = [], None
    for i in _lines(source):
        cells = _cells(source.lines[i], separator)
        extra = len(cells) - len(names) if extra is None else extra
        if extra not in (0, 1) or len(cells) != len(names) + extra:
            raise source.error(f"expected {len(names)} columns as in the header, got {len(cells)}", i)
        values = cells[extra:]
        for name, cell in zip(names, values, strict=True):
            if not is_number(cell):
                raise source.error(
                    f"expected a finite number in column {name!r}, got {cell[:QUOTED]!r}; drop or impute such rows",
                    i,
                )
        rows.append([float(cell) for cell in values])
    return np.array(rows), names


def _parse(source: Source) -> list[Problem]:
    data, names = _columns(source)
    try:
        problem = DAGProblem(data, name=source.name)
    except ProblemError as error:
        raise source.error(f"its columns {', '.join(names)} are no data for a graph: {error}") from None
    problem.names = tuple(names)
    return [problem]


TABLE = Format("table", "a header line with names of columns, then numbers", _recognise, _parse)
