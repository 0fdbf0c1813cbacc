"""Learning directed acyclic graphs: order_search and topo against the published search, NOTEARS and DAGMA, one core.

    python benchmarks/dag.py [--sizes 20 50] [--graphs ER2 ER4 SF4] [--noises gaussian] [--repeats 5] [--limit 60]
                             [--raw] [--out FILE]

Instances: linear models, weights +-U(0.5, 2), noise of unit scale, n = 1000, centred. Columns: the least-squares score
1/(2n) ||X - XW||^2 of the best regressions in the order found, SHD at threshold 0.3, CPU seconds. `order_search` runs
for SECONDS of its size; `topo` and the published search start from one random order, with sets of 100 and 400 pairs.
`reference` is the published loop with one regression for each node that a tried swap concerns: by normal equations,
which is faster than the published code, or with --raw on the data. `notears` is Zheng et al. 2018 (lambda1 = 0.1),
written here after its authors' code; `dagma` the package from PyPI where it is installed (lambda1 = 0.02). Both give
graphs; their score is that of the order of the graph, and `+topo` that after topo went on from it. --limit: CPU seconds
of each peer. At the end: on how many instances order_search has the least score (relative 1e-6), and how many times
the reference's CPU seconds are those after which order_search had the reference's score.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
import scipy.linalg
import scipy.optimize

from optengine import solve
from optengine.problems import DAGProblem, random_weights, shd, simulate_linear

SECONDS = {20: 0.02, 50: 0.08, 100: 0.3, 200: 2.0, 500: 20.0}  # of order_search, by the number of nodes
SMALL, LARGE = 100, 400


class OutOfTime(Exception):
    """The CPU limit of a peer is spent."""


def reference(X: np.ndarray, order: np.ndarray, deadline: float, raw: bool) -> np.ndarray:
    """The published loop; the best order when it ends or its time does."""
    n, d = X.shape
    G = X.T @ X / n
    eye = np.eye(d)

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
        return (
            float(((X - X @ W) ** 2).sum() / (2 * n))
            if raw
            else float(np.trace((eye - W).T @ G @ (eye - W)) / 2)
        )

    order, searched = order.copy(), False
    W = fit(order, np.zeros((d, d)), 0, d - 1)
    p, q = np.triu_indices(d, 1)
    while True:
        walks = np.linalg.inv(eye - np.abs(W))[np.ix_(order, order)]
        rank = np.argsort(walks[p, q], kind="stable")
        value, improving = score(W), []
        for first, last in ((0, SMALL), (SMALL, LARGE)):
            if first and (improving or searched):
                continue
            searched = searched or bool(first)
            for i, j in zip(p[rank[first:last]], q[rank[first:last]], strict=True):
                if time.process_time() > deadline:
                    return order
                swapped = order.copy()
                swapped[[i, j]] = order[[j, i]]
                new = score(fit(swapped, W, i, j))
                if new < value * (1 - 1e-12):
                    improving.append((new, i, j))
        if not improving:
            return order
        carry_out(order, improving)
        W = fit(order, W, 0, d - 1)


def carry_out(order: np.ndarray, improving: list[tuple[float, int, int]]) -> None:
    """Swap in place, best first, where the stretches are disjoint."""
    taken = np.zeros(len(order), dtype=bool)
    for _, i, j in sorted(improving):
        if not taken[i : j + 1].any():
            taken[i : j + 1] = True
            order[[i, j]] = order[[j, i]]


def notears(X: np.ndarray, deadline: float, lambda1: float = 0.1) -> np.ndarray:
    """NOTEARS with an L1 penalty: augmented Lagrangian of tr(exp(W * W)) - d, L-BFGS-B on W = W+ - W-."""
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
        if time.process_time() > deadline:
            raise OutOfTime
        W = split(w)
        R = np.eye(d) - W
        h, slope_h = acyclic(W)
        slope = -G @ R + (rho * h + alpha) * slope_h
        value = 0.5 * np.sum(R * (G @ R)) + 0.5 * rho * h * h + alpha * h + lambda1 * w.sum()
        return float(value), np.concatenate([slope + lambda1, -slope + lambda1], axis=None)

    try:
        for _ in range(100):
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
        pass
    W = split(w)
    return np.where(np.abs(W) < 0.3, 0.0, W)


def dagma(X: np.ndarray) -> np.ndarray:
    """DagmaLinear with its defaults but lambda1."""
    from dagma.linear import DagmaLinear

    return np.asarray(DagmaLinear(loss_type="l2").fit(X, lambda1=0.02))


def measured(run: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    found = run()
    return found, time.process_time() - began


def rows_of(
    X: np.ndarray, truth: np.ndarray, seed: int, options: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    """One instance: a row for each method."""
    problem, d = DAGProblem(X), X.shape[1]
    start = np.random.default_rng([7, seed]).permutation(d)

    def row(order: np.ndarray, seconds: float, graph: np.ndarray | None = None) -> dict[str, Any]:
        described = problem.describe(order)
        kept = described["thresholded"] if graph is None else graph
        return {"score": described["variances"].sum() / 2, "shd": shd(kept, truth), "cpu": seconds}

    rows = {"truth": row(problem.order_of(truth), 0.0)}
    result, seconds = measured(lambda: solve(problem, "order_search", time_limit=SECONDS[d], seed=seed))
    rows["order_search"], found = row(result.x, seconds), result
    result, seconds = measured(lambda: solve(problem, "topo", x0=[start]))
    rows["topo"] = row(result.x, seconds)
    centred = X - X.mean(axis=0)
    order, seconds = measured(
        lambda: reference(centred, start, time.process_time() + options.limit, options.raw)
    )
    rows["reference"] = row(order, seconds)
    goal = rows["reference"]["score"] * (1 + 1e-9)
    reached = found.history.seconds[found.history.F[:, 0] <= goal]
    rows["order_search"]["reached"] = float(reached[0]) if len(reached) else float("inf")
    peers: dict[str, Callable[[], np.ndarray]] = {
        "notears": lambda: notears(centred, time.process_time() + options.limit)
    }
    if importlib.util.find_spec("dagma") is not None:
        peers["dagma"] = lambda: dagma(centred)
    for name, run in peers.items():
        if name in options.without:
            continue
        W, seconds = measured(run)
        order = problem.order_of(W)
        rows[name] = row(order, seconds, W != 0)
        result, more = measured(lambda order=order: solve(problem, "topo", x0=[order]))  # type: ignore[misc]  # the default binds it
        rows[f"{name}+topo"] = row(result.x, seconds + more)
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", type=int, default=[20, 50], choices=sorted(SECONDS))
    parser.add_argument("--graphs", nargs="+", default=["ER2", "ER4", "SF4"])
    parser.add_argument("--noises", nargs="+", default=["gaussian"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--limit", type=float, default=60.0)
    parser.add_argument("--raw", action="store_true")
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    solve(
        DAGProblem(np.random.default_rng(0).standard_normal((50, 6))), "topo"
    )  # compile before the first row
    solve(DAGProblem(np.random.default_rng(0).standard_normal((50, 6))), "order_search", budget=5000)
    least, faster, lines = 0, {}, []
    cells = [(d, g, noise) for d in options.sizes for g in options.graphs for noise in options.noises]
    for d, graph, noise in cells:
        table: dict[str, list[dict[str, Any]]] = {}
        for seed in range(options.repeats):
            rng = np.random.default_rng([d, seed, sum(map(ord, graph + noise))])
            W = random_weights(rng, d, int(graph[2:]), graph=graph[:2])
            rows = rows_of(simulate_linear(rng, W, 1000, noise=noise), W, seed, options)
            for name, row in rows.items():
                table.setdefault(name, []).append(row)
                lines.append({"d": d, "graph": graph, "noise": noise, "seed": seed, "method": name} | row)
            best = min(row["score"] for row in rows.values())
            least += rows["order_search"]["score"] <= best * (1 + 1e-6)
            faster.setdefault(d, []).append(rows["reference"]["cpu"] / rows["order_search"]["reached"])
        print(f"\n{graph} d={d} {noise}, medians (range) of {options.repeats}")
        for name, found in table.items():
            score, wrong, cpu = ([row[key] for row in found] for key in ("score", "shd", "cpu"))
            spread = f"({min(score):.5f}..{max(score):.5f})"
            print(
                f"  {name:14s} score {statistics.median(score):11.5f} {spread:26s} "
                f"SHD {statistics.median(wrong):5g}  CPU {statistics.median(cpu):8.3f} s",
                flush=True,
            )
    print(
        f"\norder_search has the least score on {least} of {len(cells) * options.repeats} instances (relative 1e-6)"
    )
    for d, ratios in faster.items():
        middle = statistics.median(ratios)
        span = f"({min(ratios):.0f}..{max(ratios):.0f})"
        print(
            f"d={d}: reference takes {middle:.0f} times as long {span} as order_search to the reference's score"
        )
    if options.out:
        options.out.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
