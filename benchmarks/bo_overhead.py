"""What a suggestion costs: CPU milliseconds of an ask with its tell, ours and peers, in one run.

    python benchmarks/bo_overhead.py --quick                # ours, Optuna, scikit-optimize: some minutes
    python benchmarks/bo_overhead.py                        # with Ax and BoTorch, which take seconds a suggestion
    python benchmarks/bo_overhead.py --methods bo tpe --sizes 100 500

Two spaces: `mixed6` (two reals, one of them logarithmic, two integers, two categories of three and five) and `cont20`
(twenty reals), the objective the sum of squares in the unit cube. n evaluated points are loaded, the first ask is timed
apart, then the mean of ten warm asks with their tells is taken (--asks); a method above one second an ask stops after
three, and a cell after --limit seconds. `load`: entering the n points, imports included. One process a cell.
Ax begins with the middle of the space, whatever it knows: its first ask costs no model.
--quick takes n = 20, 100 and 500 of the fast methods, and n = 20 of `optuna_gp`, `bo_botorch` and `skopt`.
The methods are those of bo_methods.py; `skopt` is scikit-optimize 0.10.2, the last of its line that works with today's
NumPy and scikit-learn, without n = 500, where a suggestion takes minutes. The last lines compare with the claims. Needs
`pip install 'optengine[bench]'`; ax-platform and scikit-optimize are skipped, with the reason, where they are missing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import json

import numpy as np
from bo_methods import METHODS, PACKAGES, NotApplicable, Ours
from bo_problems import Case, reals
from rows import header

import optengine as oe

MIXED = {
    "a": oe.Real(0, 1),
    "b": oe.Real(1e-4, 1, log=True),
    "i": oe.Integer(1, 30),
    "j": oe.Integer(0, 9),
    "c": oe.Categorical(["x", "y", "z"]),
    "e": oe.Categorical(["p", "q", "r", "s", "t"]),
}
SIZES = (20, 100, 500)
FAST = ("bo", "tpe", "optuna_tpe")
QUICK = [(name, n) for name in FAST for n in SIZES] + [
    (name, 20) for name in ("optuna_gp", "bo_botorch", "skopt")
]
MINUTES = {("skopt", 500)}  # minutes a suggestion: left out unless it is the only method named
WARM = 10
SLOW = 1.0  # seconds an ask from which fewer are taken


def squares(variables: dict[str, Any]) -> Any:
    space = oe.Space(variables)
    return lambda x: (float(((space.to_unit(space.encode(x))[0] - 0.4) ** 2).sum()), ())


SPACES = {"mixed6": MIXED, "cont20": reals(0, 1, 20)}


def case(name: str) -> Case:
    return Case(name, SPACES[name], squares(SPACES[name]), 0.0)


def loaded(name: str, here: Case, n: int) -> tuple[Any, float]:
    """A method that knows n points, and CPU seconds of entering them."""
    space = oe.Space(here.variables)
    points = space.decode(space.sample(n, np.random.default_rng(1)))
    values = [here.function(x)[0] for x in points]
    began = time.process_time()
    if name in ("bo", "bo_botorch", "tpe"):
        solver, options = {"bo": ("bo", {"engine": "fast"}), "bo_botorch": ("bo", {"engine": "botorch"})}.get(
            name, (name, {})
        )
        return Ours(
            here, 0, n + WARM + 1, solver, data=(points, values), **options
        ), time.process_time() - began
    method: Any = METHODS[name](here, 0, n + WARM + 1)
    method.load(points, values)
    return method, time.process_time() - began


def cell(job: tuple[str, str, int, int, float]) -> dict[str, Any]:
    """Measure one method with n points in one space."""
    name, where, n, asks, limit = job
    warnings.filterwarnings("ignore")
    here = case(where)
    row: dict[str, Any] = {"method": name, "space": where, "n": n}
    try:
        method, load = loaded(name, here, n)
    except (NotApplicable, ImportError, oe.SolverNotSuitable, oe.OptionError) as reason:
        return row | {"skipped": str(reason)}
    costs: list[float] = []
    while len(costs) < 1 + asks and sum(costs) < limit:
        if len(costs) > 3 and costs[-1] > SLOW:
            break
        began = time.process_time()
        point = method.ask()
        asked = time.process_time() - began
        value = here.function(point)[0]
        began = time.process_time()
        method.tell(point, value, ())
        costs.append(asked + time.process_time() - began)
    first, warm = costs[0], costs[1:]
    return row | {
        "load": load,
        "first": first,
        "warm": float(np.mean(warm)) if warm else None,
        "asks": len(warm),
    }


def warmed(name: str) -> None:
    """Compile and import once, so that no cell waits for it: compiled code stays on disk."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        pool.submit(cell, (name, "mixed6", 12, 1, 1e9)).result()


