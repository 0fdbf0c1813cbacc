"""Every problem that ships keeps the contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import Problem
from optengine.core.errors import MissingDependency
from optengine.testing import check_problem, small_problems


def rng() -> Any:
    return np.random.default_rng(3)


def grid(n: int) -> Any:
    return rng().integers(0, 50, (n, n))


def minmax(**options: Any) -> Problem:
    from optengine.problems.minmax import MinMaxViolation

    return MinMaxViolation.random(rng(), 6, 9, **options)


def pymoo(name: str) -> Problem:
    return oe.problems.from_pymoo(name)


def botorch(name: str, **options: Any) -> Problem:
    functions = pytest.importorskip("botorch.test_functions")
    return oe.problems.from_botorch(getattr(functions, name)(**options))


SHIPPED: dict[str, Callable[[], Problem]] = {
    "qap": lambda: oe.problems.QAP.random(rng(), 9),
    "qap asymmetric": lambda: oe.problems.QAP(grid(7), grid(7)),
    "qap real": lambda: oe.problems.QAP(rng().random((6, 6)), grid(6)),
    "tsp": lambda: oe.problems.TSP(coordinates=rng().random((11, 2))),
    "tsp asymmetric": lambda: oe.problems.TSP(grid(8)),
    "tsp tiny": lambda: oe.problems.TSP(grid(3)),
    "qubo": lambda: oe.problems.QUBO.random(rng(), 14, 0.4),
    "qubo real": lambda: oe.problems.QUBO(rng().random((6, 6)), constant=2.5),
    "knapsack": lambda: oe.problems.Knapsack.random(rng(), 12, 3),
    "set cover": lambda: oe.problems.SetCover.random(rng(), 15, 8),
    "independent set": lambda: oe.problems.IndependentSet.random(rng(), 14),
    "clique": lambda: oe.problems.Clique.random(rng(), 10, 0.6),
    "market split": lambda: oe.problems.MarketSplit.random(rng(), 3, 9),
    "job shop": lambda: oe.problems.JobShop.random(rng(), 3, 3),
    "max-sat": lambda: oe.problems.MaxSAT.random(rng(), 9),
    "max-sat hard": lambda: oe.problems.MaxSAT([[1, -2], [2], [-1, 3], [-3]], [2, np.inf, 1.5, 1]),
    "maxcut": lambda: oe.problems.MaxCut.random(rng(), 12),
    "dag": lambda: oe.problems.DAGProblem.random(rng(), 12),
    "dag tiers": lambda: oe.problems.DAGProblem.random(
        rng(), 7, tiers=[[1, 3], [0, 2, 4, 5, 6]], required=[(0, 5), (5, 6)]
    ),
    "dag bic": lambda: oe.problems.DAGProblem.random(
        rng(), 7, loss="gaussian", penalty="bic", tiers=[[1, 3], [0, 2, 4, 5, 6]], forbidden=[(0, 5), (1, 3)]
    ),
    "milp": lambda: oe.problems.MILP.random(rng()),
    "dag l1": lambda: oe.problems.DAGProblem.random(rng(), 7, penalty="l1", weight=0.1, required=[(0, 5)]),
    "dag many bic": lambda: oe.problems.DAGProblem.random(
        rng(), 18, loss="gaussian", penalty="bic", forbidden=[(0, 5), (1, 3)]
    ),
    "dag logistic": lambda: oe.problems.DAGProblem(rng().random((200, 5)) < 0.5, loss="logistic"),
    "dag networks": lambda: oe.problems.DAGProblem(rng().random((50, 4)), loss="mlp", hidden=3),
    "minmax": minmax,
    "minmax sparse": lambda: minmax(density=0.3, n_levels=3),
    "pymoo real": lambda: pymoo("rastrigin"),
    "pymoo several": lambda: pymoo("zdt1"),
    "pymoo constrained": lambda: pymoo("bnh"),
    "botorch": lambda: botorch("Hartmann"),
    "botorch constrained": lambda: botorch("PressureVessel"),
    "botorch several": lambda: botorch("BraninCurrin"),
    "botorch fidelity": lambda: botorch("AugmentedHartmann"),
    "ioh real": lambda: oe.problems.from_ioh("Sphere", dimension=4),
    "ioh bits": lambda: oe.problems.from_ioh("OneMax", dimension=12, suite="PBO"),
    "tuning": lambda: oe.problems.sklearn_tuning("wine"),
}


SLOW = ("tuning",)  # seconds of training


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in SHIPPED]
)
def test_a_shipped_problem_keeps_the_contract(name: str) -> None:
    try:
        problem = SHIPPED[name]()
    except MissingDependency as error:
        pytest.skip(str(error))
    check_problem(problem)


@pytest.mark.parametrize("name", small_problems())
def test_the_small_problems_keep_the_contract(name: str) -> None:
    check_problem(small_problems()[name], quick=False)
