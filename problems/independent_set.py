"""Largest independent sets and cliques of graphs.

An independent set holds no two neighbours, a clique only neighbours: a clique is an independent set of the complement.

    maximise   sum_i x[i]   subject to   x[i] + x[j] <= 1 for every edge {i, j},   x[i] in {0, 1}.

Johnson, Trick (eds.), Cliques, coloring, and satisfiability: second DIMACS implementation challenge, 1996.
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
from optengine.core.problem import Constraint, Problem
from optengine.core.space import Binary, Space
from optengine.problems.arrays import flip_moves

if TYPE_CHECKING:
    from optengine.problems.milp import MILP
    from optengine.problems.qubo import QUBO

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

PENALTY = 2.0  # of two neighbours in the quadratic form; above 1 no optimum holds any


class IndependentSet(Problem):
    """Largest set of nodes of which no two are neighbours; maximised.

    X is one set a row: X[i, k] = 1 where node k is in it. The constraint `conflicts` counts the edges inside.

    Args:
        edges: (m, 2) pairs of nodes from 0, or an adjacency matrix (n, n), dense or SciPy sparse.
        n_nodes: number of nodes; None: the largest node of `edges` and one, or the size of the matrix.
        name: name of the instance.

    Attributes:
        edges: (m, 2) int64, each once. n_nodes. adjacency: CSR array (n, n) of 0 and 1.

    Raises:
        ProblemError: loops, nodes out of range, matrices that are not square and symmetric.
    """

    moves = ("flip",)

    def __init__(self, edges: Any, n_nodes: int | None = None, *, name: str | None = None) -> None:
        self.edges, self.n_nodes = graph_edges(edges, n_nodes)
        ones = np.ones(len(self.edges))
        half = sp.csr_array(sp.coo_array((ones, tuple(self.edges.T)), shape=(self.n_nodes, self.n_nodes)))
        self.adjacency = sp.csr_array(half + half.T)
        super().__init__(
            self._values,
            Space(Binary(shape=self.n_nodes)),
            direction="maximize",
            constraints=Constraint("conflicts"),
            call="encoded",
            vectorized=True,
            name=name or "independent set",
        )

    @classmethod
    def random(cls, rng: Generator, n: int, density: float = 0.2) -> IndependentSet:
        """A graph of n nodes, each edge there with probability `density`."""
        return cls(np.argwhere(np.triu(rng.random((n, n)) < density, 1)), n, name=f"random{n}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> IndependentSet:
        """Read a file (DIMACS). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def _values(self, X: Floats) -> dict[str, Floats]:
        inside = 0.5 * ((self.adjacency @ X.T).T * X).sum(axis=1)
        return {"objective": X.sum(axis=1), "conflicts": inside}

    def delta(self, x: ArrayLike, kind: str, moves: ArrayLike) -> tuple[Floats, Floats]:
        """Change of the minimised value and of the conflicts under each flip; dF (k, 1), dG (k, 1)."""
        bits, which = flip_moves(x, kind, moves, self.n_nodes)
        way = 1.0 - 2.0 * bits[which]
        return -way[:, None], (way * (self.adjacency[which] @ bits if len(which) else way))[:, None]

    def qubo(self) -> QUBO:
        """Without the constraint: the size less 2 for every edge inside, maximised, with the same optimum."""
        from optengine.problems.qubo import QUBO

        Q = sp.eye_array(self.n_nodes) - PENALTY / 2.0 * self.adjacency
        return QUBO(Q, direction="maximize", name=self.name)

    def milp(self) -> MILP:
        """With a row for each of a set of cliques that hold all edges: a far tighter relaxation than a row an edge."""
        from optengine.problems.milp import MILP

        cliques = self.clique_cover()
        rows = np.repeat(np.arange(len(cliques)), [len(clique) for clique in cliques])
        columns = np.concatenate(cliques) if cliques else np.empty(0, dtype=np.int64)
        A = sp.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(cliques), self.n_nodes))
        return MILP(
            np.ones(self.n_nodes),
            A,
            upper=1.0,
            bounds=(0.0, 1.0),
            integrality=True,
            sense="max",
            name=self.name,
        )

    def clique_cover(self) -> list[Integers]:
        """Cliques of the graph that hold every edge, each grown greedily from an edge that none holds yet."""
        left: list[set[int]] = [set() for _ in range(self.n_nodes)]
        near: list[set[int]] = [set() for _ in range(self.n_nodes)]
        for i, j in self.edges.tolist():
            left[i].add(j)
            for a, b in ((i, j), (j, i)):
                near[a].add(b)
        found = []
        for i in range(self.n_nodes):
            while left[i]:
                clique, candidates = [i], set(near[i])
                j = next(iter(left[i]))
                while candidates:
                    clique.append(j)
                    candidates &= near[j]
                    fresh = candidates & left[i]
                    if candidates:
                        j = min(fresh) if fresh else min(candidates)
                for a in clique:
                    left[a].difference_update(clique)
                found.append(np.array(sorted(clique), dtype=np.int64))
        return found

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`nodes` of the set, and the `conflicts` in it."""
        bits = np.asarray(x, dtype=np.float64)
        return {"nodes": np.flatnonzero(bits > 0.5), "conflicts": float(0.5 * bits @ (self.adjacency @ bits))}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its edges."""
        digest = hashlib.sha256(self.edges.tobytes()).hexdigest()
        return super().fingerprint() | {"nodes": self.n_nodes, "data": digest}


