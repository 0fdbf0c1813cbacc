"""What the benchmarks of local search share: rows in a jsonl file that a second call goes on with, and intervals.

A row is one run: {"problem", "method", "seed", "budget", "value", "early", "cpu"}, values minimised, `early` the value
after a fifth of the budget. The first line of a file names the command, the versions and the machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import json
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 4000
PACKAGES = (
    "optengine",
    "numpy",
    "scipy",
    "pymoo",
    "nevergrad",
    "ioh",
    "dagma",
    "causal-learn",
)  # whose versions a file names
Row = dict[str, Any]
Objective = Callable[[np.ndarray], float]
Method = Callable[[Objective, int, np.random.Generator], None]  # runs until the objective raises


class OutOfBudget(Exception):
    """The budget is spent."""


class Counted:
    """An objective to minimise that counts its calls, keeps the best value, and raises when the budget is spent."""

    def __init__(self, function: Objective, budget: int) -> None:
        self.function, self.budget = function, budget
        self.count, self.best, self.early = 0, np.inf, np.inf

    def __call__(self, x: np.ndarray) -> float:
        if self.count >= self.budget:
            raise OutOfBudget
        self.count += 1
        value = float(self.function(x))
        self.best = min(self.best, value)
        if self.count <= self.budget // 5:
            self.early = self.best
        return value


def measure(method: Method, function: Objective, n: int, budget: int, seed: int) -> Row:
    """Run one method once; CPU seconds are those of this process."""
    f, start = Counted(function, budget), time.process_time()
    try:
        method(f, n, np.random.default_rng(seed))
    except OutOfBudget:
        pass
    except Exception as error:
        if not isinstance(error.__cause__, OutOfBudget):
            raise
    return {
        "budget": budget,
        "count": f.count,
        "value": f.best,
        "early": f.early,
        "cpu": round(time.process_time() - start, 3),
    }


def parser(doc: str | None, out: Path) -> argparse.ArgumentParser:
    """The arguments of a benchmark that goes on where it stopped; its methods and problems are added by itself."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--quick", action="store_true")
    made.add_argument("--seeds", type=int)
    made.add_argument("--budget", type=int)
    made.add_argument("--out", type=Path, default=out, help="rows of ours")
    made.add_argument("--minutes", type=float, default=1e9, help="no run begins later")
    made.add_argument("--workers", type=int, default=1)
    return made


def grid(problems: Iterable[str], methods: Iterable[str], seeds: int, budget: int) -> list[Row]:
    """Every problem under every method, one seed after the other: what is left out for want of time are late seeds."""
    return [
        {"problem": problem, "method": method, "seed": seed, "budget": budget}
        for seed, problem, method in itertools.product(range(seeds), problems, methods)
    ]


def load(path: Path | None) -> list[Row]:
    if path is None or not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return [row for row in rows if "method" in row]


def key(row: Row) -> tuple[str, str, int, int]:
    return row["problem"], row["method"], row["seed"], row["budget"]


def collect(
    cases: list[Row],
    run: Callable[[Row], Row],
    out: Path | None,
    known: Iterable[Row],
    workers: int,
    minutes: float,
    packages: Iterable[str] = PACKAGES,
    each_alone: bool = False,
) -> list[Row]:
    """The rows of all cases: those known or in `out` already, and the others measured now and appended to `out`.

    No run starts after `minutes`; what is missing then is left out. `each_alone` gives every run a process of its own.
    """
    done = {key(row): row for row in (*known, *load(out))}
    todo = [case for case in cases if key(case) not in done]
    if out is not None and todo:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not out.exists():
            out.write_text(json.dumps(header(packages)) + "\n")
    start = time.perf_counter()
    for i, row in enumerate(_measured(todo, run, workers, minutes, each_alone), start=1):
        done[key(row)] = row
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if i % 50 == 0:
            print(f"{i} of {len(todo)} runs, {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return [done[key(case)] for case in cases if key(case) in done]


def _measured(
    todo: list[Row], run: Callable[[Row], Row], workers: int, minutes: float, each_alone: bool
) -> Iterator[Row]:
    """Rows as they come, a few in flight, until the time is over."""
    end, waiting = time.monotonic() + 60 * minutes, list(reversed(todo))
    spawn, ahead = multiprocessing.get_context("spawn"), 1 if each_alone else 2
    with ProcessPoolExecutor(workers, spawn, max_tasks_per_child=1 if each_alone else None) as pool:
        running: set[Future[Row]] = set()
        while running or (waiting and time.monotonic() < end):
            while waiting and len(running) < ahead * workers and time.monotonic() < end:
                running.add(pool.submit(run, waiting.pop()))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
    if waiting:
        print(f"{len(waiting)} runs are left; run the same line again", file=sys.stderr)


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children, those that live and those that ended."""
    ended = os.times()
    total = time.process_time() + ended.children_user + ended.children_system
    tick = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == os.getpid():
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


def header(packages: Iterable[str] = PACKAGES) -> Row:
    versions = {}
    for name in packages:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": " ".join([f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]]),
        "versions": versions,
        "python": platform.python_version(),
        "machine": platform.processor() or platform.machine(),
    }


def interval(differences: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """90 % bootstrap interval of the mean of differences (m,)."""
    rng = np.random.default_rng(seed)
    means = differences[rng.integers(0, len(differences), (RESAMPLES, len(differences)))].mean(axis=1)
    low, high = np.quantile(means, [0.05, 0.95])
    return float(low), float(high)


def verdict(differences: np.ndarray) -> tuple[str, float, float]:
    """Ours minus a peer's, minimised: "better", "level" (the interval contains 0) or "worse"."""
    low, high = interval(differences)
    return ("level" if low <= 0.0 <= high else "better" if high < 0.0 else "worse"), low, high
