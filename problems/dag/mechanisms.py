"""Data of structural equations that are not linear: logistic, neural, index models, smooth functions with added noise.

As NOTEARS-MLP simulates them (Zheng et al., Learning sparse nonparametric DAGs, 2020, arXiv:1909.13189), but for the
Gaussian processes: they are drawn through random Fourier features (Rahimi and Recht, 2007), O(n) in place of O(n^3).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.problems.dag.simulate import check_samples, checked_graph, draw_noise

Floats = NDArray[np.float64]
Mechanism = Callable[[Generator, Floats], Floats]  # parents (n, p) -> (n,)

HIDDEN = 100  # units of a random network
FEATURES = 256  # of a random smooth function


def simulate_logistic(rng: Generator, W: ArrayLike, n_samples: int) -> Floats:
    """Binary samples (n, d), 0 and 1: P(x_j = 1) = 1 / (1 + exp(-sum of W[i, j] x_i)).

    Args:
        rng: random numbers.
        W: (d, d), acyclic; W[i, j] belongs to the edge from i to j.
        n_samples: n >= 1.

    Raises:
        ProblemError: a value outside its range, or weights with a cycle.
    """
    weights, order = checked_graph(W, "W")
    check_samples(n_samples)
    X = np.zeros((int(n_samples), len(weights)))
    for node in order:
        chance = 1.0 / (1.0 + np.exp(-(X @ weights[:, node])))
        X[:, node] = rng.random(len(X)) < chance
    return X


def simulate_nonlinear(
    rng: Generator,
    graph: ArrayLike,
    n_samples: int,
    *,
    mechanism: str = "mlp",
    noise: str = "gaussian",
    scale: ArrayLike = 1.0,
) -> Floats:
    """Samples (n, d) of x_j = f_j(parents of j) + noise, each f_j drawn at random.

    Args:
        rng: random numbers.
        graph: (d, d), weights or booleans, acyclic; graph[i, j] for the edge from i to j.
        n_samples: n >= 1.
        mechanism: "mlp", a network of 100 sigmoid units with weights +-U(0.5, 2); "mim", an index model,
            tanh + cos + sin of three weighted sums; "gp", a smooth function of all parents, a draw of a Gaussian
            process with a squared exponential kernel of unit length; "gp_add", a sum of such functions of each parent.
        noise: as for `simulate_linear`.
        scale: of the noise: a number, or (d,) where variances differ.

    Raises:
        ProblemError: a value outside its range, or a graph with a cycle.
    """
    edges, order = checked_graph(graph, "graph")
    check_samples(n_samples)
    if mechanism not in MECHANISMS:
        raise ProblemError(
            f"mechanism must be one of {list(MECHANISMS)}, got {mechanism!r}{did_you_mean(str(mechanism), MECHANISMS)}"
        )
    X = draw_noise(rng, noise, int(n_samples), scale, len(edges))
    for node in order:
        parents = np.flatnonzero(edges[:, node])
        if len(parents):
            X[:, node] += MECHANISMS[mechanism](rng, X[:, parents])
    return X


def _weights(rng: Generator, *shape: int) -> Floats:
    """Numbers of either sign, 0.5 to 2 in absolute value."""
    return np.asarray(rng.uniform(0.5, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def _mlp(rng: Generator, P: Floats) -> Floats:
    hidden = 1.0 / (1.0 + np.exp(-(P @ _weights(rng, P.shape[1], HIDDEN))))
    return np.asarray(hidden @ _weights(rng, HIDDEN))


def _mim(rng: Generator, P: Floats) -> Floats:
    a, b, c = (P @ _weights(rng, P.shape[1], 3)).T
    return np.asarray(np.tanh(a) + np.cos(b) + np.sin(c))


def _gp(rng: Generator, P: Floats) -> Floats:
    phase = P @ rng.standard_normal((P.shape[1], FEATURES)) + rng.uniform(0.0, 2.0 * np.pi, FEATURES)
    return np.asarray(np.cos(phase) @ rng.standard_normal(FEATURES) * np.sqrt(2.0 / FEATURES))


def _gp_add(rng: Generator, P: Floats) -> Floats:
    return np.asarray(sum(_gp(rng, P[:, [k]]) for k in range(P.shape[1])))


MECHANISMS: dict[str, Mechanism] = {"mlp": _mlp, "mim": _mim, "gp": _gp, "gp_add": _gp_add}
