"""Optuna's distributions as our variables, and its parameters as rows of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from optengine.core.errors import SpaceError
from optengine.core.space import Binary, Categorical, Integer, Ordinal, Real, Space, Variable

Floats = NDArray[np.float64]
Condition = tuple[str, tuple[int, ...]]  # a parent and the codes (see `code`) under which the child is there

LARGEST_EXACT = 2**53  # whole numbers beyond are not all representable in a column


def code(distribution: BaseDistribution, value: Any) -> float:
    """Return the number that stands for a parameter's value in its column."""
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    step = stride(distribution)
    if step is None:
        return float(value)
    return float(round((float(value) - distribution.low) / step))  # type: ignore[attr-defined]


def value_of(distribution: BaseDistribution, number: float) -> Any:
    """Return the parameter's value of a number in its column, a plain Python one."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[round(number)]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    step = stride(distribution)
    if isinstance(distribution, IntDistribution):
        return round(number) if step is None else distribution.low + round(number) * int(step)
    value = number if step is None else distribution.low + round(number) * step
    return float(min(max(value, distribution.low), distribution.high))


def stride(distribution: BaseDistribution) -> float | None:
    """Return the step of a grid whose column counts steps; None where the column holds the value itself."""
    step = getattr(distribution, "step", None)
    whole = isinstance(distribution, IntDistribution) and (step == 1 or distribution.log)
    return None if step is None or whole else float(step)


def representable(distribution: BaseDistribution) -> bool:
    """Whether one of our variables can stand for it: not single values, and no whole numbers beyond 2**53."""
    if distribution.single():
        return False
    if isinstance(distribution, IntDistribution):
        return max(abs(distribution.low), abs(distribution.high)) <= LARGEST_EXACT
    return isinstance(distribution, FloatDistribution | CategoricalDistribution)


def variable(distribution: BaseDistribution, condition: Condition | None = None) -> Variable:
    """Return our variable for a distribution of Optuna's; categories and grids go by their index."""
    when = None if condition is None else (condition[0], list(condition[1]))
    if isinstance(distribution, CategoricalDistribution):
        return Categorical(range(len(distribution.choices)), when=when)
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    step = stride(distribution)
    if step is not None:
        return Integer(0, round((distribution.high - distribution.low) / step), when=when)
    kind = Integer if isinstance(distribution, IntDistribution) else Real
    return kind(distribution.low, distribution.high, bool(distribution.log), when=when)


class Columns:
    """A search space of Optuna's as columns of ours.

    Args:
        distributions: by parameter, none of them single.
        conditions: of those parameters that are there only under some values of another one.

    Attributes:
        space: our space; distributions: Optuna's.
    """

    def __init__(
        self,
        distributions: Mapping[str, BaseDistribution],
        conditions: Mapping[str, Condition] | None = None,
    ) -> None:
        self.distributions = dict(distributions)
        conditions = {} if conditions is None else conditions
        self.space = Space(
            {name: variable(d, conditions.get(name)) for name, d in self.distributions.items()}
        )

    def row(self, params: Mapping[str, Any]) -> Floats | None:
        """Return the row (width,) of a trial's parameters; None where one is missing or outside its range."""
        row = np.array(self.space.lower)
        there = np.zeros(self.space.width, dtype=bool)
        for column, (name, distribution) in enumerate(self.distributions.items()):
            if name not in params:
                continue
            try:
                if not distribution._contains(distribution.to_internal_repr(params[name])):
                    return None
                row[column] = self.number(name, params[name])
            except ValueError:
                return None
            there[column] = True
        if not self.space.conditional:
            return row if there.all() else None
        X = self.space.canonical(row[None, :])
        return None if (self.space.active(X)[0] & ~there).any() else X[0]

    def params(self, row: Floats) -> dict[str, Any]:
        """Return the parameters of a row (width,), without those that are not there."""
        active = self.space.active(row[None, :])[0]
        return {
            name: self.value(name, row[column])
            for column, name in enumerate(self.distributions)
            if active[column]
        }

    def number(self, name: str, value: Any) -> float:
        return code(self.distributions[name], value)

    def value(self, name: str, number: float) -> Any:
        return value_of(self.distributions[name], float(number))

    def fingerprint(self) -> str:
        """A text that changes with the space."""
        return repr(self.space.fingerprint()) + repr(
            {
                name: (d.low, stride(d)) if isinstance(d, FloatDistribution | IntDistribution) else d.choices
                for name, d in self.distributions.items()
                if isinstance(d, FloatDistribution | IntDistribution | CategoricalDistribution)
            }
        )


class StatedColumns(Columns):
    """The columns of a space that the user stated in our words, known constraints and conditions with it.

    Raises:
        SpaceError: a variable that Optuna has no distribution for.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.distributions = {name: distribution_of(name, v) for name, v in space.variables.items()}

    def number(self, name: str, value: Any) -> float:
        stated = self.space.variables[name]
        if isinstance(stated, Real | Integer):
            return float(value)
        distribution = self.distributions[name]
        assert isinstance(distribution, CategoricalDistribution)
        return float(distribution.to_internal_repr(value))

    def value(self, name: str, number: float) -> Any:
        stated = self.space.variables[name]
        if isinstance(stated, Real):
            return float(number)
        if isinstance(stated, Integer):
            return round(number)
        distribution = self.distributions[name]
        assert isinstance(distribution, CategoricalDistribution)
        return distribution.choices[round(number)]


def distribution_of(name: str, stated: Variable) -> BaseDistribution:
    """Return Optuna's distribution for one of our variables.

    Raises:
        SpaceError: arrays, permutations, subsets and simplexes, which Optuna does not know.
    """
    if not stated.shape:
        if isinstance(stated, Real):
            low, high = float(np.asarray(stated.low)), float(np.asarray(stated.high))
            return FloatDistribution(low, high, log=bool(stated.log))
        if isinstance(stated, Integer):
            first, last = int(np.asarray(stated.low)), int(np.asarray(stated.high))
            return IntDistribution(first, last, log=bool(stated.log))
        if isinstance(stated, Categorical):
            return CategoricalDistribution(tuple(stated.choices))
        if isinstance(stated, Ordinal):
            return CategoricalDistribution(tuple(stated.levels()))
        if isinstance(stated, Binary):
            return CategoricalDistribution((False, True))
    raise SpaceError(
        "search_space must hold single numbers, levels, categories or bits, which Optuna knows, "
        f"got {name!r}: {stated!r}"
    )
