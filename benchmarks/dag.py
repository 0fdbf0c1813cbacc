"""Learning directed acyclic graphs: order_search and topo against the published search, NOTEARS, DAGMA, GES and BOSS.

    python benchmarks/dag.py --quick                   # 9 graphs, d = 20, 50, 100; order_search alone on d = 200, 500
    python benchmarks/dag.py --ours                    # order_search on the whole grid, against the best score known
    python benchmarks/dag.py --out dag.jsonl           # everything with its limits: a day; goes on where it stopped
    python benchmarks/dag.py --peers-only --quick --minutes 9 --out benchmarks/peers/dag.jsonl

Grid: ER2, ER4, SF4 with d = 20, 50, 100, 200, Gaussian, exponential, Gumbel noise of unit scale, weights +-U(0.5, 2),
n = 1000, centred, graphs 1 to 5; --quick takes graph 1 with Gaussian noise. Columns: the least-squares score
1/(2n) ||X - XW||^2 of all regressions in the order found, the same for everyone; how far it is above the least one of
the table, relative; SHD at threshold 0.3 (GES and BOSS as they give them, where an edge without direction is right for
either); CPU seconds of the whole call (`process_time` of one thread: for ours from the raw data on, compiled before);
and how many times as long the reference took, with ">" where its limit ended it.

`reference` is the published loop as published: 100 and 400 pairs, one search of the large set, regressions on the data
for each node that a tried swap concerns, from a random order; `reference_gram` has its regressions from the Gram
matrix, which is not what was published. `topo` starts from the same order. NOTEARS has lambda1 = 0.1, `dagma` its
default 0.03 and `dagma.02` the 0.02 of its documentation; GES and BOSS their defaults. Everybody has a limit in CPU
seconds (LIMIT); who is stopped shows the best so far, or no score, and "*". Rows of peers may come from
benchmarks/peers/dag.jsonl, taken by this script on the machine that its first line names ("f" in the table): compare
their seconds within them only. The reference's are measured in this run. order_search ends by itself (RESTARTS, KICKS);
`long` is order_search with many more restarts and another seed: the best score known. At the end: what topo and
order_search make of the peers' outputs. Peers need `pip install dagma causal-learn`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import dag_peers
import numpy as np
from rows import Row, collect, load

from optengine import solve
from optengine.problems import DAGProblem, random_weights, shd, simulate_linear

SIZES, GRAPHS, NOISES = (20, 50, 100, 200), ("ER2", "ER4", "SF4"), ("gaussian", "exponential", "gumbel")
SAMPLES = 1000
# order_search ends after it stalled, in KICKS * d kicks, from RESTARTS random orders more: chosen on graphs 11 to 14.
RESTARTS = {20: 4, 50: 4, 100: 4, 200: 4, 500: 0}
KICKS = {20: 2.0, 50: 2.0, 100: 2.0, 200: 2.0, 500: 0.5}
LONG = {20: 40, 50: 40, 100: 30, 200: 8}  # restarts of `long`
LIMIT = {20: 60.0, 50: 100.0, 100: 120.0, 200: 300.0, 500: 300.0}  # CPU seconds of each other method
OURS, REFERENCE = ("order_search", "topo"), ("reference", "reference_gram")
PEERS = ("notears", "dagma", "dagma.02", "ges", "boss")
ALONE = ("ER4_d200_gaussian", "ER2_d500_gaussian")  # order_search alone, with --quick
FILE = Path(__file__).parent / "peers" / "dag.jsonl"
TIE = 1e-6  # relative


# -- instances and methods -----------------------------------------------------------------------------------------


def instance(problem: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Centred data (n, d) and the true weights (d, d)."""
    graph, size, noise = problem.split("_")
    d = int(size[1:])
    rng = np.random.default_rng([d, seed - 1, sum(map(ord, graph + noise))])
    W = random_weights(rng, d, int(graph[2:]), graph=graph[:2])
    X = simulate_linear(rng, W, SAMPLES, noise=noise)
    return X - X.mean(axis=0), W


def nodes(problem: str) -> int:
    return int(problem.split("_")[1][1:])


def ours(
    name: str, X: np.ndarray, seed: int, start: np.ndarray | None, restarts: int | None = None
) -> np.ndarray:
    """The order that one of our solvers ends with, from raw data on."""
    d, options = X.shape[1], {}
    if name == "order_search":
        options = {"restarts": RESTARTS[d] if restarts is None else restarts, "patience": int(KICKS[d] * d)}
    x0 = None if start is None else [start]
    return np.asarray(solve(DAGProblem(X), name, seed=seed, x0=x0, options=options).x)


def compile_ours() -> None:
    X = np.random.default_rng(0).standard_normal((50, 6))
    for name, options in (("topo", {}), ("order_search", {"budget": 5000})):
        solve(DAGProblem(X), name, **options)


