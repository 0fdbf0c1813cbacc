"""Best-known values from elsewhere, believed only as far as they can be."""

from __future__ import annotations

import numpy as np

from optengine.core.problem import Problem

N_CHECKED = 32  # random points that may contradict a value; enough to expose data of another instance


def set_best_known(problem: Problem, value: float, source: str, rel: float = 1e-9) -> None:
    """Set `best_known` (in the user's direction) and its source, unless the problem itself contradicts them.

    Mirrors of benchmark collections alter instances, and libraries state optima of another instance or sign. A few
    random points are evaluated: if a feasible one is better than the best-known value, the value belongs to something
    else. It is then left out, and `best_known_source` says why.

    Args:
        problem: with one objective, or the first is meant; without noise.
        value: in the user's direction.
        source: where it is from, and whether it is proved.
        rel: relative tolerance; larger where the value is rounded.
    """
    X = problem.space.sample(N_CHECKED, np.random.default_rng(0))
    for column, target in problem.space.fidelity.values():
        X[:, column] = target
    evaluation = problem.evaluate(X[problem.space.satisfies(X)])
    found = evaluation.F[evaluation.feasible(), 0]
    sign = float(problem.signs[0])
    best = float(found.min()) if len(found) else np.inf
    if best < sign * value - rel * max(1.0, abs(value)):
        problem.best_known = None
        claim = f"none: {value:.12g} ({source}) cannot belong to this instance"
        problem.best_known_source = f"{claim}, a random point has {sign * best:.12g}"
    else:
        problem.best_known, problem.best_known_source = float(value), source
