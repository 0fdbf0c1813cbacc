"""What a user believes beforehand about an optimum: where it is, what it is worth, which of two points is better.

Beliefs about the place are by default those of piBO (Hvarfner et al., ICLR 2022, arXiv:2204.11051), whose weight decays
with the evaluations; all kinds together are those of ColaBO (Hvarfner, Hutter and Nardi, ICLR 2024, arXiv:2311.14645).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.errors import OptEngineError, OptionError, did_you_mean
from optengine.core.space import BINARY, CATEGORICAL, INTEGER, ORDINAL, REAL

if TYPE_CHECKING:
    from optengine.core.problem import Problem

METHODS = ("auto", "pibo", "colabo")
NUMBERS, LEVELS = (REAL, INTEGER, ORDINAL), (CATEGORICAL, BINARY)
LARGEST_SPREAD = 10.0  # of the range: nothing is believed any more


def _number(value: object, low: float = -math.inf, high: float = math.inf) -> bool:
    """Whether this is a finite number in (low, high)."""
    plain = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return plain and math.isfinite(value) and low < value < high  # type: ignore[arg-type, operator]


@dataclass(frozen=True, slots=True)
class Near:
    """A number is believed to be best near `value`: a normal distribution, cut at the bounds.

    Attributes:
        value: in the variable's own unit. spread: standard deviation as a share of the variable's range, of its
            logarithm's where log=True, > 0.
    """

    value: Any
    spread: float = 0.1

    def __post_init__(self) -> None:
        if not _number(self.spread, 0.0, LARGEST_SPREAD):
            raise OptionError(
                f"spread of Near must be a share of the range in (0, {LARGEST_SPREAD:g}), got {self.spread!r}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Options of `BO(beliefs=Beliefs(...))`; a dict stands for `Beliefs(place=...)`.

    Attributes:
        place: variable -> `Near(value, spread)` of numbers, or a dict level -> weight of categories, bits.
        value: (what the optimum is worth, standard deviation) in the objective's unit and direction.
        preferences: pairs (better x, worse x).
        method: "pibo" multiplies the acquisition by the place's density to the power decay / n, n values being known;
            "colabo" draws functions from the posterior and weighs each by how well its optimum agrees with the
            beliefs; "auto": "pibo" where only the place is believed, else "colabo".
        decay: of piBO, > 0; a tenth of the budget in the paper.
        mix: share of a uniform distribution in the belief, in (0, 1): what keeps a wrong one from being final.
        n_paths: functions drawn by ColaBO, >= 64; with an effective number below 64, `details` says so.

    Raises:
        OptionError: a value outside its range.
    """

    place: Mapping[str, Any] = field(default_factory=dict)
    value: tuple[float, float] | None = None
    preferences: Sequence[tuple[Any, Any]] = ()
    method: str = "auto"
    decay: float = 10.0
    mix: float = 0.05
    n_paths: int = 2048

    def __post_init__(self) -> None:
        if not isinstance(self.place, Mapping):
            raise OptionError(f"place must be a dict of beliefs by variable, got {self.place!r}")
        for name, belief in self.place.items():
            if not isinstance(belief, (Near, Mapping)):
                raise OptionError(f"place of {name!r} must be Near(...) or a dict of weights, got {belief!r}")
        if self.value is not None and not _is_value(self.value):
            raise OptionError(f"value must be (mean, standard deviation > 0) or None, got {self.value!r}")
        if not isinstance(self.preferences, (list, tuple)) or any(
            not isinstance(pair, (list, tuple)) or len(pair) != 2 for pair in self.preferences
        ):
            raise OptionError(
                f"preferences must be a list of pairs (better x, worse x), got {self.preferences!r}"
            )
        if self.method not in METHODS:
            raise OptionError(f"method of Beliefs must be one of {list(METHODS)}, got {self.method!r}")
        if not _number(self.decay, 0.0):
            raise OptionError(f"decay of Beliefs must be a finite number > 0, got {self.decay!r}")
        if not _number(self.mix, 0.0, 1.0):
            raise OptionError(f"mix of Beliefs must be a number in (0, 1), got {self.mix!r}")
        if isinstance(self.n_paths, bool) or not isinstance(self.n_paths, int) or self.n_paths < 64:
            raise OptionError(f"n_paths of Beliefs must be an integer >= 64, got {self.n_paths!r}")
        if not self.place and self.value is None and not self.preferences:
            raise OptionError("Beliefs must hold a place, a value or preferences, got none of them")
        if self.method == "pibo" and (self.value is not None or self.preferences):
            raise OptionError("method 'pibo' takes beliefs about the place only; use 'colabo' for the others")

    @property
    def weighs_paths(self) -> bool:
        """Whether functions are drawn and weighed (ColaBO)."""
        return self.method == "colabo" or self.value is not None or bool(self.preferences)

    def misfit(self, problem: Problem) -> str | None:
        """Return why the beliefs do not fit `problem`, or None if they do."""
        space = problem.space
        if problem.n_objectives > 1:
            return f"beliefs are about one objective, and the problem has {problem.n_objectives}"
        if space.fidelity and self.weighs_paths:
            return "beliefs by 'colabo' need a space without fidelities; use method 'pibo'"
        for name, belief in self.place.items():
            if name not in space.variables:
                return f"beliefs name {name!r}, which is no variable{did_you_mean(str(name), space.names)}"
            variable = space.variables[name]
            right = LEVELS if isinstance(belief, Mapping) else NUMBERS
            if variable.kind not in right or variable.conditions:
                return (
                    f"beliefs take Near(...) for numbers and dicts of weights for categories and bits, all without "
                    f"conditions, and {name!r} is {variable!r} with {belief!r}"
                )
            try:
                if isinstance(belief, Near):
                    encoded(space, name, belief.value)
                else:
                    weights_of(space, name, belief)
            except OptEngineError as error:
                return f"beliefs about {name!r} do not fit: {error}"
        try:
            for pair in self.preferences:
                space.encode(pair[0]), space.encode(pair[1])
        except OptEngineError as error:
            return f"preferences do not fit the space: {error}"
        return None