def peer(name: str, X: np.ndarray, limit: float, seed: int) -> tuple[np.ndarray | None, bool]:
    """A weighted graph, a pattern or None, and whether it came to its end."""
    if name == "notears":
        return dag_peers.notears(X, limit)
    if name.startswith("dagma"):
        return dag_peers.dagma(X, limit, 0.02 if name.endswith("02") else 0.03)
    return dag_peers.causal_learn(name, X, limit, seed)


def pattern_shd(pattern: np.ndarray, truth: np.ndarray) -> int:
    """SHD where an edge without direction agrees with either direction."""
    graph = (pattern == 1.0) | ((pattern == 0.5) & (truth != 0))
    lone = (pattern == 0.5) & (truth == 0) & (truth.T == 0)
    return shd(graph | np.triu(lone), truth)


def run(case: Row) -> Row:
    """One method on one instance."""
    (X, truth), name, seed = instance(case["problem"], case["seed"]), case["method"], case["seed"]
    problem = DAGProblem(X)
    start = np.random.default_rng([7, seed]).permutation(X.shape[1])
    if name in (*OURS, "long"):
        compile_ours()
    graph, finished, order = None, True, None
    began = time.process_time()
    if name == "truth":
        order = problem.order_of(truth)
    elif name == "long":
        order = ours("order_search", X, 1000 + seed, None, int(case["budget"]))
    elif name in OURS:
        order = ours(name, X, seed, start if name == "topo" else None)
    elif name in REFERENCE:
        order, finished = dag_peers.reference(X, start, case["budget"], name == "reference")
    else:
        graph, finished = peer(name, X, case["budget"], seed)
    row = case | {"cpu": round(time.process_time() - began, 4), "finished": finished}
    if graph is not None:
        pattern = name in ("ges", "boss")
        order = problem.order_of(dag_peers.extension(graph) if pattern else graph)
        row["shd"] = pattern_shd(graph, truth) if pattern else shd(graph, truth)
    if order is None:
        return row | {"score": None, "shd": None, "order": None}
    described = problem.describe(order)
    row.setdefault("shd", shd(described["thresholded"], truth))
    return row | {"score": float(described["variances"].sum() / 2), "order": [int(node) for node in order]}


def cases(problems: Iterable[str], seeds: Iterable[int], methods: Iterable[str]) -> list[Row]:
    return [
        {
            "problem": problem,
            "method": method,
            "seed": seed,
            "budget": (LONG if method == "long" else LIMIT)[nodes(problem)],
        }
        for problem in problems
        for seed in seeds
        for method in methods
    ]


# -- tables ----------------------------------------------------------------------------------------------------------


def table(problem: str, rows: list[Row], fresh: set[str]) -> None:
    """Medians over graphs of one family, with the range of the scores where there are several."""
    best = {row["seed"]: float("inf") for row in rows}
    for row in rows:
        best[row["seed"]] = min(best[row["seed"]], row["score"] or np.inf)
    reference = {row["seed"]: row for row in rows if row["method"] == "reference"}
    count = len(best)
    print(f"\n{problem}, {'graph 1' if count == 1 else f'medians of {count} graphs'}")
    print(f"  {'':18s}{'score':>11s}{'above least':>14s}{'SHD':>6s}{'CPU s':>10s}   reference took")
    for method in ("truth", *OURS, *REFERENCE, *PEERS, "long"):
        found = [row for row in rows if row["method"] == method]
        if not found:
            continue
        marks = "".join(
            ("f" if method not in fresh else " ", " " if all(row["finished"] for row in found) else "*")
        )
        scored = [row for row in found if row["score"] is not None]
        line = f"  {method:15s}{marks:3s}"
        if scored:
            above = statistics.median(row["score"] / best[row["seed"]] - 1 for row in scored)
            line += f"{statistics.median(row['score'] for row in scored):11.5f}{above:14.1e}"
            line += f"{statistics.median(row['shd'] for row in scored):6g}"
        else:
            line += f"{'none':>11s}{'':20s}"
        line += f"{statistics.median(row['cpu'] for row in found):10.3f}"
        if method in fresh and method not in ("truth", "long"):
            line += "   " + ratio([(reference[r["seed"]], r) for r in found if r["seed"] in reference])
        print(line, flush=True)
    missing = [method for method in PEERS if not any(row["method"] == method for row in rows)]
    if missing:
        print(f"  not measured here: {', '.join(missing)}")


def ratio(pairs: list[tuple[Row, Row]]) -> str:
    """How many times as long the reference took, median (range)."""
    if not pairs:
        return ""
    times = [a["cpu"] / b["cpu"] for a, b in pairs]
    least = "" if all(a["finished"] for a, _ in pairs) else "> "
    spread = f" ({min(times):.3g}..{max(times):.3g})" if len(times) > 1 else ""
    return f"{least}{statistics.median(times):.3g} times{spread}"


