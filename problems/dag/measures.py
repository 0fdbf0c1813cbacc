"""How far a graph is from the true one. W[i, j] != 0 is an edge from i to j."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError

Bools = NDArray[np.bool_]


def shd(graph: ArrayLike, truth: ArrayLike) -> int:
    """Structural Hamming distance: pairs of nodes whose edge is missing, superfluous or reversed (counted once).

    Tsamardinos, Brown and Aliferis, 2006, doi:10.1007/s10994-006-6889-7, on directed graphs.

    Args:
        graph, truth: (d, d), weights or booleans.

    Raises:
        ProblemError: matrices that are not square, or of two sizes.
    """
    A, B = _pair(graph, truth)
    differs = (A != B) | (A != B).T
    return int(np.triu(differs, 1).sum())


def compare_graphs(graph: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Measures of an estimated graph.

    Returns:
        `shd`; `precision` and `recall` of directed edges (1 where there is nothing to find); `n_edges`, `n_true`.

    Raises:
        ProblemError: matrices that are not square, or of two sizes.
    """
    A, B = _pair(graph, truth)
    hits, found, true = int((A & B).sum()), int(A.sum()), int(B.sum())
    return {
        "shd": shd(A, B),
        "precision": hits / found if found else 1.0,
        "recall": hits / true if true else 1.0,
        "n_edges": found,
        "n_true": true,
    }


def order_divergence(order: ArrayLike, truth: ArrayLike) -> int:
    """True edges that point against an order: Rolland et al., SCORE, 2022, arXiv:2203.04413.

    Args:
        order: (d,) nodes, first to last.
        truth: (d, d), weights or booleans.

    Raises:
        ProblemError: an order that is no permutation of the nodes of `truth`.
    """
    B = _pair(truth, truth)[0]
    nodes = np.asarray(order)
    if not np.array_equal(np.sort(nodes), np.arange(len(B))):
        raise ProblemError(f"order must be a permutation of the {len(B)} nodes of truth, got {order!r}")
    return int(np.tril(B[np.ix_(nodes, nodes)]).sum())


def _pair(graph: ArrayLike, truth: ArrayLike) -> tuple[Bools, Bools]:
    A, B = np.asarray(graph) != 0, np.asarray(truth) != 0
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape != B.shape:
        raise ProblemError(
            f"graph and truth must be square and of one size, got shapes {A.shape} and {B.shape}"
        )
    return A, B