class Clique(IndependentSet):
    """Largest set of nodes of which all are neighbours; maximised: an `IndependentSet` of the complement.

    Args and errors: as for `IndependentSet`; `edges` are those of the graph.

    Attributes:
        edges, adjacency: of the complement. graph_edges: (m, 2) of the graph.
    """

    def __init__(self, edges: Any, n_nodes: int | None = None, *, name: str | None = None) -> None:
        self.graph_edges, n = graph_edges(edges, n_nodes)
        other = np.triu(np.ones((n, n), dtype=bool), 1)
        other[self.graph_edges[:, 0], self.graph_edges[:, 1]] = False
        super().__init__(np.argwhere(other), n, name=name or "clique")


def graph_edges(edges: Any, n_nodes: int | None) -> tuple[Integers, int]:
    """Edges (m, 2), smaller node first, each once and in order, and the number of nodes.

    Raises:
        ProblemError: loops, nodes out of range, matrices that are not square and symmetric.
    """
    if sp.issparse(edges) or (np.ndim(edges) == 2 and np.shape(edges)[1] != 2):
        matrix = sp.coo_array(edges)
        if matrix.shape[0] != matrix.shape[1] or abs(matrix - matrix.T).nnz:
            raise ProblemError(f"an adjacency matrix must be square and symmetric, got shape {matrix.shape}")
        n_nodes = matrix.shape[0] if n_nodes is None else n_nodes
        edges = np.stack(matrix.coords, axis=1)[matrix.data != 0]
    try:
        pairs = np.asarray(edges, dtype=np.int64).reshape(-1, 2)
    except (TypeError, ValueError):
        raise ProblemError(f"edges must be pairs of nodes, got {type(edges).__name__}") from None
    n = int(pairs.max(initial=-1)) + 1 if n_nodes is None else int(n_nodes)
    if n < 1:
        raise ProblemError(f"a graph needs at least one node, got n_nodes={n_nodes}")
    if len(pairs) and not (pairs.min() >= 0 and pairs.max() < n):
        raise ProblemError(f"edges must join nodes in 0..{n - 1}, got {pairs.min()} to {pairs.max()}")
    loops = np.flatnonzero(pairs[:, 0] == pairs[:, 1])
    if len(loops):
        raise ProblemError(f"an edge must join two nodes, got a loop at node {int(pairs[loops[0], 0])}")
    return np.unique(np.sort(pairs, axis=1), axis=0), n