def measure(jobs: list[tuple[str, str, int, int, float]], out: Path | None) -> list[dict[str, Any]]:
    rows = []
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a") as file:
            file.write(json.dumps(header(PACKAGES)) + "\n")
    for name in dict.fromkeys(job[0] for job in jobs if job[0] in ("bo", "tpe")):
        warmed(name)
    print(f"{'method':12}{'space':>8}{'n':>5}{'load':>9}{'first ask':>11}{'warm ask':>10}  CPU ms")
    for job in jobs:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            row = pool.submit(cell, job).result()
        rows.append(row)
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        start = f"{row['method']:12}{row['space']:>8}{row['n']:5}"
        if "skipped" in row:
            print(f"{start}  skipped: {row['skipped']}", flush=True)
            continue
        warm = "-" if row["warm"] is None else f"{1e3 * row['warm']:.1f}"
        few = "" if row["asks"] == job[3] else f"  ({row['asks']} asks)"
        print(f"{start}{1e3 * row['load']:9.0f}{1e3 * row['first']:11.1f}{warm:>10}{few}", flush=True)
    return rows


def claims(rows: list[dict[str, Any]]) -> None:
    """Compare ours with what is claimed."""
    found = {(row["method"], row["space"], row["n"]): row for row in rows if row.get("warm") is not None}
    print()

    def worst(name: str, sizes: tuple[int, ...], what: str) -> float:
        values = [row[what] for (method, _, n), row in found.items() if method == name and n in sizes]
        return 1e3 * max(values, default=np.nan)

    for name, sizes, what, limit in (
        ("bo", (20, 100), "warm", 60),
        ("bo", (500,), "warm", 400),
        ("bo", (500,), "first", 800),
        ("tpe", (500,), "warm", 10),
    ):
        value = worst(name, sizes, what)
        if np.isfinite(value):
            print(f"{name}, n = {sizes}, {what} ask: at most {value:.1f} ms (claim: <= {limit})")
    for where in SPACES:
        for n in SIZES:
            ours, ax = (found.get((name, where, n)) for name in ("bo_botorch", "ax"))
            if ours and ax:
                share = ours["warm"] / ax["warm"]
                print(f"bo_botorch, {where}, n = {n}: {share:.2f} times Ax (claim: <= 0.5)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [name for name in METHODS if name != "random"]
    parser.add_argument("--quick", action="store_true", help="the fast methods, and n = 20 of slow ones")
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    parser.add_argument("--spaces", nargs="+", choices=list(SPACES), default=list(SPACES))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--asks", type=int, default=WARM, help="warm asks")
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds of asks in a cell")
    parser.add_argument("--out", type=Path, help="a .jsonl file to add rows to")
    chosen = parser.parse_args()
    pairs = [(name, n) for n in chosen.sizes for name in chosen.methods]
    if chosen.quick:
        pairs = [pair for pair in pairs if pair in QUICK]
    if len(chosen.methods) > 1:
        pairs = [pair for pair in pairs if pair not in MINUTES]
    jobs = [(name, where, n, chosen.asks, chosen.limit) for where in chosen.spaces for name, n in pairs]
    claims(measure(jobs, chosen.out))


if __name__ == "__main__":
    main()
