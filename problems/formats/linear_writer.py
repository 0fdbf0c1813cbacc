"""Writing mixed-integer programs: MPS in free form, and LP."""

from __future__ import annotations

import gzip
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from optengine.core.errors import ProblemError
from optengine.problems.milp import MILP

SUFFIXES = {".mps": "MPS", ".lp": "LP"}
IN_MPS = re.compile(r"(?!'?MARKER'?$)[^\s*$]\S*")  # names that are read back as they are
IN_LP = re.compile(
    r"(?i)(?!(?:e\d.*|inf|infinity|free|end|st|bin|int|gen)$)[A-Za-z_!#$%&][A-Za-z0-9_.!#$%&\[\]]*"
)
WIDTH = 8  # terms on a line of LP


def save_milp(problem: MILP, path: str | PathLike[str]) -> None:
    """Write a model: MPS or LP by the suffix `.mps` or `.lp`, compressed with `.gz` behind it.

    Numbers are written so that they are read back bit for bit (MPS keeps a row's second bound as a difference, to
    rounding). Where a name would not be read back as it is, all
    columns (or rows) are called x0, x1, ... (c0, c1, ...).

    Raises:
        ProblemError: another suffix, or a file that cannot be written.
    """
    place = Path(path)
    suffix = (place.with_suffix("") if place.suffix == ".gz" else place).suffix.lower()
    if suffix not in SUFFIXES:
        raise ProblemError(f"path must end in .mps or .lp, perhaps with .gz, got {place.name!r}")
    text = "\n".join((mps_lines if suffix == ".mps" else lp_lines)(problem)) + "\n"
    content = text.encode()
    try:
        place.write_bytes(gzip.compress(content, mtime=0) if place.suffix == ".gz" else content)
    except OSError as error:
        raise ProblemError(f"{place}: cannot be written ({error.strerror})") from error


def _names(given: Sequence[str] | None, n: int, letter: str, plain: re.Pattern[str]) -> list[str]:
    if given is not None and all(plain.fullmatch(name) for name in given):
        return list(given)
    return [f"{letter}{i}" for i in range(n)]


def _objective_name(rows: Iterable[str]) -> str:
    taken, name = set(rows), "OBJ"
    while name in taken:
        name += "_"
    return name


def mps_lines(problem: MILP) -> Iterator[str]:
    """The lines of a model in free MPS."""
    columns = _names(problem.names, problem.n_variables, "x", IN_MPS)
    rows = _names(problem.row_names, problem.n_rows, "c", IN_MPS)
    objective = _objective_name(rows)
    yield "NAME " + re.sub(r"\s+", "_", problem.name)
    if problem.objectives[0].direction == "maximize":
        yield from ("OBJSENSE", "    MAX")
    yield from ("ROWS", f" N {objective}")
    lower, upper = problem.lower, problem.upper
    free = np.isinf(lower) & np.isinf(upper)
    senses = np.where(lower == upper, "E", np.where(np.isfinite(upper), "L", "G"))
    # a row without bounds is G with -inf on its right: other N rows are dropped by readers
    yield from (f" {sense} {name}" for sense, name in zip(senses.tolist(), rows, strict=True))
    yield "COLUMNS"
    yield from _mps_columns(problem, columns, rows, objective)
    yield "RHS"
    if problem.constant:
        yield f"    RHS {objective} {-problem.constant!r}"
    sides = np.where(senses == "G", lower, upper)
    for name, side, endless in zip(rows, sides.tolist(), free.tolist(), strict=True):
        if side or endless:
            yield f"    RHS {name} {'-1e30' if endless else repr(side)}"
    ranged = np.flatnonzero(np.isfinite(lower) & np.isfinite(upper) & (lower < upper))
    if len(ranged):
        yield "RANGES"
        yield from (f"    RNG {rows[i]} {float(upper[i] - lower[i])!r}" for i in ranged.tolist())
    yield "BOUNDS"
    yield from _mps_bounds(problem, columns)
    yield "ENDATA"