def summary(rows: list[Row]) -> None:
    """On how many instances order_search has the least score, by size, and its CPU seconds."""
    for d in sorted({nodes(row["problem"]) for row in rows}):
        keys = {(r["problem"], r["seed"]) for r in rows if nodes(r["problem"]) == d}
        gaps, cpu, times = [], [], []
        for key in sorted(keys):
            here = {r["method"]: r for r in rows if (r["problem"], r["seed"]) == key}
            if "order_search" not in here:
                continue
            own = here["order_search"]
            least = min(r["score"] for r in here.values() if r["score"] is not None)
            gaps.append(own["score"] / least - 1)
            cpu.append(own["cpu"])
            if "reference" in here:
                times.append((here["reference"], own))
        if gaps:
            print(
                f"d={d}: order_search has the least score on {sum(gap <= TIE for gap in gaps)} of {len(gaps)} "
                f"(relative {TIE:g}; largest above it {max(gaps):.1e}), {statistics.median(cpu):.3f} CPU s "
                f"({min(cpu):.3f}..{max(cpu):.3f})" + (f"; the reference {ratio(times)}" if times else "")
            )


def post_processing(rows: list[Row]) -> None:
    """What topo and order_search make of the peers' outputs."""
    for peers in (("notears",), ("dagma", "dagma.02"), ("ges", "boss")):
        found = [row for row in rows if row["method"] in peers and row["score"] is not None]
        if not found:
            continue
        for name in OURS:
            worse = better = 0
            for row in found:
                X, _ = instance(row["problem"], row["seed"])
                problem = DAGProblem(X)
                order = ours(name, X, row["seed"], np.array(row["order"]))
                score = problem.evaluate(order[None, :].astype(float)).F[0, 0]
                worse += score > row["score"] * (1 + 1e-12)
                better += score < row["score"] * (1 - TIE)
            print(
                f"{name} from the outputs of {' and '.join(peers)}: improves {better} of {len(found)} "
                f"({better / len(found):.0%}), worsens {worse}"
            )


# -- runs ------------------------------------------------------------------------------------------------------------


def grid(graphs: Iterable[str], sizes: Iterable[int], noises: Iterable[str]) -> list[str]:
    return [f"{graph}_d{d}_{noise}" for d in sizes for graph in graphs for noise in noises]


def measured(options: argparse.Namespace, wanted: list[Row], known: list[Row]) -> list[Row]:
    return collect(wanted, run, options.out, known, options.workers, options.minutes)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--ours", action="store_true")
    parser.add_argument("--peers-only", action="store_true", help="measure peers, and `long` with --ours")
    parser.add_argument("--fresh", action="store_true", help="measure peers instead of reading their rows")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=[*PEERS, *REFERENCE])
    parser.add_argument("--sizes", nargs="+", type=int, default=None, choices=SIZES)
    parser.add_argument("--graphs", nargs="+", default=list(GRAPHS), choices=GRAPHS)
    parser.add_argument("--noises", nargs="+", default=None, choices=NOISES)
    parser.add_argument("--seeds", nargs="+", type=int, default=None)
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--minutes", type=float, default=1e6, help="no run starts later")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    sizes = options.sizes or (SIZES[:3] if options.quick else SIZES)
    noises = options.noises or (NOISES[:1] if options.quick else NOISES)
    seeds = options.seeds or ([1] if options.quick else [1, 2, 3, 4, 5])
    problems, filed = grid(options.graphs, sizes, noises), [] if options.fresh else load(FILE)
    if options.peers_only:
        methods = ["long"] if options.ours else options.peers
        measured(options, cases(problems, seeds, methods), filed)
        return
    if options.ours:
        fresh = list(OURS)
        rows = measured(options, cases(problems, seeds, ["truth", *fresh]), [])
        wanted = {(row["problem"], row["seed"]) for row in rows}
        summary(rows + [row for row in filed if (row["problem"], row["seed"]) in wanted])
        return
    fresh = [*OURS, *REFERENCE]
    read = [] if options.quick and not options.fresh else options.peers
    rows = measured(options, cases(problems, seeds, ["truth", *fresh, *read]), filed)
    have = {(row["problem"], row["seed"], row["method"]) for row in rows}
    wanted = {(problem, seed) for problem in problems for seed in seeds}
    more = [row for row in filed if (row["problem"], row["seed"], row["method"]) not in have]
    rows += [row for row in more if (row["problem"], row["seed"]) in wanted]
    for problem in problems:
        table(problem, [row for row in rows if row["problem"] == problem], {*fresh, "truth"})
    print()
    summary(rows)
    if options.quick:
        compile_ours()
        for row in measured(options, cases(ALONE, [1], ["order_search", "truth"]), []):
            print(f"{row['problem']}: {row['method']} {row['score']:.5f} in {row['cpu']:.2f} CPU s")
    compile_ours()
    post_processing(rows + [row for row in more if (row["problem"], row["seed"]) not in wanted])


if __name__ == "__main__":
    main()
