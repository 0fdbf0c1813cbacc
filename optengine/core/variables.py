"""The kinds of variable.

A variable is a frozen description: it holds bounds or levels and owns a run of float64 columns in every batch
(`n_columns`). Columns hold values for Real and Integer, indices for Categorical and Ordinal, 0/1 for Binary and
Subset, the item at each position for Permutation, and shares that sum to 1 for Simplex.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import SpaceError
from optengine.core.levels import index_of, levels_of, plain

REAL, INTEGER, CATEGORICAL, ORDINAL, BINARY, PERMUTATION, SUBSET, SIMPLEX = range(8)

LARGEST_EXACT = 2.0**53  # beyond it float64 columns no longer hold every integer

Shape = int | Sequence[int]
Condition = tuple[tuple[str, tuple[Any, ...]], ...]


def _shape(shape: Shape, kind: str) -> tuple[int, ...]:
    try:
        sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        result = tuple(int(s) for s in sizes)
        exact = all(float(s) == int(s) for s in sizes)
    except (TypeError, ValueError):
        result, exact = (0,), False
    if not exact or any(s < 1 for s in result):
        raise SpaceError(f"shape of {kind} must be positive integers, got {shape!r}")
    return result


def _condition(when: Any, kind: str) -> Condition:
    """Normalise `when`: ("kind", "svm"), ("kind", ["svm", "rbf"]), several of them, or a dict."""
    if when is None:
        return ()
    if isinstance(when, Mapping):
        pairs = list(when.items())
    elif isinstance(when, tuple) and len(when) == 2 and isinstance(when[0], str):
        pairs = [when]
    elif isinstance(when, (tuple, list)) and all(isinstance(p, tuple) and len(p) == 2 for p in when):
        pairs = list(when)
    else:
        pairs = []
    if not pairs or not all(isinstance(name, str) for name, _ in pairs):
        raise SpaceError(f"when of {kind} must be (name, value), (name, [values]) or a dict, got {when!r}")
    return tuple((name, _awaited(values)) for name, values in pairs)


def _awaited(values: Any) -> tuple[Any, ...]:
    """The values a condition waits for; those of a set in an order that every process gives them."""
    if isinstance(values, (set, frozenset)):
        return tuple(sorted(values, key=repr))
    return tuple(values) if isinstance(values, list) else (values,)


def _numbers(value: ArrayLike, shape: tuple[int, ...], name: str, kind: str) -> NDArray[np.float64]:
    try:
        if np.asarray(value).dtype.kind in "US":  # NumPy would read the text "1" as a number
            raise TypeError
        array = np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), shape))
        array += 0.0  # 0.0 in place of -0.0
    except (TypeError, ValueError):
        raise SpaceError(f"{name} of {kind} must be numbers that fit shape {shape}, got {value!r}") from None
    if not np.isfinite(array).all():
        raise SpaceError(f"{name} of {kind} must be finite, got {value!r}")
    array.setflags(write=False)
    return array


def _implied_shape(low: ArrayLike, high: ArrayLike, shape: Shape, kind: str) -> tuple[int, ...]:
    given = _shape(shape, kind)
    try:
        implied = np.broadcast_shapes(np.shape(low), np.shape(high))
    except ValueError:
        raise SpaceError(f"low and high of {kind} must agree in shape, got {low!r} and {high!r}") from None
    return given or tuple(implied)


@dataclass(frozen=True, eq=False, repr=False)
class Variable:
    """What all kinds share: a shape, a condition, and a run of columns."""

    kind: ClassVar[int]
    shape: Shape = field(default=(), kw_only=True)
    when: Any = field(default=None, kw_only=True)  # condition under which the variable is active

    @property
    def label(self) -> str:
        return type(self).__name__

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape, normalised."""
        return cast("tuple[int, ...]", self.shape)

    @property
    def size(self) -> int:
        """Number of elements: the product of `shape`."""
        return math.prod(self.dims)

    @property
    def columns_each(self) -> int:
        """Columns of one element."""
        return 1

    @property
    def n_columns(self) -> int:
        return self.size * self.columns_each

    @property
    def conditions(self) -> Condition:
        """The condition, normalised: pairs of a name and the values it may have."""
        return cast(Condition, self.when)

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.fingerprint() == other.fingerprint()

    def __hash__(self) -> int:
        return hash(repr(self.fingerprint()))

    def __repr__(self) -> str:
        facts = {k: v for k, v in self.fingerprint().items() if k not in ("kind", "when")}
        shape = facts.pop("shape", None)
        text = [str(v) if k in ("n", "choices") else f"{k}={v}" for k, v in facts.items()]
        return f"{self.label}({', '.join(text + ([f'shape={tuple(shape)}'] if shape else []))})"

    def fingerprint(self) -> dict[str, Any]:
        """A JSON-able description by which a journal recognises the variable."""
        description: dict[str, Any] = {"kind": self.label}
        if self.shape:
            description["shape"] = list(self.dims)
        if self.when:
            description["when"] = [[name, [plain(v) for v in values]] for name, values in self.when]
        return description


