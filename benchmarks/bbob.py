"""BBOB through ioh: our solvers for continuous simulators and their peers, in one run.

    python benchmarks/bbob.py --quick                     # d = 2 and 5, 24 functions, instances 101 and 102
    python benchmarks/bbob.py --out bbob.jsonl            # d = 2 5 20 40, instances 101-105: a day; resumes
    python benchmarks/bbob.py --peers-only --quick --fresh --out benchmarks/peers/bbob.jsonl
    python benchmarks/bbob.py --quick --solvers hybrid cmaes cem:family=full --peers pycma dual_annealing

A run ends after --budget x d evaluations (1000) or at the last target; everybody restarts inside the budget, everything
counts, finite differences too. 51 targets from 1e2 to 1e-8 above the optimum. Printed: the fraction of (function,
instance, seed, target) reached after 10 d, 25 d, ..., the area under that curve over the logarithm of the evaluations
from d to the budget, and CPU microseconds an evaluation. Under the table: our solvers against the best peer of each
column, with the 90 % bootstrap interval of the difference over (function, instance) pairs; "level" contains 0.

A solver is a name, or a name with options, `cem:family=full,population=50`; `auto` stands for the solver that it names.
The first start of all that take one is the middle of the box, later ones are uniform. All use their defaults. Tuning
used instances 1 to 3. Slow peers (a millisecond an evaluation and more) run on the first instance only; the column
`runs` says so, and they are left out of the comparison with the best peer. Rows of peers may come from
benchmarks/peers/bbob.jsonl, taken by this script; their CPU seconds are then those of that run.
Needs `pip install 'optengine[bench]'`.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import importlib.metadata
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np

import optengine as oe
from optengine import registry

TARGETS = 10.0 ** np.linspace(2, -8, 51)
MARKS = (10, 25, 50, 100, 200, 300, 1000)
QUICK = {"dims": [2, 5], "instances": [101, 102]}
FULL = {"dims": [2, 5, 20, 40], "instances": [101, 102, 103, 104, 105]}
SLOW = ("pycma_lq",)
PEERS = Path(__file__).parent / "peers" / "bbob.jsonl"
RESAMPLES = 2000
LOW, HIGH = -5.0, 5.0


class OutOfBudget(Exception):
    """The budget is spent, or the last target reached."""


class Counted:
    """A BBOB function that counts, and notes the evaluation at which each target fell."""

    def __init__(self, function: int, instance: int, d: int, budget: int) -> None:
        import ioh

        self._problem = ioh.get_problem(
            function, instance=instance, dimension=d, problem_class=ioh.ProblemClass.BBOB
        )
        self._optimum = self._problem.optimum.y
        self.d, self.budget, self.count = d, budget, 0
        self.hits: list[int] = []

    def __call__(self, x: Any) -> float:
        if self.count >= self.budget or len(self.hits) == len(TARGETS):
            raise OutOfBudget
        self.count += 1
        value = float(self._problem(x))
        gap = value - self._optimum
        while len(self.hits) < len(TARGETS) and gap <= TARGETS[len(self.hits)]:
            self.hits.append(self.count)
        return value


Optimizer = Callable[[Counted, np.random.Generator], None]


# -- ours ----------------------------------------------------------------------------------------------------------


def read_options(spec: str) -> tuple[str, dict[str, Any]]:
    """Split `name:option=value,...`; values are Python's, or text."""
    name, _, rest = spec.partition(":")
    options: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, text = part.partition("=")
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = text
    return name, options


def ours(spec: str) -> Optimizer:
    name, options = read_options(spec)

    def run(f: Counted, rng: np.random.Generator) -> None:
        problem = oe.Problem(f, [(LOW, HIGH)] * f.d, call="array")
        try:
            oe.solve(problem, name, budget=f.budget, seed=int(rng.integers(2**31)), options=options)
        except oe.EvaluationFailed as error:
            if not isinstance(error.__cause__, OutOfBudget):
                raise

    return run


# -- peers ---------------------------------------------------------------------------------------------------------


