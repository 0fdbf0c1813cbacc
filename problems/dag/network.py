"""A Bayesian network over discrete variables: its graph, its tables, and samples from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.problems.dag.simulate import check_samples, topological_order

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SUM = 1e-3  # how far the probabilities of a row may be from 1: files are rounded


@dataclass(frozen=True, eq=False)
class BayesianNetwork:
    """Discrete variables, each with a table of probabilities given its parents.

    Attributes:
        names: of the d variables.
        states: names of each variable's states.
        parents: of each variable, by number.
        tables: of each variable, shape (states of the first parent, ..., of the last one, own states).
        name: of the network.

    Raises:
        ProblemError: a cycle, a table of another shape, or rows that are no probabilities.
    """

    names: tuple[str, ...]
    states: tuple[tuple[str, ...], ...]
    parents: tuple[tuple[int, ...], ...]
    tables: tuple[Floats, ...]
    name: str = "network"

    def __post_init__(self) -> None:
        if topological_order(self.graph) is None:
            raise ProblemError(f"parents must form an acyclic graph, got a cycle in {self.name!r}")
        for k, table in enumerate(self.tables):
            shape = tuple(len(self.states[v]) for v in (*self.parents[k], k))
            if table.shape != shape:
                raise ProblemError(
                    f"the table of {self.names[k]!r} must have shape {shape}, got {table.shape}"
                )
            if not (table >= 0).all() or not (np.abs(table.sum(axis=-1) - 1.0) <= SUM).all():
                raise ProblemError(f"the table of {self.names[k]!r} must hold probabilities with sums of 1")

    @property
    def graph(self) -> NDArray[np.bool_]:
        """Edges (d, d), graph[i, j] from i to j."""
        edges = np.zeros((len(self.names), len(self.names)), dtype=bool)
        for k, parents in enumerate(self.parents):
            edges[list(parents), k] = True
        return edges

    def sample(self, rng: Generator, n_samples: int) -> Integers:
        """Samples (n, d) of the numbers of states, from 0.

        Raises:
            ProblemError: n_samples is no integer >= 1.
        """
        check_samples(n_samples)
        X = np.zeros((int(n_samples), len(self.names)), dtype=np.int64)
        order = topological_order(self.graph)
        assert order is not None  # checked when it was built
        for k in order:
            rows = self.tables[k][tuple(X[:, v] for v in self.parents[k])]
            rows = np.broadcast_to(rows, (len(X), len(self.states[k])))
            sums = np.cumsum(rows, axis=1)
            draw = rng.random((len(X), 1)) * sums[:, -1:]  # rounded rows are scaled to 1
            X[:, k] = (draw >= sums).sum(axis=1)
        return X
