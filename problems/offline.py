"""Offline optimization: only a table of past experiments, and no way to make another one.

Given rows (x, y), propose `n_candidates` new points that should have good values. Nothing is evaluated: a solver's
proposals are predictions, the result's status is `unverified` and its `fun` None. The setting is that of Design-Bench
(Trabucco et al., ICML 2022, arXiv:2202.08450).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptEngineError, ProblemError, SpaceError, did_you_mean, require
from optengine.core.problem import Constraint, Problem
from optengine.core.result import Result
from optengine.core.space import CATEGORICAL, Batch, Space, as_space

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]

FEWEST_ROWS = 8  # below it no model can be checked on rows that it was not fitted to
DUPLICATES = ("error", "mean")
READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".pq": "read_parquet"}


class Offline(Problem):
    """A table of points and values, from which new points are to be proposed.

    Args:
        space: of the points; known constraints hold for proposals too.
        X: n points as the user sees them (a list, an array, a DataFrame), or with `encoded` the columns (n, width).
        y: (n,) values, finite and not all equal.
        n_candidates: how many distinct points outside the table to propose.
        direction: "minimize" or "maximize".
        constraints: observed values beside y, name or `Constraint` -> (n,); by name they are feasible when <= 0.
            Proposals are chosen that are predicted to keep them.
        duplicates: what to do with a point that stands in X several times with different values: "error", or "mean".
        encoded: X holds encoded columns.
        name: shown in results.

    Attributes:
        X: (m, width) distinct points, encoded, read-only. y: (m,) values in the user's direction.
        G: (m, constraints) observed constraint values, feasible when <= 0.

    Raises:
        ProblemError, SpaceError: in one sentence, what is wrong and what would be right.
    """

    evaluable = False

    def __init__(
        self,
        space: Any,
        X: Any,
        y: ArrayLike,
        n_candidates: int = 128,
        *,
        direction: str = "minimize",
        constraints: Mapping[str | Constraint, ArrayLike] | None = None,
        duplicates: str = "error",
        encoded: bool = False,
        name: str | None = None,
    ) -> None:
        observed = _observed(constraints)
        super().__init__(
            _no_function,
            as_space(space),
            direction=direction,
            constraints=list(observed),
            call="encoded",
            vectorized=True,
            name=name or "offline",
        )
        if self.space.fidelity:
            raise ProblemError(f"space must have no fidelity, got {sorted(self.space.fidelity)}")
        if duplicates not in DUPLICATES:
            raise ProblemError(f"duplicates must be one of {list(DUPLICATES)}, got {duplicates!r}")
        rows = _points(self.space, X, encoded)
        values = _column(y, len(rows), "y")
        G = np.empty((len(rows), 0))
        if observed:
            G = np.stack([_excess(c, _column(v, len(rows), c.name)) for c, v in observed.items()], axis=1)
        self.X, merged = _distinct(rows, np.column_stack([values, G]), duplicates)
        self.y, self.G = np.ascontiguousarray(merged[:, 0]), np.ascontiguousarray(merged[:, 1:])
        for array in (self.X, self.y, self.G):
            array.setflags(write=False)
        if len(self.X) < FEWEST_ROWS:
            raise ProblemError(f"X must hold at least {FEWEST_ROWS} distinct points, got {len(self.X)}")
        if self.y.min() == self.y.max():
            raise ProblemError(f"y must take more than one value, got {self.y[0]:.6g} in all rows")
        self.n_candidates = _n_candidates(self.space, n_candidates, len(self.X))

    @classmethod
    def from_frame(
        cls,
        frame: DataFrame,
        space: Any,
        objective: str,
        n_candidates: int = 128,
        *,
        constraints: Iterable[str | Constraint] = (),
        **arguments: Any,
    ) -> Offline:
        """Read the table from a DataFrame.

        A variable's column has its name; an array variable's columns are `name[0]`, `name[1]`, ...; or one column
        `name` holds texts of one letter an entry, as for DNA. Other columns are left aside.

        Args:
            frame: one row an experiment.
            space: of the points; its variables name columns ("x" where the space is made of bounds).
            objective: column of y. n_candidates: how many points to propose.
            constraints: columns of observed constraints. arguments: of `Offline`.
        """
        space = as_space(space)
        wanted = {c if isinstance(c, Constraint) else Constraint(c): None for c in constraints}
        columns = [str(c) for c in frame.columns]
        for label in (objective, *(c.name for c in wanted)):
            if label not in columns:
                raise ProblemError(f"the table has no column {label!r}{did_you_mean(label, columns)}")
        parts = {name: _variable(frame, columns, name, space[name]) for name in space.names}
        points: Any = [dict(zip(parts, row, strict=True)) for row in zip(*parts.values(), strict=True)]
        if not space.named:
            points = [point["x"] for point in points]
        observed: dict[str | Constraint, Any] = {c: frame[c.name].to_numpy() for c in wanted}
        return cls(
            space, points, frame[objective].to_numpy(), n_candidates, constraints=observed, **arguments
        )

    @classmethod
    def load(
        cls,
        path: str | PathLike[str],
        space: Any,
        objective: str,
        n_candidates: int = 128,
        **arguments: Any,
    ) -> Offline:
        """Read the table from a CSV or Parquet file, as `from_frame` does."""
        path = Path(path)
        reader = READERS.get(path.suffix.lower())
        if reader is None:
            raise ProblemError(f"path must end in one of {', '.join(READERS)}, got {str(path)!r}")
        if not path.is_file():
            raise ProblemError(f"path must be a file, got {str(path)!r}")
        pandas = require("pandas", extra="frame")
        try:
            frame = getattr(pandas, reader)(path)
        except ImportError as error:
            raise ProblemError(f"{path} needs a package that reads Parquet: pip install pyarrow") from error
        except (ValueError, OSError) as error:
            raise ProblemError(f"{path} is no table that pandas reads: {error}") from error
        arguments.setdefault("name", path.stem)
        return cls.from_frame(frame, space, objective, n_candidates, **arguments)

    @classmethod
    def from_result(cls, result: Result, n_candidates: int = 128, **arguments: Any) -> Offline:
        """Take the evaluations of an earlier run, e.g. one read back from its journal, as the table.

        Failed evaluations are left out; observed constraints stay constraints. The first objective counts.
        """
        history = result.history
        kept = ~history.failed
        direction = result.objectives[0][1]
        observed: dict[str | Constraint, Any] = {
            Constraint(label): history.G[kept, i] for i, label in enumerate(result.constraints)
        }
        arguments = {"direction": direction, "duplicates": "mean", "name": result.problem} | arguments
        X, y = history.X[kept], history.F[kept, 0]
        return cls(result.space, X, y, n_candidates, constraints=observed, encoded=True, **arguments)

    def proposals(self, result: Result) -> DataFrame:
        """Return the proposals of a result as a DataFrame, best first: variables, prediction, interval, distance."""
        pandas = require("pandas", extra="frame")
        details = result.details
        if "candidates" not in details:
            raise ProblemError(f"result must be of an Offline problem, got one of {result.problem!r}")
        labels = self.space.names if self.space.named else ["x"]
        points = self.space.decode(details["candidates"])
        data = [p if self.space.named else {"x": p} for p in points]
        columns: dict[str, Any] = {label: [point.get(label) for point in data] for label in labels}
        for key in ("prediction", "spread", "distance", "member"):
            if key in details:
                columns[key] = list(details[key])
        if "interval" in details:
            columns["low"], columns["high"] = details["interval"][:, 0], details["interval"][:, 1]
        frame: DataFrame = pandas.DataFrame(columns)
        return frame

    def describe(self, x: Any) -> dict[str, Any]:
        """The row of the table that is nearest to x in the unit cube, and its value."""
        U = self.space.to_unit(self.space.encode(x))
        distance = np.sqrt(((self.space.to_unit(self.X) - U) ** 2).sum(axis=1))
        row = int(distance.argmin())
        return {"nearest": self.space.decode_one(self.X[row]), "nearest_y": float(self.y[row])}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the table by: its size and a hash of its rows."""
        digest = hashlib.sha256()
        for array in (self.X, self.y, self.G):
            digest.update(np.ascontiguousarray(array).tobytes())
        known = {"rows": len(self.X), "n_candidates": self.n_candidates, "data": digest.hexdigest()}
        return super().fingerprint() | known


