"""Every registered solver keeps the contract; `slow`: on every problem, all checks."""

from __future__ import annotations

import pytest

import optengine as oe
from optengine import registry
from optengine.core.errors import MissingDependency
from optengine.testing import Climber, check_solver


def check(name: str, quick: bool) -> None:
    try:
        ran = check_solver(name, quick=quick)
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
