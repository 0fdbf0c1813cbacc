"""With which population and step size a strategy begins anew."""

from __future__ import annotations

import math

from numpy.random import Generator

LARGEST_GROWTH = 512.0  # a population grows no further than this many first ones

RESTARTS = ("bipop", "ipop", "never")


class Regimes:
    """Populations and relative step sizes of one restart after another.

    "ipop" doubles the population each time (Auger and Hansen, CEC 2005, doi:10.1109/CEC.2005.1554902). "bipop" gives
    the same number of evaluations to doubled populations and to small ones of random size and step size; a small run
    may take half of what the latest large one took (Hansen, GECCO 2009 workshop, doi:10.1145/1570256.1570333).

    Attributes:
        population, step: of the current run; step is relative to the first one's.
        allowance: evaluations that the current run may take.
    """

    def __init__(self, kind: str, population: int) -> None:
        self._kind, self._first = kind, population
        self._large, self._latest_large = 1.0, 0
        self._spent = {"large": 0, "small": 0}
        self._now = "large"
        self.population, self.step, self.allowance = population, 1.0, math.inf

    def next(self, spent: int, rng: Generator) -> None:
        """Move on to the next run after one that took `spent` evaluations."""
        self._spent[self._now] += spent
        if self._now == "large":
            self._latest_large = spent
        if self._kind == "bipop" and self._spent["small"] < self._spent["large"] and self._spent["large"] > 0:
            self._now = "small"
            share, width = rng.random(2)
            growth = max(1.0, 0.5 * self._large) ** (share * share)
            self.population, self.step = math.floor(self._first * growth), 10.0 ** (-2.0 * width)
            self.allowance = max(self._latest_large / 2, 10.0 * self.population)
            return
        self._now = "large"
        self._large = min(2.0 * self._large, LARGEST_GROWTH)
        self.population, self.step, self.allowance = round(self._first * self._large), 1.0, math.inf
