"""Readers of instance files.

`read(path)` gives the problem that a file holds, `read_all(path)` all problems of a file that holds several. The format
is recognised by content, never by the extension; files may be compressed with gzip. If an `INDEX.tsv` beside or above
the file lists it, the problem's `best_known` and `best_known_source` are set, unless a random point is already better:
then the file is not the instance that the index means, and `best_known_source` says so. `read_solution` reads published
tours and assignments, `read_graph` and `read_knowledge` graphs and knowledge of Tetrad, `read_network` BIF networks,
`read_table` the numbers of a table.

A new format is one module with one `Format`, and one line in `FORMATS`.
"""

from __future__ import annotations

import operator
from os import PathLike
from pathlib import Path

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.believe import set_best_known
from optengine.problems.formats.base import NO, Format
from optengine.problems.formats.bif import BIF, read_network
from optengine.problems.formats.cnf import CNF
from optengine.problems.formats.dimacs import DIMACS
from optengine.problems.formats.index import best_known
from optengine.problems.formats.lp import LP
from optengine.problems.formats.matrices import JSPLIB, MARKET
from optengine.problems.formats.mps import MPS
from optengine.problems.formats.orlib import MKNAP, SCP
from optengine.problems.formats.qaplib import QAPLIB
from optengine.problems.formats.qubo import BQP, QBSOLV
from optengine.problems.formats.rudy import RUDY
from optengine.problems.formats.solution import Solution, read_solution
from optengine.problems.formats.source import Source
from optengine.problems.formats.table import TABLE, read_table
from optengine.problems.formats.tetrad import read_graph, read_knowledge
from optengine.problems.formats.tsplib import TSPLIB

__all__ = [
    "FORMATS",
    "Format",
    "Solution",
    "bundled",
    "read",
    "read_all",
    "read_graph",
    "read_knowledge",
    "read_network",
    "read_solution",
    "read_table",
]

# Of formats that are equally sure of a file, the first reads it.
FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        TSPLIB,
        MPS,
        LP,
        QAPLIB,
        QBSOLV,
        BQP,
        RUDY,
        DIMACS,
        CNF,
        JSPLIB,
        MARKET,
        MKNAP,
        SCP,
        BIF,
        TABLE,
    )
}

BUNDLED = Path(__file__).resolve().parent.parent / "data"


def read(path: str | PathLike[str], index: int | None = None) -> Problem:
    """Read the problem that a file holds.

    Args:
        path: a text file, plain or gzip-compressed.
        index: which problem, from 0 (negative: from the end), of a file that holds several.

    Raises:
        ProblemError: the file is missing, damaged, of no known format, or holds several problems and `index` is None.
    """
    problems = read_all(path)
    if index is None:
        if len(problems) > 1:
            raise ProblemError(
                f"{Path(path).name}: holds {len(problems)} problems; give index=0 to {len(problems) - 1} "
                "or use read_all"
            )
        return problems[0]
    try:
        return problems[operator.index(index)]
    except (TypeError, IndexError):
        raise ProblemError(f"index must be an integer in 0..{len(problems) - 1}, got {index!r}") from None


def read_all(path: str | PathLike[str]) -> list[Problem]:
    """Read all problems that a file holds, in their order; arguments and errors as for `read`."""
    source = Source.open(path)
    sureness = {name: format.recognise(source) for name, format in FORMATS.items()}
    surest = max(sureness, key=sureness.__getitem__)  # the first of equals
    if sureness[surest] <= NO:
        known = "; ".join(f"{format.name}: {format.description}" for format in FORMATS.values())
        raise source.error(
            f"no known format begins with {source.quote(source.first_line)} ({known})", source.first_line
        )
    problems = list(FORMATS[surest].parse(source))
    listed = best_known(source.path)
    if listed is not None:
        if len(listed.values) != len(problems):
            raise source.error(
                f"holds {len(problems)} problems, but its index lists {len(listed.values)} best-known values"
            )
        for problem, value in zip(problems, listed.values, strict=True):
            if value is not None:
                set_best_known(problem, value, listed.source)
    return problems


def bundled(name: str = "") -> Path:
    """Path of an instance that comes with optengine, or of their folder.

    Raises:
        ProblemError: there is none of that name.
    """
    path = BUNDLED / name
    if not path.exists():
        known = ", ".join(sorted(p.name for p in BUNDLED.iterdir()))
        raise ProblemError(f"no bundled instance is named {name!r}; there are: {known}")
    return path
