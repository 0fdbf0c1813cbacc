"""Known constraints: what the repair costs, and whether any candidate breaks one.

    python benchmarks/repair.py [--quick] [--through sampler|solvers]

Prints CPU microseconds a candidate at 20 columns, then counts candidates outside tolerance (1e-9, relative) over 10
random continuous spaces and 10 random mixed ones: linear rows, mixtures, budgets, cardinalities, subsets, conditions.
`--through solvers` draws the candidates through random, sobol and cem by `optengine.solve`, and counts what the
objective really received.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Iterator

import numpy as np
from numpy.random import Generator, default_rng

import optengine as oe
from optengine.backends.repair import Repair
from optengine.core.space import Space

TOLERANCE = 1e-9
SOLVERS = ("random", "sobol", "cem")
Maker = Callable[[Generator], Space]


def rows_around(point: np.ndarray, n_rows: int, rng: Generator, equal: float = 0.3) -> list[oe.Row]:
    """Random rows over one array variable that `point` keeps."""
    rows = []
    for _ in range(n_rows):
        a = rng.normal(size=len(point))
        at, wide = float(a @ point), 0.03 * float(np.abs(a) @ np.abs(point))
        if rng.random() < equal:
            rows.append(oe.Row(a, at, at))
        else:
            rows.append(oe.Row(a, at - wide, at + wide) if rng.random() < 0.5 else oe.Row(a, upper=at + wide))
    return rows


def continuous(rng: Generator) -> Space:
    """2 to 20 reals with ranges over six orders of magnitude, or a mixture, and 1 to 6 rows."""
    d = int(rng.integers(2, 21))
    if rng.random() < 0.3:
        point = rng.dirichlet(np.ones(d))
        return Space(oe.Simplex(d), rows=rows_around(point, int(rng.integers(1, 4)), rng, 0.1))
    low = rng.normal(size=d)
    high = low + 10.0 ** rng.uniform(-3, 3, d)
    point = low + (high - low) * rng.random(d)
    return Space(oe.Real(low, high), rows=rows_around(point, int(rng.integers(1, 7)), rng))


def budget(rng: Generator) -> Space:
    """Projects with costs, two budgets, and levels of effort that draw on the same budget."""
    n = int(rng.integers(10, 40))
    cost = rng.integers(1, 100, (2, n))
    rows = [oe.Row({"build": c, "effort": 1.0}, upper=0.3 * c.sum()) for c in cost]
    return Space(build=oe.Binary(shape=n), effort=oe.Real(0, 20, shape=4), rows=rows)


def portfolio(rng: Generator) -> Space:
    """Weights that sum to 1, few of them nonzero, with a least return."""
    n = int(rng.integers(8, 30))
    gain = rng.normal(size=n)
    least = float(np.sort(gain)[-3:].mean() * 0.5)
    return Space(w=oe.Simplex(n), rows=[oe.Cardinality(["w"], 2, 5), oe.Row({"w": gain}, lower=least)])


def team(rng: Generator) -> Space:
    """A subset of fixed size with a weight limit, and whole hours in exact total."""
    n = int(rng.integers(8, 25))
    weight = rng.integers(1, 30, n)
    limit = float(np.sort(weight)[: n // 3].sum() * 1.3 + 1)
    rows = [oe.Row({"who": weight}, upper=limit), oe.Row({"hours": 1}, 40, 40)]
    return Space(
        who=oe.Subset(n, size=n // 3), hours=oe.Integer(0, 12, shape=6), p=oe.Permutation(6), rows=rows
    )


def blend(rng: Generator) -> Space:
    """Whole batches and real flows tied by an equality."""
    a, b = rng.integers(1, 9, 6), rng.uniform(0.2, 2, 6)
    total = float(a @ rng.integers(0, 9, 6) + b @ (10 * rng.random(6)))
    rows = [oe.Row({"batches": a, "flow": b}, total, total), oe.Row({"batches": 1}, upper=36)]
    return Space(batches=oe.Integer(0, 9, shape=6), flow=oe.Real(0, 10, shape=6), rows=rows)


def pipeline(rng: Generator) -> Space:
    """Conditional variables that share a budget."""
    return Space(
        kind=oe.Categorical(["a", "b", "c"]),
        x=oe.Real(0, 10, shape=3, when=("kind", "a")),
        k=oe.Integer(1, 8, shape=3, when=("kind", ["a", "b"])),
        log=oe.Real(1e-3, 10, log=True),
        rows=[oe.Row({"x": 1, "k": 2, "log": 1}, 4 * rng.random(), 14 + 6 * rng.random())],
    )


MIXED: tuple[Maker, ...] = (budget, portfolio, team, blend, pipeline)


def spaces(kind: str) -> Iterator[tuple[str, Space]]:
    for seed in range(10):
        make = continuous if kind == "continuous" else MIXED[seed % len(MIXED)]
        yield f"{make.__name__} {seed}", make(default_rng(seed))


def timing(n: int) -> None:
    """CPU microseconds a candidate at 20 reals, by number of rows and size of the batch."""
    print(f"\n20 reals, medians of {n} batches, CPU microseconds a candidate (rows: how many, of them equal)")
    sizes = (10, 64, 1000)
    print(f"{'rows':>8} {'moved':>7} " + " ".join(f"{f'batch {s}':>11}" for s in sizes))
    for m, equal in ((1, 0), (3, 0), (3, 1), (5, 2), (10, 3)):
        rng = default_rng(m)
        point, A = rng.random(20), rng.normal(size=(m, 20))
        at = A @ point
        rows = [oe.Row(a, t if i < equal else -np.inf, t) for i, (a, t) in enumerate(zip(A, at, strict=True))]
        space = Space([(0, 1)] * 20, rows=rows)
        repair, cells, moved = Repair(space), [], 0.0
        for size in sizes:
            took = []
            for _ in range(n):
                X = space.sample(size, rng)
                began = time.process_time()
                repair.repair(X, rng)
                took.append((time.process_time() - began) / size * 1e6)
                moved = 1 - space.satisfies(X).mean()
            cells.append(np.median(took[1:]))
        print(f"{f'{m} ({equal})':>8} {moved:>7.2f} " + " ".join(f"{c:>11.2f}" for c in cells))


def excess(space: Space, X: np.ndarray) -> tuple[int, float]:
    """How many rows of X break a known constraint by more than the tolerance, and the largest violation of a row."""
    return int((~space.satisfies(X, tol=TOLERANCE)).sum()), float(space.row_violation(X).max(initial=0.0))


def through_sampler(space: Space, n: int) -> tuple[int, int, float]:
    """Half of the candidates repaired, half drawn feasible."""
    repair, rng = Repair(space), default_rng(0)
    bad, worst, done = 0, 0.0, 0
    while done < n:
        size = min(10_000, n - done)
        X = np.vstack([
            repair.repair(space.sample(size - size // 2, rng), rng),
            repair.feasible_sample(size // 2, rng),
        ])  # fmt: skip
        broken, most = excess(space, X)
        bad, worst, done = bad + broken, max(worst, most), done + len(X)
    return done, bad, worst


def through_solvers(space: Space, n: int) -> tuple[int, int, float]:
    """What the objective receives from random, sobol and cem."""
    seen = {"n": 0, "bad": 0, "worst": 0.0}
    scale = np.where(space.upper > space.lower, space.upper - space.lower, 1.0)

    def objective(X: np.ndarray) -> np.ndarray:
        broken, most = excess(space, X)
        seen["n"], seen["bad"], seen["worst"] = (
            seen["n"] + len(X),
            seen["bad"] + broken,
            max(seen["worst"], most),
        )
        return (((X - space.lower) / scale - 0.3) ** 2).sum(axis=1)

    for name in SOLVERS:
        problem = oe.Problem(objective, space, call="encoded", vectorized=True)
        oe.solve(problem, solver=name, budget=max(1, n // len(SOLVERS)), seed=0)
    return int(seen["n"]), int(seen["bad"]), seen["worst"]


def count(kind: str, n: int, through: str) -> None:
    draw = through_sampler if through == "sampler" else through_solvers
    print(f"\n{kind}: {n} candidates over 10 spaces, through {through}")
    total = broken = 0
    worst = seconds = 0.0
    for name, space in spaces(kind):
        began = time.perf_counter()
        done, bad, most = draw(space, n // 10)
        took = time.perf_counter() - began
        total, broken, worst, seconds = total + done, broken + bad, max(worst, most), seconds + took
        print(
            f"  {name:14} width {space.width:3}  {done:8} candidates  {bad} outside  worst {most:.1e}  {took:6.1f} s"
        )
    print(
        f"  all: {total} candidates, {broken} outside {TOLERANCE:g}, largest violation {worst:.1e}, {seconds:.1f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="a tenth of the candidates")
    parser.add_argument("--through", choices=("sampler", "solvers"), default="sampler")
    arguments = parser.parse_args()
    print(
        f"optengine {oe.__version__}, numpy {np.__version__}, {platform.python_version()}, {platform.machine()}"
    )
    share = 10 if arguments.quick else 1
    timing(20 if arguments.quick else 100)
    count("continuous", 1_000_000 // share, arguments.through)
    count("mixed", 10_000 // share, arguments.through)


if __name__ == "__main__":
    main()
