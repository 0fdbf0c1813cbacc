"""What a solver must keep on a problem that is only a table: proposals, none of them evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.result import Result, Status
from optengine.testing.result_checks import check_result

if TYPE_CHECKING:
    from optengine.testing.solver_checks import Case


def check_offline(case: Case, seeds: Sequence[int]) -> None:
    """Status, candidates, predictions; the same seed gives the same candidates where the solver is replayable."""
    first = case.run(seeds[0], budget=None, batch_size=None)
    _check_proposals(case, first)
    if case.replayable:
        again = case.run(seeds[0], budget=None, batch_size=None)
        same = np.array_equal(first.details["candidates"], again.details["candidates"])
        case.subject.expect(same, "the same seed gave other candidates")
    hurried = case.run(seeds[1], doing="a run without time", budget=None, batch_size=None, time_limit=1e-3)
    _check_proposals(case, hurried)


def _check_proposals(case: Case, result: Result) -> None:
    subject, space, problem = case.subject, case.problem.space, case.problem
    subject.expect(result.status is Status.UNVERIFIED, f"ended with status {str(result.status)!r}")
    subject.expect(result.fun is None, f"says fun = {result.fun}, and nothing was evaluated")
    subject.expect(result.n_evaluations == 0, f"counts {result.n_evaluations} evaluations")
    check_result(subject, result, problem)
    X = result.details["candidates"]
    wanted: Any = getattr(problem, "n_candidates")  # noqa: B009  (of Offline, which this room does not import)
    subject.expect(X.shape == (wanted, space.width), f"candidates have shape {X.shape}")
    subject.expect(space.contains(X, 1e-9), "proposes a point outside the space")
    subject.expect(space.satisfies(X, 1e-8), "proposes a point that breaks a known constraint")
    subject.expect(len(np.unique(X, axis=0)) == len(X), "proposes a point twice")
    known = {row.tobytes() for row in getattr(problem, "X")}  # noqa: B009
    subject.expect(not any(row.tobytes() in known for row in X), "proposes a row of the table")
    for name in ("prediction", "spread", "distance"):
        values = result.details[name]
        subject.expect(np.shape(values) == (wanted,), f"{name} has shape {np.shape(values)}")
        subject.expect(np.isfinite(values).all(), f"{name} is not finite")
    interval = result.details["interval"]
    subject.expect(interval.shape == (wanted, 2), f"interval has shape {interval.shape}")
    subject.expect((interval[:, 0] <= interval[:, 1]).all(), "an interval ends before it begins")
    x = space.encode(result.x)[0]
    subject.expect(np.array_equal(x, X[0]), "x is not the first candidate")
