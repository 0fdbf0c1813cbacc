"""A small modelling layer: variables, linear expressions, rows, and the `MILP` they make.

    model = Model("knapsack")
    x = model.binary("x", shape=5)
    model.add(weights @ x <= 10)
    model.maximize(values @ x)
    problem = model.build()

Expressions are arrays: `shape=` gives an array of variables, and sums, products with numbers or matrices, indexing and
comparisons work on all elements at once, on sparse coefficients.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]


class Expression:
    """An array of linear expressions over the variables of one model.

    Attributes:
        shape: of the array, () for one expression.
    """

    __array_ufunc__ = None  # arrays on the left leave operators to us
    __hash__ = None  # type: ignore[assignment]  # == makes rows

    def __init__(self, model: Model, A: Any, constant: Floats, shape: tuple[int, ...]) -> None:
        self._model, self._A, self._constant, self.shape = model, A, constant, shape

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("one expression has no length")
        return self.shape[0]

    def __repr__(self) -> str:
        return f"Expression(shape={self.shape}, {self._A.nnz} terms)"

    def value(self, x: ArrayLike) -> Any:
        """The expression at x (n,), a result's x: a number, or an array of its shape."""
        point = np.asarray(x, dtype=np.float64)
        values = self._wide(len(point)) @ point + self._constant
        return values.reshape(self.shape) if self.shape else float(values[0])

    def sum(self, axis: int | None = None) -> Expression:
        """Sum over all elements, or along one axis."""
        from scipy.sparse import csr_array

        if axis is None:
            groups, shape = np.zeros(self.size, dtype=np.int64), ()
        else:
            shape = tuple(np.delete(self.shape, axis).tolist())
            kept = np.arange(math.prod(shape)).reshape(shape)
            groups = np.broadcast_to(np.expand_dims(kept, axis), self.shape).ravel()
        count = math.prod(shape)
        ones: Any = csr_array((np.ones(self.size), (groups, np.arange(self.size))), shape=(count, self.size))
        return Expression(self._model, ones @ self._A, ones @ self._constant, shape)

    def reshape(self, *shape: int) -> Expression:
        """The same expressions in another shape."""
        return self._picked(np.arange(self.size).reshape(*shape))

    def __getitem__(self, index: Any) -> Expression:
        return self._picked(np.arange(self.size).reshape(self.shape)[index])

    def _picked(self, places: Any) -> Expression:
        places = np.asarray(places)
        flat = places.ravel()
        return Expression(self._model, self._A[flat], self._constant[flat], places.shape)

    def _wide(self, width: int) -> Any:
        """Coefficients (size, width): variables may have been added since."""
        from scipy.sparse import csr_array

        A = self._A
        return (
            A if A.shape[1] == width else csr_array((A.data, A.indices, A.indptr), shape=(A.shape[0], width))
        )

    # -- arithmetic ----------------------------------------------------------------------------------------------

    def __add__(self, other: Any) -> Expression:
        if not isinstance(other, Expression):
            numbers = _numbers(other, "a sum")
            me = self._spread(np.broadcast_shapes(self.shape, numbers.shape))
            constant = me._constant + np.broadcast_to(numbers, me.shape).ravel()
            return Expression(self._model, me._A, constant, me.shape)
        if other._model is not self._model:
            raise ProblemError("expressions of a sum must be of one model, got two models")
        shape = np.broadcast_shapes(self.shape, other.shape)
        left, right = self._spread(shape), other._spread(shape)
        width = max(left._A.shape[1], right._A.shape[1])
        A = left._wide(width) + right._wide(width)
        return Expression(self._model, A, left._constant + right._constant, shape)

    def _spread(self, shape: tuple[int, ...]) -> Expression:
        if shape == self.shape:
            return self
        return self._picked(np.broadcast_to(np.arange(self.size).reshape(self.shape), shape))

    def __mul__(self, factor: Any) -> Expression:
        from scipy.sparse import diags_array

        if isinstance(factor, Expression):
            raise ProblemError("products of two expressions are not linear; multiply by numbers")
        numbers = _numbers(factor, "a product")
        me = self._spread(np.broadcast_shapes(self.shape, numbers.shape))
        flat = np.broadcast_to(numbers, me.shape).ravel()
        return Expression(self._model, diags_array(flat).tocsr() @ me._A, flat * me._constant, me.shape)

    def __rmatmul__(self, matrix: Any) -> Expression:
        from scipy.sparse import csr_array, issparse

        one = np.ndim(matrix) == 1
        given: Any = matrix if issparse(matrix) else np.atleast_2d(_numbers(matrix, "a product"))
        if not self.shape or len(self.shape) > 1 or given.shape[1] != self.shape[0]:
            raise ProblemError(
                f"matrix of shape {np.shape(matrix)} must fit an expression of shape {self.shape}"
            )
        rows = csr_array(given)
        return Expression(
            self._model, rows @ self._A, rows @ self._constant, () if one else (int(rows.shape[0]),)
        )

    def __matmul__(self, vector: Any) -> Expression:
        return self.__rmatmul__(vector.T if np.ndim(vector) == 2 else vector)

    def __neg__(self) -> Expression:
        return self * -1.0

    def __sub__(self, other: Any) -> Expression:
        return self + (-other if isinstance(other, Expression) else -_numbers(other, "a difference"))

    def __rsub__(self, other: Any) -> Expression:
        difference: Expression = -self + other
        return difference

    def __truediv__(self, divisor: Any) -> Expression:
        return self * (1.0 / _numbers(divisor, "a quotient"))

    __radd__, __rmul__ = __add__, __mul__

    # -- rows ----------------------------------------------------------------------------------------------------

    def __le__(self, other: Any) -> Rows:
        return self._rows(other, below=False, above=True)

    def __ge__(self, other: Any) -> Rows:
        return self._rows(other, below=True, above=False)

    def __eq__(self, other: object) -> Rows:  # type: ignore[override]  # a row, as in every modelling language
        return self._rows(other, below=True, above=True)

    def __ne__(self, other: object) -> Any:
        raise ProblemError("rows must be <=, >= or ==, got !=")

    def __lt__(self, other: Any) -> Any:
        raise ProblemError("rows must be <=, >= or ==, got <")

    def __gt__(self, other: Any) -> Any:
        raise ProblemError("rows must be <=, >= or ==, got >")

    def _rows(self, other: Any, below: bool, above: bool) -> Rows:
        """Rows self <= other (`above`) and self >= other (`below`)."""
        if isinstance(other, Expression):
            difference = self - other
            side = -difference._constant
        else:  # infinite where there is no bound
            bound = _numbers(other, "the bound of a row", infinite=True)
            me = self._spread(np.broadcast_shapes(self.shape, bound.shape))
            side = np.broadcast_to(bound, me.shape).ravel() - me._constant
            difference = me
        none = np.full(len(side), np.inf)
        return Rows(difference, side if below else -none, side if above else none)


