"""Which arm to pull next, from the best values that each has brought so far."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

WORST = 0.95  # quantile of the values that counts as reward 0


@dataclass
class Record:
    """What an arm has brought.

    Attributes:
        best: best feasible value after each told pull, minimised, inf before there is one. cost: sum of the pulls'.
        pending: pulls not told yet. dropped: eliminated. exhausted: it has no further point.
    """

    best: list[float] = field(default_factory=list)
    cost: float = 0.0
    pending: int = 0
    dropped: bool = False
    exhausted: bool = False

    @property
    def pulls(self) -> int:
        return len(self.best) + self.pending

    @property
    def value(self) -> float:
        return self.best[-1] if self.best else math.inf


def price(records: list[Record], arm: int) -> float:
    """Return an arm's mean cost in units of all arms' mean cost; 1 while nothing is known."""
    told = sum(len(r.best) for r in records)
    total = sum(r.cost for r in records)
    mine = records[arm]
    if not mine.best or total <= 0:
        return 1.0
    return max(mine.cost / len(mine.best), 1e-3 * total / told) / (total / told)


@dataclass(frozen=True)
class Rising:
    """Rising bandits (Li, Jiang, Gao, Shao, Zhang and Cui, AAAI 2020, arXiv:2012.04371).

    All arms that survive are pulled in turn. With y_k the best value of arm k after n pulls and w_k its mean progress
    over the last C of them, the arm ends between y_k and y_k - w_k R (R: pulls left for it), if it goes on with
    diminishing returns. An arm whose hope is no better than what another has in hand is dropped.

    Attributes:
        smoothing: C. limit: value below which nothing can fall, -inf if unknown. horizon: pulls of the whole run; None:
            as many again as there were. priced: pulls left count in units of an arm's own cost.
    """

    smoothing: int
    limit: float
    horizon: int | None
    priced: bool

    def choose(self, records: list[Record]) -> int | None:
        """Return the arm to pull, dropping those without hope; None where none is left."""
        self._drop(records)
        open_ = [k for k, r in enumerate(records) if not r.dropped and not r.exhausted]
        if not open_:  # what was dropped is still better than nothing
            open_ = [k for k, r in enumerate(records) if not r.exhausted]
        spent = [records[k].pulls * (price(records, k) if self.priced else 1.0) for k in open_]
        return open_[int(np.argmin(spent))] if open_ else None

    def _drop(self, records: list[Record]) -> None:
        told = sum(len(r.best) for r in records)
        left = max(self.horizon - told, 0) if self.horizon is not None else told
        alive = [k for k, r in enumerate(records) if not r.dropped]
        for k in alive:
            hope = self._hope(records, k, left)
            others = [records[j].value for j in alive if j != k and not records[j].dropped]
            if hope is not None and others and min(others) <= hope:
                records[k].dropped = True

    def _hope(self, records: list[Record], k: int, left: int) -> float | None:
        """The best that arm k can end with; None while it is too young to say."""
        record, c = records[k], self.smoothing
        n = len(record.best)
        if n <= c:
            return None
        if not math.isfinite(
            record.best[-1 - c]
        ):  # nothing feasible so long ago: no slope yet, or no hope at all
            return None if math.isfinite(record.value) else math.inf
        slope = (record.best[-1 - c] - record.value) / c
        pulls = left / price(records, k) if self.priced else left
        return max(record.value - slope * pulls, self.limit)


@dataclass(frozen=True)
class MaxUCB:
    """MaxUCB (Balef, Vernade and Eggensperger, 2025, arXiv:2505.05226), an upper bound on the best of an arm's values.

    Pulls the arm with the largest max_k + (alpha log t / n_k)^2, rewards in [0, 1]. Rewards are values rescaled so that
    1 is the best one told and 0 the 95 % quantile: bounds on a metric are seldom known, and outliers are frequent.

    Attributes:
        alpha: > 0. first: pulls of each arm before they are compared.
        priced: n_k counts in units of the mean cost, so that a dear arm's bonus shrinks sooner.
    """

    alpha: float
    priced: bool
    first: int = 1

    def choose(self, records: list[Record], values: np.ndarray) -> int | None:
        """Return the arm to pull; `values` are those told by all arms, finite ones only; None where none is left."""
        open_ = [k for k, r in enumerate(records) if not r.exhausted]
        if not open_:
            return None
        new = [k for k in open_ if records[k].pulls < self.first]
        if new:
            return min(new, key=lambda k: records[k].pulls)
        t = sum(r.pulls for r in records)
        low, high = (float(values.min()), float(np.quantile(values, WORST))) if len(values) else (0.0, 0.0)
        span = high - low
        scores = []
        for k in open_:
            pulls = records[k].pulls * (price(records, k) if self.priced else 1.0)
            reward = 0.0
            if math.isfinite(records[k].value):
                reward = max(0.0, (high - records[k].value) / span) if span > 0 else 1.0
            scores.append(reward + (self.alpha * math.log(t) / pulls) ** 2)
        return open_[int(np.argmax(scores))]
