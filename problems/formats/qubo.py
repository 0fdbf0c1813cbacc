"""QUBO files: qbsolv's `.qubo` (`p qubo target nodes diagonals couplers`) and the OR-Library's bqp files.

qbsolv: comments `c ...`, then lines `i j value` from 0: the diagonal entries, and couplers that stand once for both
sides, f = sum of value * x[i] * x[j]. Minimised, unless a comment says that the instance is Beasley's: those files keep
his maximised coefficients.

OR-Library (Beasley, 1998): the number of problems; for each a line `n entries` and lines `i j value` from 1, every
off-diagonal entry standing for two, f = x' Q x, maximised.
"""

from __future__ import annotations

import re

import numpy as np
import scipy.sparse as sp

from optengine.core.problem import Problem
from optengine.problems.arrays import Numbers
from optengine.problems.formats.base import CERTAIN, FITS, NO, Format
from optengine.problems.formats.source import Source, is_integer, is_number
from optengine.problems.qubo import QUBO

HEADER = re.compile(r"^\s*p\s+qubo\s+(\S+)\s+(\d+)\s+(\d+)\s+(\d+)\s*$", re.M)
MAXIMISED = re.compile(r"^\s*c.*(beasley|bqp|maximi[sz])", re.M | re.I)


def _recognise(source: Source) -> float:
    return CERTAIN if re.search(r"^\s*p\s+qubo\b", source.text, re.M) else NO


def _parse(source: Source) -> list[Problem]:
    lines = [i for i, line in enumerate(source.lines) if line.strip() and not line.lstrip().startswith("c")]
    header = HEADER.match(source.lines[lines[0]])
    if header is None:
        raise source.error(
            f"expected 'p qubo target nodes diagonals couplers', got {source.quote(lines[0])}", lines[0]
        )
    n, n_diagonal, n_couplers = (int(word) for word in header.groups()[1:])
    entries = _entries(source, lines[1:], n, 0)
    if len(entries) != n_diagonal + n_couplers:
        raise source.error(
            f"the header announces {n_diagonal} + {n_couplers} entries, got {len(entries)}"
            f"{' (truncated?)' if len(entries) < n_diagonal + n_couplers else ''}",
            lines[0],
        )
    way = "maximize" if MAXIMISED.search(source.text) else "minimize"
    return [QUBO(_matrix(entries, n), direction=way, name=source.name)]


def _entries(source: Source, lines: list[int], n: int, first: int) -> Numbers:
    """Lines `i j value`, (k, 3), indices from 0."""
    for i in lines:
        words = source.lines[i].split()
        if len(words) != 3 or not (is_integer(words[0]) and is_integer(words[1]) and is_number(words[2])):
            raise source.error(f"expected 'i j value', got {source.quote(i)}", i)
        if not all(first <= int(word) < n + first for word in words[:2]):
            raise source.error(f"indices must be in {first}..{n + first - 1}, got {source.quote(i)}", i)
    table = np.array([[float(word) for word in source.lines[i].split()] for i in lines]).reshape(-1, 3)
    table[:, :2] -= first
    return table


def _matrix(entries: Numbers, n: int) -> sp.csr_array:
    i, j = entries[:, 0].astype(np.int64), entries[:, 1].astype(np.int64)
    return sp.csr_array(sp.coo_array((entries[:, 2], (i, j)), shape=(n, n)))


def _counts(source: Source) -> list[list[int]] | None:
    """The lines of each problem of an OR-Library file, the one with `n entries` first; None if it is no such file."""
    filled = [i for i, line in enumerate(source.lines) if line.strip()]
    words = source.lines[filled[0]].split()
    if len(words) != 1 or not is_integer(words[0]):
        return None
    parts, at = [], 1
    for _ in range(int(words[0])):
        head = source.lines[filled[at]].split() if at < len(filled) else []
        if len(head) != 2 or not all(map(is_integer, head)) or at + int(head[1]) >= len(filled):
            return None
        parts.append(filled[at : at + 1 + int(head[1])])
        at += 1 + int(head[1])
    return parts if at == len(filled) and parts else None


def _recognise_library(source: Source) -> float:
    parts = _counts(source)
    three = parts is not None and all(len(source.lines[i].split()) == 3 for part in parts for i in part[1:4])
    return FITS if three else NO


def _parse_library(source: Source) -> list[Problem]:
    parts = _counts(source)
    assert parts is not None  # recognised before
    problems: list[Problem] = []
    for number, (head, *lines) in enumerate(parts, start=1):
        n = int(source.lines[head].split()[0])
        matrix = _matrix(_entries(source, lines, n, 1), n)
        both = matrix + sp.triu(matrix, 1) + sp.tril(matrix, -1)
        problems.append(QUBO(both, direction="maximize", name=f"{source.name}-{number}"))
    return problems


QBSOLV = Format(
    "qbsolv", "comments 'c ...', then 'p qubo target nodes diagonals couplers'", _recognise, _parse
)
BQP = Format(
    "bqp",
    "the number of problems, then for each 'n entries' and lines 'i j value'",
    _recognise_library,
    _parse_library,
)
