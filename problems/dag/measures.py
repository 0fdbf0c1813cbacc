"""How far a graph is from the true one. W[i, j] != 0 is an edge from i to j."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.problems.dag.simulate import topological_order

Bools = NDArray[np.bool_]
Integers = NDArray[np.int64]


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
        `shd`; `precision`, `recall` and `f1`, their harmonic mean, of directed edges (1 where there is nothing to
        find); `n_edges`, `n_true`.

    Raises:
        ProblemError: matrices that are not square, or of two sizes.
    """
    A, B = _pair(graph, truth)
    hits, found, true = int((A & B).sum()), int(A.sum()), int(B.sum())
    return {
        "shd": shd(A, B),
        "precision": hits / found if found else 1.0,
        "recall": hits / true if true else 1.0,
        "f1": 2 * hits / (found + true) if found + true else 1.0,
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


def sid(graph: ArrayLike, truth: ArrayLike) -> int:
    """Structural intervention distance: how many effects of a node i on a node j `graph` misjudges, 0 to d (d - 1).

    Peters and Buehlmann, Structural intervention distance for evaluating causal graphs, 2015, arXiv:1306.1043. Where j
    is a parent of i in `graph`, it claims that i has no effect on j; else its parents of i must be a valid adjustment
    set in `truth`: none of them descends from a node on a directed path from i to j, and they block all other paths.
    0 says that every effect is judged rightly, as where `graph` has the true edges and more. O((d + edges)^2).

    Args:
        graph, truth: (d, d), weights or booleans, acyclic.

    Raises:
        ProblemError: matrices that are not square, of two sizes, or with a cycle.
    """
    H, G = _pair(graph, truth)
    for name, edges in (("graph", H), ("truth", G)):
        if topological_order(edges) is None:
            raise ProblemError(
                f"{name} must be acyclic, got a cycle; its intervention distance is not defined"
            )
    later = G.copy()  # later[u, v]: v descends from u
    for k in range(len(G)):
        later |= later[:, k : k + 1] & later[k : k + 1, :]
    return sum(_misjudged(G, later, i, np.flatnonzero(H[:, i])) for i in range(len(G)))


def _misjudged(G: Bools, later: Bools, i: int, given: Integers) -> int:
    """Nodes j on which the effect of i is wrong when `given` is adjusted for (or, where j is one of them, denied)."""
    d = len(G)
    inside = np.zeros(d, dtype=bool)
    inside[given] = True
    wrong = inside & later[i]
    others = ~inside
    others[i] = False
    ahead = inside | later[:, given].any(axis=1)  # nodes whose descendants, or they themselves, are given
    # Where a descendant w of i is given, or a node below it is, adjusting spoils the effect on w and on all below w.
    on_path = later[i] & ahead
    reaches = np.eye(d, dtype=bool) | later
    bad = reaches[on_path].any(axis=0)
    parents = np.flatnonzero(G[:, i])
    bad |= _open_from(G, ahead, inside, i, parents, upwards=True)
    for child in np.flatnonzero(G[i]):
        bad |= _open_from(G, ahead, inside, i, np.array([child]), upwards=False) & ~reaches[child]
    return int(wrong.sum() + (bad & others).sum())


def _open_from(G: Bools, ahead: Bools, given: Bools, i: int, first: Integers, *, upwards: bool) -> Bools:
    """Nodes (d,) that an open path reaches which leaves i to one of `first` and does not come back to i."""
    d = len(G)
    seen = np.zeros((2, d), dtype=bool)  # [0]: reached from a child, [1]: from a parent
    todo = [(0 if upwards else 1, int(v)) for v in first]
    for way, v in todo:
        seen[way, v] = True
    while todo:
        way, v = todo.pop()
        steps = []
        if (way == 0 and not given[v]) or (way == 1 and ahead[v]):
            steps.append((0, G[:, v]))
        if not given[v]:
            steps.append((1, G[v]))
        for new, mask in steps:
            for u in np.flatnonzero(mask & ~seen[new]):
                if u != i:
                    seen[new, u] = True
                    todo.append((new, int(u)))
    return np.asarray(seen.any(axis=0))


def _pair(graph: ArrayLike, truth: ArrayLike) -> tuple[Bools, Bools]:
    A, B = np.asarray(graph) != 0, np.asarray(truth) != 0
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape != B.shape:
        raise ProblemError(
            f"graph and truth must be square and of one size, got shapes {A.shape} and {B.shape}"
        )
    return A, B
