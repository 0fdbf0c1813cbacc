"""QAPLIB: quadratic assignment instances (`.dat`, and `.qap` with known values).

The file holds n and two n x n matrices A and B, in any layout of blanks and lines. A solution file of the collection
gives the permutation p that minimises the sum over i, j of A[i, j] * B[p(i), p(j)].

Which matrix is the flow is not fixed: the same instance comes with distances first in one mirror and flows first in
another (and `sko*` and `nug*` of one mirror differ). The reader therefore goes by the formula alone: A is the flow
between facilities, B the distance between locations, x[i] = p(i) the location of facility i. If a file has them the
other way round, the optimal value is the same and the solution is the inverse permutation.

Some collections extend the first line to `n optimum best`: a negative optimum is a lower bound (a proved one).

Reference: Burkard, Karisch, Rendl, QAPLIB: a quadratic assignment problem library, Journal of Global Optimization 10
(1997), doi:10.1023/A:1008293323270.
"""

from __future__ import annotations

from optengine.core.problem import Problem
from optengine.problems.believe import set_best_known
from optengine.problems.formats.base import FITS, NO, RESEMBLES, Format
from optengine.problems.formats.source import Source, is_integer, is_number
from optengine.problems.qap import QAP

HEADERS = (1, 3)  # numbers on the first line: n, or n optimum best


def _header(source: Source) -> list[str] | None:
    """The words of the first line if it can begin a QAPLIB file, else None."""
    words = source.lines[source.first_line].split()
    plausible = (
        len(words) in HEADERS and all(map(is_number, words)) and is_integer(words[0]) and int(words[0]) >= 1
    )
    return words if plausible else None


def _recognise(source: Source) -> float:
    header = _header(source)
    if header is None:
        return NO
    size = int(header[0])
    fits = len(source.text.split()) == len(header) + 2 * size * size
    return FITS if fits else RESEMBLES if len(header) == 1 else NO


def _parse(source: Source) -> list[Problem]:
    header = _header(source)
    assert header is not None  # recognised before
    size = int(header[0])
    numbers = source.numbers(source.first_line + 1)
    if len(numbers) != 2 * size * size:
        raise source.error(
            f"read as QAPLIB, n = {size} needs two {size} x {size} matrices, {2 * size * size} numbers after the first "
            f"line, got {len(numbers)}{' (truncated?)' if len(numbers) < 2 * size * size else ''}"
        )
    flow, distance = numbers.reshape(2, size, size)
    problem = QAP(flow, distance, name=source.name)
    if len(header) == 3:
        optimum, best = float(header[1]), float(header[2])
        proved = optimum >= 0
        claim = "proved optimal" if proved else "best known, not proved"
        set_best_known(problem, optimum if proved else best, f"{claim}: stated in {source.file}")
    return [problem]


QAPLIB = Format("QAPLIB", "n on the first line, then two n x n matrices", _recognise, _parse)
