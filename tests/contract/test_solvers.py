"""Every registered solver keeps the contract; `slow`: on every problem, all checks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import optengine as oe
from optengine import Problem, registry
from optengine.core.errors import MissingDependency
from optengine.testing import Climber, check_solver


def minmax_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    problem = oe.problems.MinMaxViolation
    dense, sparse = problem.random(rng, 6, 9), problem.random(rng, 12, 9, n_levels=3, density=0.3)
    several = problem(dense.A, np.zeros((2, 6)), np.ones((2, 6)), [0.0, 0.5, 2.0], fixed={1: 0.5})
    return {"dense": dense, "sparse": sparse} | {"several": several}


def dag_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    random = oe.problems.DAGProblem.random
    known = random(rng, 7, tiers=[[1, 3], [0, 2, 4, 5, 6]], required=[(0, 5), (5, 6)])
    sparse = random(rng, 7, loss="gaussian", penalty="bic", forbidden=[(0, 1), (3, 2)], tiers=[[6], range(6)])
    return {"dag": random(rng, 9), "known": known, "sparse": sparse}


def milp_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    random = oe.problems.MILP.random
    return {
        "mixed": random(rng),
        "whole": random(rng, 12, 5, real=0.0),
        "dense": random(rng, 15, 4, density=1.0),
    }


SPECIAL: dict[
    str, Callable[[], dict[str, Problem]]
] = {  # solvers that read a structure, and problems that have it
    "dag_exact": dag_problems,
    "dmmv": minmax_problems,
    "dmmv_reference": minmax_problems,
    "local_branching": milp_problems,
    "milp": milp_problems,
    "minmax_exact": minmax_problems,
    "order_search": dag_problems,
    "predict_and_search": milp_problems,
    "relaxation_induced": milp_problems,
    "topo": dag_problems,
}


def check(name: str, quick: bool) -> None:
    try:
        ran = check_solver(name, SPECIAL[name]() if name in SPECIAL else None, quick=quick)
    except MissingDependency as error:
        pytest.skip(str(error))
    assert ran


@pytest.mark.parametrize("name", registry.SOLVERS)
def test_a_registered_solver_keeps_the_contract(name: str) -> None:
    check(name, quick=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.SOLVERS)
def test_a_registered_solver_keeps_all_of_the_contract(name: str) -> None:
    check(name, quick=False)


def test_the_template_keeps_the_contract() -> None:
    assert len(check_solver(Climber)) == len(check_solver(Climber(population=3))) > 15


def test_solvers_run_on_the_problems_given() -> None:
    one = oe.Problem(lambda x: float(abs(x).sum()), [(-1, 1)] * 2, name="mine")
    assert check_solver("random", [one]) == ["0: mine"]
    assert check_solver("random", {"a": one}) == ["a"]
