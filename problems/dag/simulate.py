"""Random graphs and data of linear structural equations, x = W' x + noise, as NOTEARS simulates them.

Zheng et al., DAGs with NO TEARS, 2018, arXiv:1803.01422: Erdos-Renyi graphs (ER), scale-free ones (SF, Barabasi and
Albert, 1999) and bipartite ones (BP), weights of either sign, noise of unit scale. `mechanisms` has data of other
equations.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, did_you_mean

Floats = NDArray[np.float64]

GRAPHS = ("ER", "SF", "BP")
SOURCES = 0.2  # share of the nodes of a bipartite graph that edges leave
NOISES = ("gaussian", "exponential", "gumbel", "uniform", "logistic")


def random_weights(
    rng: Generator,
    n_nodes: int,
    degree: int = 2,
    *,
    graph: str = "ER",
    weights: tuple[float, float] = (0.5, 2.0),
) -> Floats:
    """Weights (d, d) of a random acyclic graph; W[i, j] belongs to the edge from i to j.

    Args:
        rng: random numbers.
        n_nodes: d >= 2.
        degree: edges a node, on average: "ER" draws each pair with the probability that gives degree * d edges, "SF"
            ties every node but the first ones to `degree` earlier ones, chosen by their number of edges, "BP" draws
            pairs of a source, a fifth of the nodes, and another node likewise.
        graph: "ER", "SF" or "BP".
        weights: absolute values, uniform between the two; the sign is random.

    Raises:
        ProblemError: a value outside its range.
    """
    if isinstance(n_nodes, bool) or not isinstance(n_nodes, (int, np.integer)) or n_nodes < 2:
        raise ProblemError(f"n_nodes must be an integer >= 2, got {n_nodes!r}")
    if isinstance(degree, bool) or not isinstance(degree, (int, np.integer)) or degree < 1:
        raise ProblemError(f"degree must be an integer >= 1, got {degree!r}")
    low, high = weights
    if not 0 < low <= high < np.inf:
        raise ProblemError(f"weights must be 0 < low <= high, got {weights}")
    if graph not in GRAPHS:
        raise ProblemError(
            f"graph must be one of {list(GRAPHS)}, got {graph!r}{did_you_mean(str(graph), GRAPHS)}"
        )
    d = int(n_nodes)
    if graph == "ER":
        edges = np.triu(rng.random((d, d)) < min(1.0, 2.0 * degree / (d - 1)), 1)
    elif graph == "SF":
        edges = _scale_free(rng, d, int(degree))
    else:
        edges = _bipartite(rng, d, int(degree))
    W = edges * rng.uniform(low, high, (d, d)) * rng.choice([-1.0, 1.0], (d, d))
    order = rng.permutation(d)
    shuffled = np.zeros((d, d))
    shuffled[np.ix_(order, order)] = W
    return shuffled


def _scale_free(rng: Generator, d: int, degree: int) -> NDArray[np.bool_]:
    """Each new node gets edges from `degree` earlier ones, with probabilities as their numbers of edges plus one."""
    edges = np.zeros((d, d), dtype=bool)
    for node in range(1, d):
        popular = 1.0 + edges[:node, :].sum(axis=1) + edges[:, :node].sum(axis=0)
        chosen = rng.choice(node, min(degree, node), replace=False, p=popular / popular.sum())
        edges[chosen, node] = True
    return edges


def _bipartite(rng: Generator, d: int, degree: int) -> NDArray[np.bool_]:
    """Edges from the first nodes to the others, each pair with the probability that gives degree * d of them."""
    first = max(1, round(SOURCES * d))
    edges = np.zeros((d, d), dtype=bool)
    edges[:first, first:] = rng.random((first, d - first)) < min(1.0, degree * d / (first * (d - first)))
    return edges


def simulate_linear(
    rng: Generator, W: ArrayLike, n_samples: int, *, noise: str = "gaussian", scale: ArrayLike = 1.0
) -> Floats:
    """Samples (n, d) of x = W' x + noise.

    Args:
        rng: random numbers.
        W: (d, d), acyclic.
        n_samples: n >= 1.
        noise: "gaussian", "exponential" (mean 1), "gumbel" (both not centred), "uniform" on [-1, 1], or "logistic".
        scale: of the noise: a number, or (d,) where variances differ.

    Raises:
        ProblemError: a value outside its range, or weights with a cycle.
    """
    weights, order = checked_graph(W, "W")
    check_samples(n_samples)
    X = draw_noise(rng, noise, int(n_samples), scale, len(weights))
    for node in order:
        X[:, node] += X @ weights[:, node]
    return X


def checked_graph(W: ArrayLike, name: str) -> tuple[Floats, list[int]]:
    """W as floats (d, d), and a topological order of its nodes.

    Raises:
        ProblemError: no square matrix, or a cycle; the message names `name`.
    """
    weights = np.asarray(W, dtype=np.float64)
    if weights.ndim != 2 or weights.shape[0] != weights.shape[1]:
        raise ProblemError(f"{name} must be a square matrix, got shape {weights.shape}")
    order = topological_order(weights != 0)
    if order is None:
        raise ProblemError(f"{name} must be acyclic, got weights with a cycle")
    return weights, order


def check_samples(n_samples: int) -> None:
    """Refuse anything but an integer >= 1.

    Raises:
        ProblemError: it is something else.
    """
    if isinstance(n_samples, bool) or not isinstance(n_samples, (int, np.integer)) or n_samples < 1:
        raise ProblemError(f"n_samples must be an integer >= 1, got {n_samples!r}")


def draw_noise(rng: Generator, noise: str, n: int, scale: ArrayLike, d: int) -> Floats:
    """Noise (n, d) of a kind in NOISES, column j times scale[j].

    Raises:
        ProblemError: an unknown kind, or scales that are not > 0.
    """
    if noise not in NOISES:
        raise ProblemError(
            f"noise must be one of {list(NOISES)}, got {noise!r}{did_you_mean(str(noise), NOISES)}"
        )
    scales = np.asarray(scale, dtype=np.float64)
    if scales.shape not in ((), (d,)) or not (scales > 0).all():
        raise ProblemError(f"scale must be a number > 0 or {d} of them, got {scale!r}")
    if noise == "gaussian":
        E = rng.standard_normal((n, d))
    elif noise == "exponential":
        E = rng.exponential(1.0, (n, d))
    elif noise == "gumbel":
        E = rng.gumbel(0.0, 1.0, (n, d))
    elif noise == "logistic":
        E = rng.logistic(0.0, 1.0, (n, d))
    else:
        E = rng.uniform(-1.0, 1.0, (n, d))
    return np.asarray(E * scales)


def topological_order(edges: NDArray[np.bool_]) -> list[int] | None:
    """Nodes with every edge pointing forwards, the smallest first of those that may come next; None: a cycle."""
    left, order = edges.sum(axis=0).astype(np.int64), []
    done = np.zeros(len(edges), dtype=bool)
    for _ in range(len(edges)):
        free = np.flatnonzero((left == 0) & ~done)
        if not len(free):
            return None
        order.append(int(free[0]))
        done[free[0]] = True
        left -= edges[free[0]]
    return order