def _no_function(X: Floats) -> Floats:
    raise ProblemError(
        f"an Offline problem has a table and no function to evaluate, got {len(X)} candidates; "
        "its solvers propose, and you measure"
    )


def _observed(constraints: Mapping[str | Constraint, ArrayLike] | None) -> dict[Constraint, Any]:
    if constraints is None:
        return {}
    if not isinstance(constraints, Mapping):
        raise ProblemError(f"constraints must be a dict of names and observed values, got {constraints!r}")
    return {c if isinstance(c, Constraint) else Constraint(c): values for c, values in constraints.items()}


def _excess(constraint: Constraint, values: Floats) -> Floats:
    """By how much the bounds of a constraint are exceeded, <= 0 inside."""
    excess: Floats = np.maximum(values - constraint.upper, constraint.lower - values)
    return excess


def _points(space: Space, X: Any, encoded: bool) -> Batch:
    """The table's points as encoded rows."""
    if hasattr(X, "to_dict") and hasattr(X, "columns"):  # of a DataFrame
        X = X.to_dict("records") if space.named else X.to_numpy()
    if encoded:
        rows = np.array(X, dtype=np.float64, order="C")
        if rows.ndim != 2 or rows.shape[1] != space.width:
            raise ProblemError(f"X must have shape (n, {space.width}), got {rows.shape}")
    else:
        try:
            rows = space.encode(X)
        except SpaceError as error:
            raise SpaceError(_with_row(space, X, error)) from None
    _check_missing(rows)
    outside = ~space.contains(rows)
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise SpaceError(f"X must lie in the space, got row {row} outside: {rows[row].tolist()}")
    return rows


