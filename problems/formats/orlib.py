"""OR-Library (Beasley, 1990): multi-dimensional knapsacks (mknap, mknapcb) and set covers (scp).

mknap: the number of problems; for each `n m best` (best 0: unknown), n profits, m times n weights, m capacities.
scp: `m n`, n costs, and for each row the number of its columns and these, from 1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.arrays import Numbers
from optengine.problems.believe import set_best_known
from optengine.problems.formats.base import FITS, NO, RESEMBLES, Format
from optengine.problems.formats.source import Source, is_integer
from optengine.problems.knapsack import Knapsack
from optengine.problems.set_cover import SetCover


@lru_cache(maxsize=4)
def _numbers(source: Source) -> Numbers | None:
    try:
        return source.numbers()
    except ProblemError:
        return None


def _knapsacks(numbers: Numbers) -> list[tuple[Numbers, Numbers, Numbers, float]] | None:
    """Profits, weights, capacities and best value of each problem; None where the counts are wrong."""
    found, at = [], 1
    for _ in range(int(numbers[0])):
        if at + 3 > len(numbers):
            return None
        n, m = int(numbers[at]), int(numbers[at + 1])
        end = at + 3 + n + m * n + m
        if n < 1 or m < 1 or end > len(numbers):
            return None
        profits, rest = numbers[at + 3 : at + 3 + n], numbers[at + 3 + n : end]
        found.append((profits, rest[: m * n].reshape(m, n), rest[m * n :], float(numbers[at + 2])))
        at = end
    return found if at == len(numbers) and found else None


def _alone(source: Source, words: int) -> bool:
    """Whether the first line is so many integers."""
    head = source.lines[source.first_line].split()
    return len(head) == words and all(map(is_integer, head)) and all(int(word) > 0 for word in head)


def _recognise_knapsack(source: Source) -> float:
    if not _alone(source, 1):
        return NO
    numbers = _numbers(source)
    return FITS if numbers is not None and _knapsacks(numbers) is not None else NO


def _parse_knapsack(source: Source) -> list[Problem]:
    found = _knapsacks(source.numbers())
    assert found is not None  # recognised before
    problems: list[Problem] = []
    for number, (profits, weights, capacities, best) in enumerate(found, start=1):
        name = source.name if len(found) == 1 else f"{source.name}-{number}"
        problem = Knapsack(profits, weights, capacities, name=name)
        if best > 0:
            set_best_known(problem, best, f"best known, not proved: stated in {source.file}")
        problems.append(problem)
    return problems


def _rows(numbers: Numbers) -> list[Numbers] | None:
    """The columns of each row, from 1; None where the counts are wrong."""
    m, n = int(numbers[0]), int(numbers[1])
    rows, at = [], 2 + n
    for _ in range(m):
        if at >= len(numbers):
            return None
        size = int(numbers[at])
        row = numbers[at + 1 : at + 1 + size]
        if size < 1 or len(row) < size or row.min() < 1 or row.max() > n:
            return None
        rows.append(row)
        at += 1 + size
    return rows if at == len(numbers) else None


def _recognise_cover(source: Source) -> float:
    if not _alone(source, 2):
        return NO
    numbers = _numbers(source)
    if numbers is None or numbers.dtype.kind != "i":
        return NO
    return FITS if _rows(numbers) is not None else RESEMBLES / 2


def _parse_cover(source: Source) -> list[Problem]:
    numbers = source.numbers()
    rows = _rows(numbers)
    if rows is None:
        raise source.error(
            f"read as a set cover of the OR-Library, {int(numbers[0])} rows of {int(numbers[1])} columns, the lists of "
            "columns do not come out (truncated?)"
        )
    costs = np.asarray(numbers[2 : 2 + int(numbers[1])], dtype=np.float64)
    try:
        return [SetCover.from_lists([row - 1 for row in rows], costs, name=source.name)]
    except ProblemError as error:
        raise source.error(str(error)) from None


MKNAP = Format(
    "mknap", "the number of problems, then for each 'n m best', profits, weights, capacities", _recognise_knapsack,
    _parse_knapsack,
)  # fmt: skip
SCP = Format("scp", "'rows columns', costs, then the columns of each row", _recognise_cover, _parse_cover)