@dataclass(frozen=True, eq=False, repr=False)
class _Numeric(Variable):
    low: ArrayLike
    high: ArrayLike
    log: bool = False
    fidelity: bool = field(default=False, kw_only=True)
    target: float | None = field(default=None, kw_only=True)  # the fidelity at which results count

    def __post_init__(self) -> None:
        kind = self.label
        shape = _implied_shape(self.low, self.high, self.shape, kind)
        low, high = _numbers(self.low, shape, "low", kind), _numbers(self.high, shape, "high", kind)
        if (low > high).any():
            raise SpaceError(f"low of {kind} must be <= high, got low={self.low!r} and high={self.high!r}")
        with np.errstate(over="ignore"):
            if not np.isfinite(high - low).all():
                raise SpaceError(
                    f"high - low of {kind} must be finite, got low={self.low!r} and high={self.high!r}"
                )
        if self.log not in (True, False):
            raise SpaceError(f"log of {kind} must be True or False, got {self.log!r}")
        if self.log and (low <= 0).any():
            raise SpaceError(f"low of {kind} must be > 0 when log=True, got {self.low!r}")
        self._set(low=low, high=high, shape=shape, when=_condition(self.when, kind))
        if self.fidelity:
            if shape or self.when:
                raise SpaceError(f"a fidelity must be one unconditional number, got {kind} of shape {shape}")
            target = float(high) if self.target is None else float(_numbers(self.target, (), "target", kind))
            if not float(low) <= target <= float(high):
                raise SpaceError(f"target of {kind} must lie in [{low}, {high}], got {self.target!r}")
            self._set(target=target)
        elif self.target is not None:
            raise SpaceError(f"target of {kind} needs fidelity=True, got target={self.target!r}")

    def fingerprint(self) -> dict[str, Any]:
        description = super().fingerprint() | {
            "low": plain(np.asarray(self.low)),
            "high": plain(np.asarray(self.high)),
        }
        description |= {"log": True} if self.log else {}
        return description | ({"target": self.target} if self.fidelity else {})

    def __repr__(self) -> str:
        low, high = (plain(np.asarray(bound)) for bound in (self.low, self.high))
        if self.kind == INTEGER:
            low, high = (
                int(b) if isinstance(b, float) else [int(v) for v in np.ravel(b)] for b in (low, high)
            )
        extra = (", log=True" if self.log else "") + (f", shape={self.shape}" if self.shape else "")
        return f"{self.label}({low}, {high}{extra})"


@dataclass(frozen=True, eq=False, repr=False)
class Real(_Numeric):
    """A real number in [low, high].

    Args:
        low, high: finite bounds; arrays give per-element bounds of an array variable.
        log: search on a logarithmic scale (low > 0).
        shape: shape of an array variable; () is a single number.
        when: condition on another variable, `("kind", "svm")` or `("kind", ["svm", "rbf"])`.
        fidelity: the variable is a fidelity; results count at `target` (default `high`).

    Raises:
        SpaceError: bounds that are not finite numbers with low <= high, or low <= 0 with log=True.
    """

    kind: ClassVar[int] = REAL


@dataclass(frozen=True, eq=False, repr=False)
class Integer(_Numeric):
    """A whole number in {low, ..., high}, both ends included; arguments as for `Real`."""

    kind: ClassVar[int] = INTEGER

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = np.asarray(self.low), np.asarray(self.high)
        if (low != np.floor(low)).any() or (high != np.floor(high)).any():
            raise SpaceError(
                f"low and high of Integer must be whole numbers, got {self.low!r} and {self.high!r}"
            )
        if (np.abs(low) > LARGEST_EXACT).any() or (np.abs(high) > LARGEST_EXACT).any():
            raise SpaceError(f"bounds of Integer must lie within +-2**53, got {self.low!r} and {self.high!r}")
        if self.target is not None and self.target != math.floor(self.target):
            raise SpaceError(f"target of Integer must be a whole number, got {self.target!r}")


@dataclass(frozen=True, eq=False, repr=False)
class Categorical(Variable):
    """One of `choices`, without order; any picklable values, distinct. Raises SpaceError if there are none."""

    kind: ClassVar[int] = CATEGORICAL
    choices: Sequence[Any]

    def __post_init__(self) -> None:
        shape = _shape(self.shape, "Categorical")
        self._set(choices=levels_of(self.choices, "choices", "Categorical"), shape=shape)
        self._set(when=_condition(self.when, "Categorical"))

    def levels(self, element: int = 0) -> Sequence[Any]:
        return self.choices

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"choices": [plain(c) for c in self.choices]}


