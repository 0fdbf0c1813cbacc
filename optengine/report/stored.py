"""Journaled runs as results: finished ones as they ended, others as far as they came."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.evaluation import Evaluation, best_first
from optengine.core.history import History
from optengine.core.result import Front, Result, Status
from optengine.core.space import Space
from optengine.core.spaceio import space_from_dict
from optengine.store import RunRecord

UNFINISHED = "the run is going on or was interrupted; the call that began it continues it"


def result_of(record: RunRecord) -> Result:
    """Return the result of a journaled run with its history.

    A run that has not ended has status `stopped` and the best of what is journaled; what only its problem knows
    (`details`) is missing.

    Raises:
        StorageError: the journal is damaged.
    """
    stored = record.result
    if stored is not None:
        result = Result.from_dict(stored["result"])
        result.history = _history(record, result.space, result.objectives, len(result.constraints))
        return result
    return _unfinished(record)


def _unfinished(record: RunRecord) -> Result:
    facts, rows = record.fingerprint, record.evaluations
    space = space_from_dict(facts["space"])
    objectives = tuple((str(name), str(direction)) for name, direction in facts["objectives"])
    constraints = tuple(str(constraint[0]) for constraint in facts["constraints"])
    history = _history(record, space, objectives, len(constraints))
    result = Result(
        x=None,
        fun=None,
        feasible=False,
        violation=float("inf"),
        status=Status.STOPPED,
        history=history,
        space=space,
        objectives=objectives,
        constraints=constraints,
        n_evaluations=len(rows),
        seconds=record.seconds,
        solver=str(facts.get("solver", "")),
        options=dict(facts.get("options", {})),
        seed=record.seed,
        message=UNFINISHED,
        problem=record.name,
    )
    counts = history.state()["counts"] & ~rows.failed if len(rows) else np.empty(0, dtype=bool)
    if counts.any():
        _take_best(result, history.X[counts], rows.F[counts], rows.G[counts])
    return result


def _take_best(result: Result, X: NDArray[Any], F: NDArray[Any], G: NDArray[Any]) -> None:
    """Enter the incumbent of evaluated points (n, width), or the front of several objectives."""
    evaluation = Evaluation(F, G, np.zeros(len(F), dtype=bool))
    best = int(best_first(evaluation)[0])
    violation = evaluation.violation
    result.feasible, result.violation = bool(violation[best] <= 0.0), float(violation[best])
    signs = np.array([1.0 if direction == "minimize" else -1.0 for _, direction in result.objectives])
    several = len(signs) > 1
    if several:
        result.front = _front(X[violation <= 0.0], F[violation <= 0.0], signs, result.space)
    if not (several and result.feasible):
        result.x = result.space.decode_one(X[best])
    if not several:
        result.fun = float(F[best, 0] * signs[0])


def _front(X: NDArray[Any], F: NDArray[Any], signs: NDArray[Any], space: Space) -> Front:
    import moocore

    kept = moocore.is_nondominated(F, keep_weakly=False) if len(F) else np.empty(0, dtype=bool)
    X, F = X[kept], F[kept] * signs
    order = np.argsort(F[:, 0], kind="stable")
    return Front(X[order], F[order], space)


def _history(
    record: RunRecord, space: Space, objectives: tuple[tuple[str, str], ...], n_constraints: int
) -> History:
    signs = np.array([1.0 if direction == "minimize" else -1.0 for _, direction in objectives])
    history = History(signs, space.width, n_constraints)
    rows = record.evaluations
    if len(rows):
        X = record.points()
        counts = space.at_target(X) if space.fidelity else None
        history.append(rows.numbers + 1, rows.at, X, rows.F, rows.G, rows.failed, counts)
    return history
