"""MPS: linear programs with integers, by columns (`.mps`), in fixed and in free form.

Sections NAME, OBJSENSE, OBJNAME, ROWS, COLUMNS (with INTORG and INTEND markers), RHS, RANGES, BOUNDS, ENDATA. Read as
free form, words between blanks; where the words do not fit, names hold blanks and the file is read by the positions of
fixed form. Conventions where readers differ: the first N row is the objective, other N rows are dropped; the first set
of RHS, RANGES and BOUNDS counts; a number beside the objective in RHS is minus its constant; whole columns of a marker
without any bound are binary; an upper bound below 0 on a column without a lower bound makes that -inf. Refused are
semi-continuous columns and the sections of other problems (quadratic terms, special ordered sets, indicators).

Reference: the format of IBM's MPSX, as in MIPLIB: Gleixner et al., MIPLIB 2017, Mathematical Programming Computation 13
(2021), doi:10.1007/s12532-020-00194-3.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.problem import Problem
from optengine.problems.formats.base import CERTAIN, NO, Format
from optengine.problems.formats.draft import Draft
from optengine.problems.formats.source import Source
from optengine.problems.milp import SEMI

SIGNATURE = re.compile(r"^ROWS\s*$(?s:.*)^COLUMNS\s*$", re.M)
SECTIONS = ("NAME", "OBJSENSE", "OBJNAME", "ROWS", "COLUMNS", "RHS", "RANGES", "BOUNDS", "ENDATA")
FIELDS = ((1, 3), (4, 12), (14, 22), (24, 36), (39, 47), (49, 61))  # positions of fixed form
MAXIMISE = ("MAX", "MAXIMIZE", "MAXIMISE", "MAXIMUM")
MINIMISE = ("MIN", "MINIMIZE", "MINIMISE", "MINIMUM")
VALUELESS = ("FR", "MI", "PL", "BV")  # bounds that need no number
MOST_NEAR = 10_000  # names among which the nearest one is looked for
BOUND_TYPES = ("LO", "UP", "FX", "LI", "UI", *VALUELESS)


class _Unfit(ProblemError):
    """Words that do not fit: in free form a sign that names hold blanks."""


class _Reader:
    """One pass over the lines of a file.

    Args:
        source: the file. split: gives the words of a line.
    """

    def __init__(self, source: Source, split: Callable[[str], list[str]]) -> None:
        self._source, self._split = source, split
        self._draft = Draft(source)
        self._types: dict[str, str] = {}
        self._objective: str | None = None
        self._wanted: str | None = None  # by OBJNAME
        self._name = ""
        self._sets: dict[str, str] = {}  # section -> the first set of it, which counts
        self._marked = False
        self._column = ("", -1)
        self._bounded: set[int] = set()  # columns with any bound
        self._low_set: set[int] = set()
        self._by_marker: list[int] = []

    def read(self) -> Problem:
        """The problem of the file.

        Raises:
            ProblemError: the file is damaged.
        """
        ended = False
        for section, start, stop in self._sections():
            ended |= section == "ENDATA"
            getattr(self, f"_read_{section.lower()}", lambda *_: None)(start, stop)
        if not ended:
            raise self._source.error("has no ENDATA (truncated?)")
        draft = self._draft
        for j in self._by_marker:
            if j not in self._bounded:
                draft.high[j] = 1.0
        return draft.milp(self._name)

    def _sections(self) -> Iterator[tuple[str, int, int]]:
        """Each section's name and the indices of its lines, its header included."""
        lines = self._source.lines
        heads = [i for i, line in enumerate(lines) if line and line[0] not in " \t*\r\f"]
        for i, stop in zip(heads, [*heads[1:], len(lines)], strict=True):
            word = lines[i].split()[0].upper()
            if word not in SECTIONS:
                near = did_you_mean(word, SECTIONS)
                raise self._source.error(
                    f"a section must be one of {', '.join(SECTIONS)}, got {lines[i].split()[0]!r}{near}", i
                )
            yield word, i, stop
            if word == "ENDATA":
                return

    def _data(self, start: int, stop: int) -> Iterator[tuple[int, list[str]]]:
        """Words of the data lines of a section, with the index of the line."""
        lines, split = self._source.lines, self._split
        for i in range(start + 1, stop):
            line = lines[i]
            if line and line[0] != "*":
                words = split(line)
                if words:
                    yield i, words

    # -- sections ------------------------------------------------------------------------------------------------

    def _read_name(self, start: int, _: int) -> None:
        words = self._source.lines[start].split()
        self._name = words[1] if len(words) > 1 else ""

    def _said(self, start: int, stop: int) -> tuple[int, str]:
        """The one word of a section, beside its header or below it."""
        words = self._source.lines[start].split()[1:]
        if words:
            return start, words[0]
        for i in range(start + 1, stop):
            if self._source.lines[i].strip() and self._source.lines[i][0] != "*":
                return i, self._source.lines[i].split()[0]
        return start, ""

    def _read_objsense(self, start: int, stop: int) -> None:
        line, word = self._said(start, stop)
        if word.upper() not in (*MAXIMISE, *MINIMISE):
            raise self._source.error(f"OBJSENSE must be MIN or MAX, got {word!r}", line)
        self._draft.sense = "max" if word.upper() in MAXIMISE else "min"

    def _read_objname(self, start: int, stop: int) -> None:
        self._wanted = self._said(start, stop)[1]

    def _read_rows(self, start: int, stop: int) -> None:
        bounds = {"L": (-math.inf, 0.0), "G": (0.0, math.inf), "E": (0.0, 0.0)}
        for i, words in self._data(start, stop):
            if len(words) != 2:
                raise self._unfit(i, "a sense and a row")
            sense, name = words[0].upper(), words[1]
            if sense not in ("N", *bounds):
                raise self._source.error(f"sense of row {name!r} must be N, L, G or E, got {words[0]!r}", i)
            if name in self._types:
                raise self._source.error(f"names of rows must be distinct, got {name!r} twice", i)
            self._types[name] = sense
            if sense != "N":
                self._draft.row(name, *bounds[sense], i)
            elif self._objective is None and self._wanted in (None, name):
                self._objective = name

    def _read_columns(self, start: int, stop: int) -> None:
        draft, rows, objective = self._draft, self._draft.rows, self._objective
        add_row, add_column, add_value = (
            draft.entry_rows.append,
            draft.entry_columns.append,
            draft.entry_values.append,
        )
        for i, words in self._data(start, stop):
            count = len(words)
            if count > 2 and words[1] in ("'MARKER'", "MARKER"):
                self._mark(words, i)
                continue
            if count not in (3, 5):
                raise self._unfit(i, "a column and one or two pairs of row and number")
            name = words[0]
            j = self._column[1] if name == self._column[0] else self._new_column(name, i)
            for k in range(1, count, 2):
                row = words[k]
                try:
                    value = float(words[k + 1])
                except ValueError:
                    value = math.inf
                if not -1e20 < value < 1e20:
                    value = draft.number(words[k + 1], f"coefficient of {name!r} in row {row!r}", i)
                index = rows.get(row)
                if index is not None:
                    add_row(index)
                    add_column(j)
                    add_value(value)
                elif row == objective:
                    draft.costs[j] += value
                elif row not in self._types:
                    raise self._unknown("row", row, self._types, i)

    def _mark(self, words: list[str], line: int) -> None:
        kind = words[-1].strip("'").upper()
        if kind not in ("INTORG", "INTEND"):
            raise self._source.error(f"MARKER must be INTORG or INTEND, got {words[-1]!r}", line)
        self._marked = kind == "INTORG"

    def _new_column(self, name: str, line: int) -> int:
        if name in self._draft.columns:
            raise self._source.error(f"names of columns must be distinct, got {name!r} twice", line)
        j = self._draft.column(name)
        self._column = (name, j)
        if self._marked:
            self._draft.whole[j] = True
            self._by_marker.append(j)
        return j

    def _pairs(self, section: str, start: int, stop: int) -> Iterator[tuple[int, str, float]]:
        """Rows and numbers of the first set of RHS or RANGES."""
        for i, words in self._data(start, stop):
            if len(words) not in (2, 3, 4, 5):
                raise self._unfit(i, "a set and one or two pairs of row and number")
            named = len(words) % 2 == 1
            if named and words[0] != self._sets.setdefault(section, words[0]):
                continue
            for k in range(named, len(words), 2):
                row = words[k]
                if row not in self._types:
                    raise self._unknown("row", row, self._types, i)
                yield i, row, self._draft.number(words[k + 1], f"{section} of row {row!r}", i, infinite=True)

    def _read_rhs(self, start: int, stop: int) -> None:
        draft = self._draft
        for i, row, value in self._pairs("RHS", start, stop):
            if row == self._objective:
                if math.isinf(value):
                    raise self._source.error("RHS of the objective must be finite", i)
                draft.constant = -value
            elif row in draft.rows:
                index, sense = draft.rows[row], self._types[row]
                if sense in "LE":
                    draft.upper[index] = value
                if sense in "GE":
                    draft.lower[index] = value

    def _read_ranges(self, start: int, stop: int) -> None:
        draft = self._draft
        for _, row, value in self._pairs("RANGES", start, stop):
            if row not in draft.rows:
                continue
            index, sense = draft.rows[row], self._types[row]
            if sense == "L" or (sense == "E" and value < 0):
                draft.lower[index] = draft.upper[index] - abs(value)
            else:
                draft.upper[index] = draft.lower[index] + abs(value)

    def _read_bounds(self, start: int, stop: int) -> None:
        for i, words in self._data(start, stop):
            kind, column, value = self._bound_words(words, i)
            if not column:  # of another set
                continue
            j = self._draft.columns[column]
            self._bounded.add(j)
            if kind in ("FX", "LO", "LI", "UP", "UI"):
                number = self._draft.number(value, f"bound {kind} of column {column!r}", i, infinite=True)
                self._set_bound(kind, j, number)
            elif kind in ("MI", "FR"):
                self._draft.low[j] = -math.inf
                self._low_set.add(j)
            if kind in ("FR", "PL"):
                self._draft.high[j] = math.inf
            if kind == "BV":
                self._draft.low[j], self._draft.high[j] = 0.0, 1.0
            if kind in ("BV", "LI", "UI"):
                self._draft.whole[j] = True

    def _set_bound(self, kind: str, j: int, number: float) -> None:
        draft = self._draft
        if kind in ("FX", "LO", "LI"):
            draft.low[j] = number
            self._low_set.add(j)
        if kind in ("FX", "UP", "UI"):
            draft.high[j] = number
            if kind != "FX" and number < 0 and j not in self._low_set:
                draft.low[j] = -math.inf

    def _bound_words(self, words: list[str], line: int) -> tuple[str, str, str]:
        """Type, column and number of a line of BOUNDS, whose set may be missing; "" where there is no number."""
        kind = words[0].upper()
        if kind in ("SC", "SI"):
            raise self._source.error(SEMI, line)
        if kind not in BOUND_TYPES:
            raise self._source.error(
                f"a bound must be one of {', '.join(BOUND_TYPES)}, got {words[0]!r}", line
            )
        needed = 1 if kind in VALUELESS else 2
        rest, columns = words[1:], self._draft.columns
        if len(rest) > needed and (rest[1] in columns or rest[0] not in columns):
            if rest[0] != self._sets.setdefault("BOUNDS", rest[0]):
                return kind, "", ""
            rest = rest[1:]
        if len(rest) < needed or len(rest) > 2:
            raise self._unfit(
                line, f"a bound {kind} with a set, a column{' and a number' if needed == 2 else ''}"
            )
        if rest[0] not in columns:
            raise self._unknown("column", rest[0], columns, line)
        return kind, rest[0], rest[1] if len(rest) > 1 else ""

    # -- trouble -------------------------------------------------------------------------------------------------

    def _unfit(self, line: int, expected: str) -> _Unfit:
        return _Unfit(str(self._source.error(f"expected {expected}, got {self._source.quote(line)}", line)))

    def _unknown(self, kind: str, name: str, known: Collection[str], line: int) -> _Unfit:
        near = did_you_mean(name, known) if len(known) <= MOST_NEAR else ""
        return _Unfit(str(self._source.error(f"there is no {kind} {name!r}{near}", line)))


def _at_positions(line: str) -> list[str]:
    """The fields of a line in fixed form, the first one left out where it is empty."""
    fields = [line[start:stop].strip() for start, stop in FIELDS]
    while fields and not fields[-1]:
        fields.pop()
    return fields[1:] if fields and not fields[0] else fields


def _recognise(source: Source) -> float:
    return CERTAIN if SIGNATURE.search(source.text) else NO


def _parse(source: Source) -> list[Problem]:
    try:
        return [_Reader(source, str.split).read()]
    except _Unfit as unfit:
        try:
            return [_Reader(source, _at_positions).read()]
        except ProblemError:
            raise ProblemError(str(unfit)) from None


MPS = Format("MPS", "sections NAME, ROWS, COLUMNS", _recognise, _parse)
