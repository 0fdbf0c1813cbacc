"""Pools of good solutions: what a predictor learns from.

A pool keeps the best distinct solutions that an exact backend, or our own search around incumbents, shows while it
runs, by their binaries. A file of one is written whole or not at all, and belongs to one instance, one backend and one
time limit.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.backends.linear import solve_linear
from optengine.backends.polish import completed
from optengine.backends.terms import LinearStatus, check_backend
from optengine.core.errors import OptEngineError, StorageError
from optengine.core.linear import LinearModel
from optengine.problems.milp import MILP
from optengine.solvers.milp.exact import ready
from optengine.solvers.milp.local import RelaxationInduced

Floats = NDArray[np.float64]
Bits = NDArray[np.uint8]

NEIGHBOURHOODS = "neighbourhoods"  # in place of a backend: `relaxation_induced` from its local search on
REPAIR = 1.0  # seconds, at most, for the real columns of a point that rounding broke
SIZE = 20  # solutions a pool keeps: more change neither losses nor search
FAR = 0.2  # solutions worse than the best by more than this share teach nothing


@dataclass(frozen=True, eq=False)
class Pool:
    """Solutions of one instance, best first.

    Attributes:
        X: (q, k) values of its binaries, distinct; q may be 0.
        values: (q,) objectives, minimised, without the constant.
        proved: whether the first is proved optimal. backend, seconds: of the run that found them.
    """

    X: Bits
    values: Floats
    proved: bool
    backend: str
    seconds: float

    def __len__(self) -> int:
        return len(self.values)


class _Gatherer:
    """Takes solutions as a backend shows them."""

    def __init__(self, problem: MILP) -> None:
        self._problem = problem
        self._found: dict[bytes, float] = {}

    def __call__(self, x: Floats, _: float = 0.0) -> float | None:
        """Take a point in, with its real columns chosen anew where rounding broke it; its value, None if infeasible."""
        problem = self._problem
        evaluation = problem.evaluate(x[np.newaxis])
        if not evaluation.feasible()[0]:  # never believed unseen
            repaired = completed(problem.model, x, REPAIR)
            if repaired is None:
                return None
            evaluation = problem.evaluate(repaired[np.newaxis])
            if not evaluation.feasible()[0]:
                return None
        bits = np.rint(x[problem.binaries]).astype(np.uint8).tobytes()
        value = float(evaluation.F[0, 0]) - problem.shift
        self._found[bits] = min(value, self._found.get(bits, math.inf))
        return value

    def best(self, size: int) -> tuple[Bits, Floats]:
        ranked = sorted(self._found.items(), key=lambda item: (item[1], item[0]))[:size]
        values = np.array([value for _, value in ranked], dtype=np.float64)
        kept = values <= (values[0] + FAR * max(1.0, abs(values[0])) if len(values) else 0.0)
        X = np.array([np.frombuffer(bits, dtype=np.uint8) for bits, _ in ranked], dtype=np.uint8)
        return X.reshape(len(ranked), len(self._problem.binaries))[kept], values[kept]


class _Watch:
    """What our own search sees of an engine: a clock, and a place for its points."""

    def __init__(self, problem: MILP, gather: _Gatherer, threads: int) -> None:
        self.rng, self.device, self.threads = np.random.default_rng(0), "cpu", threads
        self.x0: Floats | None = None
        self._problem, self._gather, self._best = problem, gather, math.inf
        self._end = math.inf

    def begin(self, seconds: float) -> None:
        """Start the clock."""
        self._end = time.perf_counter() + seconds

    @property
    def seconds_left(self) -> float:
        return max(0.0, self._end - time.perf_counter())

    def stop(self) -> bool:
        return self.seconds_left <= 0

    def incumbent(self, x: Floats) -> float | None:
        value = self._gather(x)
        if value is None or value >= self._best:
            return None
        self._best = value
        return value + self._problem.shift

    def bound(self, value: float) -> None:
        pass

    def spend(self, n: int) -> None:
        pass


def collect_pool(
    problem: MILP, *, seconds: float, size: int = SIZE, backend: str = "scip", threads: int = 1
) -> Pool:
    """Solve an instance within `seconds` and keep its best solutions.

    Where the optimum is proved before the time is over, it is excluded and the rest solved again, and so on.

    Args:
        problem: the instance, with one binary at least.
        seconds: wall time, after the backend has been loaded.
        size: solutions to keep.
        backend: one that `solve_linear` knows and that shows its solutions. SCIP shows many and is level on all four
            classes; CP-SAT on one thread is far behind on set covering. "neighbourhoods" is our own search around
            incumbents, for models on which a backend shows few or poor ones in the time.
        threads: of the backend.

    Raises:
        OptionError: an unknown backend or a limit out of range.
    """
    gather, model, proved = _Gatherer(problem), problem.model, False
    if backend == NEIGHBOURHOODS:
        watch = _Watch(problem, gather, threads)
        search = RelaxationInduced(first=0.0, threads=threads).start(problem, watch.rng)
        search.warm_up()
        watch.begin(seconds)
        search.search(watch)
        return Pool(*gather.best(size), proved, backend, seconds)
    check_backend(backend)
    ready(backend, model)
    began = time.perf_counter()
    while (left := seconds - (time.perf_counter() - began)) > 0:
        result = solve_linear(model, backend=backend, time_limit=left, threads=threads, incumbent=gather)
        if result.status is not LinearStatus.OPTIMAL or result.x is None:
            break
        proved = True
        X, values = gather.best(size)
        if len(values) >= size and values[-1] <= result.value:
            break  # no better one is left
        model = _without(model, problem, result.x)
    X, values = gather.best(size)
    return Pool(X, values, proved, backend, time.perf_counter() - began)


def _without(model: LinearModel, problem: MILP, x: Floats) -> LinearModel:
    """The model with one row more: its binaries are not those of x."""
    from scipy.sparse import csr_array, vstack

    columns, ones = problem.binaries, np.rint(x[problem.binaries])
    entries = np.where(ones > 0, -1.0, 1.0)
    row = csr_array(
        (entries, (np.zeros(len(columns), dtype=np.int64), columns)), shape=(1, model.n_variables)
    )
    return replace(
        model,
        A=vstack([csr_array(model.A), row], format="csr"),
        lower=np.append(model.lower, 1.0 - ones.sum()),
        upper=np.append(model.upper, np.inf),
    )


# -- files -----------------------------------------------------------------------------------------------------------


def pool_key(problem: MILP, seconds: float, size: int, backend: str) -> str:
    """What a pool file is named by: the instance and how its solutions are found."""
    stated = [problem.fingerprint(), float(seconds), int(size), backend]
    return hashlib.sha256(json.dumps(stated, sort_keys=True).encode()).hexdigest()[:24]


def save_pool(pool: Pool, path: Path) -> None:
    """Write a pool so that a reader sees all of it or nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    told = json.dumps({"proved": pool.proved, "backend": pool.backend, "seconds": pool.seconds})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, X=pool.X, values=pool.values, told=np.array(told))
        part.replace(path)
    except OSError as error:
        raise StorageError(f"the pool {path} cannot be written: {error}") from error


def load_pool(path: Path, n_binaries: int) -> Pool | None:
    """Read a pool; None where there is no file, or one that is broken or of another instance: collect it anew."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            X, values, told = data["X"], data["values"], json.loads(str(data["told"]))
            fine = X.shape == (len(values), n_binaries) and X.dtype == np.uint8 and np.isfinite(values).all()
            return Pool(X, values, bool(told["proved"]), told["backend"], told["seconds"]) if fine else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def collect_into(problem: MILP, path: Path, options: dict[str, Any]) -> tuple[str, str]:
    """Collect one pool into a file, unless it is there; runs on a worker.

    Returns:
        ("", "") or the name of the instance and why it has no pool.
    """
    if load_pool(path, len(problem.binaries)) is not None:
        return "", ""
    try:
        save_pool(collect_pool(problem, **options), path)
    except OptEngineError as error:
        return str(problem.name), str(error)
    return "", ""
