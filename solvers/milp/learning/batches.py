"""Several graphs as one: block-diagonal, with the sparse products that the network needs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from optengine.solvers.milp.learning.features import BipartiteGraph


class _Product(torch.autograd.Function):
    """A @ H for a constant sparse A, with its transpose at hand for the way back."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, A: Tensor, transpose: Tensor, H: Tensor) -> Tensor:
        ctx.transpose = transpose  # type: ignore[attr-defined]
        product: Tensor = torch.sparse.mm(A, H)
        return product

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[None, None, Tensor]:
        return None, None, torch.sparse.mm(ctx.transpose, gradient.contiguous())  # type: ignore[attr-defined]


@dataclass(frozen=True, eq=False)
class SparsePair:
    """A constant sparse matrix and its transpose."""

    A: Tensor
    transpose: Tensor

    def __call__(self, H: Tensor) -> Tensor:
        product: Tensor = _Product.apply(self.A, self.transpose, H)  # type: ignore[no-untyped-call]
        return product

    @property
    def T(self) -> SparsePair:  # noqa: N802  as arrays have it
        return SparsePair(self.transpose, self.A)


@dataclass(frozen=True, eq=False)
class GraphBatch:
    """Graphs side by side; nodes, edges and binaries of a graph follow each other.

    Attributes:
        variables (n, 6), constraints (m, 4): features.
        row, column, value: (E,) edges.
        variable_graph (n,), constraint_graph (m,): which graph a node belongs to.
        variable_count, constraint_count: (g,) nodes of each graph.
        binaries: (k,) variables to predict.
        starts: (g + 1,) where the binaries of each graph begin, as Python's own.
    """

    variables: Tensor
    constraints: Tensor
    row: Tensor
    column: Tensor
    value: Tensor
    variable_graph: Tensor
    constraint_graph: Tensor
    variable_count: Tensor
    constraint_count: Tensor
    row_degree: Tensor
    column_degree: Tensor
    binaries: Tensor
    starts: tuple[int, ...]
    _weights: SparsePair
    _row_mean: SparsePair
    _column_mean: SparsePair

    def weights(self, H: Tensor, to_rows: bool) -> Tensor:
        """Sum of the neighbours' H, weighted by the edges: from variables to constraints, or back."""
        return self._weights(H) if to_rows else self._weights.T(H)

    def constraint_mean(self, H: Tensor) -> Tensor:
        """Mean over the variables of each constraint, (m, d); 0 for an objective."""
        return self._row_mean(H)

    def variable_mean(self, H: Tensor) -> Tensor:
        """Mean over the constraints of each variable, (n, d); objectives do not count."""
        return self._column_mean(H)

    def split(self, logits: Tensor) -> list[Tensor]:
        """The logits of each graph's binaries."""
        return [logits[a:b] for a, b in zip(self.starts[:-1], self.starts[1:], strict=True)]


def batch_graphs(graphs: Sequence[BipartiteGraph], device: str = "cpu") -> GraphBatch:
    """Put graphs side by side on a device."""
    n = np.cumsum([0, *(graph.n_variables for graph in graphs)])
    m = np.cumsum([0, *(graph.n_constraints for graph in graphs)])
    row = np.concatenate([graph.row + offset for graph, offset in zip(graphs, m[:-1], strict=True)])
    column = np.concatenate([graph.column + offset for graph, offset in zip(graphs, n[:-1], strict=True)])
    value = np.concatenate([graph.value for graph in graphs])
    objectives = m[1:] - 1
    inner = ~np.isin(row, objectives)
    shape = (int(m[-1]), int(n[-1]))
    row_degree = np.bincount(row, minlength=shape[0])
    column_degree = np.bincount(column, minlength=shape[1])
    i, j = row[inner], column[inner]
    in_row = np.maximum(np.bincount(i, minlength=shape[0]), 1)
    in_column = np.maximum(np.bincount(j, minlength=shape[1]), 1)

    def whole(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(device)

    def single(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32)).to(device)

    sizes = np.cumsum([0, *(len(graph.binaries) for graph in graphs)])
    return GraphBatch(
        variables=single(np.concatenate([graph.variables for graph in graphs])),
        constraints=single(np.concatenate([graph.constraints for graph in graphs])),
        row=whole(row),
        column=whole(column),
        value=single(value),
        variable_graph=whole(np.repeat(np.arange(len(graphs)), np.diff(n))),
        constraint_graph=whole(np.repeat(np.arange(len(graphs)), np.diff(m))),
        variable_count=single(np.diff(n)),
        constraint_count=single(np.diff(m)),
        row_degree=single(row_degree),
        column_degree=single(column_degree),
        binaries=whole(
            np.concatenate([g.binaries + offset for g, offset in zip(graphs, n[:-1], strict=True)])
        ),
        starts=tuple(int(size) for size in sizes),
        _weights=_pair(row, column, value, shape, device),
        _row_mean=_pair(i, j, 1.0 / in_row[i], shape, device),
        _column_mean=_pair(j, i, 1.0 / in_column[j], shape[::-1], device),
    )


def _pair(i: np.ndarray, j: np.ndarray, value: np.ndarray, shape: tuple[int, ...], device: str) -> SparsePair:
    from scipy.sparse import coo_array

    A = coo_array((np.asarray(value, dtype=np.float32), (i, j)), shape=shape).tocsr()
    return SparsePair(_csr(A, device), _csr(A.T.tocsr(), device))


def _csr(A: object, device: str) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Sparse CSR tensor support is in beta", category=UserWarning
        )
        return torch.sparse_csr_tensor(
            torch.from_numpy(A.indptr.astype(np.int64)),  # type: ignore[attr-defined]
            torch.from_numpy(A.indices.astype(np.int64)),  # type: ignore[attr-defined]
            torch.from_numpy(A.data.astype(np.float32)),  # type: ignore[attr-defined]
            size=A.shape,  # type: ignore[attr-defined]
            check_invariants=False,  # SciPy has made it; None would warn
        ).to(device)