def as_beliefs(beliefs: Beliefs | Mapping[str, Any] | None) -> Beliefs | None:
    """Return `Beliefs`, of which a dict states the place.

    Raises:
        OptionError: neither.
    """
    if beliefs is None or isinstance(beliefs, Beliefs):
        return beliefs
    if not isinstance(beliefs, Mapping):
        raise OptionError(
            f"beliefs must be Beliefs(...), a dict of beliefs by variable or None, got {beliefs!r}"
        )
    return Beliefs(place=beliefs)


def encoded(space: Any, name: str, value: Any) -> np.ndarray:
    """Return the columns of one variable at `value`, which may stand for all entries of an array."""
    from optengine.core.codec import encode

    variable = space.variables[name]
    if variable.shape and np.ndim(value) == 0:
        value = np.full(variable.shape, value)
    return np.asarray(encode(variable, value, name), dtype=np.float64)


def weights_of(space: Any, name: str, belief: Mapping[Any, float]) -> np.ndarray:
    """Return the probability of each level of a category or bit; levels that are not named share the least weight.

    Raises:
        OptionError: weights that are no numbers > 0.
    """
    from optengine.core.codec import encode

    variable = space.variables[name]
    one = variable if not variable.shape else type(variable)(**_levels(variable))
    n = 2 if variable.kind == BINARY else len(variable.choices)
    if not belief or any(not _number(w, 0.0) for w in belief.values()):
        raise OptionError(f"weights must be numbers > 0, got {dict(belief)!r}")
    weights = np.full(n, min(belief.values()), dtype=np.float64)
    for level, weight in belief.items():
        weights[int(encode(one, level, name)[0])] = weight
    return np.asarray(weights / weights.sum())


def _levels(variable: Any) -> dict[str, Any]:
    return {} if variable.kind == BINARY else {"choices": variable.choices}


def _is_value(value: object) -> bool:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    return pair and _number(value[0]) and _number(value[1], 0.0)  # type: ignore[index]
