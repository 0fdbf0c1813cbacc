"""A driver small enough to read: it evaluates what a run asks for and tells it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from optengine.core.problem import Problem


class Driven(NamedTuple):
    run: Any
    X: np.ndarray  # everything asked, (n, width)
    F: np.ndarray  # (n,)

    @property
    def best(self) -> float:
        return float(np.nanmin(self.F))


@pytest.fixture
def encoded() -> Callable[..., Problem]:
    """A vectorised problem on columns, from a function of X (n, width) and a space."""
    return lambda function, space, **options: Problem(
        function, space, call="encoded", vectorized=True, **options
    )


@pytest.fixture
def drive() -> Callable[..., Driven]:
    """Ask, evaluate and tell up to `budget` rows; stop at `target`."""

    def drive(
        solver: Any,
        problem: Problem,
        budget: int,
        seed: int = 0,
        target: float = -np.inf,
        n: int | None = None,
    ) -> Driven:
        run = solver.start(problem, np.random.default_rng(seed))
        parts, used, best = [], 0, np.inf
        while used < budget and best > target:
            X = run.ask(min(n or run.batch, budget - used))
            evaluation = problem.evaluate(X)
            evaluation.ids = np.arange(used, used + len(X))
            parts.append((X, evaluation.F[:, 0]))
            good = evaluation.feasible()
            best = min(best, evaluation.F[good, 0].min(initial=np.inf))
            used += len(X)
            run.tell(X, evaluation)
        return Driven(run, np.concatenate([X for X, _ in parts]), np.concatenate([F for _, F in parts]))

    return drive
