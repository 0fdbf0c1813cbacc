"""Directed acyclic graphs of networks and of binary data: order_search and topo against NOTEARS(-MLP), one core.

    python benchmarks/dag_nonlinear.py [--losses mlp logistic] [--repeats 10] [--seeds 0 1 ...] [--limit 30] [--quick]
        [--out FILE]

Instances: "mlp", d = 10, ER1, n = 1000, each node a random network with one hidden layer of 100 sigmoids plus normal
noise; "logistic", d = 20, ER2, n = 10 000, each node a coin whose log-odds are linear in its parents; weights
+-U(0.5, 2). Columns: the score of DAGProblem (networks of 40 sigmoids with lambda1 = lambda2 = 0.01, or the mean
log-loss) of the order found, SHD of its thresholded graph, CPU seconds.

`notears` is the published setting, written here after its authors' code: augmented Lagrangian of tr(exp(A)) - d,
L-BFGS-B with weights as differences of two parts >= 0; "mlp": Zheng et al. 2020, all networks at once with dims
[d, 10, 1] and biases, lambda1 = lambda2 = 0.01, threshold 0.3; "logistic": Zheng et al. 2018, lambda1 = 0.01. Its score
is that of the order of its graph, the weakest edges of cycles left out. --limit: CPU seconds of notears, which goes
with the point that it has when they are spent; ours gets as many CPU seconds as notears took, less the half second
after which a search is seen to be late, and ends by itself (restarts=0, patience=50) if that comes first.
At the end: on how many graphs each of ours has a lower score than notears. --quick: 2 graphs each, limit 5.
--out: rows are added to FILE, and graphs that it holds with the same limit are not run again.
"""

from __future__ import annotations

import argparse
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
from optengine.problems import DAGProblem, random_weights, shd
from optengine.problems.dag.simulate import topological_order

OURS = {
    "mlp": {
        "order_search": {"starts": 2, "restarts": 0, "patience": 50},
        "topo": {"size_small": 10, "size_large": 40},  # the paper's sizes
    },
    "logistic": {"order_search": {"starts": 2, "restarts": 0, "patience": 50}, "topo": {}},
}
LATE = 0.5  # seconds between two looks at the CPU clock
HIDDEN, LAMBDA = 10, 0.01


class OutOfTime(Exception):
    """The CPU limit of the peer is spent."""


def simulate(rng: np.random.Generator, W: np.ndarray, n: int, loss: str) -> np.ndarray:
    """Data (n, d) of the graph W != 0: networks, or coins with log-odds X W."""
    X = np.zeros((n, len(W)))
    for v in topological_order(W != 0) or []:
        parents = np.flatnonzero(W[:, v])
        if loss == "logistic":
            X[:, v] = rng.random(n) < 1.0 / (1.0 + np.exp(-X @ W[:, v]))
            continue
        X[:, v] = rng.standard_normal(n)
        if len(parents):
            first, second = (
                rng.uniform(0.5, 2.0, size) * rng.choice([-1.0, 1.0], size)
                for size in ((len(parents), 100), (100,))
            )
            X[:, v] += 1.0 / (1.0 + np.exp(-X[:, parents] @ first)) @ second
    return X