def _mps_columns(problem: MILP, columns: list[str], rows: list[str], objective: str) -> Iterator[str]:
    A, whole = problem.A.tocsc(), problem.integrality.tolist()
    starts, indices, data, costs = A.indptr.tolist(), A.indices.tolist(), A.data.tolist(), problem.c.tolist()
    inside, marks = False, 0
    for j, name in enumerate(columns):
        if whole[j] != inside:
            inside = whole[j]
            yield f"    MARK{marks} 'MARKER' '{'INTORG' if inside else 'INTEND'}'"
            marks += 1
        if costs[j] or starts[j] == starts[j + 1]:
            yield f"    {name} {objective} {costs[j]!r}"
        for k in range(starts[j], starts[j + 1]):
            yield f"    {name} {rows[indices[k]]} {data[k]!r}"
    if inside:
        yield f"    MARK{marks} 'MARKER' 'INTEND'"


def _mps_bounds(problem: MILP, columns: list[str]) -> Iterator[str]:
    for name, low, high, whole in zip(
        columns, problem.lb.tolist(), problem.ub.tolist(), problem.integrality.tolist(), strict=True
    ):
        if low == high:
            yield f" FX BND {name} {low!r}"
        elif low == -math.inf and high == math.inf:
            yield f" FR BND {name}"
        else:
            if low == -math.inf:
                yield f" MI BND {name}"
            elif low or high < 0 or (whole and high == math.inf):
                yield f" LO BND {name} {low!r}"
            if high < math.inf:
                yield f" UP BND {name} {high!r}"
            elif whole:
                yield f" PL BND {name}"


def lp_lines(problem: MILP) -> Iterator[str]:
    """The lines of a model in LP."""
    columns = _names(problem.names, problem.n_variables, "x", IN_LP)
    rows = _names(problem.row_names, problem.n_rows, "c", IN_LP)
    yield "\\ " + re.sub(r"\s+", " ", problem.name)
    yield "Maximize" if problem.objectives[0].direction == "maximize" else "Minimize"
    costs = problem.c.tolist()
    used = [j for j in range(len(costs)) if costs[j]]
    terms = [_term(costs[j], columns[j]) for j in used] or [_term(0.0, columns[0])]
    constant = [_sign(problem.constant)] if problem.constant else []
    yield from _folded(" obj:", terms + constant)
    yield "Subject To"
    A = problem.A
    starts, indices, data = A.indptr.tolist(), A.indices.tolist(), A.data.tolist()
    for i, (name, low, high) in enumerate(
        zip(rows, problem.lower.tolist(), problem.upper.tolist(), strict=True)
    ):
        row = [_term(data[k], columns[indices[k]]) for k in range(starts[i], starts[i + 1])]
        row = row or [_term(0.0, columns[0])]
        if low == high:
            yield from _folded(f" {name}:", [*row, f"= {low!r}"])
        elif math.isfinite(low) and math.isfinite(high):
            yield from _folded(f" {name}: {low!r} <=", [*row, f"<= {high!r}"])
        elif math.isfinite(low):
            yield from _folded(f" {name}:", [*row, f">= {low!r}"])
        else:
            yield from _folded(f" {name}:", [*row, f"<= {'inf' if math.isinf(high) else repr(high)}"])
    yield "Bounds"
    yield from _lp_bounds(problem, columns)
    whole = [columns[j] for j in np.flatnonzero(problem.integrality).tolist()]
    if whole:
        yield "Generals"
        yield from _folded("", whole)
    yield "End"


def _lp_bounds(problem: MILP, columns: list[str]) -> Iterator[str]:
    """One line a column with other bounds than [0, inf), and for those that stand nowhere else."""
    absent = set(
        np.flatnonzero((problem.A.sum(axis=0) == 0) | (np.diff(problem.A.tocsc().indptr) == 0)).tolist()
    )
    for j, (name, low, high) in enumerate(
        zip(columns, problem.lb.tolist(), problem.ub.tolist(), strict=True)
    ):
        if low == -math.inf and high == math.inf:
            yield f" {name} free"
        elif low == high:
            yield f" {name} = {low!r}"
        elif low or high < math.inf or j in absent:
            left = "-inf" if low == -math.inf else repr(low)
            yield f" {left} <= {name} <= {'inf' if high == math.inf else repr(high)}"


def _sign(value: float) -> str:
    return f"- {-value!r}" if value < 0 else f"+ {value!r}"


def _term(value: float, name: str) -> str:
    return f"{_sign(value)} {name}"


def _folded(head: str, terms: list[str]) -> Iterator[str]:
    for first in range(0, len(terms), WIDTH):
        yield f"{head} {' '.join(terms[first : first + WIDTH])}"
        head = "   "
