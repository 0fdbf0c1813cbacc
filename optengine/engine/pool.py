"""Evaluating on an executor: our own process pool, or any `concurrent.futures.Executor` of the user's."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import EvaluationFailed, OptEngineError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.returned import Measured
from optengine.engine.channel import Channel
from optengine.engine.evaluator import Catch, refuse_missing
from optengine.engine.processes import shut_down
from optengine.engine.stopper import Stopper
from optengine.engine.worker import (
    Raised,
    install as install,  # batches start workers the same way
    measure_rows,
    measure_sent,
    qualified,
    stand_up,
)

Floats = NDArray[np.float64]
Positions = NDArray[np.int64]

CHUNK_SECONDS = 0.05  # rows of cheap objectives travel together until they fill this time
POLL_SECONDS = 0.05  # how often time-outs are looked at
RETRIES = 2  # how often rows in flight are tried again after their worker died


@dataclass
class Task:
    """Rows that travel together."""

    positions: list[int]
    began: float
    seconds: list[float] = field(default_factory=list)


class Pool:
    """Evaluates on an executor.

    Args:
        problem: sent to each worker once where that is possible.
        executor: the user's, or None for our own pool of `workers` processes.
        workers: evaluations in flight; None with a user's executor means all of a batch.
        timeout: seconds an evaluation may take; needs our own pool.
        catch: exceptions that are recorded as failed.
        stopper: where evaluations report their steps, if they may be stopped early.
    """

    def __init__(
        self,
        problem: Problem,
        executor: Executor | None,
        workers: int | None,
        timeout: float | None,
        catch: Catch,
        stopper: Stopper | None = None,
    ) -> None:
        self._problem, self._user_executor, self._timeout, self._catch = problem, executor, timeout, catch
        self._workers = workers
        self._caught_names = {qualified(kind) for kind in catch}
        self._in_process = isinstance(executor, ThreadPoolExecutor)
        self._key, self._payload = "", None
        if not self._in_process:
            self._key, self._payload = self._pack()
        self._executor: Any = executor if executor is not None else self._new_pool()
        self._channel = None if stopper is None or self._in_process else Channel(stopper)
        self._line: Any = stopper if self._channel is None else self._channel.line
        self._flying: dict[Future[Any], Task] = {}
        self._waiting: deque[int] = deque()
        self._suspects: set[int] = set()  # rows in flight when a worker died: retried one at a time
        self._deaths: dict[int, int] = {}
        self._given_up: list[
            tuple[Positions, Evaluation, dict[int, str]]
        ] = []  # rows recorded as failed, to be yielded
        self._n_sent = 0
        self._mean_seconds = float("inf")
        self._streaming = False
        self._X: Sequence[Floats] | Floats = np.empty((0, problem.space.width))
        self._left_running: list[Future[Any]] = []

    def _pack(self) -> tuple[str, bytes]:
        import uuid

        import cloudpickle

        try:
            return uuid.uuid4().hex, cloudpickle.dumps(self._problem)
        except Exception as error:  # pickling runs the objects' own code
            raise EvaluationFailed(
                f"the problem cannot be sent to workers ({error}); keep open files, locks and connections out of the "
                "objective, or pass executor=ThreadPoolExecutor()"
            ) from error

    def _new_pool(self) -> Any:
        from loky import ProcessPoolExecutor

        threads = str(max(1, (os.cpu_count() or 1) // (self._workers or 1)))
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
        env = {name: threads for name in names if name not in os.environ}
        pool = ProcessPoolExecutor(
            max_workers=self._workers,
            initializer=install,
            initargs=(self._key, self._payload, os.getpid()),
            env=env,
        )
        started = [pool.submit(stand_up, self._key) for _ in range(self._workers or 1)]
        wait(started)  # start-up is not evaluation time
        for error in filter(None, (future.exception() for future in started)):
            shut_down(pool)
            raise EvaluationFailed(
                f"the workers cannot load the problem ({type(error).__name__}: {error}); define the objective where "
                "they can import it, or pass executor=ThreadPoolExecutor()"
            ) from error
        return pool

    # -- a batch -----------------------------------------------------------------------------------------------

    def run(self, X: Floats) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        """Evaluate X and yield rows as they finish."""
        self._X, self._deaths = X, {}
        self._waiting.extend(range(len(X)))
        try:
            while self.busy:
                self._launch()
                yield from self._collect()
        finally:
            self.abandon()

    def submit(self, positions: list[int], X: Sequence[Floats]) -> None:
        """Put rows of a growing table X in the queue; `collect` yields them as they finish."""
        self._X, self._streaming = X, True
        self._waiting.extend(positions)
        self._launch()

    def collect(self) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        """Wait until something finishes and yield it."""
        yield from self._collect()
        self._launch()

    @property
    def busy(self) -> int:
        """Rows queued, in flight, or given up and not yet reported."""
        flying = sum(len(task.positions) for task in self._flying.values())
        return len(self._waiting) + flying + len(self._given_up)

    @property
    def slots(self) -> int:
        """How many evaluations keep all workers busy."""
        known = self._workers or getattr(self._user_executor, "_max_workers", None)
        return int(known or os.cpu_count() or 1)

    def _launch(self) -> None:
        limit = self._workers if self._user_executor is None or self._workers else len(self._X)
        while self._waiting and len(self._flying) < (1 if self._suspects else limit or 1):
            size = 1 if self._suspects else min(self._chunk(), len(self._waiting))
            positions = [self._waiting.popleft() for _ in range(size)]
            rows = np.array([self._X[p] for p in positions])
            try:
                if self._in_process:
                    future = self._executor.submit(measure_rows, self._problem, rows, self._line)
                else:
                    payload = None if self._user_executor is None else self._payload
                    self._n_sent += 1
                    future = self._executor.submit(
                        measure_sent, self._key, payload, rows, self._line, self._n_sent
                    )
            except (BrokenExecutor, RuntimeError) as error:
                self._waiting.extendleft(reversed(positions))
                self._given_up += self._recover(error, [])
                continue
            self._flying[future] = Task(positions, time.perf_counter())

    def _chunk(self) -> int:
        if self._streaming:  # as many rows are in flight as there are workers: each takes one
            return 1
        if self._problem.vectorized and self._timeout is None:
            return -(-len(self._X) // (self._workers or 1))
        if self._timeout is not None or not self._mean_seconds < CHUNK_SECONDS:
            return 1
        share = -(-len(self._X) // (2 * (self._workers or 1)))
        return max(1, min(share, int(CHUNK_SECONDS / max(self._mean_seconds, 1e-6))))

    def _collect(self) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        """Yield what has finished; an error is raised once everything that finished beside it was yielded."""
        given_up, self._given_up = self._given_up, []
        yield from given_up
        if not self._flying:
            return
        poll = POLL_SECONDS if self._timeout is not None else 10 * POLL_SECONDS
        done, _ = wait(list(self._flying), timeout=poll, return_when=FIRST_COMPLETED)
        broken: BaseException | None = None
        down: list[int] = []  # rows of tasks whose worker died
        errors: dict[int, OptEngineError] = {}
        dropped: list[tuple[Task, Exception]] = []
        for future in sorted(done, key=lambda f: self._flying[f].positions[0]):
            task = self._flying.pop(future)
            try:
                outcomes = future.result()
            except (BrokenExecutor, CancelledError, OSError, EOFError, RuntimeError) as error:
                down += task.positions
                broken = error
                continue
            except Exception as error:  # a user's executor gives up one task in its own way and goes on
                if self._user_executor is None:
                    raise
                dropped.append((task, error))
                continue
            self._suspects.difference_update(task.positions)
            yield from self._read(task, outcomes, errors)
        for task, cause in dropped:
            yield from self._dropped(task, cause, errors)
        if errors:
            raise errors[min(errors)]
        if broken is not None:
            yield from self._recover(broken, down)
        elif self._timeout is not None:
            yield from self._expire()

    def _read(
        self, task: Task, outcomes: list[Measured | Raised], errors: dict[int, OptEngineError]
    ) -> Iterator[tuple[Positions, Evaluation, dict[int, str]]]:
        """Yield what came back as arrays; what `catch` does not cover goes to `errors`."""
        kept, measured, reasons = [], [], {}
        for position, outcome in zip(task.positions, outcomes, strict=True):
            try:
                row = self._failed(outcome, position) if isinstance(outcome, Raised) else outcome
                if row.reason is not None and not self._catch:
                    raise refuse_missing(self._problem, row.reason, self._X[position])
            except OptEngineError as error:
                errors[position] = error
                continue
            if row.reason is not None:
                reasons[position] = row.reason
            kept.append(position)
            measured.append(row)
        seconds = [m.seconds for m in measured if m.seconds == m.seconds]
        if seconds:
            self._mean_seconds = sum(seconds) / len(seconds)
        if kept:
            yield np.array(kept), self._problem.collect(measured), reasons

    def _failed(self, raised: Raised, position: int) -> Measured:
        if raised.contract is not None:
            raise raised.contract
        if not self._caught_names.intersection(raised.names):
            error = EvaluationFailed(raised.message, self._problem.space.decode_one(self._X[position]))
            error.add_note(f"In the worker:\n{raised.trace}")
            raise error
        failure: Measured = self._problem.failure()
        failure.reason = raised.message
        return failure

    # -- trouble -----------------------------------------------------------------------------------------------

    def _recover(
        self, error: BaseException, down: list[int]
    ) -> list[tuple[Positions, Evaluation, dict[int, str]]]:
        """A worker died. Our own pool starts again; rows that were in flight go one at a time, to find the culprit."""
        in_flight = sorted(down + [p for task in self._flying.values() for p in task.positions])
        if self._user_executor is not None:
            x = self._problem.space.decode_one(self._X[(in_flight or self._waiting)[0]])
            raise EvaluationFailed(
                f"the executor died ({type(error).__name__}: {error}) with {len(in_flight)} evaluations in flight; "
                "start it again and repeat the call, with storage= it resumes",
                x,
            ) from error
        self._suspects.update(in_flight)
        self._waiting.extendleft(reversed(in_flight))
        self._flying.clear()
        self._restart()
        if len(in_flight) != 1:
            return []
        culprit = in_flight[0]
        self._deaths[culprit] = self._deaths.get(culprit, 0) + 1
        if self._deaths[culprit] < RETRIES:
            return []
        self._suspects.discard(culprit)
        self._waiting.remove(culprit)
        return [self._give_up(culprit, "the worker process died while evaluating", error)]

    def _dropped(
        self, task: Task, error: Exception, errors: dict[int, OptEngineError]
    ) -> list[tuple[Positions, Evaluation, dict[int, str]]]:
        """An executor that lives on gave a task up, as Dask does; rows that travelled together go again, one by one."""
        self._suspects.difference_update(task.positions)
        if len(task.positions) > 1:
            self._suspects.update(task.positions)
            self._waiting.extendleft(reversed(task.positions))
            return []
        reason = f"the executor gave the evaluation up ({type(error).__name__}: {error})"
        try:
            return [self._give_up(task.positions[0], reason, error)]
        except OptEngineError as refused:
            errors[task.positions[0]] = refused
            return []

    def _expire(self) -> list[tuple[Positions, Evaluation, dict[int, str]]]:
        """Kill the pool if an evaluation is late; the other rows in flight are evaluated again."""
        assert self._timeout is not None
        now = time.perf_counter()
        late = [f for f, task in self._flying.items() if now - task.began > self._timeout and not f.done()]
        if not late:
            return []
        positions = [self._flying.pop(future).positions[0] for future in late]
        rest = [p for task in self._flying.values() for p in task.positions]
        self._waiting.extendleft(reversed(rest))
        self._flying.clear()
        self._restart()
        reason = f"the evaluation took longer than timeout={self._timeout:g} s"
        return [self._give_up(p, reason, None) for p in positions]

    def _give_up(
        self, position: int, reason: str, error: BaseException | None
    ) -> tuple[Positions, Evaluation, dict[int, str]]:
        if not self._catch:
            raise refuse_missing(self._problem, reason, self._X[position]) from error
        failure = self._problem.failure()
        failure.reason = reason
        return np.array([position]), self._problem.collect([failure]), {position: reason}

    def _restart(self) -> None:
        shut_down(self._executor)
        self._executor = self._new_pool()

    def abandon(self) -> None:
        """Leave what is still in flight: a user's executor shall cancel it, our own workers are killed at close."""
        self._waiting.clear()
        self._given_up.clear()
        # A cancelled future breaks the thread by which loky kills its workers.
        ours = self._user_executor is None
        self._left_running = [future for future in self._flying if ours or not future.cancel()]
        self._flying.clear()

    def close(self, kill: bool = False) -> None:
        """Stop our own workers, at once if some are still busy; a user's executor stays as it is."""
        if self._channel is not None:
            self._channel.close()
        if self._user_executor is None:
            busy = any(not future.done() for future in self._left_running)
            shut_down(self._executor, kill=kill or busy)
