"""Known constraints: conditions on x that are checked before anything is evaluated.

A linear `Row`, a `Cardinality` and a `Predicate` belong to the space. Every candidate that is evaluated satisfies
them, whatever the solver: the engine repairs each batch before it evaluates it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from optengine.core.errors import SpaceError


def _bound(value: Any, name: str, owner: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise SpaceError(f"{name} of {owner} must be a number, got {value!r}") from None
    if np.isnan(number):
        raise SpaceError(f"{name} of {owner} must not be NaN")
    return number


@dataclass(frozen=True, eq=False)
class Row:
    """A linear condition lower <= sum(coefficient * value) <= upper.

    Args:
        coefficients: `{"a": 1, "b": 2.5}`; a key may be `("a", 3)` for one element of an array variable, a value may
            be an array of the variable's shape; for a space made from bounds, one array of all coefficients.
        lower, upper: bounds on the sum; at least one is finite.
        name: shown in messages.

    Inactive variables count as 0.
    """

    coefficients: Mapping[Any, ArrayLike] | ArrayLike
    lower: float = -np.inf
    upper: float = np.inf
    name: str | None = None

    def __post_init__(self) -> None:
        lower, upper = _bound(self.lower, "lower", "Row"), _bound(self.upper, "upper", "Row")
        if lower > upper:
            raise SpaceError(f"lower of Row must be <= upper, got {lower} and {upper}")
        if np.isinf(lower) and np.isinf(upper):
            raise SpaceError("Row needs a finite lower or upper bound, got neither")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)


@dataclass(frozen=True, eq=False)
class Cardinality:
    """Between `lower` and `upper` of the named entries are nonzero.

    Args:
        names: variable names or `("a", 3)` for one element; an array variable counts all its elements.
        lower, upper: how many; `upper=None` is no limit.
    """

    names: Iterable[Any]
    lower: int = 0
    upper: int | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.names, str):
            object.__setattr__(self, "names", (self.names,))
        object.__setattr__(self, "names", tuple(self.names) if isinstance(self.names, Iterable) else ())
        if not self.names:
            raise SpaceError(f"names of Cardinality must hold at least one name, got {self.names!r}")
        for bound in (self.lower, *(() if self.upper is None else (self.upper,))):
            number = isinstance(bound, (int, float, np.integer)) and not isinstance(bound, bool)
            if not number or not float(bound).is_integer() or bound < 0:
                raise SpaceError(f"lower and upper of Cardinality must be integers >= 0, got {bound!r}")
        if self.upper is not None and self.lower > self.upper:
            raise SpaceError(f"lower of Cardinality must be <= upper, got {self.lower} and {self.upper}")


@dataclass(frozen=True, eq=False)
class Predicate:
    """Any condition on x.

    Args:
        function: `function(x) -> bool`, with x as the user sees it (a dict for a named space).
        repair: `repair(x) -> x` that satisfies the condition; without it candidates are drawn until one does.
        name: shown in messages; default the function's own name.
    """

    function: Callable[[Any], bool]
    repair: Callable[[Any], Any] | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise SpaceError(f"function of Predicate must be callable, got {self.function!r}")
        if self.repair is not None and not callable(self.repair):
            raise SpaceError(f"repair of Predicate must be callable or None, got {self.repair!r}")
        if self.name is None:
            object.__setattr__(self, "name", getattr(self.function, "__name__", "predicate"))
