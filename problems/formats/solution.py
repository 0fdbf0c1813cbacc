"""Published solutions: TSPLIB tours (`.opt.tour`) and QAPLIB assignments (`.sln`)."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from optengine.problems.arrays import Numbers
from optengine.problems.formats.source import Source


@dataclass(frozen=True)
class Solution:
    """A permutation and, where the file states it, its value.

    Attributes:
        x: (n,) int64, items from 0: the city visited k-th, or the location of facility k.
        value: the objective as the file states it; None where it does not. Files err: evaluate x.
    """

    x: NDArray[np.int64]
    value: float | None = None


def read_solution(path: str | PathLike[str]) -> Solution:
    """Read a tour in TSPLIB's format, or a QAPLIB solution (`n value` or `value`, then a permutation).

    Some solutions belong to the instance with its two matrices exchanged: where the value does not come out, try
    the inverse, `np.argsort(x)`.

    Raises:
        ProblemError: the file is missing, damaged, or holds no permutation.
    """
    source = Source.open(path)
    heads = [line.strip().rstrip(":").rstrip() for line in source.lines]
    if "TOUR_SECTION" in heads:
        start = heads.index("TOUR_SECTION") + 1
        ends = (i for i, head in enumerate(heads[start:], start) if head == "EOF")
        items = source.numbers(start, next(ends, None))
        if (items == -1).any():
            items = items[: int(np.argmax(items == -1))]
        return Solution(_permutation(source, items))
    numbers = source.numbers()
    if len(numbers) >= 3 and numbers[0] == len(numbers) - 2:
        return Solution(_permutation(source, numbers[2:]), float(numbers[1]))
    return Solution(_permutation(source, numbers[1:]), float(numbers[0]))


def _permutation(source: Source, items: Numbers) -> NDArray[np.int64]:
    """Items counted from 0, whether the file counts from 1 (as both collections do) or from 0."""
    for first in (1, 0):
        if len(items) and np.array_equal(np.sort(items), np.arange(first, len(items) + first)):
            return np.asarray(items - first, dtype=np.int64)
    raise source.error(
        f"expected a permutation of 1..n after the header, got {len(items)} numbers that are none"
    )
