"""DIMACS graphs: `p edge nodes edges` (or `p col`), then lines `e i j`, from 1; comments `c ...`.

Some mirrors write the header without its first two words. A file tells a graph and not what is asked of it: the largest
clique, unless its suffix is `.gph` or `.mis` (QOBLIB, whose graphs are those of the largest independent set).
"""

from __future__ import annotations

import numpy as np

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.formats.base import CERTAIN, NO, Format
from optengine.problems.formats.source import Source, is_integer
from optengine.problems.independent_set import Clique, IndependentSet

INDEPENDENT = (".gph", ".mis")
KINDS = ("edge", "edges", "col")


def _filled(source: Source) -> list[int]:
    return [i for i, line in enumerate(source.lines) if line.strip() and not line.lstrip().startswith("c")]


def _header(source: Source, filled: list[int]) -> tuple[int, int] | None:
    words = source.lines[filled[0]].split() if filled else []
    if len(words) == 4 and words[0] == "p" and words[1] in KINDS:
        words = words[2:]
    if len(words) != 2 or not all(map(is_integer, words)):
        return None
    return int(words[0]), int(words[1])


def _recognise(source: Source) -> float:
    filled = _filled(source)
    edges = len(filled) > 1 and source.lines[filled[1]].split()[0] == "e"
    plain = bool(filled) and source.lines[filled[0]].split()[0] == "p"
    return CERTAIN if _header(source, filled) is not None and (edges or plain) else NO


def _parse(source: Source) -> list[Problem]:
    filled = _filled(source)
    header = _header(source, filled)
    assert header is not None  # recognised before
    edges = []
    for i in filled[1:]:
        words = source.lines[i].split()
        if words[0] in ("n", "d", "v", "x"):  # weights and parameters of generators
            continue
        if words[0] != "e" or len(words) != 3 or not all(map(is_integer, words[1:])):
            raise source.error(f"expected 'e i j', got {source.quote(i)}", i)
        edges.append((int(words[1]) - 1, int(words[2]) - 1))
    n, m = header
    if len(edges) not in (m, 2 * m):
        raise source.error(
            f"the header announces {m} edges, got {len(edges)}{' (truncated?)' if len(edges) < m else ''}",
            filled[0],
        )
    name = source.path.name.removesuffix(".gz")
    kind = IndependentSet if name.endswith(INDEPENDENT) else Clique
    try:
        return [kind(np.array(edges, dtype=np.int64).reshape(-1, 2), n, name=source.name)]
    except ProblemError as error:
        raise source.error(str(error)) from None


DIMACS = Format("DIMACS graph", "'p edge nodes edges', then lines 'e i j'", _recognise, _parse)
