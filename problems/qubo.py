"""Quadratic unconstrained binary optimization, and the Ising model in other words.

    f(x) = constant + x' Q x = constant + sum_i linear[i] x[i] + sum_{i<j} coupling[i, j] x[i] x[j],   x[i] in {0, 1},

with linear[i] = Q[i, i] and coupling[i, j] = Q[i, j] + Q[j, i]. The Ising model with spins s[i] = 2 x[i] - 1,

    E(s) = offset + sum_i h[i] s[i] + sum_{i<j} J[i, j] s[i] s[j],

is the same function: see `QUBO.from_ising` and `QUBO.to_ising`. Boros, Hammer, Pseudo-boolean optimization, Discrete
Applied Mathematics 123 (2002), doi:10.1016/S0166-218X(01)00341-9.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Binary, Space
from optengine.problems.arrays import flip_moves
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]

RANDOM_SIZE = 100  # random entries are -100..100, as in Beasley's instances
DENSE = 0.25  # share of couplings from which products go through a dense matrix


class QUBO(Problem):
    """A quadratic function of bits; minimised unless said otherwise.

    X is one point a row: X[i, k] in {0, 1}. Whole coefficients give exact values.

    Args:
        Q: (n, n), dense or SciPy sparse, symmetric, triangular or neither: f = constant + x' Q x.
        constant: added to f.
        direction: "minimize" or "maximize".
        name: name of the instance.

    Attributes:
        linear: (n,). coupling: CSR array (n, n), symmetric, zero diagonal. constant. n_bits.

    Raises:
        ProblemError: a matrix that is not square or not finite.
    """

    moves = ("flip",)

    def __init__(
        self,
        Q: ArrayLike | sp.sparray | sp.spmatrix,
        *,
        constant: float = 0.0,
        direction: str = "minimize",
        name: str | None = None,
    ) -> None:
        matrix = _square(Q)
        self.linear: Floats = np.ascontiguousarray(matrix.diagonal())
        coupling = sp.csr_array(matrix + matrix.T)
        coupling.setdiag(0.0)
        coupling.sum_duplicates()
        coupling.eliminate_zeros()
        coupling.sort_indices()
        self.coupling = coupling
        if not np.isfinite(constant):
            raise ProblemError(f"constant must be finite, got {constant!r}")
        self.constant, self.n_bits = float(constant), len(self.linear)
        super().__init__(
            self._values,
            Space(Binary(shape=self.n_bits)),
            direction=direction,
            call="encoded",
            vectorized=True,
            name=name or "qubo",
        )

    @classmethod
    def from_ising(cls, h: ArrayLike, J: Any, *, offset: float = 0.0, **options: Any) -> QUBO:
        """The energy offset + h's + sum over i < j of J[i, j] s[i] s[j] of spins s = 2 x - 1.

        Args:
            h: (n,). J: (n, n) with empty diagonal, upper triangle or symmetric: J[i, j] and J[j, i] add up, so that a
                symmetric J holds half of each coupling on either side.
        """
        pairs, field = _square(J), np.asarray(h, dtype=np.float64)
        if field.shape != (pairs.shape[0],):
            raise ProblemError(
                f"h must hold one number for each of {pairs.shape[0]} spins, got shape {field.shape}"
            )
        if pairs.diagonal().any():
            raise ProblemError("J must have an empty diagonal: s[i] s[i] is always 1")
        both = pairs + pairs.T
        linear = 2.0 * field - 2.0 * np.asarray(both.sum(axis=1)).ravel()
        Q = 4.0 * pairs + sp.diags_array(linear)
        return cls(Q, constant=offset - float(field.sum()) + float(pairs.sum()), **options)

    def to_ising(self) -> tuple[Floats, sp.csr_array, float]:
        """h (n,), J (n, n) upper triangle, and the offset, so that the energy of s = 2 x - 1 is f(x)."""
        sums = np.asarray(self.coupling.sum(axis=1)).ravel()
        J = sp.csr_array(sp.triu(self.coupling, 1) / 4.0)
        h = self.linear / 2.0 + sums / 4.0
        return h, J, self.constant + float(self.linear.sum()) / 2.0 + float(sums.sum()) / 8.0

    @classmethod
    def random(cls, rng: Generator, n: int, density: float = 0.1) -> QUBO:
        """Entries uniform on -100..100, couplings with probability `density`, maximised, as Beasley (1998)."""
        upper = np.triu(rng.integers(-RANDOM_SIZE, RANDOM_SIZE + 1, (n, n)), 1) * (
            rng.random((n, n)) < density
        )
        diagonal = np.diag(rng.integers(-RANDOM_SIZE, RANDOM_SIZE + 1, n))
        return cls(2.0 * upper + diagonal, direction="maximize", name=f"random{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> QUBO:
        """Read a file (qbsolv, OR-Library). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def _values(self, X: Floats) -> Floats:
        """f (m,) of the rows of X (m, n); O(couplings) a row."""
        dense = self.coupling.nnz > DENSE * self.n_bits**2
        products = X @ self.coupling.toarray() if dense and len(X) > 4 else (self.coupling @ X.T).T
        return np.asarray(X @ self.linear + 0.5 * (products * X).sum(axis=1) + self.constant)

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the minimised value under each flip; O(couplings of the bit) a move.

        Args:
            x: (n,) bits. kind: "flip". moves: (k, 2) the bit, twice.

        Returns:
            dF (k, 1), dG (k, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that name no bit.
        """
        bits, which = flip_moves(x, kind, moves, self.n_bits)
        rows = self.coupling[which] @ bits if len(which) else np.empty(0)
        change = (1.0 - 2.0 * bits[which]) * (self.linear[which] + rows)
        return self.signs[0] * change[:, np.newaxis], np.empty((len(which), 0))

    def milp(self) -> MILP:
        """The linear form: one column and up to two rows more for every coupling (Glover, Woolsey, 1974).

        The first n columns are x; y[i, j] = x[i] x[j] is held from the side where it pays.
        """
        upper = sp.coo_array(sp.triu(self.coupling, 1))
        (i, j), w = upper.coords, upper.data
        n, m = self.n_bits, len(w)
        pays = self.signs[0] * w < 0  # y wants to be large: y <= x_i, y <= x_j; else y >= x_i + x_j - 1
        y = n + np.arange(m)
        entries, row = [], 0
        for ends in (i[pays], j[pays]):
            rows = row + np.arange(len(ends))
            entries += [(rows, y[pays], np.ones(len(ends))), (rows, ends, -np.ones(len(ends)))]
            row += len(ends)
        rows = row + np.arange(int((~pays).sum()))
        entries += [(rows, ends, np.ones(len(rows))) for ends in (i[~pays], j[~pays])]
        entries.append((rows, y[~pays], -np.ones(len(rows))))
        upper_bounds = np.r_[np.zeros(row), np.ones(len(rows))]
        a, b, v = (np.concatenate(part) for part in zip(*entries, strict=True))
        A = sp.csr_array((v, (a, b)), shape=(row + len(rows), n + m))
        c, whole = np.r_[self.linear, w], np.r_[np.ones(n, dtype=bool), np.zeros(m, dtype=bool)]
        return MILP(
            c, A, upper=upper_bounds, bounds=(0.0, 1.0), integrality=whole, constant=self.constant,
            direction=self.objectives[0].direction, name=self.name,
        )  # fmt: skip

    def qubo(self) -> QUBO:
        """Itself: what solvers of quadratic functions of bits ask every problem for."""
        return self

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`ones`: the indices of the bits that are set."""
        return {"ones": np.flatnonzero(np.asarray(x) > 0.5)}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256(np.r_[self.constant, self.linear, self.coupling.data].tobytes())
        for part in (self.coupling.indptr, self.coupling.indices):
            digest.update(part.astype(np.int64).tobytes())
        return super().fingerprint() | {"bits": self.n_bits, "data": digest.hexdigest()}


def _square(Q: Any) -> sp.csr_array:
    """A square matrix of finite numbers as a CSR array."""
    try:
        given: Any = Q if sp.issparse(Q) else np.atleast_2d(np.asarray(Q, dtype=np.float64))
        matrix = sp.csr_array(given, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"Q must be a matrix of numbers, got {type(Q).__name__}") from None
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not matrix.shape[0]:
        raise ProblemError(f"Q must be a square matrix, got shape {matrix.shape}")
    if not np.isfinite(matrix.data).all():
        raise ProblemError("Q must be finite, got NaN or infinite entries")
    return matrix
