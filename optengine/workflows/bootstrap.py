"""Stability of a learned graph: how often each edge is found when the samples are drawn again.

Efron, Bootstrap methods, 1979; for graphs: Friedman, Goldszmidt and Wyner, Data analysis with Bayesian networks: a
bootstrap approach, 1999, arXiv:1301.6695.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import EvaluationFailed, OptionError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Catch = type[Exception] | tuple[type[Exception], ...]


@dataclass(frozen=True, eq=False)
class EdgeFrequencies:
    """How often each edge was found.

    Attributes:
        directed: (d, d), the share of replicates with the edge from i to j.
        adjacency: (d, d), symmetric: the share with an edge between i and j, in whichever direction.
        weights: (d, d), the mean weight of the edge where it was found, else 0.
        n_replicates: replicates that these are shares of. seed: reproduces them.
        names: of the nodes, or None. failures: what went wrong, by the number of the replicate.
    """

    directed: Floats
    adjacency: Floats
    weights: Floats
    n_replicates: int
    seed: int
    names: tuple[str, ...] | None = None
    failures: Mapping[int, str] = field(default_factory=dict)

    def graph(self, at_least: float = 0.5) -> Bools:
        """Edges (d, d) found in at least this share of the replicates.

        Above 0.5 no edge and its reverse are both there, but longer cycles are possible.

        Raises:
            OptionError: at_least is not in (0, 1].
        """
        if isinstance(at_least, bool) or not isinstance(at_least, (int, float)) or not 0 < at_least <= 1:
            raise OptionError(f"at_least must be in (0, 1], got {at_least!r}")
        return np.asarray(self.directed >= at_least)

    def edges(self, at_least: float = 0.5) -> list[tuple[str, str, float]]:
        """From, to and frequency of those edges, the most frequent first."""
        names = self.names or tuple(str(k) for k in range(len(self.directed)))
        found = [
            (names[i], names[j], float(self.directed[i, j])) for i, j in np.argwhere(self.graph(at_least))
        ]
        return sorted(found, key=lambda edge: -edge[2])

    def plot(self, at_least: float = 0.5, *, ax: Axes | None = None, title: str | None = None) -> Axes:
        """Draw those edges, as wide as they are frequent."""
        from optengine.report.graphs import draw_graph

        return draw_graph(
            self.graph(at_least),
            names=self.names,
            weights=self.weights,
            frequency=self.directed,
            ax=ax,
            title=title if title is not None else f"edges in at least {at_least:.0%} of {self.n_replicates}",
        )

    def __str__(self) -> str:
        lines = [
            f"{self.n_replicates} replicates of {len(self.directed)} nodes, edges in at least half of them:"
        ]
        lines += [f"  {a} -> {b}  {share:.0%}" for a, b, share in self.edges()] or ["  none"]
        if self.failures:
            number, reason = next(iter(self.failures.items()))
            lines.append(f"{len(self.failures)} replicates failed, number {number}: {reason}")
        return "\n".join(lines)


def bootstrap_edges(
    data: ArrayLike,
    *,
    replicates: int = 100,
    problem: Mapping[str, Any] | None = None,
    solver: Any = "order_search",
    options: Mapping[str, Any] | None = None,
    budget: int | None = None,
    time_limit: float | None = None,
    seed: int | None = None,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: bool = False,
    catch: Catch = (),
    names: Sequence[str] | None = None,
) -> EdgeFrequencies:
    """Learn a graph from rows drawn with replacement, again and again, and count its edges.

    Each replicate has random numbers of its own, so that the answer does not depend on the number of workers (a
    `time_limit` gives that up). An edge counts where it is in the thresholded graph.

    Args:
        data: (n, d), one sample a row.
        replicates: how often, >= 1.
        problem: further arguments of `DAGProblem`: loss, penalty, threshold, tiers, required, ...
        solver: a name or a solver, as for `solve`; order_search without a limit ends when it has stalled twice.
        options, budget, time_limit: of each solve.
        seed: reproduces everything; None draws one, which the answer holds.
        workers: processes; None or 1: in this process.
        executor: any `concurrent.futures.Executor` instead.
        progress: draw a bar on the standard error.
        catch: errors of a replicate that are noted in `failures` instead of ending the call, e.g. `oe.ProblemError`
            where a draw may leave a column constant.
        names: of the d nodes.

    Raises:
        EvaluationFailed: a replicate failed with an error that `catch` does not cover, or all of them failed.
        OptionError: a value outside its range.
        ProblemError: data that are no matrix of numbers.
    """
    rows = _rows(data, problem)
    _check(replicates, workers, executor, names, rows.shape[1])
    settings = dict(options or {})
    if solver == "order_search" and budget is None and time_limit is None:
        settings.setdefault("restarts", 1)
    arguments = {"solver": solver, "options": settings, "budget": budget, "time_limit": time_limit}
    root = np.random.SeedSequence(seed)
    entropy = int(root.generate_state(1, np.uint64)[0] >> np.uint64(1)) if seed is None else int(seed)
    seeds = np.random.SeedSequence(entropy).spawn(replicates)
    tasks = [(rows, dict(problem or {}), arguments, own) for own in seeds]
    found: dict[int, Floats] = {}
    failures: dict[int, str] = {}
    with _bar(replicates, progress) as advance, _pool(workers, executor) as pool:
        for number, outcome in _outcomes(pool, tasks, executor is None):
            if isinstance(outcome, Exception):
                if not isinstance(outcome, catch):
                    raise EvaluationFailed(f"replicate {number} failed: {outcome}") from outcome
                failures[number] = str(outcome)
            else:
                found[number] = outcome
            advance()
    if not found:
        raise EvaluationFailed(f"all {replicates} replicates failed, the first: {failures[min(failures)]}")
    stack = np.array([found[number] for number in sorted(found)])
    there = stack != 0
    count = there.sum(axis=0)
    return EdgeFrequencies(
        directed=count / len(stack),
        adjacency=(there | there.transpose(0, 2, 1)).mean(axis=0),
        weights=np.where(count > 0, stack.sum(axis=0) / np.maximum(count, 1), 0.0),
        n_replicates=len(stack),
        seed=entropy,
        names=None if names is None else tuple(str(name) for name in names),
        failures=dict(sorted(failures.items())),
    )


def learn(
    rows: Floats, problem: Mapping[str, Any], arguments: Mapping[str, Any], seed: np.random.SeedSequence
) -> Floats:
    """Weights (d, d) of one replicate's thresholded graph; an edge that was required is never exactly 0."""
    from optengine.engine import solve
    from optengine.problems.dag import DAGProblem

    rng = np.random.default_rng(seed)
    drawn = rows[rng.integers(0, len(rows), len(rows))]
    result = solve(DAGProblem(drawn, **problem), seed=int(rng.integers(2**31)), **arguments)
    graph, weights = result.details["thresholded"], result.details["weights"]
    return np.where(graph, np.where(weights == 0, np.finfo(np.float64).tiny, weights), 0.0)