class Rows:
    """Linear rows lower <= A x <= upper, one an element; made by comparing expressions."""

    def __init__(self, expression: Expression, lower: Floats, upper: Floats) -> None:
        self.expression, self.lower, self.upper = expression, lower, upper

    def __bool__(self) -> bool:
        raise ProblemError(
            "rows have no truth value: write low <= expression and expression <= high as two rows, not as a chain"
        )


class Model:
    """Variables, rows and an objective on the way to a `MILP`.

    Args:
        name: of the instance.
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self._low: list[Floats] = []
        self._high: list[Floats] = []
        self._whole: list[NDArray[np.bool_]] = []
        self._names: list[str] = []
        self._taken: set[str] = set()
        self._rows: list[tuple[Rows, str | None]] = []
        self._objective: tuple[str, Expression] | None = None

    # -- variables -----------------------------------------------------------------------------------------------

    def real(
        self,
        name: str | None = None,
        shape: int | tuple[int, ...] = (),
        low: ArrayLike = 0.0,
        high: ArrayLike = np.inf,
    ) -> Expression:
        """Real variables in [low, high], numbers or arrays of `shape`; infinite where there is no bound."""
        return self._variables(name, shape, low, high, False)

    def integer(
        self,
        name: str | None = None,
        shape: int | tuple[int, ...] = (),
        low: ArrayLike = 0.0,
        high: ArrayLike = np.inf,
    ) -> Expression:
        """Whole variables in [low, high]; arguments as for `real`."""
        return self._variables(name, shape, low, high, True)

    def binary(self, name: str | None = None, shape: int | tuple[int, ...] = ()) -> Expression:
        """Variables that are 0 or 1."""
        return self._variables(name, shape, 0.0, 1.0, True)

    def _variables(
        self, name: str | None, shape: int | tuple[int, ...], low: Any, high: Any, whole: bool
    ) -> Expression:
        from scipy.sparse import csr_array

        dims = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
        if not all(isinstance(d, (int, np.integer)) and d > 0 for d in dims):
            raise ProblemError(f"shape must be positive integers, got {shape!r}")
        label = f"v{len(self._low)}" if name is None else name
        if not isinstance(label, str) or not label or label in self._taken:
            raise ProblemError(f"name of variables must be a new string, got {name!r}")
        self._taken.add(label)
        count, first = math.prod(dims), len(self._names)
        for ends, value, what in ((self._low, low, "low"), (self._high, high, "high")):
            numbers = _numbers(value, f"{what} of {label!r}", infinite=True)
            try:
                ends.append(np.array(np.broadcast_to(numbers, dims), dtype=np.float64).ravel())
            except ValueError:
                raise ProblemError(
                    f"{what} of {label!r} must fit shape {dims}, got {numbers.shape}"
                ) from None
        self._whole.append(np.full(count, whole))
        self._names += [_element(label, dims, i) for i in range(count)]
        A = csr_array(
            (np.ones(count), (np.arange(count), first + np.arange(count))), shape=(count, first + count)
        )
        return Expression(self, A, np.zeros(count), tuple(int(d) for d in dims))

    # -- rows and objective --------------------------------------------------------------------------------------

    def add(self, rows: Rows, name: str | None = None) -> None:
        """Add rows, such as `A @ x <= b`; `name` names them, name[i] where there are several."""
        if not isinstance(rows, Rows):
            raise ProblemError(f"rows must come from comparing expressions, got {rows!r}")
        self._mine(rows.expression)
        self._rows.append((rows, name))

    def minimize(self, expression: Expression) -> None:
        """State the objective, one expression."""
        self._state("min", expression)

    def maximize(self, expression: Expression) -> None:
        """State the objective, one expression."""
        self._state("max", expression)

    def _state(self, sense: str, expression: Expression) -> None:
        if not isinstance(expression, Expression) or expression.size != 1:
            shape = getattr(expression, "shape", None)
            raise ProblemError(
                f"objective must be one expression, got {type(expression).__name__} of shape {shape}"
            )
        self._mine(expression)
        self._objective = (sense, expression)

    def _mine(self, expression: Expression) -> None:
        if expression._model is not self:
            raise ProblemError("expressions must be of this model, got one of another model")

    def build(self, name: str | None = None) -> MILP:
        """The finished problem.

        Raises:
            ProblemError: no variables, or what `MILP` refuses.
        """
        from scipy.sparse import vstack

        if not self._names:
            raise ProblemError("a model needs at least one variable, got none")
        n = len(self._names)
        costs, sense, constant = np.zeros(n), "min", 0.0
        if self._objective is not None:
            sense, goal = self._objective
            costs, constant = goal._wide(n).toarray()[0], float(goal._constant[0])
        A: Any = None
        lower = upper = np.empty(0)
        if self._rows:
            A = vstack([rows.expression._wide(n) for rows, _ in self._rows], format="csr")
            lower = np.concatenate([rows.lower for rows, _ in self._rows])
            upper = np.concatenate([rows.upper for rows, _ in self._rows])
        return MILP(
            costs,
            A,
            lower,
            upper,
            (np.concatenate(self._low), np.concatenate(self._high)),
            np.concatenate(self._whole),
            sense,
            self._names,
            self._row_names(),
            constant,
            name=name or self.name,
        )

    def _row_names(self) -> list[str]:
        names: list[str] = []
        for k, (rows, name) in enumerate(self._rows):
            label, shape = name or f"row{k}", rows.expression.shape
            names += [_element(label, shape, i) for i in range(len(rows.lower))]
        return names


def _element(label: str, shape: tuple[int, ...], i: int) -> str:
    """The name of one element: x, or x[2,3]."""
    return f"{label}[{','.join(str(int(k)) for k in np.unravel_index(i, shape))}]" if shape else label


def _numbers(value: Any, what: str, infinite: bool = False) -> Floats:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"{what} must be numbers, got {type(value).__name__}") from None
    if np.isnan(array).any() or not (infinite or np.isfinite(array).all()):
        raise ProblemError(f"{what} must be finite numbers, got NaN or an infinite one")
    return array