@dataclass(frozen=True, eq=False, repr=False)
class Ordinal(Variable):
    """One of ordered `levels`.

    Args:
        levels: a list of values in order; for an array variable also one list an element.
        shape, when, fidelity, target: as for `Real`; a fidelity needs numeric levels.
    """

    kind: ClassVar[int] = ORDINAL
    levels_: Sequence[Any] = field(init=False, repr=False)

    def __init__(
        self,
        levels: Sequence[Any],
        *,
        shape: Shape = (),
        when: Any = None,
        fidelity: bool = False,
        target: Any = None,
    ) -> None:
        nested = (
            isinstance(levels, (list, tuple, np.ndarray))
            and len(levels) > 0
            and all(isinstance(row, (list, np.ndarray)) for row in levels)
        )
        given = _shape(shape, "Ordinal")
        if nested:
            sets = tuple(levels_of(row, "levels", "Ordinal") for row in levels)
            given = given or (len(sets),)
            if math.prod(given) != len(sets):
                raise SpaceError(
                    f"levels of Ordinal must be one list for each of {given}, got {len(sets)} lists"
                )
        else:
            sets = (levels_of(levels, "levels", "Ordinal"),)
        self._set(
            levels_=sets, shape=given, when=_condition(when, "Ordinal"), fidelity=bool(fidelity), target=None
        )
        if fidelity:
            if given or self.when:
                raise SpaceError(
                    f"a fidelity must be one unconditional variable, got Ordinal of shape {given}"
                )
            words = [v for v in sets[0] if isinstance(v, bool) or not isinstance(v, (int, float))]
            if words:
                raise SpaceError(f"levels of a fidelity must be numbers, got {words[0]!r}")
            goal = sets[0][-1] if target is None else target
            if index_of(goal, sets[0]) < 0:
                raise SpaceError(
                    f"target of Ordinal must be one of its levels {list(sets[0])}, got {target!r}"
                )
            self._set(target=goal)
        elif target is not None:
            raise SpaceError(f"target of Ordinal needs fidelity=True, got target={target!r}")

    def levels(self, element: int = 0) -> Sequence[Any]:
        """The levels of one element."""
        return self.levels_[element if len(self.levels_) > 1 else 0]  # type: ignore[no-any-return]

    def fingerprint(self) -> dict[str, Any]:
        sets = [[plain(v) for v in levels] for levels in self.levels_]
        description = super().fingerprint() | {"levels": sets[0] if len(sets) == 1 else sets}
        return description | ({"target": plain(self.target)} if self.fidelity else {})  # type: ignore[attr-defined]

    def __repr__(self) -> str:
        sets = [list(levels) for levels in self.levels_]
        return f"Ordinal({sets[0] if len(sets) == 1 else sets})"


@dataclass(frozen=True, eq=False, repr=False)
class Binary(Variable):
    """False or True (0 or 1 in an array)."""

    kind: ClassVar[int] = BINARY

    def __post_init__(self) -> None:
        self._set(shape=_shape(self.shape, "Binary"), when=_condition(self.when, "Binary"))


@dataclass(frozen=True, eq=False, repr=False)
class _Block(Variable):
    """A variable whose element is itself a vector of n columns."""

    n: int

    def __post_init__(self) -> None:
        if isinstance(self.n, bool) or not isinstance(self.n, (int, np.integer)) or self.n < 1:
            raise SpaceError(f"n of {self.label} must be an integer >= 1, got {self.n!r}")
        self._set(n=int(self.n), shape=_shape(self.shape, self.label), when=_condition(self.when, self.label))

    @property
    def columns_each(self) -> int:
        return self.n

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"n": self.n}


@dataclass(frozen=True, eq=False, repr=False)
class Permutation(_Block):
    """An order of the items 0..n-1; x[k] is the item at position k."""

    kind: ClassVar[int] = PERMUTATION


@dataclass(frozen=True, eq=False, repr=False)
class Subset(_Block):
    """A subset of the items 0..n-1; x is the sorted array of chosen items.

    Args:
        n: number of items.
        size: how many are chosen: a number, a pair (low, high), or None for any.
    """

    kind: ClassVar[int] = SUBSET
    size_: tuple[int, int] = field(init=False, repr=False)

    def __init__(
        self, n: int, size: int | tuple[int, int] | None = None, *, shape: Shape = (), when: Any = None
    ) -> None:
        self._set(n=n, shape=shape, when=when)
        self.__post_init__()
        given = (0, self.n) if size is None else size if isinstance(size, (tuple, list)) else (size, size)
        pair = [int(s) for s in given if isinstance(s, (int, np.integer)) and not isinstance(s, bool)]
        if not len(pair) == len(given) == 2 or not 0 <= pair[0] <= pair[1] <= self.n:
            raise SpaceError(f"size of Subset must lie in 0..{self.n}, as k or (low, high), got {size!r}")
        self._set(size_=tuple(pair))

    def fingerprint(self) -> dict[str, Any]:
        return super().fingerprint() | {"size": list(self.size_)}

    def __repr__(self) -> str:
        low, high = self.size_
        return f"Subset({self.n}, size={low if low == high else (low, high)})"


@dataclass(frozen=True, eq=False, repr=False)
class Simplex(_Block):
    """n shares, each >= 0, that sum to 1."""

    kind: ClassVar[int] = SIMPLEX
