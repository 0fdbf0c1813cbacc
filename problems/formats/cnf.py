"""DIMACS clauses: `p cnf bits clauses`, `p wcnf bits clauses [top]` (clauses of weight top are hard), comments `c ...`.

The wcnf of the evaluations since 2022 has no header: a line is a weight, or `h` for hard, and literals up to 0.
"""

from __future__ import annotations

import re

import numpy as np

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.formats.base import CERTAIN, FITS, NO, Format
from optengine.problems.formats.source import Source, is_integer, is_number
from optengine.problems.max_sat import MaxSAT

HEADER = re.compile(r"^\s*p\s+(w?cnf)\s+(\d+)\s+(\d+)(?:\s+(\d+))?\s*$", re.M)


def _recognise(source: Source) -> float:
    if re.search(r"^\s*p\s+w?cnf\b", source.text, re.M):
        return CERTAIN
    lines = [line.split() for line in source.lines if line.strip() and not line.lstrip().startswith("c")]
    plain = lines and all(
        len(w) > 2 and w[-1] == "0" and (w[0] == "h" or is_number(w[0])) and all(map(is_integer, w[1:]))
        for w in lines
    )
    return FITS if plain and any(w[0] == "h" for w in lines) else NO


def _parse(source: Source) -> list[Problem]:
    header = HEADER.search(source.text)
    if header is None and re.search(r"^\s*p\s", source.text, re.M):
        raise source.error("expected 'p cnf bits clauses' or 'p wcnf bits clauses top'")
    weighted = header is None or header[1] == "wcnf"
    top = float(header[4]) if header is not None and header[4] else np.inf
    words: list[str] = []
    for line in source.lines:
        if line.strip() and line.lstrip()[0] not in "cp%":
            words += line.split()
    clauses, weights, at = [], [], 0
    while at < len(words):
        weight = 1.0
        if weighted:
            if words[at] != "h" and not is_number(words[at]):
                raise source.error(f"expected the weight of a clause, got {words[at]!r}")
            weight = np.inf if words[at] == "h" else float(words[at])
            at += 1
        clause = []
        while at < len(words) and words[at] != "0":
            if not is_integer(words[at]):
                raise source.error(f"expected a literal, got {words[at]!r}")
            clause.append(int(words[at]))
            at += 1
        if at >= len(words):
            raise source.error("the last clause does not end with 0 (truncated?)")
        at += 1
        clauses.append(clause)
        weights.append(np.inf if weight >= top else weight)
    if header is not None and len(clauses) != int(header[3]):
        raise source.error(f"the header announces {header[3]} clauses, got {len(clauses)}")
    try:
        n_bits = None if header is None else int(header[2])
        return [MaxSAT(clauses, weights, n_bits, name=source.name)]
    except ProblemError as error:
        raise source.error(str(error)) from None


CNF = Format(
    "DIMACS cnf", "'p cnf bits clauses' or 'p wcnf bits clauses top', then clauses", _recognise, _parse
)