def _rows(data: ArrayLike, problem: Mapping[str, Any] | None) -> Floats:
    """The data, after all that a DAGProblem checks was checked on the whole of them."""
    from optengine.problems.dag import DAGProblem

    for name in ("data", "covariance", "name"):
        if problem is not None and name in problem:
            raise OptionError(
                f"problem must leave {name!r} out, got {name}={problem[name]!r}; rows are drawn from data"
            )
    DAGProblem(data, **dict(problem or {}))
    return np.ascontiguousarray(data, dtype=np.float64)


def _check(
    replicates: int, workers: int | None, executor: Executor | None, names: Sequence[str] | None, d: int
) -> None:
    for name, value in (("replicates", replicates), ("workers", 1 if workers is None else workers)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
    if workers is not None and executor is not None:
        raise OptionError(f"workers must be None where an executor is given, got {workers}")
    if names is not None and len(names) != d:
        raise OptionError(f"names must name {d} nodes, got {len(names)}")


@contextmanager
def _pool(workers: int | None, executor: Executor | None) -> Iterator[Executor | None]:
    """The user's executor, a pool of processes that ends with the call, or None: in this process."""
    if executor is not None or (workers or 1) == 1:
        yield executor
        return
    from loky import ProcessPoolExecutor

    from optengine.engine.processes import shut_down

    threads = str(max(1, (os.cpu_count() or 1) // (workers or 1)))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {name: threads for name in names if name not in os.environ}
    pool = ProcessPoolExecutor(max_workers=workers, env=env)
    done = False
    try:
        yield pool
        done = True
    finally:
        shut_down(pool, kill=not done)


def _outcomes(
    pool: Executor | None, tasks: Sequence[tuple[Any, ...]], ours: bool
) -> Iterator[tuple[int, Floats | Exception]]:
    """Number and weights, or error, of each replicate as they come."""
    if pool is None:
        for number, task in enumerate(tasks):
            try:
                outcome: Floats | Exception = learn(*task)
            except Exception as error:  # noqa: BLE001  # the caller decides
                outcome = error
            yield number, outcome
        return
    flying: dict[Future[Floats], int] = {pool.submit(learn, *task): k for k, task in enumerate(tasks)}
    try:
        while flying:
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=lambda f: flying[f]):
                failure = future.exception()
                if failure is not None and not isinstance(failure, Exception):
                    raise failure
                yield flying.pop(future), future.result() if failure is None else failure
    finally:
        if not ours:  # a cancelled future breaks the thread by which loky kills its workers
            for future in flying:
                future.cancel()


@contextmanager
def _bar(total: int, progress: bool) -> Iterator[Any]:
    """Yields what moves a bar on by one; a terminal gets a live bar, anything else a line at the end."""
    if not progress:
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("bootstrap"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=sys.stderr)) as bar:
        task = bar.add_task("bootstrap", total=total)
        yield lambda: bar.advance(task)
