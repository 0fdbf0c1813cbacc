"""When a run has stopped improving, and with which population it begins anew."""

from __future__ import annotations

import math

from numpy.random import Generator

SAME = 1e-12  # relative difference within which two values count as equal
LARGEST_GROWTH = 1024.0  # a population grows no further than this


class Progress:
    """Counts the generations since the best level; feasible levels are compared by value, others by violation."""

    def __init__(self) -> None:
        self.stale = 0
        self._best = (math.inf, math.inf)  # violation, value

    def update(self, violation: float, value: float) -> None:
        """Take note of a generation's level."""
        best_violation, best_value = self._best
        if violation == best_violation:
            margin = SAME * max(1.0, abs(best_value)) if math.isfinite(best_value) else 0.0
            better = value < best_value - margin
        else:
            better = violation < best_violation * (1.0 - SAME)
        if better:
            self._best, self.stale = (violation, value), 0
        else:
            self.stale += 1


class Regimes:
    """Populations of one restart after another.

    "growing" multiplies the population at every restart (IPOP; Auger and Hansen, CEC 2005,
    doi:10.1109/CEC.2005.1554902). "alternating" gives the same number of rows to growing populations and to small ones
    of random size and width (BIPOP; Hansen, GECCO 2009 workshop, doi:10.1145/1570256.1570333).
    """

    def __init__(self, population: int, growth: float, alternating: bool) -> None:
        self._first, self._growth, self._alternating = population, growth, alternating
        self._large = 1.0  # population of the latest large run, in first populations
        self._spent = {"large": 0, "small": 0}
        self._now = "large"

    def next(self, spent: int, rng: Generator) -> tuple[int, float]:
        """Return population and relative width of the next run, after one that took `spent` rows."""
        self._spent[self._now] += spent
        if self._alternating and self._spent["small"] < self._spent["large"]:
            self._now = "small"
            share, width = rng.random(2)
            size = max(1.0, 0.5 * self._large) ** (share * share)
            return math.ceil(self._first * size), 10.0 ** (-2.0 * width)
        self._now = "large"
        self._large = min(self._large * self._growth, LARGEST_GROWTH)
        return math.ceil(self._first * self._large), 1.0
