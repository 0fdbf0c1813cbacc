"""The maximum cut problem: two sides of a graph with the most weight between them (Karp, 1972).

    f(x) = sum over edges {i, j} of w[i, j] * [x[i] != x[j]],   x[i] in {0, 1}, maximised.

A partition and its complement have the same value.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Binary, Space

if TYPE_CHECKING:
    from optengine.problems.milp import MILP
    from optengine.problems.qubo import QUBO

Floats = NDArray[np.float64]


class MaxCut(Problem):
    """Partition of a graph's nodes into two sides; maximised.

    X is one partition a row: X[i, k] in {0, 1} is the side of node k.

    Args:
        W: (n, n) symmetric weights, dense or SciPy sparse; each edge stands on both sides of the diagonal, which must
            be empty.
        name: name of the instance.

    Attributes:
        W: CSR array (n, n), float64. n_nodes, n_edges.
        complement: True: flipping every bit changes no value.

    Raises:
        ProblemError: weights that are not square, finite, symmetric, or with loops.
    """

    moves = ("flip",)
    complement = True

    def __init__(self, W: ArrayLike | sp.sparray | sp.spmatrix, *, name: str | None = None) -> None:
        dense = None if sp.issparse(W) else np.asarray(W, dtype=np.float64)
        shape = W.shape if dense is None else dense.shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
            raise ProblemError(f"W must be a square matrix of at least two nodes, got shape {shape}")
        self.W = sp.csr_array(W if dense is None else dense, dtype=np.float64)
        self.W.sum_duplicates()
        self.W.eliminate_zeros()
        if not np.isfinite(self.W.data).all():
            raise ProblemError("W must be finite, got NaN or infinite weights")
        if self.W.diagonal().any():
            raise ProblemError(
                f"W must have an empty diagonal, got a loop at node {int(np.argmax(self.W.diagonal() != 0))}"
            )
        if abs(self.W - self.W.T).nnz:
            raise ProblemError(
                "W must be symmetric, got W[i, j] != W[j, i]; add W.T to weights of one direction"
            )
        upper = sp.coo_array(sp.triu(self.W, 1))
        self._first, self._second = (np.asarray(ends, dtype=np.int64) for ends in upper.coords)
        self._weights = np.ascontiguousarray(upper.data)
        self._indptr, self._indices = self.W.indptr.astype(np.int64), self.W.indices.astype(np.int64)
        self.n_nodes, self.n_edges = int(shape[0]), len(self._weights)
        super().__init__(
            self._cut,
            Space(Binary(shape=self.n_nodes)),
            direction="maximize",
            call="encoded",
            vectorized=True,
            name=name or "maxcut",
        )

    @classmethod
    def random(cls, rng: Generator, n: int, density: float = 0.5) -> MaxCut:
        """A graph of n nodes and unit weights, each edge there with probability `density`."""
        W = np.triu(rng.random((n, n)) < density, 1).astype(np.float64)
        return cls(W + W.T, name=f"random{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> MaxCut:
        """Read a file (rudy). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def _cut(self, X: Floats) -> Floats:
        """Weights (m,) of the cuts X (m, n); O(edges) a row."""
        from optengine.kernels.cut import cuts

        return np.asarray(cuts(self._first, self._second, self._weights, np.ascontiguousarray(X)))

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the minimised value (less the cut) under each flip; O(degree) a move.

        Args:
            x: (n,) sides.
            kind: "flip": a node changes its side.
            moves: (k, 2) the node, twice.

        Returns:
            dF (k, 1), dG (k, 0).

        Raises:
            OptionError, ProblemError: an unknown kind, or moves that name no node.
        """
        from optengine.kernels.cut import flips

        if kind not in self.moves:
            raise OptionError(f"kind must be one of {list(self.moves)}, got {kind!r}")
        sides, pairs = np.asarray(x, dtype=np.float64), np.asarray(moves, dtype=np.int64)
        if sides.shape != (self.n_nodes,):
            raise ProblemError(f"x must hold the sides of {self.n_nodes} nodes, got shape {sides.shape}")
        if pairs.ndim != 2 or (pairs.size and not (0 <= pairs.min() and pairs.max() < self.n_nodes)):
            raise ProblemError(
                f"moves must be pairs of nodes in 0..{self.n_nodes - 1}, got shape {pairs.shape}"
            )
        gains = flips(self._indptr, self._indices, self.W.data, sides, np.ascontiguousarray(pairs[:, 0]))
        return -gains[:, np.newaxis], np.empty((len(pairs), 0))

    def qubo(self) -> QUBO:
        """The same function of the same bits: the cut is the sum of w[i, j] (x[i] + x[j] - 2 x[i] x[j]), maximised."""
        from optengine.problems.qubo import QUBO

        degrees: Floats = np.asarray(self.W.sum(axis=1)).ravel()
        return QUBO(sp.diags_array(degrees) - self.W, direction="maximize", name=self.name)

    def milp(self) -> MILP:
        """The linear form of `qubo`: the first n columns are the sides, one more stands for every edge."""
        return self.qubo().milp()

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`sides`: the nodes (arrays) of either side."""
        sides = np.asarray(x) > 0.5
        return {"sides": (np.flatnonzero(~sides), np.flatnonzero(sides))}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256()
        for part in (self._indptr, self._indices, self.W.data):
            digest.update(np.ascontiguousarray(part).tobytes())
        return super().fingerprint() | {"nodes": self.n_nodes, "data": digest.hexdigest()}