def augmented(
    smooth: Callable[[np.ndarray], tuple[float, np.ndarray]],
    acyclic: Callable[[np.ndarray], tuple[float, np.ndarray]],
    start: np.ndarray,
    bounds: list[tuple[float | None, float | None]],
    deadline: float,
) -> np.ndarray:
    """NOTEARS' augmented Lagrangian; the last point when it ends or its time does."""
    x, rho, alpha, h = start, 1.0, 0.0, np.inf
    best = start

    def penalised(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        if time.process_time() > deadline:
            raise OutOfTime
        value, slope = smooth(x)
        now, slope_h = acyclic(x)
        best = x.copy()
        return value + 0.5 * rho * now * now + alpha * now, slope + (rho * now + alpha) * slope_h

    try:
        for _ in range(100):
            while rho < 1e16:
                found = scipy.optimize.minimize(penalised, x, method="L-BFGS-B", jac=True, bounds=bounds)
                new = acyclic(found.x)[0]
                if new <= 0.25 * h:
                    break
                rho *= 10
            x, h = found.x, new
            alpha += rho * h
            if h <= 1e-8 or rho >= 1e16:
                break
    except OutOfTime:
        return best
    return x


def trace_exp(A: np.ndarray) -> tuple[float, np.ndarray]:
    """tr(exp(A)) - d and its slope in A."""
    E = scipy.linalg.expm(A)
    return float(np.trace(E) - len(A)), E.T


def notears_mlp(X: np.ndarray, deadline: float) -> np.ndarray:
    """Weights (d, d): norms of the inputs of d networks."""
    n, d = X.shape
    m, size = HIDDEN, d * HIDDEN * d
    rng = np.random.default_rng(0)
    ends = np.cumsum([size, size, d * m, d * m, d])  # fc1+, fc1-, its biases, fc2, its biases

    def split(x: np.ndarray) -> tuple[np.ndarray, ...]:
        plus, minus, b1, w2, b2 = np.split(x, ends[:-1])
        return (
            (plus - minus).reshape(d, d, m),
            b1.reshape(d, m),
            w2.reshape(d, m),
            b2,
        )  # [input, node, hidden]

    def smooth(x: np.ndarray) -> tuple[float, np.ndarray]:
        W1, b1, w2, b2 = split(x)
        H = 1.0 / (1.0 + np.exp(-(X @ W1.reshape(d, d * m) + b1.ravel())))
        r = (H.reshape(n, d, m) * w2).sum(axis=2) + b2 - X
        D = (r[:, :, None] * w2).reshape(n, d * m) * H * (1.0 - H) / n
        slope1 = (X.T @ D).ravel() + LAMBDA * W1.ravel()
        slope_w2 = np.einsum("nv,nvm->vm", r, H.reshape(n, d, m)) / n + LAMBDA * w2
        value = 0.5 * (r * r).sum() / n + 0.5 * LAMBDA * ((W1**2).sum() + (w2**2).sum())
        value += LAMBDA * x[: ends[1]].sum()
        parts = [slope1 + LAMBDA, LAMBDA - slope1, D.sum(axis=0), slope_w2.ravel(), r.sum(axis=0) / n]
        return float(value), np.concatenate(parts)

    def acyclic(x: np.ndarray) -> tuple[float, np.ndarray]:
        W1 = split(x)[0]
        h, slope = trace_exp((W1**2).sum(axis=2))
        slope1 = (2.0 * W1 * slope[:, :, None]).ravel()
        return h, np.concatenate([slope1, -slope1, np.zeros(ends[-1] - ends[1])])

    free: list[tuple[float | None, float | None]] = [(None, None)] * int(ends[-1] - ends[1])
    own = np.broadcast_to(np.eye(d, dtype=bool)[:, :, None], (d, d, m)).ravel()
    bounds = [(0.0, 0.0 if o else None) for o in np.tile(own, 2)] + free
    start = np.zeros(ends[-1])
    start[ends[1] :] = rng.uniform(-1.0, 1.0, ends[-1] - ends[1]) * m**-0.5
    W = np.sqrt((split(augmented(smooth, acyclic, start, bounds, deadline))[0] ** 2).sum(axis=2))
    return np.where(W < 0.3, 0.0, W)


def notears_logistic(X: np.ndarray, deadline: float) -> np.ndarray:
    """Weights (d, d) of logistic regressions."""
    n, d = X.shape

    def split(x: np.ndarray) -> np.ndarray:
        return (x[: d * d] - x[d * d :]).reshape(d, d)

    def smooth(x: np.ndarray) -> tuple[float, np.ndarray]:
        eta = X @ split(x)
        slope = (X.T @ (1.0 / (1.0 + np.exp(-eta)) - X) / n).ravel()
        value = (np.logaddexp(0.0, eta) - X * eta).sum() / n + LAMBDA * x.sum()
        return float(value), np.concatenate([slope + LAMBDA, LAMBDA - slope])

    def acyclic(x: np.ndarray) -> tuple[float, np.ndarray]:
        W = split(x)
        h, slope = trace_exp(W * W)
        slope_W = (2.0 * W * slope).ravel()
        return h, np.concatenate([slope_W, -slope_W])

    bounds: list[tuple[float | None, float | None]] = [
        (0.0, 0.0 if i == j else None) for _ in range(2) for i in range(d) for j in range(d)
    ]
    W = split(augmented(smooth, acyclic, np.zeros(2 * d * d), bounds, deadline))
    return np.where(np.abs(W) < 0.3, 0.0, W)


def rows_of(loss: str, seed: int, limit: float) -> dict[str, dict[str, float]]:
    """One instance: a row for each method."""
    d, degree, n = (10, 1, 1000) if loss == "mlp" else (20, 2, 10_000)
    rng = np.random.default_rng([d, seed, 20])
    W = random_weights(rng, d, degree)
    X = simulate(rng, W, n, loss)

    def row(order: np.ndarray, seconds: float) -> dict[str, float]:
        problem = DAGProblem(X, loss=loss)
        score = float(problem.evaluate(order[None, :].astype(float)).F[0, 0])
        return {"score": score, "shd": shd(problem.describe(order)["thresholded"], W), "cpu": seconds}

    rows = {"truth": row(DAGProblem(X, loss=loss).order_of(W), 0.0)}
    began = time.process_time()
    peer = notears_mlp if loss == "mlp" else notears_logistic
    graph = peer(X - X.mean(axis=0) if loss == "mlp" else X, began + limit)
    spent = time.process_time() - began
    rows["notears"] = row(DAGProblem(X, loss=loss).order_of(graph), spent)
    rows["notears"]["shd"] = shd(graph, W)
    for solver, options in OURS[loss].items():
        began = time.process_time()
        late = began + spent - LATE
        result = solve(
            DAGProblem(X, loss=loss),
            solver,
            options=options,
            seed=seed,
            callbacks=lambda _, late=late: time.process_time() > late,
        )
        rows[solver] = row(result.x, time.process_time() - began)
    return rows


def remembered(out: Path | None, loss: str, seed: int, limit: float) -> dict[str, dict[str, float]]:
    """`rows_of`, from the file if it holds them, else added to it."""
    about = {"loss": loss, "seed": seed, "limit": limit}
    if out is not None and out.exists():
        lines = [json.loads(line) for line in out.read_text().splitlines()]
        found = {line.get("method"): line for line in lines if about.items() <= line.items()}
        if found:
            return found
    rows = rows_of(loss, seed, limit)
    if out is not None:
        with out.open("a") as file:
            file.write(
                "".join(json.dumps(about | {"method": name} | row) + "\n" for name, row in rows.items())
            )
    return rows


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--losses", nargs="+", default=["mlp", "logistic"], choices=["mlp", "logistic"])
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--limit", type=float, default=30.0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.limit = 2, 5.0
    for loss in options.losses:
        table: dict[str, list[dict[str, Any]]] = {}
        for seed in options.seeds or range(options.repeats):
            for name, row in remembered(options.out, loss, seed, options.limit).items():
                table.setdefault(name, []).append(row)
                print(
                    f"  {loss} {seed} {name:13s} {row['score']:10.5f} SHD {row['shd']:3g} {row['cpu']:7.2f} s",
                    flush=True,
                )
        print(f"\n{loss}, medians (range) of {len(table['truth'])}, limit {options.limit:g} CPU s")
        for name, found in table.items():
            score, wrong, cpu = ([row[key] for row in found] for key in ("score", "shd", "cpu"))
            spread = f"({min(score):.5f}..{max(score):.5f})"
            print(
                f"  {name:13s} score {statistics.median(score):10.5f} {spread:24s} "
                f"SHD {statistics.median(wrong):5g}  CPU {statistics.median(cpu):7.2f} s"
            )
        for name in OURS[loss]:
            pairs = zip(table[name], table["notears"], strict=True)
            lower = sum(ours["score"] < peer["score"] for ours, peer in pairs)
            print(
                f"  {name} has a lower score than notears on {lower} of {len(table[name])} graphs", flush=True
            )


if __name__ == "__main__":
    main()
