"""The verb `run_batch`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from typing import Any

from optengine.batch.entries import (
    ProblemEntry,
    SolverEntry,
    problem_entries,
    seed_list,
    solver_entries,
)
from optengine.batch.expression import budget_of
from optengine.batch.folder import Folder, run_name, stored_run
from optengine.batch.meter import Meter
from optengine.batch.outcome import BatchResult
from optengine.batch.rows import Key, Row, row_of
from optengine.batch.running import Job, Outcome, one_by_one, side_by_side
from optengine.core.errors import OptionError
from optengine.core.result import Result, jsonable
from optengine.engine.limits import Limits
from optengine.report.machine import machine

Callback = Callable[[Row], Any]


def run_batch(
    problems: Any,
    solvers: Any,
    seeds: Any = 1,
    *,
    budget: int | str | None = None,
    time_limit: float | None = None,
    workers: int = 1,
    threads: int | None = 1,
    out: str | os.PathLike[str] | None = None,
    progress: bool = False,
    callbacks: Callback | Iterable[Callback] = (),
    catch: Any = (),
    name: str = "",
    command: str = "",
) -> BatchResult:
    """Run every solver on every problem with every seed.

    With `out` every run is journaled and the call is resumable: called again, it returns finished runs at once, goes on
    with those that were killed, tries those that failed once more, and extends those whose budget was raised. An error
    of one run does not stop the others: it shows in the table.

    Args:
        problems: a dict label -> problem, a list, or one. A problem is a `Problem`, the path of an instance file (with
            wildcards: of many), or a table as in a set file, e.g. `{"generator": "mine:make", "args": {"n": 20}}`.
        solvers: a dict label -> solver, a list, or one. A solver is a name, an instance, or a table as in a set file,
            e.g. `{"name": "cem", "population": 50, "budget": 1000}`.
        seeds: a number n for 0..n-1, or a list.
        budget, time_limit: evaluations and seconds of each run; those of a problem's table stand above these, those of
            a solver's table above both. A budget may be a formula of the problem, "1000*d" (`expression.budget_of`).
        workers: runs side by side, each in a process of its own; the results do not depend on it.
        threads: that each run may use in BLAS, torch and exact backends: one, so that seconds are comparable; None sets
            no limit.
        out: folder for journals, index and `results.csv`, which is up to date while the batch runs.
        progress: show how far it has come, on standard error.
        callbacks: called with each `Row` as its run ends; returning True ends the batch.
        catch: exceptions of objectives to record as failed evaluations, as for `solve`.
        name: title of the table. command: what makes the runs again, for reports (default: none).

    Returns:
        The table; Ctrl-C returns it as far as it has come, `interrupted`.

    Raises:
        OptionError, ProblemError, SpaceError: what is stated wrongly, before anything runs.
        StorageError: `out` cannot be used.
    """
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise OptionError(f"workers must be an integer >= 1, got {workers!r}")
    if threads is not None and (isinstance(threads, bool) or not isinstance(threads, int) or threads < 1):
        raise OptionError(f"threads must be an integer >= 1 or None, got {threads!r}")
    watchers = [callbacks] if callable(callbacks) else list(callbacks)
    for watcher in watchers:
        if not callable(watcher):
            raise OptionError(f"callbacks must be functions of a Row, got {watcher!r}")
    entries, contenders, seeds = problem_entries(problems), solver_entries(solvers), seed_list(seeds)
    common = {"budget": budget, "time_limit": time_limit}
    pairs = [(p, s, _limits(p, s, common)) for p in entries for s in contenders]
    keys = [((p.label, s.label, seed), p, s, limits) for p, s, limits in pairs for seed in seeds]
    with ExitStack() as stack:
        folder = None if out is None else stack.enter_context(Folder(out))
        jobs = [
            Job(
                key,
                p.problem,
                s.solver,
                limits,
                catch,
                None if folder is None else folder.journal(key),
                folder is None,
                threads,
            )
            for key, p, s, limits in keys
        ]
        if folder is not None:
            folder.describe(_facts(jobs, entries, name, command))
        batch = _Batch(jobs, folder, name)
        if progress:
            watchers.append(stack.enter_context(Meter(len(jobs), name)))
        batch.run(workers, watchers)
        return batch.table(entries)


class _Batch:
    """A batch under way: its jobs, and what came of them."""

    def __init__(self, jobs: list[Job], folder: Folder | None, name: str) -> None:
        self._jobs, self._folder, self._name = jobs, folder, name
        self._requests = {} if folder is None else {job.key: _request(job) for job in jobs}
        self._rows: dict[Key, Row] = {}
        self._results: dict[Key, Result] = {}
        self._interrupted = False

    def run(self, workers: int, watchers: list[Callback]) -> None:
        """Run what is left to run."""
        left, stop = [], False
        for job in self._jobs:
            row = None if self._folder is None else self._folder.known(job.key, self._requests[job.key])
            if row is None:
                left.append(job)
            else:
                self._rows[job.key] = row
                stop |= _told(watchers, row)
        if self._folder is not None:
            self._folder.write(self._in_order(), final=True)  # no lines of an earlier call stay behind
        try:
            if left and not stop:
                self._go(left, workers, watchers)
            self._interrupted |= stop
        except KeyboardInterrupt:
            self._interrupted = True
        if self._folder is not None:
            self._enter_unfinished()
            self._folder.write(self._in_order(), final=True)

    def _go(self, jobs: list[Job], workers: int, watchers: list[Callback]) -> None:
        workers = min(workers, len(jobs))
        outcomes = one_by_one(jobs) if workers == 1 else side_by_side(jobs, workers)
        with closing(outcomes):
            for outcome in outcomes:
                self._take(outcome)
                if _told(watchers, outcome.row) or outcome.interrupted:
                    self._interrupted = True
                    return

    def _take(self, outcome: Outcome) -> None:
        row = outcome.row
        self._rows[row.key] = row
        if outcome.result is not None:
            self._results[row.key] = outcome.result
        if self._folder is not None:
            self._folder.note(row, self._requests[row.key], outcome.trace)
            self._folder.write(self._in_order())

    def _enter_unfinished(self) -> None:
        """Give runs that an interruption cut off a row of what their journals hold."""
        assert self._folder is not None
        for job in self._jobs if self._interrupted else ():
            if job.key not in self._rows:
                partial = stored_run(self._folder.path, job.key)
                if partial is not None:
                    self._rows[job.key] = row_of(partial, *job.key, getattr(job.problem, "judge", None))
                    self._folder.note(self._rows[job.key], self._requests[job.key])

    def _in_order(self) -> list[Row]:
        return [self._rows[job.key] for job in self._jobs if job.key in self._rows]

    def table(self, entries: list[ProblemEntry]) -> BatchResult:
        return BatchResult(
            self._in_order(),
            {e.label: e.problem.objectives[0].direction for e in entries},
            {e.label: e.problem.best_known for e in entries if e.problem.best_known is not None},
            len(self._jobs),
            self._interrupted,
            self._name,
            None if self._folder is None else self._folder.path,
            self._results,
        )


def _facts(jobs: list[Job], entries: list[ProblemEntry], name: str, command: str) -> dict[str, Any]:
    """What a report says of the batch as a whole."""
    problems = {
        entry.label: {
            "direction": entry.problem.objectives[0].direction,
            "best_known": entry.problem.best_known,
            "columns": entry.problem.space.width,
        }
        for entry in entries
    }
    facts = {
        "name": name,
        "command": command,
        "machine": machine(),
        "problems": problems,
        "runs": [run_name(job.key) for job in jobs],
    }
    return dict(jsonable(facts))


def _told(watchers: list[Callback], row: Row) -> bool:
    """Tell every watcher; return whether one of them wants the batch to end."""
    answers = [watcher(row) for watcher in watchers]
    return any(answer is True for answer in answers)


def _limits(problem: ProblemEntry, solver: SolverEntry, common: dict[str, Any]) -> dict[str, Any]:
    """The nearest limits win: the solver's, else the problem's, else the batch's; checked before anything runs."""
    limits = {
        key: next((v for v in (getattr(solver, key), getattr(problem, key), value) if v is not None), None)
        for key, value in common.items()
    }
    limits["budget"] = budget_of(limits["budget"], problem.problem)
    checked = Limits(**limits, target=problem.target)
    if checked.none and solver.solver != "auto" and getattr(solver.solver, "needs_limit", True):
        raise OptionError(
            f"solver {solver.label!r} on problem {problem.label!r} needs budget or time_limit to know when to stop"
        )
    return {**limits, "target": problem.target}


def _request(job: Job) -> str:
    """A hash of what is asked for: the same problem, solver, options, seed and limits give the same."""
    from optengine import registry

    solver = job.solver if isinstance(job.solver, str) else [registry.name_of(job.solver), repr(job.solver)]
    facts = [job.problem.fingerprint(), solver, job.key, job.limits, repr(job.catch)]
    return hashlib.sha256(json.dumps(jsonable(facts), sort_keys=True).encode()).hexdigest()[:16]
