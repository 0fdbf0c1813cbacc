"""What every result must be, whoever found it."""

from __future__ import annotations

import pickle

import numpy as np

from optengine.core.errors import EvaluationFailed
from optengine.core.problem import Problem
from optengine.core.result import Result, Status
from optengine.testing.failure import Subject

TOLERANCE = 1e-9  # relative; a repaired point may stand on a known constraint up to rounding


def check_result(subject: Subject, result: Result, problem: Problem) -> None:
    """Expect a result inside its space, of the value that it states, and that survives pickle and JSON.

    Args:
        subject: names solver and problem in messages.
        result: of a run of `problem`, whose values do not vary.
        problem: evaluated again at what was found.
    """
    space, history = problem.space, result.history
    X = history.X
    subject.expect(
        space.contains(X, TOLERANCE), "evaluated a point outside the bounds or the structure of its space"
    )
    subject.expect(space.satisfies(X, 10 * TOLERANCE), "evaluated a point that breaks a known constraint")
    if result.status is Status.OPTIMAL:
        subject.expect(result.bound is not None, "says optimal without a proved bound")
    if result.front is not None:
        _check_front(subject, result, problem)
    elif result.x is not None and result.status is not Status.UNVERIFIED:
        _check_value(subject, result, problem)
    with subject.during("pickling the result"):
        _check_same(subject, pickle.loads(pickle.dumps(result)), result, "pickle")
    with subject.during("writing the result as JSON"):
        _check_same(subject, Result.from_json(result.to_json()), result, "JSON")
    subject.expect(str(result), "the result prints as nothing")


def _check_value(subject: Subject, result: Result, problem: Problem) -> None:
    x = problem.space.encode(result.x)
    subject.expect(problem.space.satisfies(x, 10 * TOLERANCE), f"x = {result.x!r} is outside its space")
    if problem.noisy:
        return
    try:
        again = problem.evaluate(x)
    except EvaluationFailed as error:
        subject.expect(False, f"x fails when it is evaluated again: {error}")
        return
    value = float(again.F[0, 0] * problem.signs[0])
    subject.expect(value == result.fun, f"says {result.fun}, and x evaluates to {value}")
    violation = float(again.violation[0])
    subject.expect(violation == result.violation, f"says violation {result.violation}, and x has {violation}")
    subject.expect(
        result.feasible == (violation <= 0), f"says feasible={result.feasible} with violation {violation}"
    )
    good = (
        (result.history.violation <= 0) & ~result.history.failed & problem.space.at_target(result.history.X)
    )
    if good.any():
        best = float((result.history.F[good, 0] * problem.signs[0]).min())
        subject.expect(
            result.feasible and value * problem.signs[0] <= best, "its history holds a better point than x"
        )


def _check_front(subject: Subject, result: Result, problem: Problem) -> None:
    front = result.front
    assert front is not None
    subject.expect(result.fun is None, "has a value beside its front")
    if not len(front):
        return
    again = problem.evaluate(front.X)
    subject.expect(again.feasible(), "its front holds an infeasible point")
    subject.expect(
        np.array_equal(again.F * problem.signs, front.F), "its front does not evaluate to its values"
    )
    F = again.F
    beaten = [((F <= f).all(axis=1) & (F < f).any(axis=1)).any() for f in F]
    subject.expect(not any(beaten), "its front holds a dominated point")


def _check_same(subject: Subject, twin: Result, result: Result, way: str) -> None:
    plain = ("fun", "feasible", "violation", "status", "n_evaluations", "solver", "seed", "message")
    for name in plain:
        was, now = getattr(result, name), getattr(twin, name)
        subject.expect(was == now, f"{name} was {was!r} and came back from {way} as {now!r}")
    same = (
        twin.history.X.tobytes() == result.history.X.tobytes()
        and twin.history.F.tobytes() == result.history.F.tobytes()
    )
    subject.expect(same, f"the history came back changed from {way}")
