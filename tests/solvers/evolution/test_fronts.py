"""pymoo's algorithms through our spaces: fronts, constraints, mixed and permutation spaces, pieces, failures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.space import Binary, Categorical, Integer, Permutation, Real, Row, Space, Subset
from optengine.solvers.evolution import GA, MOEAD, NSGA2, NSGA3, RVEA, SMSEMOA

pytest.importorskip("pymoo")

FRONTS = (
    NSGA2(population=40),
    NSGA3(population=40),
    SMSEMOA(population=40),
    RVEA(population=40, horizon=4000),
)
MIXED = Space(
    x=Real(0, 1),
    n=Integer(0, 20),
    c=Categorical(["a", "b", "c"]),
    b=Binary(),
    s=Subset(6, size=(1, 3)),
    p=Permutation(4),
)


def zdt1(X: np.ndarray) -> np.ndarray:
    g = 1 + 9 * X[:, 1:].mean(axis=1)
    return np.column_stack([X[:, 0], g * (1 - np.sqrt(X[:, 0] / g))])


def two_sided(X: np.ndarray) -> np.ndarray:
    return np.column_stack([X.sum(axis=1), (X**2).sum(axis=1) - 3 * X[:, 0]])


@pytest.mark.parametrize("solver", [*FRONTS, MOEAD(population=40)])
def test_the_front_of_zdt1_is_approached(encoded: Any, solver: Any) -> None:
    problem = encoded(zdt1, [(0, 1)] * 5, objectives=["f1", "f2"])
    result = oe.solve(problem, solver, budget=4000, seed=0)
    assert result.n_evaluations == 4000
    F = result.front.F
    assert len(F) >= 20
    assert np.quantile(F[:, 1] - (1 - np.sqrt(F[:, 0])), 0.9) < 0.1
    assert np.ptp(F[:, 0]) > 0.7


@pytest.mark.parametrize("solver", FRONTS)
def test_all_points_of_a_constrained_front_are_feasible(encoded: Any, solver: Any) -> None:
    def values(X: np.ndarray) -> dict[str, np.ndarray]:
        F = zdt1(X)
        return {"f1": F[:, 0], "f2": F[:, 1], "g": 0.5 - X[:, 0] - X[:, 1]}

    problem = encoded(values, [(0, 1)] * 3, objectives=["f1", "f2"], constraints="g")
    front = oe.solve(problem, solver, budget=2000, seed=0).front
    assert len(front.F) > 5
    assert (front.X[:, 0] + front.X[:, 1] >= 0.5).all()


@pytest.mark.parametrize("solver", [*FRONTS, MOEAD(population=40), GA(population=20)])
@pytest.mark.parametrize("rows", [[], [Row({"n": 1, "x": 5}, upper=12)]])
def test_mixed_spaces_and_known_constraints_are_kept(encoded: Any, solver: Any, rows: list[Row]) -> None:
    space = Space(MIXED.variables, rows=rows)
    names = None if isinstance(solver, GA) else ["f1", "f2"]
    problem = encoded((lambda X: two_sided(X)[:, 0]) if names is None else two_sided, space, objectives=names)
    result = oe.solve(problem, solver, budget=300, seed=0)
    assert result.n_evaluations == 300
    assert space.satisfies(result.history.X).all()
    assert len(np.unique(result.history.X, axis=0)) > 200


def test_a_permutation_is_sorted(encoded: Any) -> None:
    problem = encoded(lambda X: abs(X - np.arange(10)).sum(axis=1), Space(Permutation(10)))
    ours, chance = (oe.solve(problem, s, budget=3000, seed=0).fun for s in (GA(), "random"))
    assert ours <= 0.5 * chance


def test_budgets_that_are_no_whole_generations_are_exact(encoded: Any) -> None:
    problem = encoded(zdt1, [(0, 1)] * 5, objectives=["f1", "f2"])
    for solver in FRONTS:
        assert oe.solve(problem, solver, budget=137, seed=0, batch_size=7).n_evaluations == 137


@given(seed=st.integers(0, 10**4), which=st.integers(0, 3))
@settings(max_examples=10)
def test_rows_may_come_in_any_order_and_fail(seed: int, which: int) -> None:
    rng = np.random.default_rng(seed)
    problem = Problem(zdt1, [(0, 1)] * 3, objectives=["f1", "f2"], call="encoded", vectorized=True)
    run, waiting = FRONTS[which].start(problem, rng), np.empty((0, 3))
    for _ in range(25):
        X = run.ask(int(rng.integers(1, 30)))
        assert problem.space.contains(X).all()
        waiting = rng.permutation(np.concatenate([waiting, X]))
        k = int(rng.integers(len(waiting) + 1))
        told, waiting = waiting[:k], waiting[k:]
        evaluation: Evaluation = problem.evaluate(told)
        evaluation.failed |= rng.random(len(told)) < 0.2
        evaluation.F[evaluation.failed] = np.nan
        run.tell(told, evaluation)


def test_known_points_enter_the_first_population(encoded: Any) -> None:
    problem = encoded(lambda X: (X**2).sum(axis=1), [(-5, 5)] * 4)
    run = GA(population=20).start(problem, np.random.default_rng(0))
    evaluation = Evaluation.of(np.zeros(1))
    evaluation.ids = np.full(1, -1)
    run.tell(np.zeros((1, 4)), evaluation)
    X = run.ask(19)
    assert (abs(X).max(axis=1) > 0).all()  # the known point is not asked again
    run.tell(X, problem.evaluate(X))
    assert run.details["generations"] == 1
    assert run._algorithm.pop.get("F").min() == 0.0


@pytest.mark.parametrize(
    ("solver", "options", "word"),
    [
        (NSGA2(), {}, "one"),
        (GA(), {"objectives": ["f1", "f2"]}, "objective"),
        (MOEAD(), {"objectives": ["f1", "f2"], "constraints": ["g"]}, "constraints"),
        (NSGA3(population=4), {"objectives": list("abcde")}, "population"),
        (SMSEMOA(), {"objectives": list("abcdef")}, "hypervolumes"),
    ],
)
def test_what_it_cannot_do_is_refused_in_a_sentence(
    encoded: Any, solver: Any, options: dict[str, Any], word: str
) -> None:
    reason = solver.refuses(encoded(zdt1, [(0, 1)] * 3, **options))
    assert reason is not None
    assert word in reason


@pytest.mark.parametrize("kind", [GA, NSGA2, NSGA3, MOEAD, SMSEMOA, RVEA])
def test_options_are_checked(kind: Any) -> None:
    with pytest.raises(OptionError, match="population"):
        kind(population=3)
    with pytest.raises(OptionError, match="neighbours"):
        MOEAD(neighbours=1)
    with pytest.raises(OptionError, match="horizon"):
        RVEA(horizon=0)
