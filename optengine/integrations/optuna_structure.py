"""What the trials of a study say about its search space: ranges, and which parameters hang on which.

Optuna's own samplers keep what all trials share, or cut the space into groups without a common model. Here a parameter
that some trials lack hangs on a discrete one whose values tell when it is there; trials that lack it are then points
of the same space like the others. A parameter whose absence no other one explains is left to independent sampling.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optengine.integrations.optuna_space import Columns, Condition, code, representable

Shape = tuple[
    frozenset[str], frozenset[tuple[str, Any]]
]  # parameters of a trial, values of the discrete ones

MOST_LEVELS = 64  # values of a whole number on which others may hang
MISSING = "a parameter that is not there"


class Structure:
    """The search space as the finished trials show it; each trial is looked at once."""

    def __init__(self) -> None:
        self._ranges: dict[str, BaseDistribution] = {}
        self._counts: dict[str, int] = {}
        self._trials = 0
        self._shapes: dict[Shape, None] = {}  # the different ones, in the order of their first trial
        self._spec: tuple[dict[str, BaseDistribution], dict[str, Condition]] | None = None

    def note(self, distributions: Mapping[str, BaseDistribution], params: Mapping[str, Any]) -> None:
        """Take in a trial that ran to its end."""
        self._trials += 1
        for name, distribution in distributions.items():
            known = self._ranges.get(name)
            widened = distribution if known is None else hull(known, distribution)
            if widened != known:
                self._ranges[name], self._spec = widened, None
            self._counts[name] = self._counts.get(name, 0) + 1
        levels = {name: params[name] for name in distributions if self._is_parent(name)}
        shape = frozenset(distributions), frozenset(levels.items())
        if shape not in self._shapes:  # it may refute a condition, or widen one
            self._shapes[shape], self._spec = None, None

    def _is_parent(self, name: str) -> bool:
        d = self._ranges[name]
        if d.single():
            return False
        if isinstance(d, CategoricalDistribution):
            return True
        return isinstance(d, IntDistribution) and (d.high - d.low) // d.step < MOST_LEVELS

    def spec(self) -> tuple[dict[str, BaseDistribution], dict[str, Condition]]:
        """Return the parameters to be sampled together, in the order of their names, and their conditions."""
        if self._spec is None:
            conditions: dict[str, Condition] = {}
            kept: list[str] = []
            for name in sorted(self._ranges, key=lambda n: (-self._counts[n], n)):
                if not representable(self._ranges[name]):
                    continue
                if self._counts[name] < self._trials:
                    condition = self._condition(name, kept)
                    if condition is None:
                        continue
                    conditions[name] = condition
                kept.append(name)
            self._spec = {name: self._ranges[name] for name in sorted(kept)}, conditions
        return self._spec

    def _condition(self, name: str, candidates: list[str]) -> Condition | None:
        """Return the parent that tells when `name` is there; one that is always there first."""
        there = [dict(levels) for names, levels in self._shapes if name in names]
        absent = [dict(levels) for names, levels in self._shapes if name not in names]
        for parent in candidates:
            if not self._is_parent(parent):
                continue
            with_it = {levels.get(parent, MISSING) for levels in there}
            without = {levels.get(parent, MISSING) for levels in absent}
            if MISSING in with_it or with_it & without or without == {MISSING}:
                continue
            distribution = self._ranges[parent]
            return parent, tuple(sorted(int(code(distribution, value)) for value in with_it))
        return None

    def columns(self, distributions: Mapping[str, BaseDistribution]) -> Columns:
        """Return the columns of a search space that Optuna hands over: all of ours, or what a wrapper left of it."""
        conditions = {
            name: condition
            for name, condition in self.spec()[1].items()
            if name in distributions
            and condition[0] in distributions
            and distributions[condition[0]] == self._ranges[condition[0]]
        }
        return Columns({n: d for n, d in distributions.items() if representable(d)}, conditions)


def hull(a: BaseDistribution, b: BaseDistribution) -> BaseDistribution:
    """Return the smallest distribution that holds both, or the later one where none does."""
    if a == b or type(a) is not type(b):
        return a if a == b else b
    if isinstance(a, FloatDistribution) and isinstance(b, FloatDistribution):
        if a.log != b.log or a.step != b.step or (a.step is not None and a.low != b.low):
            return b
        return FloatDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log, step=a.step)
    if isinstance(a, IntDistribution) and isinstance(b, IntDistribution):
        if a.log != b.log or a.step != b.step or (a.low - b.low) % a.step:
            return b
        return IntDistribution(min(a.low, b.low), max(a.high, b.high), log=a.log, step=a.step)
    return copy.copy(b)
