"""Running jobs, one after another in this process or side by side in others."""

from __future__ import annotations

import os
import time
import traceback
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optengine.batch.folder import run_name
from optengine.batch.rows import Key, Row, row_of
from optengine.core.problem import Problem
from optengine.core.result import Result, Status
from optengine.engine import solve
from optengine.engine.pool import install
from optengine.engine.processes import shut_down
from optengine.engine.threads import at_most
from optengine.store.lock import FileLock

LOCK_SECONDS = 10.0  # how long a run waits for a worker of a killed batch to leave its journal


@dataclass(frozen=True)
class Job:
    """One run: everything that a worker needs.

    Attributes:
        key: labels of problem and solver, seed. limits: arguments budget, time_limit, target of `solve`.
        journal: its file, or None. keep: whether the result itself travels back. threads: that the run may use.
    """

    key: Key
    problem: Problem
    solver: Any
    limits: dict[str, Any]
    catch: Any
    journal: Path | None
    keep: bool
    threads: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of a job. `trace`: of the error that ended it, for developers. `interrupted`: by Ctrl-C."""

    row: Row
    result: Result | None = None
    trace: str = ""
    interrupted: bool = False


def run_job(job: Job) -> Outcome:
    """Run one job; an error becomes a row with status "failed"."""
    problem, solver, seed = job.key
    storage: dict[str, Any] = {}
    began = time.perf_counter()
    try:
        if job.journal is not None:
            storage = {"storage": str(job.journal), "name": run_name(job.key)}
            _wait_for(job.journal, storage["name"])
        with at_most(job.threads):
            result = solve(job.problem, job.solver, seed=seed, catch=job.catch, **job.limits, **storage)
    except Exception as error:  # noqa: BLE001  one run that fails, whatever the reason, must not end the others
        return failed(job, error, time.perf_counter() - began)
    return Outcome(
        row_of(result, problem, solver, seed, getattr(job.problem, "judge", None)),
        result if job.keep else None,
        interrupted=result.status is Status.STOPPED,
    )


def failed(job: Job, error: BaseException, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a job that raised.

    What it had evaluated before is counted, but no value: the best of a run that broke off is not comparable.
    """
    message = str(error) or type(error).__name__
    partial = getattr(error, "result", None)
    if isinstance(partial, Result):
        n, seconds = partial.n_evaluations, partial.seconds
        row = Row(*job.key, None, None, str(Status.FAILED), n, round(seconds, 6), message)
    else:
        row = Row(*job.key, None, None, str(Status.FAILED), 0, round(seconds, 6), message)
    trace = "".join(traceback.format_exception(error))
    return Outcome(row, partial if job.keep and isinstance(partial, Result) else None, trace)


def _wait_for(journal: Path, name: str) -> None:
    """Wait until nobody holds the run; who holds it longer is named by the journal's own error."""
    deadline = time.monotonic() + LOCK_SECONDS
    lock = FileLock(journal, name, shared=False)
    while not lock.acquire() and time.monotonic() < deadline:
        time.sleep(0.1)
    lock.release()


def one_by_one(jobs: Sequence[Job]) -> Generator[Outcome, None, None]:
    """Run jobs in this process, in order."""
    for job in jobs:
        yield run_job(job)


def side_by_side(jobs: Sequence[Job], workers: int) -> Generator[Outcome, None, None]:
    """Run jobs in processes of their own, and yield outcomes as they come.

    When a worker process dies, the jobs that were running go again one at a time: the one that kills its worker again
    has failed, the others go on from their journals.
    """
    waiting, suspects = deque(jobs), deque[Job]()
    flying: dict[Any, Job] = {}
    pool: Any = None
    try:
        while waiting or suspects or flying:
            pool = pool if pool is not None else new_pool(workers)
            broken = _launch(pool, flying, *((suspects, 1) if suspects else (waiting, workers)))
            if broken is None:
                done, _ = wait(flying, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = _collect(future, flying[future])
                    if isinstance(outcome, BrokenExecutor):
                        broken = outcome
                    else:
                        del flying[future]
                        yield outcome
            if broken is not None:
                shut_down(pool)
                pool, lost = None, list(flying.values())
                flying.clear()
                if len(lost) == 1:
                    yield failed(lost[0], RuntimeError(f"its worker process died: {_brief(broken)}"))
                else:
                    suspects.extend(lost)
    finally:
        if pool is not None:
            shut_down(pool)


def _launch(pool: Any, flying: dict[Any, Job], queue: deque[Job], room: int) -> BrokenExecutor | None:
    """Send jobs of `queue` until `room` are flying; return the error of a pool that takes no more."""
    while queue and len(flying) < room:
        try:
            flying[pool.submit(run_job, queue[0])] = queue[0]
        except BrokenExecutor as error:
            return error
        queue.popleft()
    return None


def _collect(future: Any, job: Job) -> Outcome | BrokenExecutor:
    try:
        outcome: Outcome = future.result()
    except BrokenExecutor as error:
        return error
    except Exception as error:  # noqa: BLE001  whatever cannot be pickled, on its way there or back
        return failed(job, error)
    return outcome


def new_pool(workers: int) -> Any:
    """Workers that leave Ctrl-C to this process, die with it, and share the cores."""
    from loky import ProcessPoolExecutor

    threads = str(max(1, (os.cpu_count() or 1) // workers))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    env = {name: threads for name in names if name not in os.environ}
    return ProcessPoolExecutor(
        max_workers=workers, initializer=install, initargs=("", None, os.getpid()), env=env
    )


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