def _check_missing(rows: Floats) -> None:
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ProblemError(f"X must be finite, got {rows[row, column]} in row {row}, column {column}")


def _with_row(space: Space, X: Any, error: SpaceError) -> str:
    """The message about the first point that does not encode, with its row."""
    if isinstance(X, (Sequence, np.ndarray)) and len(X):
        for row, point in enumerate(X):
            try:
                space.encode(point)
            except OptEngineError as found:
                return f"row {row} of X: {found}"
    return f"X: {error}"


def _column(values: ArrayLike, n: int, label: str) -> Floats:
    try:
        column = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"{label} must be {n} numbers, got {type(values).__name__}") from None
    if column.shape != (n,):
        raise ProblemError(f"{label} must have shape ({n},) as X has {n} rows, got {column.shape}")
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        raise ProblemError(f"{label} must be finite, got {column[row]} in row {row}; leave that row out")
    return column


def _distinct(X: Batch, values: Floats, duplicates: str) -> tuple[Batch, Floats]:
    """Merge equal rows: their values must agree, or are averaged."""
    _, first, group = np.unique(X, axis=0, return_index=True, return_inverse=True)
    group = group.reshape(-1)
    if len(first) == len(X):
        return X, values
    differs = (values != values[first][group]).any(axis=1)
    if duplicates == "error" and differs.any():
        row = int(np.flatnonzero(differs)[0])
        other = int(first[group[row]])
        raise ProblemError(
            f"X must hold each point once, got rows {other} and {row} equal with values {values[other, 0]:.6g} and "
            f"{values[row, 0]:.6g}; duplicates='mean' averages them"
        )
    means = np.zeros((len(first), values.shape[1]))
    np.add.at(means, group, values)
    means /= np.bincount(group)[:, None]
    order = np.argsort(first)  # of the first appearance
    return np.ascontiguousarray(X[first[order]]), means[order]


def _n_candidates(space: Space, n: Any, n_known: int) -> int:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1:
        raise ProblemError(f"n_candidates must be an integer >= 1, got {n!r}")
    size = space.cardinality()
    if size is not None and n > size - n_known and not space.conditional:
        raise ProblemError(
            f"n_candidates must be <= {max(size - n_known, 0)}, the points of the space outside the table, got {n}"
        )
    return int(n)


def _variable(frame: DataFrame, columns: list[str], name: str, variable: Any) -> list[Any]:
    """The values of one variable, row by row."""
    if name in columns:
        values = frame[name].tolist()
        letters = variable.kind == CATEGORICAL and len(variable.dims) == 1
        return [list(v) if letters and isinstance(v, str) else v for v in values]
    n = int(np.prod(variable.dims)) if variable.dims else 1
    n = variable.columns_each if variable.columns_each > 1 and not variable.dims else n
    wanted = [f"{name}[{i}]" for i in range(n)]
    missing = [w for w in wanted if w not in columns]
    if missing:
        near = did_you_mean(missing[0] if len(missing) < n else name, columns)
        raise ProblemError(f"the table has no column {name!r} and no {missing[0]!r} for it{near}")
    rows: list[Any] = frame[wanted].to_numpy().tolist()
    return rows
