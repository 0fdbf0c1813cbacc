"""Mixed-integer linear programs.

    minimise or maximise   c'x + constant   subject to   lower <= A x <= upper,   lb <= x <= ub,   x_j whole for some j

Rows are observed, not known, constraints: every solver may run on a model, no candidate is projected onto its rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.linear import LinearModel
from optengine.core.problem import Constraint, Problem
from optengine.problems.milp_space import MILPSpace

Floats = NDArray[np.float64]

TOLERANCE = 1e-6  # of rows, relative to max(1, |bound|), and of whole numbers: what MIP solvers keep
SENSES = {
    "min": "minimize", "minimize": "minimize", "minimise": "minimize",
    "max": "maximize", "maximize": "maximize", "maximise": "maximize",
}  # fmt: skip
ENDS = (-np.inf, np.inf)  # bounds of a column without any
CHUNK = 2**22  # numbers that one evaluation step may hold beside the batch: 32 MB
SEMI = "semi-continuous variables are not supported; add a binary y and rows low*y <= x <= high*y"


class MILP(Problem):
    """A mixed-integer linear program; X holds x itself, (rows, n).

    Evaluation rounds whole columns within 1e-6 of a whole number, then gives the objective and one constraint,
    `violation`: 0 where every row, bound and whole number is kept to 1e-6 (rows and bounds relative to
    max(1, |bound|)), else the sum of all violations in that measure.

    Args:
        c: objective, (n,).
        A: rows, (m, n), any SciPy sparse matrix or an array; None for no rows.
        lower, upper: bounds of the rows, a number or (m,), infinite where absent.
        bounds: of the columns: a tuple (lower, upper) of numbers or arrays (n,), n pairs as a list or an array (n, 2),
            or scipy.optimize.Bounds; None or an infinite number where there is none. Default: x >= 0.
        integrality: whether each column is whole, one bool or (n,).
        sense: "min" or "max"; `direction` of "minimize" or "maximize" is the same.
        names, row_names: distinct names of columns and rows, or None.
        constant: added to the objective.
        name: name of the instance.

    Attributes:
        c, A (CSR), lower, upper, lb, ub, integrality, constant, names, row_names: as given, checked, read-only.
        model: the `LinearModel` that is minimised: c or -c, without the constant.
        binaries: columns (k,) that are whole and in [0, 1].

    Raises:
        ProblemError: one sentence that names the argument, the row or column, and what would be right.
    """

    def __init__(
        self,
        c: ArrayLike,
        A: Any = None,
        lower: ArrayLike = -np.inf,
        upper: ArrayLike = np.inf,
        bounds: Any = (0.0, np.inf),
        integrality: ArrayLike = False,
        sense: str = "min",
        names: Sequence[str] | None = None,
        row_names: Sequence[str] | None = None,
        constant: float = 0.0,
        *,
        direction: str | None = None,
        name: str | None = None,
    ) -> None:
        way = _direction(sense, direction)
        sign = 1.0 if way == "minimize" else -1.0
        costs = _costs(c, names)
        lb, ub = _bounds(bounds, len(costs))
        self.names = _names(names, "names", len(costs))
        self.model = LinearModel(
            sign * costs + 0.0,
            _matrix(A, len(costs), self.names),
            lower,
            upper,
            lb,
            ub,
            _integrality(integrality),
        )
        self.row_names = _names(row_names, "row_names", self.model.n_rows)
        if isinstance(constant, bool) or not np.isfinite(constant):
            raise ProblemError(f"constant must be a finite number, got {constant!r}")
        self.constant, self.c = float(constant), costs
        costs.setflags(write=False)
        self.A, self.lower, self.upper = self.model.A, self.model.lower, self.model.upper
        self.lb, self.ub, self.integrality = self.model.lb, self.model.ub, self.model.integrality
        self.shift = sign * self.constant  # the minimised objective is model.value(x) + shift
        super().__init__(
            self._values,
            MILPSpace(self.model, self.names),
            direction=way,
            constraints=Constraint("violation"),
            call="encoded",
            vectorized=True,
            name=name or "milp",
        )

    @property
    def n_variables(self) -> int:
        return self.model.n_variables

    @property
    def n_rows(self) -> int:
        return self.model.n_rows

    @cached_property
    def binaries(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.integrality & (self.lb >= 0) & (self.ub <= 1))

    @classmethod
    def random(cls, rng: Generator, n: int = 20, m: int = 8, density: float = 0.4, real: float = 0.2) -> MILP:
        """A packing model of n columns (a share `real` of them real, the others bits) and m rows; 0 is feasible."""
        from scipy.sparse import csr_array

        weights = rng.integers(1, 30, (m, n)) * (rng.random((m, n)) < density)
        return cls(
            rng.integers(1, 40, n).astype(np.float64),
            csr_array(weights.astype(np.float64)),
            upper=np.ceil(weights.sum(axis=1) / 3.0),
            bounds=(0.0, 1.0),
            integrality=rng.random(n) >= real,
            sense="max",
            name=f"random{m}x{n}",
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> MILP:
        """Read a file (MPS or LP). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    @classmethod
    def from_model(cls, model: Any) -> MILP:
        """The model of another library: OR-Tools MathOpt, PuLP or linopy. Raises ProblemError for anything else."""
        from optengine.problems.milp_convert import from_model

        return from_model(model)

    def save(self, path: str | PathLike[str]) -> None:
        """Write MPS or LP, by the suffix `.mps` or `.lp`; `.gz` behind it compresses. See `save_milp`."""
        from optengine.problems.formats.linear_writer import save_milp

        save_milp(self, path)

    # -- evaluation ----------------------------------------------------------------------------------------------

    def rounded(self, X: Floats) -> Floats:
        """X with whole columns rounded where they are within the tolerance of a whole number."""
        nearest = np.rint(X)
        near = self.integrality & (np.abs(X - nearest) <= TOLERANCE)
        return np.where(near, nearest, X)

    def _values(self, X: Floats) -> dict[str, Floats]:
        value, violation = np.empty(len(X)), np.empty(len(X))
        step = max(1, CHUNK // max(1, self.n_rows + self.n_variables))
        for first in range(0, len(X), step):
            part = self.rounded(X[first : first + step])
            value[first : first + step] = part @ self.c + self.constant
            violation[first : first + step] = self._violation(part)
        return {"objective": value, "violation": violation}

    def _violation(self, X: Floats) -> Floats:
        """Sum (rows,) of all violations, 0 where none exceeds the tolerance."""
        parts = [_excess(X, self.lb, self.ub)]
        if self.n_rows:
            parts.append(_excess((self.A @ X.T).T, self.lower, self.upper))
        if self.integrality.any():
            whole = X[:, self.integrality]
            parts.append(np.abs(whole - np.rint(whole)))
        worst = np.max([part.max(axis=1, initial=0.0) for part in parts], axis=0)
        total = np.sum([part.sum(axis=1) for part in parts], axis=0)
        return np.where(worst <= TOLERANCE, 0.0, total)

    # -- facts ---------------------------------------------------------------------------------------------------

    def named(self, x: ArrayLike, zeros: bool = False) -> dict[str, float]:
        """The values of x (n,) by name (`x0`, `x1`, ... where the model has none); zeros are left out."""
        values = np.asarray(x, dtype=np.float64)
        columns = np.arange(len(values)) if zeros else np.flatnonzero(values)
        names = self.names
        return {(f"x{j}" if names is None else names[j]): float(values[j]) for j in columns.tolist()}

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`n_nonzeros` of x, and its largest violation of `rows`, `bounds` and `integrality`, absolute."""
        X = self.rounded(np.asarray(x, dtype=np.float64)[None, :])
        sums = (self.A @ X.T).T
        whole = X[:, self.integrality]
        largest = {
            "rows": np.maximum(self.lower - sums, sums - self.upper).max(initial=0.0),
            "bounds": np.maximum(self.lb - X, X - self.ub).max(initial=0.0),
            "integrality": np.abs(whole - np.rint(whole)).max(initial=0.0),
        }
        return {
            "n_nonzeros": int(np.count_nonzero(X)),
            "largest_violation": {k: float(v) for k, v in largest.items()},
        }

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its sizes and a hash of its data."""
        digest = hashlib.sha256()
        for part in (self.c, self.lower, self.upper, self.lb, self.ub, self.integrality):
            digest.update(np.ascontiguousarray(part).tobytes())
        for part in (self.A.indptr.astype(np.int64), self.A.indices.astype(np.int64), self.A.data):
            digest.update(np.ascontiguousarray(part).tobytes())
        return {
            "problem": type(self).__name__,
            "columns": self.n_variables,
            "rows": self.n_rows,
            "objectives": [[o.name, o.direction] for o in self.objectives],
            "constant": repr(self.constant),
            "data": digest.hexdigest(),
        }

    def __repr__(self) -> str:
        kinds = (
            f"{self.n_variables} columns ({int(self.integrality.sum())} whole, {len(self.binaries)} binary)"
        )
        return f"MILP({self.name!r}, {self.objectives[0].direction}, {self.n_rows} rows, {kinds})"


def _excess(values: Floats, low: Floats, high: Floats) -> Floats:
    """How far values (k, n) lie outside bounds, relative to max(1, |bound|)."""
    sizes = [np.maximum(1.0, np.where(np.isfinite(b), np.abs(b), 0.0)) for b in (low, high)]
    return np.asarray(np.maximum(np.maximum((low - values) / sizes[0], (values - high) / sizes[1]), 0.0))


def _direction(sense: str, direction: str | None) -> str:
    for word, label in ((sense, "sense"), (direction, "direction")):
        if word is not None and (not isinstance(word, str) or word not in SENSES):
            raise ProblemError(
                f"{label} must be 'min' or 'max', got {word!r}{did_you_mean(str(word), SENSES)}"
            )
    return SENSES[sense if direction is None else direction]


def _costs(c: Any, names: Sequence[str] | None) -> Floats:
    try:
        costs = np.array(c, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"c must be numbers, got {type(c).__name__}") from None
    if costs.ndim != 1 or not len(costs):
        raise ProblemError(f"c must be one number a column, of shape (n,), got shape {costs.shape}")
    if not np.isfinite(costs).all():
        j = int(np.flatnonzero(~np.isfinite(costs))[0])
        raise ProblemError(f"c must be finite, got {costs[j]} at column {_label(j, names)}")
    return costs


def _matrix(A: Any, n: int, names: Sequence[str] | None) -> Any:
    from scipy.sparse import csr_array, issparse

    if A is None:
        return csr_array((0, n))
    try:
        given: Any = A if issparse(A) else np.atleast_2d(np.asarray(A, dtype=np.float64))
        rows = csr_array(given)
    except (TypeError, ValueError):
        raise ProblemError(f"A must be a matrix of numbers, got {type(A).__name__}") from None
    if rows.ndim != 2 or rows.shape[1] != n:
        raise ProblemError(f"A must have one column for each of the {n} entries of c, got shape {rows.shape}")
    if rows.dtype != np.float64:
        rows = rows.astype(np.float64)
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    if not np.isfinite(rows.data).all():
        k = int(np.flatnonzero(~np.isfinite(rows.data))[0])
        i, j = int(np.searchsorted(rows.indptr, k, side="right")) - 1, int(rows.indices[k])
        raise ProblemError(
            f"A must be finite, got {rows.data[k]} in row {i} at column {_label(j, names)}; "
            "leave a row's bound infinite instead"
        )
    return rows


def _bounds(bounds: Any, n: int) -> tuple[Any, Any]:
    if bounds is None:
        return -np.inf, np.inf
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        low, high = bounds.lb, bounds.ub
    elif isinstance(bounds, tuple) and len(bounds) == 2:
        low, high = bounds
    else:
        pairs = _pairs(bounds)
        if pairs.shape != (n, 2):
            raise ProblemError(
                f"bounds must be a tuple (lower, upper), {n} pairs or Bounds, got {type(bounds).__name__} "
                f"of shape {np.shape(bounds)}"
            )
        low, high = pairs[:, 0], pairs[:, 1]
    return _end(low, -np.inf, n), _end(high, np.inf, n)


def _pairs(bounds: Any) -> Floats:
    """Pairs (n, 2) of numbers, infinite for None; of another shape where they are none."""
    if isinstance(bounds, np.ndarray) and bounds.dtype.kind in "iuf":
        return bounds.astype(np.float64)
    try:
        ends = [[e if end is None else end for end, e in zip(pair, ENDS, strict=True)] for pair in bounds]
        return np.array(ends, dtype=np.float64)
    except (TypeError, ValueError):
        return np.empty(0)


def _end(value: Any, absent: float, n: int) -> Floats:
    """One end of the bounds, (n,); None is no bound."""
    if value is None or (isinstance(value, np.ndarray) and value.dtype.kind in "iuf"):
        given: Any = absent if value is None else value
    else:
        given = [absent if one is None else one for one in value] if np.ndim(value) == 1 else value
    try:
        array = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"bounds must be numbers, got {value!r}") from None
    if array.shape not in ((), (n,)):
        raise ProblemError(f"bounds must be numbers or of shape ({n},), got shape {array.shape}")
    array = np.broadcast_to(array, (n,)).copy()
    if np.isnan(array).any():
        j = int(np.flatnonzero(np.isnan(array))[0])
        raise ProblemError(
            f"bounds must be numbers, got nan at column {j}; None or an infinite number is no bound"
        )
    return array


def _integrality(given: Any) -> Any:
    array = np.asarray(given)
    if array.dtype.kind in "iuf" and np.isin(array, (2, 3)).any():
        raise ProblemError(
            f"integrality must be 0 or 1, got {array[np.isin(array, (2, 3))].flat[0]:g}: {SEMI}"
        )
    return given


def _names(names: Any, label: str, n: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    listed = tuple(names) if not isinstance(names, str) else ()
    if len(listed) != n or not all(isinstance(name, str) for name in listed):
        raise ProblemError(
            f"{label} must be {n} strings, got {len(listed)} entries of {type(names).__name__}"
        )
    if len(set(listed)) < n:
        seen: set[str] = set()
        twice = next(name for name in listed if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ProblemError(f"{label} must be distinct, got {twice!r} twice")
    return listed


def _label(j: int, names: Sequence[str] | None) -> str:
    return str(j) if names is None or j >= len(names) else f"{j} ({names[j]})"
