"""Maximum satisfiability: bits that leave the least weight of clauses unsatisfied.

A clause is a list of literals, v for the bit v and -v for its negation, from 1 as in DIMACS files; it is satisfied if
one of its literals is. Clauses may be hard: they must be satisfied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Constraint, Problem
from optengine.core.space import Binary, Space
from optengine.problems.arrays import flip_moves

if TYPE_CHECKING:
    from optengine.problems.milp import MILP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class MaxSAT(Problem):
    """Weighted clauses over bits; the weight of the unsatisfied soft clauses is minimised.

    X is one assignment a row. The constraint `hard` counts the unsatisfied hard clauses.

    Args:
        clauses: lists of literals, v or -v for the bit v from 1, none empty.
        weights: of the clauses, positive, infinite where hard; None: all 1.
        n_bits: None: the largest bit named.
        name: name of the instance.

    Attributes:
        indptr, bits, wanted: literals of all clauses in compressed rows: the bit from 0, and its value (0 or 1).
        weights: (m,).

    Raises:
        ProblemError: empty clauses, literals out of range, weights that are not positive.
    """

    moves = ("flip",)

    def __init__(
        self,
        clauses: Sequence[ArrayLike],
        weights: ArrayLike | None = None,
        n_bits: int | None = None,
        *,
        name: str | None = None,
    ) -> None:
        lists = [np.unique(np.asarray(clause, dtype=np.int64)) for clause in clauses]
        if not lists or any(len(clause) == 0 for clause in lists):
            raise ProblemError("clauses must be lists of at least one literal, got an empty one or none")
        literals = np.concatenate(lists)
        self.n_bits = int(np.abs(literals).max()) if n_bits is None else int(n_bits)
        if (literals == 0).any() or np.abs(literals).max() > self.n_bits:
            wrong = literals[(literals == 0) | (np.abs(literals) > self.n_bits)][0]
            raise ProblemError(f"literals must be 1..{self.n_bits} or their negatives, got {wrong}")
        self.indptr: Integers = np.r_[0, np.cumsum([len(clause) for clause in lists])]
        self.bits: Integers = np.abs(literals) - 1
        self.wanted: Integers = (literals > 0).astype(np.int64)
        self.weights = np.ones(len(lists)) if weights is None else np.asarray(weights, dtype=np.float64)
        if self.weights.shape != (len(lists),) or not (self.weights > 0).all():
            raise ProblemError(f"weights must be positive, one for each of {len(lists)} clauses")
        self.hard = np.isinf(self.weights)
        row = np.repeat(np.arange(len(lists)), np.diff(self.indptr))
        shape = (len(lists), self.n_bits)
        sign = 2.0 * self.wanted - 1.0
        self._signed = sp.csr_array(sp.coo_array((sign, (row, self.bits)), shape=shape))
        self._negative = np.bincount(row, weights=1.0 - self.wanted, minlength=len(lists))
        super().__init__(
            self._values,
            Space(Binary(shape=self.n_bits)),
            constraints=Constraint("hard") if self.hard.any() else (),
            call="encoded",
            vectorized=True,
            name=name or "max-sat",
        )

    @classmethod
    def random(cls, rng: Generator, n: int, m: int | None = None, size: int = 3) -> MaxSAT:
        """m clauses (None: 4.2 n) of `size` different bits, each negated with probability 1/2."""
        m = round(4.2 * n) if m is None else m
        chosen = np.array([rng.choice(n, size, replace=False) + 1 for _ in range(m)])
        return cls(list(chosen * rng.choice([-1, 1], chosen.shape)), n_bits=n, name=f"random{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> MaxSAT:
        """Read a file (DIMACS cnf or wcnf). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def unsatisfied(self, X: ArrayLike) -> NDArray[np.bool_]:
        """(r, m) whether each clause is unsatisfied by each row of X (r, n)."""
        true = (self._signed @ np.atleast_2d(np.asarray(X, dtype=np.float64)).T).T + self._negative
        return np.asarray(true < 0.5)

    def _values(self, X: Floats) -> dict[str, Floats]:
        open_ = self.unsatisfied(X).astype(np.float64)
        values = {"objective": open_ @ np.where(self.hard, 0.0, self.weights)}
        return values | ({"hard": open_ @ self.hard.astype(np.float64)} if self.hard.any() else {})

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of weight and of hard clauses under each flip; dF (k, 1), dG (k, 1), or (k, 0) without hard ones."""
        bits, which = flip_moves(x, kind, moves, self.n_bits)
        Y = np.repeat(bits[None], len(which) + 1, axis=0)
        Y[np.arange(len(which)), which] = 1.0 - bits[which]
        values = self._values(Y)
        change = [v[:-1] - v[-1] for v in values.values()]
        dG = change[1][:, None] if len(change) > 1 else np.empty((len(which), 0))
        return change[0][:, None], dG

    def milp(self) -> MILP:
        """A bit more for every soft clause, 1 where it is unsatisfied."""
        from optengine.problems.milp import MILP

        soft = np.flatnonzero(~self.hard)
        slack = sp.coo_array(
            (np.ones(len(soft)), (soft, np.arange(len(soft)))), shape=(len(self.weights), len(soft))
        )
        c = np.r_[np.zeros(self.n_bits), self.weights[soft]]
        A = sp.csr_array(sp.hstack([self._signed, slack]))
        return MILP(c, A, 1.0 - self._negative, bounds=(0.0, 1.0), integrality=True, name=self.name)

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`unsatisfied`: the clauses left."""
        return {"unsatisfied": np.flatnonzero(self.unsatisfied(x)[0])}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256(self.weights.tobytes())
        for part in (self.indptr, self.bits, self.wanted):
            digest.update(part.tobytes())
        return super().fingerprint() | {"clauses": len(self.weights), "data": digest.hexdigest()}
