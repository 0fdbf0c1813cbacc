"""The space: an ordered set of variables, its columns, and its known constraints.

Solvers, kernels and the journal speak in batches X, float64, shape (n, width); users see what they stated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core import codec
from optengine.core.columns import Block, block_holds, bounds_variable, collect, constants
from optengine.core.errors import SpaceError, did_you_mean
from optengine.core.known import Cardinality, Predicate, Row
from optengine.core.levels import index_of
from optengine.core.moves import neighbours
from optengine.core.rows import LinearRows
from optengine.core.unit import UnitMap
from optengine.core.variables import (
    BINARY,
    CATEGORICAL,
    INTEGER,
    ORDINAL,
    PERMUTATION,
    REAL,
    SIMPLEX,
    SUBSET,
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Subset,
    Variable,
)

__all__ = [
    "BINARY",
    "CATEGORICAL",
    "INTEGER",
    "ORDINAL",
    "PERMUTATION",
    "REAL",
    "SIMPLEX",
    "SUBSET",
    "Batch",
    "Binary",
    "Block",
    "Cardinality",
    "Categorical",
    "Integer",
    "Ordinal",
    "Permutation",
    "Predicate",
    "Real",
    "Row",
    "Simplex",
    "Space",
    "Subset",
    "Variable",
    "as_space",
]

Batch: TypeAlias = NDArray[np.float64]  # (n, width), C-ordered, never NaN
Mask: TypeAlias = NDArray[np.bool_]

TOLERANCE = 1e-9  # relative, within which a known constraint counts as satisfied


class Space:
    """An ordered set of named variables with known constraints.

    Args:
        variables: a dict of variables; a list of (low, high) bounds; or one variable, whose value then is x itself.
        rows: linear constraints, `Row` or `Cardinality`.
        where: `Predicate`s.
        named: the variables as keywords.

    Attributes:
        names, variables, width: variable names, the variables by name, the number of columns.
        named: False when x is an array (bounds, or one variable) and not a dict.
        kind, lower, upper, log, n_levels: (width,) each; kind is one of the codes `REAL` ... `SIMPLEX`.
        slices: columns of each variable. blocks: the permutations, subsets and simplexes.
        linear: the rows as arrays; cardinalities: (columns, low, high); predicates.
        constrained, conditional: whether there is any known constraint, any condition.
        parents: columns on which others depend.

    Raises:
        SpaceError: names, bounds, conditions or constraints that cannot be.
    """

    def __init__(
        self,
        variables: Mapping[str, Variable] | Sequence[Any] | Variable | None = None,
        /,
        *,
        rows: Iterable[Row | Cardinality] = (),
        where: Iterable[Predicate] = (),
        **named: Variable,
    ) -> None:
        self.named = True
        if isinstance(variables, Variable):
            self.named, variables = False, {"x": variables}
        elif variables is not None and not isinstance(variables, Mapping):
            self.named, variables = False, {"x": bounds_variable(variables)}
        self.variables: dict[str, Variable] = collect(variables or {}, named)
        if not self.named and named:
            raise SpaceError(f"variables must be named all or not at all, got bounds and {list(named)}")
        self.names = tuple(self.variables)
        self._lay_out()
        self._order_conditions()
        self._set_constraints(rows, where)
        self._unit = UnitMap.of(self)
        self._make_decoders()

    # -- construction ------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        self.slices: dict[str, slice] = {}
        start, blocks = 0, []
        for name, variable in self.variables.items():
            self.slices[name] = slice(start, start + variable.n_columns)
            if variable.kind in (PERMUTATION, SUBSET, SIMPLEX):
                low, high = getattr(variable, "size_", (0, 0))
                each = variable.columns_each
                blocks += [
                    Block(variable.kind, start + i * each, start + (i + 1) * each, low, high)
                    for i in range(variable.size)
                ]
            start += variable.n_columns
        self.width, self.blocks = start, tuple(blocks)
        parts = [constants(v) for v in self.variables.values()]
        self.kind, self.lower, self.upper, self.log, self.n_levels, self._canonical = (
            np.concatenate(column) for column in zip(*parts, strict=True)
        )
        for array in (self.kind, self.lower, self.upper, self.log, self.n_levels, self._canonical):
            array.setflags(write=False)
        self.fidelity: dict[str, tuple[int, float]] = {}  # name -> (column, encoded target)
        for name, variable in self.variables.items():
            if getattr(variable, "fidelity", False):
                target = codec.encode(variable, getattr(variable, "target"), name)  # noqa: B009  (not on every kind)
                self.fidelity[name] = (self.slices[name].start, float(target[0]))

    def _order_conditions(self) -> None:
        """Sort the conditional variables so that parents come first; encode the values they wait for."""
        self._conditions: list[tuple[slice, int, Batch]] = []
        waiting = {name: {p for p, _ in v.conditions} for name, v in self.variables.items() if v.conditions}
        for name, parents in waiting.items():
            for parent in parents - set(self.names):
                near = did_you_mean(parent, self.names)
                raise SpaceError(f"when of {name!r} names {parent!r}, which is no variable{near}")
        while waiting:
            ready = [name for name, parents in waiting.items() if not parents & set(waiting)]
            if not ready:
                raise SpaceError(f"conditions must not run in a circle, got one among {sorted(waiting)}")
            for name in ready:
                del waiting[name]
                for parent, values in self.variables[name].conditions:
                    self._conditions.append((self.slices[name], *self._wait_for(name, parent, values)))
        self.conditional = bool(self._conditions)
        self.parents = np.array(sorted({column for _, column, _ in self._conditions}), dtype=np.int64)

    def _wait_for(self, name: str, parent: str, values: tuple[Any, ...]) -> tuple[int, Batch]:
        variable = self.variables[parent]
        if variable.shape or variable.kind not in (INTEGER, CATEGORICAL, ORDINAL, BINARY):
            raise SpaceError(
                f"when of {name!r} must depend on one discrete variable, got {parent!r}: {variable!r}"
            )
        try:
            codes = [codec.encode(variable, value, parent)[0] for value in values]
        except SpaceError as error:
            raise SpaceError(f"when of {name!r} can never hold: {error}") from None
        return self.slices[parent].start, np.array(codes)

    def _set_constraints(self, rows: Iterable[Row | Cardinality], where: Iterable[Predicate]) -> None:
        for word, given in (("rows", rows), ("where", where)):
            if isinstance(given, (Variable, str)) or not isinstance(
                given, (Row, Cardinality, Predicate, Iterable)
            ):
                raise SpaceError(
                    f"{word} must be a list of known constraints, got {given!r}; "
                    f"a variable of that name goes into a dict: Space({{{word!r}: ...}})"
                )
        rows = (rows,) if isinstance(rows, (Row, Cardinality)) else tuple(rows)
        where = (where,) if isinstance(where, Predicate) else tuple(where)
        for condition in where:
            if not isinstance(condition, Predicate):
                raise SpaceError(
                    f"where must hold Predicates, got {condition!r}; wrap it as Predicate(function)"
                )
        self.rows, self.predicates = rows, where
        self.linear = LinearRows.of(self, [r for r in rows if isinstance(r, Row)])
        self.cardinalities: list[tuple[NDArray[np.int64], int, int]] = []
        for item in rows:
            if isinstance(item, Cardinality):
                columns = np.unique(np.concatenate([self._columns_of(key) for key in item.names]))
                high = len(columns) if item.upper is None else min(item.upper, len(columns))
                if item.lower > high:
                    raise SpaceError(
                        f"lower of Cardinality must be <= its {len(columns)} entries, got {item.lower}"
                    )
                self.cardinalities.append((columns, int(item.lower), int(high)))
            elif not isinstance(item, Row):
                raise SpaceError(f"rows must hold Row or Cardinality, got {item!r}")
        self.constrained = bool(len(self.linear.lower) or self.cardinalities or self.predicates)

    def _columns_of(self, key: Any) -> NDArray[np.int64]:
        """Columns of a key of a known constraint: a name, or (name, index)."""
        name, index = key if isinstance(key, tuple) and len(key) == 2 else (key, None)
        if not self.named and not isinstance(name, str):
            name, index = "x", key
        if name not in self.variables:
            near = did_you_mean(str(name), self.names)
            raise SpaceError(f"known constraints name {name!r}, which is no variable{near}")
        variable = self.variables[name]
        if variable.kind not in (REAL, INTEGER, BINARY, SUBSET, SIMPLEX):
            raise SpaceError(
                f"known constraints need numbers, got {name!r}: {variable!r}; use a Predicate for it"
            )
        columns = np.arange(self.slices[name].start, self.slices[name].stop)
        if index is None:
            return columns
        vector = (variable.columns_each,) if variable.kind in (SUBSET, SIMPLEX) else ()
        grid = columns.reshape(variable.dims + vector)
        try:
            return np.atleast_1d(grid[index]).ravel()
        except (IndexError, TypeError):
            raise SpaceError(f"index of {name!r} must fit shape {grid.shape}, got {index!r}") from None

    # -- batches -----------------------------------------------------------------------------------------------

    @property
    def A(self) -> Batch:
        """Coefficients of the linear rows, (m, width)."""
        return self.linear.A

    @property
    def row_lower(self) -> Batch:
        return self.linear.lower

    @property
    def row_upper(self) -> Batch:
        return self.linear.upper

    @property
    def row_names(self) -> tuple[str, ...]:
        return self.linear.names

    def active(self, X: Batch) -> Mask:
        """Return which columns count, (n, width): those whose conditions hold."""
        mask = np.ones(X.shape, dtype=bool)
        for columns, parent, codes in self._conditions:
            held = mask[:, parent] & np.isin(X[:, parent], codes)
            mask[:, columns] &= held[:, None]
        return mask

    def canonical(self, X: Batch) -> Batch:
        """Return X with every inactive column at its canonical value (lower bound, index 0, identity)."""
        if not self.conditional:
            return X
        return np.where(self.active(X), X, self._canonical)

    def sample(self, n: int, rng: Generator) -> Batch:
        """Draw n points (n, width), uniform on box and structure; known rows and predicates are not looked at."""
        return self.from_unit(rng.random((n, self.width)))

    def from_unit(self, U: Batch) -> Batch:
        """Map U (n, width) in [0, 1] to a batch; inactive columns become canonical."""
        return self.canonical(self._unit.from_unit(U))

    def to_unit(self, X: Batch) -> Batch:
        """Map a batch to points of the unit cube that `from_unit` takes back to it."""
        return self._unit.to_unit(X)

    def neighbours(self, X: Batch, rng: Generator, scale: float = 0.1) -> Batch:
        """Return one random neighbour of each row (n, width); `scale` is the step of reals in the unit cube."""
        return neighbours(self, X, rng, scale)

    def contains(self, X: Batch, tol: float = TOLERANCE) -> Mask:
        """Return (n,) whether each row is a point of the space: box, whole numbers, structure, canonical values."""
        whole = np.isin(self.kind, (REAL, SIMPLEX), invert=True)
        slack = tol * np.maximum(1.0, np.maximum(np.abs(self.lower), np.abs(self.upper))) * ~whole
        inside: Mask = ((X >= self.lower - slack) & (X <= self.upper + slack)).all(axis=1)
        inside &= (X[:, whole] == np.rint(X[:, whole])).all(axis=1)
        for block in self.blocks:
            inside &= block_holds(block, X[:, block.start : block.stop], tol)
        if self.conditional:
            inside &= (self.canonical(X) == X).all(axis=1)
        return inside

    def row_violation(self, X: Batch) -> Batch:
        """Return (n,) the largest violation of rows and cardinalities, relative to the size of the terms."""
        X = np.where(self.active(X), X, 0.0) if self.conditional else X
        worst = self.linear.violation(X)
        for columns, low, high in self.cardinalities:
            count = np.count_nonzero(X[:, columns], axis=1)
            worst = np.maximum(worst, np.maximum(low - count, count - high))
        return worst

    def satisfies(self, X: Batch, tol: float = TOLERANCE) -> Mask:
        """Return (n,) whether each row is in the space and keeps every known constraint."""
        holds = self.contains(X, tol)
        if len(self.linear.lower) or self.cardinalities:
            holds &= self.row_violation(X) <= tol
        for predicate in self.predicates:
            for i in np.flatnonzero(holds):
                holds[i] = bool(predicate.function(self.decode_one(X[i])))
        return holds

    def at_target(self, X: Batch) -> Mask:
        """Return (n,) whether every fidelity stands at its target."""
        mask = np.ones(len(X), dtype=bool)
        for column, target in self.fidelity.values():
            mask &= X[:, column] == target
        return mask

    # -- the user's x ------------------------------------------------------------------------------------------

    def decode_one(self, row: Batch) -> Any:
        """Return what the user sees of one row: a dict without its inactive variables, or an array."""
        if not self.named:
            return self._decoders[0][1](row)  # one variable owns all columns
        if not self.conditional:
            return {name: decode(row[columns]) for name, decode, columns in self._decoders}
        active = self.active(row[None, :])[0]
        return {
            name: decode(row[columns]) for name, decode, columns in self._decoders if active[columns.start]
        }

    def decode(self, X: Batch) -> list[Any]:
        """Return what the user sees of each row."""
        return [self.decode_one(row) for row in X]

    def columns(self, X: Batch) -> Any:
        """Return the whole batch decoded: an array (n, ...), or a dict of such arrays for a named space.

        Inactive variables hold their canonical value; subsets are 0/1 membership (n, items).
        """
        parts = {name: decode(X[:, columns]) for name, decode, columns in self._batch_decoders}
        return parts if self.named else parts["x"]

    def encode(self, x: Any) -> Batch:
        """Return the batch (n, width) of one x or of a list of them.

        Raises:
            SpaceError: unknown or missing names, values outside the space.
        """
        points = self._split(x)
        X = np.empty((len(points), self.width))
        for i, point in enumerate(points):
            X[i] = self._encode_dict(point) if self.named else codec.encode(self.variables["x"], point, "x")
        return X

    def _split(self, x: Any) -> list[Any]:
        """The points in `x`, which is one of them or a sequence."""
        if self.named:
            return list(x) if isinstance(x, Iterable) and not isinstance(x, (Mapping, str)) else [x]
        variable = self.variables["x"]
        if variable.kind in (CATEGORICAL, ORDINAL):
            level = not variable.dims and index_of(x, variable.levels()) >= 0  # type: ignore[attr-defined]
            many = codec.depth(x) > len(variable.dims) and not level
        elif variable.kind == SUBSET and not variable.dims:
            nested = codec.depth(x)
            many = nested > 1 or (nested == 1 and len(x) > 0 and isinstance(x[0], (tuple, set, frozenset)))
        else:
            block = (variable.columns_each,) if variable.kind in (PERMUTATION, SUBSET, SIMPLEX) else ()
            try:
                many = np.ndim(x) > len(variable.dims + block)
            except ValueError:
                many = False
        return list(x) if many else [x]

    def _encode_dict(self, point: Any) -> Batch:
        if not isinstance(point, Mapping):
            raise SpaceError(f"x must be a dict with the names {list(self.names)}, got {point!r}")
        for name in point:
            if name not in self.variables:
                raise SpaceError(
                    f"x names {name!r}, which is no variable{did_you_mean(str(name), self.names)}"
                )
        row = self._canonical.copy()
        given = np.zeros(self.width, dtype=bool)
        for name, value in point.items():
            variable = self.variables[name]
            absent = value is None or (
                isinstance(value, float) and math.isnan(value)
            )  # as a DataFrame has it
            if absent and variable.conditions and index_of(value, getattr(variable, "choices", ())) < 0:
                continue
            row[self.slices[name]] = codec.encode(variable, value, name)
            given[self.slices[name]] = True
        missing = self.active(row[None, :])[0] & ~given
        for name, columns in self.slices.items():
            if missing[columns].any():
                raise SpaceError(f"x must give a value for {name!r}, got {dict(point)!r}")
        settled: Batch = self.canonical(row[None, :])[0]
        return settled

    # -- facts -------------------------------------------------------------------------------------------------

    def cardinality(self) -> int | None:
        """Number of points, ignoring conditions and known constraints; None if there are infinitely many."""
        total = 1
        for variable in self.variables.values():
            columns = self.slices[next(n for n, v in self.variables.items() if v is variable)]
            if variable.kind == PERMUTATION:
                total *= math.factorial(variable.columns_each) ** variable.size
            elif variable.kind == SUBSET:
                low, high = variable.size_  # type: ignore[attr-defined]
                total *= (
                    sum(math.comb(variable.columns_each, k) for k in range(low, high + 1)) ** variable.size
                )
            elif variable.kind in (REAL, SIMPLEX):
                free = variable.kind == REAL and (self.lower[columns] < self.upper[columns]).any()
                if variable.columns_each > 1 or free:
                    return None
            else:
                total *= math.prod(int(k) for k in self.n_levels[columns])
        return total

    def column_names(self) -> list[str]:
        """One name a column: `lr`, `w[3]`."""
        names = []
        for name, columns in self.slices.items():
            width = columns.stop - columns.start
            single = width == 1 and not self.variables[name].shape
            names += [name] if single else [f"{name}[{i}]" for i in range(width)]
        return names

    def fingerprint(self) -> dict[str, Any]:
        """A JSON-able description by which a journal recognises the space."""
        description: dict[str, Any] = {
            "named": self.named,
            "variables": {name: v.fingerprint() for name, v in self.variables.items()},
        }
        if self.constrained:
            description["rows"] = self.linear.fingerprint()
            description["cardinalities"] = [[c.tolist(), low, high] for c, low, high in self.cardinalities]
            description["where"] = [p.name for p in self.predicates]
        return description

    def __len__(self) -> int:
        return len(self.variables)

    def __contains__(self, name: object) -> bool:
        return name in self.variables

    def __getitem__(self, name: str) -> Variable:
        if name not in self.variables:
            raise SpaceError(f"{name!r} is no variable of this space{did_you_mean(name, self.names)}")
        return self.variables[name]

    def __repr__(self) -> str:
        if not self.named:
            return f"Space({self.variables['x']!r})"
        return f"Space({', '.join(f'{n}={v!r}' for n, v in self.variables.items())})"

    def __getstate__(self) -> dict[str, Any]:
        """Decoders are functions made on the spot; they are made again, not pickled."""
        return {key: value for key, value in self.__dict__.items() if not key.endswith("_decoders")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_decoders()

    def _make_decoders(self) -> None:
        self._decoders = [(n, codec.decoder(v), self.slices[n]) for n, v in self.variables.items()]
        self._batch_decoders = [
            (n, codec.batch_decoder(v), self.slices[n]) for n, v in self.variables.items()
        ]

    def without_functions(self) -> Space:
        """Return the same space without its predicates, which hold functions: what a stored Result keeps."""
        if not self.predicates:
            return self
        bare = Space.__new__(Space)
        bare.__setstate__(self.__getstate__() | {"predicates": ()})
        return bare


def as_space(value: Any) -> Space:
    """Return `value` as a Space: a Space, a dict of variables, one variable, or a list of bounds."""
    return value if isinstance(value, Space) else Space(value)
