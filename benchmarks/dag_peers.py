"""What dag.py measures order_search against: the published search written out, NOTEARS, and packages from PyPI.

Each takes centred data (n, d) and a limit in CPU seconds, and gives a weighted graph or an order; where the time is
over the best that it has, or None.
"""

from __future__ import annotations

import contextlib
import io
import random
import signal
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.linalg
import scipy.optimize

SMALL, LARGE, SEARCHES = (
    100,
    400,
    1,
)  # sizes of the candidate sets, and searches of the large one, as published


class OutOfTime(Exception):
    """The CPU limit is spent."""


@contextlib.contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after so many CPU seconds of this process (main thread, POSIX)."""

    def stop(*_: Any) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def reference(X: np.ndarray, order: np.ndarray, limit: float, raw: bool = True) -> tuple[np.ndarray, bool]:
    """The published loop (Deng et al., 2023) with one regression for each node that a tried swap concerns.

    Args:
        raw: regressions on the data by LAPACK's least squares, as the published code has them through scikit-learn, and
            the score from the data for each swap; False: both from the Gram matrix, faster than published.

    Returns:
        The order, and whether the loop came to its end.
    """
    n, d = X.shape
    G, eye, deadline = X.T @ X / n, np.eye(d), time.process_time() + limit

    def fit(order: np.ndarray, W: np.ndarray, first: int, last: int) -> np.ndarray:
        W = W.copy()
        for k in range(first, last + 1):
            node, before = order[k], order[:k]
            W[:, node] = 0.0
            if raw:
                W[before, node] = np.linalg.lstsq(X[:, before], X[:, node], rcond=None)[0]
            else:
                W[before, node] = np.linalg.solve(G[np.ix_(before, before)], G[before, node])
        return W

    def score(W: np.ndarray) -> float:
        R = X - X @ W if raw else (eye - W).T @ G @ (eye - W)
        return float((R**2).sum() / (2 * n) if raw else np.trace(R) / 2)

    order, searched = order.copy(), 0
    W = fit(order, np.zeros((d, d)), 0, d - 1)
    p, q = np.triu_indices(d, 1)
    while True:
        walks = np.linalg.inv(eye - np.abs(W))[np.ix_(order, order)]
        rank = np.argsort(walks[p, q], kind="stable")
        value, improving = score(W), []
        for first, last in ((0, SMALL), (SMALL, LARGE)):
            if first and (improving or searched >= SEARCHES):
                continue
            searched += bool(first)
            for i, j in zip(p[rank[first:last]], q[rank[first:last]], strict=True):
                if time.process_time() > deadline:
                    return order, False
                swapped = order.copy()
                swapped[[i, j]] = order[[j, i]]
                new = score(fit(swapped, W, i, j))
                if new < value * (1 - 1e-12):
                    improving.append((new, i, j))
        if not improving:
            return order, True
        carry_out(order, improving)
        W = fit(order, W, 0, d - 1)


def carry_out(order: np.ndarray, improving: list[tuple[float, int, int]]) -> None:
    """Swap in place, best first, where the stretches are disjoint."""
    taken = np.zeros(len(order), dtype=bool)
    for _, i, j in sorted(improving):
        if not taken[i : j + 1].any():
            taken[i : j + 1] = True
            order[[i, j]] = order[[j, i]]


def thresholded(W: np.ndarray) -> np.ndarray:
    return np.where(np.abs(W) < 0.3, 0.0, W)


def notears(X: np.ndarray, limit: float, lambda1: float = 0.1) -> tuple[np.ndarray | None, bool]:
    """NOTEARS (Zheng et al., 2018) after its authors' code, lambda1 as there: an augmented Lagrangian of
    tr(exp(W * W)) - d, by L-BFGS-B on W = W+ - W-.
    """
    n, d = X.shape
    G, w = X.T @ X / n, np.zeros(2 * d * d)
    rho, alpha, h = 1.0, 0.0, np.inf
    bounds = [(0, 0) if i == j else (0, None) for _ in range(2) for i in range(d) for j in range(d)]

    def split(w: np.ndarray) -> np.ndarray:
        return (w[: d * d] - w[d * d :]).reshape(d, d)

    def acyclic(W: np.ndarray) -> tuple[float, np.ndarray]:
        E = scipy.linalg.expm(W * W)
        return float(np.trace(E) - d), E.T * W * 2

    def penalised(w: np.ndarray) -> tuple[float, np.ndarray]:
        W = split(w)
        R = np.eye(d) - W
        h, slope_h = acyclic(W)
        slope = -G @ R + (rho * h + alpha) * slope_h
        value = 0.5 * np.sum(R * (G @ R)) + 0.5 * rho * h * h + alpha * h + lambda1 * w.sum()
        return float(value), np.concatenate([slope + lambda1, -slope + lambda1], axis=None)

    try:
        with cpu_limit(limit):
            for _ in range(100):
                new = h
                while rho < 1e16:
                    found = scipy.optimize.minimize(penalised, w, method="L-BFGS-B", jac=True, bounds=bounds)
                    new = acyclic(split(found.x))[0]
                    if new <= 0.25 * h:
                        break
                    rho *= 10
                w, h = found.x, new
                alpha += rho * h
                if h <= 1e-8 or rho >= 1e16:
                    break
    except OutOfTime:
        return (thresholded(split(w)) if np.isfinite(h) else None), False
    return thresholded(split(w)), True


def dagma(X: np.ndarray, limit: float, lambda1: float) -> tuple[np.ndarray | None, bool]:
    """DagmaLinear of the package dagma with its defaults but lambda1; out of time, the last stage that it ended."""
    from dagma.linear import DagmaLinear

    model = DagmaLinear(loss_type="l2")
    try:
        with cpu_limit(limit), contextlib.redirect_stderr(io.StringIO()):
            return np.asarray(model.fit(X.copy(), lambda1=lambda1)), True
    except OutOfTime:
        W = np.asarray(model.W_est)
        return (thresholded(W) if W.any() else None), False


def causal_learn(name: str, X: np.ndarray, limit: float, seed: int) -> tuple[np.ndarray | None, bool]:
    """GES or BOSS of causal-learn with their defaults and the BIC from the covariance: a pattern, 0.5 for each way of
    an edge without direction.
    """
    from causallearn.search.PermutationBased.BOSS import boss
    from causallearn.search.ScoreBased.GES import ges

    random.seed(seed)
    try:
        with cpu_limit(limit):
            if name == "ges":
                G = ges(X.copy(), score_func="local_score_BIC_from_cov")["G"].graph
            else:
                G = boss(X.copy(), verbose=False).graph
    except OutOfTime:
        return None, False
    to, both = (G == -1) & (G.T == 1), (G == -1) & (G.T == -1)
    return to + 0.5 * both, True


def extension(pattern: np.ndarray) -> np.ndarray:
    """A directed graph of a pattern's class (Dor and Tarsi, 1992); where there is none, the order left decides."""
    d = len(pattern)
    both, to = (pattern == 0.5), (pattern == 1.0)
    graph, left = to.copy(), list(range(d))
    while left:
        here = np.ix_(left, left)
        for k in range(len(left)):
            own = both[here][k]
            near = own | to[here][k] | to[here][:, k]
            linked = both[here] | to[here] | to[here].T | np.eye(len(left), dtype=bool)
            if not to[here][k].any() and all(linked[a][near].all() for a in np.flatnonzero(own)):
                break
        else:
            k = 0
        node = left[k]
        others = [v for v in left if both[v, node]]
        graph[others, node] = True
        both[others, node] = both[node, others] = False
        left.remove(node)
    return graph
