"""rudy: weighted graphs of the maximum cut problem (Gset; Rinaldi's generator, 1996).

A line `nodes edges`, then a line `i j weight` (from 1; without a weight: 1) for every edge.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from optengine.core.problem import Problem
from optengine.problems.formats.base import FITS, NO, RESEMBLES, Format
from optengine.problems.formats.source import Source, is_integer, is_number
from optengine.problems.maxcut import MaxCut


def _filled(source: Source) -> list[int]:
    return [i for i, line in enumerate(source.lines) if line.strip()]


def _recognise(source: Source) -> float:
    filled = _filled(source)
    head = source.lines[filled[0]].split()
    if len(head) != 2 or not all(map(is_integer, head)) or len(filled) < 2 or int(head[1]) < 1:
        return NO
    n = int(head[0])
    for i in filled[1:]:
        words = source.lines[i].split()
        ends = words[:2]
        if len(words) not in (2, 3) or not all(map(is_number, words)) or not all(map(is_integer, ends)):
            return NO
        if not all(1 <= int(end) <= n for end in ends):
            return NO
    return FITS if len(filled) == int(head[1]) + 1 else RESEMBLES


def _parse(source: Source) -> list[Problem]:
    filled = _filled(source)
    n, m = map(int, source.lines[filled[0]].split())
    if len(filled) != m + 1:
        raise source.error(
            f"read as rudy, the header announces {m} edges, got {len(filled) - 1}"
            f"{' (truncated?)' if len(filled) <= m else ''}",
            filled[0],
        )
    rows = [source.lines[i].split() for i in filled[1:]]
    table = np.array([[float(word) for word in (*row, "1")[:3]] for row in rows])
    i, j = table[:, 0].astype(np.int64) - 1, table[:, 1].astype(np.int64) - 1
    loops = np.flatnonzero(i == j)
    if len(loops):
        line = filled[1 + int(loops[0])]
        raise source.error(f"an edge must join two nodes, got {source.quote(line)}", line)
    W = sp.csr_array(sp.coo_array((table[:, 2], (i, j)), shape=(n, n)))
    return [MaxCut(W + W.T, name=source.name)]


RUDY = Format("rudy", "'nodes edges', then lines 'i j weight'", _recognise, _parse)
