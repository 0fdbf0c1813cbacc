"""Market split (market share): bits whose weighted sums meet given values.

    minimise   sum_i | sum_j A[i, j] x[j] - b[i] |,   x[j] in {0, 1}.

Value 0 answers the question of feasibility. Cornuejols, Dawande, A class of hard small 0-1 programs, INFORMS Journal on
Computing 11 (1999), doi:10.1287/ijoc.11.2.205.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Binary, Space
from optengine.problems.arrays import flip_moves

if TYPE_CHECKING:
    from optengine.problems.milp import MILP
    from optengine.problems.qubo import QUBO

Floats = NDArray[np.float64]

RANDOM_HIGH = 100  # random entries are below it


class MarketSplit(Problem):
    """Bits whose sums along the rows are to meet b; the sum of all deviations is minimised.

    Args:
        A: (m, n), b: (m,), both whole.
        name: name of the instance.

    Raises:
        ProblemError: shapes that disagree, or numbers that are not whole.
    """

    moves = ("flip",)

    def __init__(self, A: ArrayLike, b: ArrayLike, *, name: str | None = None) -> None:
        self.A, self.b = (np.atleast_1d(np.asarray(a, dtype=np.float64)) for a in (A, b))
        if self.A.ndim != 2 or self.b.shape != (len(self.A),):
            raise ProblemError(
                f"A must be (m, n) and b (m,), got shapes {np.shape(self.A)} and {np.shape(self.b)}"
            )
        if (self.A != np.rint(self.A)).any() or (self.b != np.rint(self.b)).any():
            raise ProblemError("A and b must be whole numbers")
        self.n_bits = self.A.shape[1]
        super().__init__(
            self._values,
            Space(Binary(shape=self.n_bits)),
            call="encoded",
            vectorized=True,
            name=name or "market split",
        )

    @classmethod
    def random(
        cls, rng: Generator, m: int = 3, n: int | None = None, *, solvable: bool = True
    ) -> MarketSplit:
        """m rows of n = 10 (m - 1) entries uniform on 0..99; b from a random point, or half of the sums."""
        n = 10 * (m - 1) if n is None else n
        A = rng.integers(0, RANDOM_HIGH, (m, n))
        b = A @ rng.integers(0, 2, n) if solvable else A.sum(axis=1) // 2
        return cls(A, b, name=f"random{m}x{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> MarketSplit:
        """Read a file (QOBLIB). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def _values(self, X: Floats) -> Floats:
        return np.asarray(np.abs(X @ self.A.T - self.b).sum(axis=1))

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the deviations under each flip; O(m) a move; dF (k, 1), dG (k, 0)."""
        bits, which = flip_moves(x, kind, moves, self.n_bits)
        off = self.A @ bits - self.b
        after = np.abs(off[:, None] + self.A[:, which] * (1.0 - 2.0 * bits[which]))
        return (after.sum(axis=0) - np.abs(off).sum())[:, None], np.empty((len(which), 0))

    def milp(self) -> MILP:
        """With two slacks a row: the columns are x, what is above, what is below."""
        from optengine.problems.milp import MILP

        (m, n), eye = self.A.shape, sp.eye_array(len(self.b))
        A = sp.hstack([sp.csr_array(self.A), -eye, eye])
        upper = np.r_[np.ones(n), np.full(2 * m, np.inf)]
        whole = np.r_[np.ones(n, dtype=bool), np.zeros(2 * m, dtype=bool)]
        return MILP(
            np.r_[np.zeros(n), np.ones(2 * m)], A, self.b, self.b, (0.0, upper), whole, name=self.name
        )

    def qubo(self) -> QUBO:
        """The sum of the squares of the deviations: another function, with the same points of value 0."""
        from optengine.problems.qubo import QUBO

        Q = self.A.T @ self.A - 2.0 * np.diag(self.A.T @ self.b)
        return QUBO(Q, constant=float(self.b @ self.b), name=self.name)

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`deviations` (m,) of the sums from b."""
        return {"deviations": self.A @ np.asarray(x, dtype=np.float64) - self.b}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256(np.c_[self.A, self.b].tobytes()).hexdigest()
        return super().fingerprint() | {"rows": len(self.b), "data": digest}
