"""Compile every kernel ahead of time, so that no first run waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from optengine.core.problem import Problem


def warmup(report: Callable[[str, float], None] | None = None) -> float:
    """Run each solver once on small problems of every kind; compiled code stays in Numba's cache.

    Args:
        report: called with each solver's name and the seconds it took.

    Returns:
        Seconds in all.
    """
    from optengine import registry
    from optengine.core.problem import Problem
    from optengine.core.space import (
        Binary,
        Categorical,
        Integer,
        Permutation,
        Real,
        Row,
        Simplex,
        Space,
        Subset,
    )
    from optengine.engine import solve

    mixed = Space(
        a=Real(0, 1, shape=3), k=Integer(0, 9), c=Categorical(["u", "v", "w"]), b=Binary(shape=4),
        p=Permutation(5), s=Subset(6, size=3), m=Simplex(3), rows=[Row({"a": 1.0}, upper=2.0)],
    )  # fmt: skip
    limited = Space(Real(0, 1, shape=3), rows=[Row([1, 1, 1], upper=2)])
    spaces = [mixed, limited, Space([(0.0, 1.0)] * 3), Space(Permutation(6))]
    plain = [
        Problem(lambda X: np.asarray(X).sum(axis=1), space, call="encoded", vectorized=True)
        for space in spaces
    ]
    began = time.perf_counter()
    for name in registry.names():
        start = time.perf_counter()
        suited = [problem for problem in plain if registry.make(name).refuses(problem) is None]
        for problem in suited or _structured():
            solver = registry.make(name)
            if suited or solver.refuses(problem) is None:
                solve(problem, solver=solver, budget=300, seed=0)
        if report is not None:
            report(name, time.perf_counter() - start)
    return time.perf_counter() - began


def _structured() -> list[Problem]:
    """Small problems for the solvers that read a structure: one for each data type that they compile for."""
    from optengine.problems.dag import DAGProblem
    from optengine.problems.independent_set import Clique
    from optengine.problems.knapsack import Knapsack
    from optengine.problems.market_split import MarketSplit
    from optengine.problems.maxcut import MaxCut
    from optengine.problems.milp import MILP
    from optengine.problems.minmax import MinMaxViolation
    from optengine.problems.qap import QAP
    from optengine.problems.qubo import QUBO
    from optengine.problems.set_cover import SetCover
    from optengine.problems.tsp import TSP

    rng = np.random.default_rng(0)
    sizes = ((12, 5, 1.0), (256, 64, 1.0), (12, 5, 0.5))  # dense, dense in float32, sparse
    minmax: list[Problem] = [MinMaxViolation.random(rng, m, n, density=share) for m, n, share in sizes]
    classic: list[Problem] = [
        QUBO.random(rng, 12, 0.9), QUBO(rng.random((9, 9))), MaxCut.random(rng, 90, 0.03), QAP.random(rng, 6),
        TSP.random(rng, 12), Knapsack.random(rng, 9, 2), SetCover.random(rng, 9, 5), Clique.random(rng, 9, 0.5),
        MarketSplit.random(rng, 2, 6),
    ]  # fmt: skip
    return [*minmax, DAGProblem.random(rng, 6), MILP.random(rng), *classic]
