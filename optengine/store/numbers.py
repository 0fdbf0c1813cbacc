"""A set of small non-negative integers with array operations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from optengine.store.plain import Ints


class NumberSet:
    """Numbers of evaluations that are known; one byte for each number up to the largest."""

    def __init__(self, numbers: Ints) -> None:
        self._mask = np.zeros(64, dtype=bool)
        self._low = 0
        self.add(numbers)

    def has(self, numbers: Ints) -> NDArray[np.bool_]:
        """Return for each of `numbers` (n,) whether it is in the set."""
        inside = numbers < len(self._mask)
        return inside & self._mask[np.where(inside, numbers, 0)]

    def add(self, numbers: Ints) -> None:
        """Put `numbers` (n,) into the set."""
        if not len(numbers):
            return
        top = int(numbers.max())
        if top >= len(self._mask):
            grown = np.zeros(max(top + 1, 2 * len(self._mask)), dtype=bool)
            grown[: len(self._mask)] = self._mask
            self._mask = grown
        self._mask[numbers] = True

    @property
    def first_missing(self) -> int:
        """The smallest number that is not in the set; nothing leaves it, so this never falls."""
        rest = self._mask[self._low :]
        gap = int(rest.argmin()) if len(rest) else 0
        self._low += len(rest) if len(rest) and rest[gap] else gap
        return self._low