def starts(d: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    yield np.zeros(d)
    while True:
        yield rng.uniform(LOW, HIGH, d)


def random_search(f: Counted, rng: np.random.Generator) -> None:
    while True:
        f(rng.uniform(LOW, HIGH, f.d))


def pycma(f: Counted, rng: np.random.Generator) -> None:
    """BIPOP-CMA-ES of pycma."""
    import cma

    options = {"bounds": [LOW, HIGH], "verbose": -9, "seed": int(rng.integers(1, 2**31))}
    points = starts(f.d, rng)
    while True:
        cma.fmin2(f, lambda: next(points), 0.2 * (HIGH - LOW), options, restarts=9, bipop=True)


def pycma_lq(f: Counted, rng: np.random.Generator) -> None:
    """lq-CMA-ES of pycma with its own restarts."""
    import cma

    options = {"bounds": [LOW, HIGH], "verbose": -9, "seed": int(rng.integers(1, 2**31))}
    points = starts(f.d, rng)
    while True:
        cma.fmin_lq_surr2(f, lambda: next(points), 0.2 * (HIGH - LOW), dict(options), restarts=9)


def cmaes_bipop(f: Counted, rng: np.random.Generator) -> None:
    """BIPOP-CMA-ES of cmaes, restarted as its documentation shows."""
    from cmaes import CMA

    bounds, points = np.tile([LOW, HIGH], (f.d, 1)), starts(f.d, rng)

    def one(sigma: float, size: int | None) -> int:
        seed = int(rng.integers(2**31))
        optimizer = CMA(mean=next(points), sigma=sigma, bounds=bounds, population_size=size, seed=seed)
        spent = 0
        while not optimizer.should_stop():
            told = []
            for _ in range(optimizer.population_size):
                x = optimizer.ask()
                told.append((x, f(x)))
            optimizer.tell(told)
            spent += len(told)
        return spent

    sigma, first = 0.2 * (HIGH - LOW), 4 + int(3 * np.log(f.d))
    large, small, factor = one(sigma, first), 0, 1
    while True:
        if small < large:
            size = int(first * (0.5 * factor) ** (rng.random() ** 2)) if factor > 1 else first
            small += one(sigma * 10 ** (-2 * rng.random()), max(size, first))
        else:
            factor *= 2
            large += one(sigma, first * factor)


def dual_annealing(f: Counted, rng: np.random.Generator) -> None:
    from scipy.optimize import dual_annealing as minimize

    for x0 in starts(f.d, rng):
        minimize(f, [(LOW, HIGH)] * f.d, x0=x0, rng=rng, maxfun=10**9)


def scipy_de(f: Counted, rng: np.random.Generator) -> None:
    from scipy.optimize import differential_evolution

    while True:
        differential_evolution(f, [(LOW, HIGH)] * f.d, rng=rng)


def _pymoo(f: Counted, rng: np.random.Generator, build: Callable[[np.ndarray], Any]) -> None:
    from pymoo.config import Config
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize

    Config.warnings["not_compiled"] = False

    class Bbob(Problem):  # type: ignore[misc]  # pymoo has no types
        def _evaluate(self, X: np.ndarray, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = np.array([[f(x)] for x in X])

    problem = Bbob(n_var=f.d, n_obj=1, xl=LOW, xu=HIGH)
    for x0 in starts(f.d, rng):
        minimize(problem, build(x0), seed=int(rng.integers(2**31)), copy_algorithm=False)


def pymoo_de(f: Counted, rng: np.random.Generator) -> None:
    from pymoo.algorithms.soo.nonconvex.de import DE

    _pymoo(f, rng, lambda _: DE())


def pymoo_cmaes(f: Counted, rng: np.random.Generator) -> None:
    from pymoo.algorithms.soo.nonconvex.cmaes import CMAES

    _pymoo(f, rng, lambda x0: CMAES(x0=x0))


OURS = ("auto", "cmaes", "cem")
THEIRS: dict[str, Optimizer] = {
    "random": random_search,
    "pycma": pycma,
    "pycma_lq": pycma_lq,
    "cmaes_bipop": cmaes_bipop,
    "dual_annealing": dual_annealing,
    "scipy_de": scipy_de,
    "pymoo_de": pymoo_de,
    "pymoo_cmaes": pymoo_cmaes,
}


# -- running -------------------------------------------------------------------------------------------------------


def optimizer_of(name: str) -> Optimizer:
    own = name.removeprefix("optengine ")
    return ours(own) if own != name else THEIRS[name]


@functools.cache
def warm_up(name: str) -> None:
    """Imports and compilation are no part of a run."""
    with contextlib.suppress(OutOfBudget):
        optimizer_of(name)(Counted(1, 1, 2, 40), np.random.default_rng(0))


@dataclass(frozen=True)
class Job:
    """One run; `name` is "optengine X" or a peer's."""

    name: str
    d: int
    function: int
    instance: int
    seed: int
    budget: int  # evaluations

    @property
    def key(self) -> tuple[Any, ...]:
        return self.name, self.d, self.function, self.instance, self.seed, self.budget

    def run(self) -> dict[str, Any]:
        f = Counted(self.function, self.instance, self.d, self.budget)
        rng = np.random.default_rng([self.seed, self.function, self.instance, self.d])
        warnings.filterwarnings("ignore")
        warm_up(self.name)
        began = time.process_time()
        with contextlib.suppress(OutOfBudget):
            optimizer_of(self.name)(f, rng)
        cpu = time.process_time() - began
        return {**vars(self), "hits": f.hits, "evaluations": f.count, "cpu": round(cpu, 4)}


def key_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in ("name", "d", "function", "instance", "seed", "budget"))


def load(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows of a file by what they ran; lines that hold no run say how the others were made."""
    if not path.is_file():
        return {}
    rows = (json.loads(line) for line in path.read_text().splitlines() if line.strip())
    return {key_of(row): row for row in rows if "hits" in row}


def header() -> dict[str, Any]:
    packages = ("optengine", "numpy", "scipy", "cma", "cmaes", "pymoo", "ioh")
    return {
        "command": " ".join(["python", *sys.argv]),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, one thread",
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }


def measure(
    jobs: Iterable[Job], known: dict[tuple[Any, ...], dict[str, Any]], out: Path | None, workers: int
) -> None:
    """Run what is not known yet; every row is written as soon as it is there."""
    todo = [job for job in jobs if job.key not in known]
    todo.sort(
        key=lambda job: (job.instance, job.seed, job.function)
    )  # a run that is cut off compares all the same
    if out is not None and todo:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("a") as file:
            file.write(json.dumps(header()) + "\n")
    pool = ProcessPoolExecutor(workers) if workers > 1 else None
    for i, row in enumerate((pool.map if pool else map)(Job.run, todo)):
        known[key_of(row)] = row
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(row) + "\n")
        if sys.stderr.isatty():
            print(f"\r{i + 1}/{len(todo)} {row['name']:24}", end="", file=sys.stderr, flush=True)
    if pool:
        pool.shutdown()


# -- the report ----------------------------------------------------------------------------------------------------


def table(rows: list[dict[str, Any]]) -> np.ndarray:
    """(runs, targets) evaluations at which each target fell, infinite where it did not."""
    hits = np.full((len(rows), len(TARGETS)), np.inf)
    for i, row in enumerate(rows):
        hits[i, : len(row["hits"])] = row["hits"]
    return hits


def area(hits: np.ndarray, d: int, budget: int) -> float:
    """Area under the curve of fractions over log(evaluations), from d to the budget, as a share of the whole."""
    late = np.clip(hits, d, budget)
    return float(np.mean(np.log(budget / late) / np.log(budget / d)))


def report(rows: list[dict[str, Any]], d: int, budget: int) -> None:
    names = sorted({row["name"] for row in rows}, key=lambda name: (not name.startswith("optengine"), name))
    marks = [m for m in MARKS if m * d <= budget]
    pairs = {(row["function"], row["instance"]) for row in rows}
    print(f"\nBBOB d = {d}, {len(pairs)} (function, instance) pairs, budget {budget // d} d")
    print(
        f"{'':24}"
        + "".join(f"{f'{m} d':>8}" for m in marks)
        + f"{'area':>8}{'solved':>8}{'runs':>6}{'CPU us':>8}"
    )
    groups: dict[str, dict[tuple[int, int], np.ndarray]] = {}
    for name in names:
        mine = [row for row in rows if row["name"] == name]
        hits = table(mine)
        solved = int(np.isfinite(hits[:, -1]).sum())
        cost = sum(row["cpu"] for row in mine) / sum(row["evaluations"] for row in mine) * 1e6
        cells = "".join(f"{np.mean(hits <= m * d):8.3f}" for m in marks)
        print(f"{name:24}{cells}{area(hits, d, budget):8.3f}{solved:8}{len(mine):6}{cost:8.0f}")
        groups[name] = {
            pair: np.array([[np.mean(table([row]) <= m * d) for m in marks]
                            for row in mine if (row["function"], row["instance"]) == pair]).mean(axis=0)
            for pair in {(row["function"], row["instance"]) for row in mine}
        }  # fmt: skip
    compare(groups, marks)


def compare(groups: dict[str, dict[tuple[int, int], np.ndarray]], marks: list[int]) -> None:
    """Our solvers against the best peer of each column."""
    theirs = {name: cells for name, cells in groups.items() if not name.startswith("optengine")}
    most = max((len(cells) for cells in theirs.values()), default=0)
    peers = {name: cells for name, cells in theirs.items() if len(cells) == most}
    if not peers:
        return
    rng = np.random.default_rng(0)
    print("against the best peer of each column: difference [90 % interval]")
    for name, mine in groups.items():
        if name in theirs:
            continue
        for j, mark in enumerate(marks):
            best = max(peers, key=lambda p: np.mean([cell[j] for cell in peers[p].values()]))
            pairs = sorted(mine.keys() & peers[best].keys())
            gain = np.array([mine[pair][j] - peers[best][pair][j] for pair in pairs])
            means = gain[rng.integers(len(gain), size=(RESAMPLES, len(gain)))].mean(axis=1)
            low, high = np.quantile(means, [0.05, 0.95])
            verdict = "level" if low <= 0 <= high else "above" if low > 0 else "below"
            print(f"  {name:24}{mark:5} d  {gain.mean():+.3f} [{low:+.3f}, {high:+.3f}] {verdict:6} {best}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="d = 2 and 5, instances 101 and 102")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--dims", type=int, nargs="+")
    parser.add_argument("--functions", type=int, nargs="+", default=list(range(1, 25)))
    parser.add_argument("--instances", type=int, nargs="+")
    parser.add_argument("--seeds", type=int, default=1, help="how many, from 0")
    parser.add_argument("--budget", type=int, default=1000, help="evaluations per dimension")
    parser.add_argument("--solvers", nargs="*", default=list(OURS))
    parser.add_argument("--peers", nargs="*", default=list(THEIRS), choices=[*THEIRS, []])
    parser.add_argument("--peers-only", action="store_true")
    parser.add_argument("--fresh", action="store_true", help=f"do not take rows of peers from {PEERS.name}")
    parser.add_argument("--out", type=Path, help="a .jsonl file to add rows to, and to go on from")
    return parser.parse_args()


def resolved(solvers: list[str]) -> list[str]:
    """Put the solver that `auto` names in its place, and leave repetitions out."""
    problem = oe.Problem(np.sum, [(LOW, HIGH)] * 5, call="array")
    chosen, why = registry.choose(problem, 1000 * 5, 1)
    print(f"auto names {chosen} ({why})")
    return list(dict.fromkeys(chosen if name == "auto" else name for name in solvers))


def main() -> None:
    chosen = arguments()
    warnings.filterwarnings("ignore")
    plan = QUICK if chosen.quick else FULL
    dims = chosen.dims or plan["dims"]
    functions, instances = chosen.functions, chosen.instances or plan["instances"]
    names = [] if chosen.peers_only else [f"optengine {name}" for name in resolved(chosen.solvers)]
    names += chosen.peers
    known = {} if chosen.fresh else load(PEERS)
    if chosen.out is not None:
        known |= load(chosen.out)
    for d in dims:
        budget = chosen.budget * d
        jobs = [
            Job(name, d, function, instance, seed, budget)
            for name in names
            for function in functions
            for instance in (instances[:1] if name in SLOW else instances)
            for seed in range(chosen.seeds)
        ]
        measure(jobs, known, chosen.out, chosen.workers)
        report([known[job.key] for job in jobs], d, budget)


if __name__ == "__main__":
    main()
