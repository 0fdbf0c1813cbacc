"""TSPLIB: travelling salesman instances, symmetric and asymmetric (`.tsp`, `.atsp`).

Lines `KEYWORD : value`, then sections of numbers. Read here: TYPE TSP and ATSP; every EDGE_WEIGHT_TYPE with a formula
except the crystallography ones (XRAY1, XRAY2); EXPLICIT in every EDGE_WEIGHT_FORMAT, its numbers in any layout.
FIXED_EDGES_SECTION is refused: without it the instance would be another problem.

Reference: Reinelt, TSPLIB - a traveling salesman problem library, ORSA Journal on Computing 3 (1991),
doi:10.1287/ijoc.3.4.376; the format: Reinelt, TSPLIB 95, report (1995). The distances are in `optengine.problems.tsp`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import did_you_mean
from optengine.core.problem import Problem
from optengine.problems.arrays import Numbers
from optengine.problems.formats.base import CERTAIN, NO, Format
from optengine.problems.formats.source import Source, is_integer
from optengine.problems.tsp import METRICS, TSP

HEADER = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*:\s*(.*)")
SECTION = re.compile(r"([A-Za-z][A-Za-z_]*_SECTION)\s*:?")
SIGNATURE = re.compile(
    r"^\s*(DIMENSION\s*:|EDGE_WEIGHT_TYPE\s*:|NODE_COORD_SECTION|EDGE_WEIGHT_SECTION)", re.M
)
TYPES = ("TSP", "ATSP")

# Numbers in an EDGE_WEIGHT_SECTION of n cities, and which triangle of the matrix they fill row by row. Columns of one
# triangle are the rows of the other one.
FORMATS = {
    "FULL_MATRIX": "full",
    "UPPER_ROW": "upper",
    "LOWER_COL": "upper",
    "LOWER_ROW": "lower",
    "UPPER_COL": "lower",
    "UPPER_DIAG_ROW": "upper with diagonal",
    "LOWER_DIAG_COL": "upper with diagonal",
    "LOWER_DIAG_ROW": "lower with diagonal",
    "UPPER_DIAG_COL": "lower with diagonal",
}


@dataclass
class _Parts:
    """A file taken apart: header values, and the lines of each section; with the line where each stands."""

    values: dict[str, str] = field(default_factory=dict)
    sections: dict[str, tuple[int, int]] = field(default_factory=dict)
    line: dict[str, int] = field(default_factory=dict)


def _recognise(source: Source) -> float:
    return CERTAIN if SIGNATURE.search(source.text) else NO


def _parse(source: Source) -> list[Problem]:
    parts = _take_apart(source)
    kind = (parts.values.get("TYPE") or "TSP").split()[0]  # a few files have the author after the type
    if kind not in TYPES:
        hint = "; optengine.problems.formats.read_solution reads tours" if kind == "TOUR" else ""
        raise source.error(f"TYPE must be TSP or ATSP, got {kind}{hint}", parts.line.get("TYPE"))
    if "FIXED_EDGES_SECTION" in parts.sections:
        raise source.error("a FIXED_EDGES_SECTION is not supported", parts.line["FIXED_EDGES_SECTION"])
    size = _dimension(source, parts)
    metric = parts.values.get("EDGE_WEIGHT_TYPE")
    name = parts.values.get("NAME") or source.name
    if metric == "EXPLICIT":
        display = _coordinates(source, parts, "DISPLAY_DATA_SECTION", size, 2)
        return [TSP(_matrix(source, parts, size), display=display, name=name)]
    if metric not in METRICS:
        known = ["EXPLICIT", *METRICS]
        raise source.error(
            f"EDGE_WEIGHT_TYPE must be one of {', '.join(known)}, got {metric}{did_you_mean(str(metric), known)}",
            parts.line.get("EDGE_WEIGHT_TYPE"),
        )
    coordinates = _coordinates(source, parts, "NODE_COORD_SECTION", size, METRICS[metric].axes)
    if coordinates is None:
        raise source.error(f"EDGE_WEIGHT_TYPE {metric} needs a NODE_COORD_SECTION, got none (truncated?)")
    return [TSP(coordinates=coordinates, metric=metric, name=name)]


def _take_apart(source: Source) -> _Parts:
    """Split a file into its header and its sections."""
    parts = _Parts()
    open_section = None
    for i, line in enumerate(source.lines):
        text = line.strip()
        if text == "EOF":
            break
        if header := HEADER.fullmatch(text):
            open_section, key = None, header[1].upper()
            parts.values[key], parts.line[key] = header[2].strip(), i
        if section := SECTION.fullmatch(text):
            open_section = section[1].upper()
            parts.sections[open_section], parts.line[open_section] = (i + 1, i + 1), i
        elif open_section:
            parts.sections[open_section] = (parts.sections[open_section][0], i + 1)
        elif text and not header:
            raise source.error(f"expected 'KEYWORD : value' or a section of TSPLIB, got {source.quote(i)}", i)
    return parts


def _dimension(source: Source, parts: _Parts) -> int:
    word = parts.values.get("DIMENSION", "")
    if not is_integer(word) or int(word) < 2:
        got = repr(word) if word else "none"
        raise source.error(f"DIMENSION must be an integer >= 2, got {got}", parts.line.get("DIMENSION"))
    return int(word)


def _matrix(source: Source, parts: _Parts, size: int) -> Numbers:
    """The distance matrix of an EXPLICIT instance, (n, n)."""
    layout = parts.values.get("EDGE_WEIGHT_FORMAT")
    if layout not in FORMATS:
        raise source.error(
            f"EDGE_WEIGHT_FORMAT must be one of {', '.join(FORMATS)}, got {layout}{did_you_mean(str(layout), FORMATS)}",
            parts.line.get("EDGE_WEIGHT_FORMAT"),
        )
    if "EDGE_WEIGHT_SECTION" not in parts.sections:
        raise source.error("EDGE_WEIGHT_TYPE EXPLICIT needs an EDGE_WEIGHT_SECTION, got none (truncated?)")
    weights = source.numbers(*parts.sections["EDGE_WEIGHT_SECTION"])
    shape = FORMATS[layout]
    if shape == "full":
        rows, columns = np.divmod(np.arange(size * size), size)
    else:
        indices = np.triu_indices if shape.startswith("upper") else np.tril_indices
        skip = 0 if shape.endswith("diagonal") else 1
        rows, columns = indices(size, skip if shape.startswith("upper") else -skip)
    if len(weights) != len(rows):
        raise source.error(
            f"{layout} with DIMENSION {size} needs {len(rows)} numbers, got {len(weights)}"
            f"{' (truncated?)' if len(weights) < len(rows) else ''}",
            parts.line["EDGE_WEIGHT_SECTION"],
        )
    matrix = np.zeros((size, size), dtype=weights.dtype)
    matrix[rows, columns] = weights
    if shape != "full":
        matrix[columns, rows] = weights
    return matrix


def _coordinates(
    source: Source, parts: _Parts, section: str, size: int, axes: int
) -> NDArray[np.float64] | None:
    """A section of lines `city x y [z]`, by the cities' numbers, (n, axes); None if there is no such section."""
    if section not in parts.sections:
        return None
    start, stop = parts.sections[section]
    filled = [i for i in range(start, stop) if source.lines[i].strip()]
    for i in filled:
        if len(source.lines[i].split()) != axes + 1:
            raise source.error(f"expected a city and {axes} coordinates, got {source.quote(i)}", i)
    if len(filled) != size:
        raise source.error(
            f"{section} with DIMENSION {size} needs {size} lines, got {len(filled)}"
            f"{' (truncated?)' if len(filled) < size else ''}",
            parts.line[section],
        )
    table = np.asarray(source.numbers(start, stop), dtype=np.float64).reshape(size, axes + 1)
    order = np.argsort(table[:, 0], kind="stable")
    cities = table[order, 0]
    if (np.diff(cities) == 0).any():
        raise source.error(
            f"city {cities[:-1][np.diff(cities) == 0][0]:g} is listed twice", parts.line[section]
        )
    return table[order, 1:]


TSPLIB = Format(
    "TSPLIB", "lines 'KEYWORD : value' such as DIMENSION and EDGE_WEIGHT_TYPE", _recognise, _parse
)
