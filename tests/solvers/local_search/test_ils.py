"""The iterated local search: what it finds, what it never does, and the searching run on deltas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine import registry
from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.solvers import ILS
from optengine.solvers.local_search.climber import RESTART, SHAKE, Climber
from optengine.solvers.local_search.common import WORST, Memory, level
from optengine.solvers.local_search.delta import DeltaRun, offered
from optengine.solvers.local_search.walk import Walk

Driven = Any


def qap(n: int, seed: int = 0) -> oe.Problem:
    rng = np.random.default_rng(seed)
    return oe.problems.QAP(*(np.triu(rng.integers(0, 50, (n, n)), 1) for _ in range(2)))


def black_box(problem: Any) -> oe.Problem:
    """The same problem without its structure."""
    return oe.Problem(problem.function, problem.space, call="encoded", vectorized=True)


def knapsack(**options: Any) -> oe.Problem:
    weights, worth = np.random.default_rng(3).integers(5, 50, (2, 16)).astype(float)
    space = oe.Space(oe.Binary(shape=16), rows=[oe.Row({"x": weights}, upper=0.4 * weights.sum())])
    return oe.Problem(lambda x: float(-worth @ x), space, call="array", **options)


# -- quality -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [{}, {"learn": False}, {"delta": False}, {"delta": False, "learn": False}]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_finds_the_optimum_of_a_small_assignment(options: dict[str, Any], seed: int) -> None:
    problem = qap(7)
    X = np.array(list(permutations(range(7))), dtype=float)
    result = oe.solve(problem, "ils", budget=3000, seed=seed, options=options)
    assert result.fun == problem.evaluate(X).F.min()


def test_a_proved_optimum_of_a_file() -> None:
    from importlib.resources import files

    problem = oe.problems.read(str(files("optengine.problems") / "data" / "clinic10.dat"))
    result = oe.solve(problem, "ils", budget=20_000, target=problem.best_known, seed=0)
    assert result.status == "target_reached"


def test_knapsack_with_known_and_with_observed_capacity() -> None:
    problem = knapsack()
    (columns,) = problem.space.A
    bits = (np.arange(2**16)[:, np.newaxis] >> np.arange(16)) & 1
    capacity = problem.space.row_upper[0]
    best = problem.evaluate(bits[bits @ columns <= capacity].astype(float)).F.min()
    assert oe.solve(problem, "ils", budget=3000, seed=0).fun == best

    def observed(x: Any) -> dict[str, float]:
        return {"loss": problem.function(x), "weight": float(columns @ x)}

    free = oe.Problem(
        observed,
        oe.Binary(shape=16),
        objectives="loss",
        constraints=[oe.Constraint("weight", upper=capacity)],
        call="array",
    )
    assert oe.solve(free, "ils", budget=3000, seed=0).fun == best


def test_what_it_learns_saves_evaluations(
    drive: Callable[..., Driven], encoded: Callable[..., oe.Problem]
) -> None:
    """A tour of 15 cities, seen as a black box: the model is found, and leads to the optimum of long searches."""
    points = np.random.default_rng(5).random((15, 2))
    D = np.hypot(*(points[:, None] - points).T)
    problem = encoded(
        lambda X: D[X.astype(int), np.roll(X.astype(int), -1, axis=1)].sum(axis=1), oe.Permutation(15)
    )
    best = min(oe.solve(oe.problems.TSP(D), "ils", budget=20_000, seed=s).fun for s in range(3))
    driven = drive(ILS(), problem, 900, seed=1)
    assert driven.best == pytest.approx(best)
    assert "tour" in driven.run.details["model"]
    assert driven.run.details["explained"] > 0.999


def test_what_it_learns_of_bits(drive: Callable[..., Driven], encoded: Callable[..., oe.Problem]) -> None:
    """A ring of spins: a bit interacts with two others, and the search knows that of most pairs after a while."""
    problem = encoded(lambda X: (X == np.roll(X, 1, axis=1)).sum(axis=1).astype(float), oe.Binary(shape=40))
    driven = drive(ILS(), problem, 3000, seed=0)
    assert driven.best == 0.0
    assert driven.run.details["interacting"] < 0.3


def test_beats_random_search_on_mixed_spaces() -> None:
    space = oe.Space(
        order=oe.Permutation(9), on=oe.Binary(shape=9), chosen=oe.Subset(12, 4), level=oe.Integer(0, 30)
    )

    def loss(order: Any, on: Any, chosen: Any, level: int) -> float:
        place = np.argsort(order)
        return float(
            (abs(place - np.arange(9)) * (1 + on)).sum()
            - on.sum()
            + abs(level - 17)
            - (chosen % 3 == 0).sum()
        )

    results = {
        s: oe.minimize(loss, space, solver=s, budget=1500, seed=0).fun for s in ("ils", "fast_ea", "random")
    }
    assert results["ils"] < 2.0 < results["random"]
    assert results["fast_ea"] < results["random"]


# -- habits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "variable",
    [oe.Permutation(9), oe.Binary(shape=14), oe.Subset(12, (3, 5)), oe.Integer([0] * 4, [9] * 4)],
    ids=repr,
)
def test_no_point_is_evaluated_twice_unless_noisy(
    variable: Any, drive: Callable[..., Driven], encoded: Callable[..., oe.Problem]
) -> None:
    problem = encoded(lambda X: (X * np.arange(X.shape[1])).sum(axis=1) % 7, oe.Space(variable))
    driven = drive(ILS(), problem, 400)
    assert len(np.unique(driven.X, axis=0)) == 400
    driven = drive(ILS(), encoded(lambda X: np.zeros(len(X)), oe.Binary(shape=4), noisy=True), 200)
    assert len(driven.X) == 200


@pytest.mark.parametrize("solver", ["ils", "fast_ea"])
def test_a_small_space_is_enumerated(solver: str) -> None:
    result = oe.minimize(
        lambda x: float(x @ [4, -2, 1]), oe.Binary(shape=3), solver=solver, budget=50, seed=0
    )
    assert (result.status, result.n_evaluations, result.fun) == ("converged", 8, -2.0)


def test_infeasible_and_failed_points_come_last(encoded: Callable[..., oe.Problem]) -> None:
    def half(x: Any) -> float:
        if x[0] > 3:
            raise ArithmeticError
        return float(abs(x - np.arange(8)).sum())

    result = oe.minimize(half, oe.Permutation(8), solver="ils", budget=2500, seed=1, catch=True)
    assert result.fun == 0.0


def test_data_and_x0_are_where_it_starts() -> None:
    problem = black_box(qap(9))
    first = oe.solve(problem, "ils", budget=500, seed=0)
    again = oe.solve(problem, "ils", budget=30, seed=1, x0=first.x)
    assert again.fun <= first.fun


def test_options_and_refusals() -> None:
    for wrong in (
        {"patience": 0},
        {"strength": 1.5},
        {"stretch": -1},
        {"learn": 1},
        {"chunk": True},
        {"moves": ()},
    ):
        with pytest.raises(oe.OptionError, match=next(iter(wrong))):
            ILS(**wrong)
    with pytest.raises(oe.OptionError, match="did you mean 'reversal'"):
        ILS(moves=("reversl",))
    reals = oe.Problem(lambda x: 0.0, [(0, 1)], name="reals")
    with pytest.raises(oe.SolverNotSuitable, match="discrete"):
        oe.solve(reals, "ils", budget=5)
    bits = oe.Problem(lambda x: 0.0, oe.Binary(shape=3), call="array")
    assert ILS().refuses(bits) is None
    assert "swap" in str(ILS(moves=("swap",)).refuses(bits))


# -- its parts ---------------------------------------------------------------------------------------------------------


def test_the_climber_accepts_equals_kicks_and_grows_stronger() -> None:
    climber = Climber(patience=3, stretch=0.0, strength=2, strongest=5, restart_after=3, kicks=(SHAKE,))
    a, b, c = (np.array([float(i)]) for i in range(3))
    assert climber.offer(a, (0.0, 5.0), 0)
    assert not climber.offer(b, (0.0, 5.0), 0)
    assert climber.x is b
    assert not climber.offer(c, (0.0, 6.0), 0)
    assert climber.x is b
    assert not climber.settled
    climber.offer(c, WORST, 0)
    assert climber.settled
    assert climber.leave(0.5) == SHAKE
    assert (climber.home, climber.x, climber.strength) == (b, None, 2)
    assert not climber.offer(c, (0.0, 7.0), 0)  # of another epoch, and no record
    assert climber.offer(c, (0.0, 6.0), 1)  # whatever its value
    climber.offer(a, (0.0, 5.0 * (1 + 1e-15)), 1)
    climber.leave(0.5)
    assert (climber.home, climber.strength) == (a, 3)  # as good but for rounding: one step further next time
    climber.offer(c, (0.0, 9.0), 2)
    climber.leave(0.5)
    climber.offer(c, (0.0, 9.0), 3)
    assert climber.leave(0.5) == RESTART
    assert climber.home is a
    assert climber.n_restarts == 1


def test_levels_and_memory() -> None:
    assert level((0.0, 1e9), (0.0, 1e9 + 1e-6))
    assert not level((0.0, 1.0), (0.0, 1.0 + 1e-9))
    assert not level((0.0, 1.0), (1.0, 1.0))
    memory = Memory(oe.Space(oe.Binary(shape=1)), keeps=True)
    memory.add(b"0")
    assert b"0" in memory
    memory.check()
    memory.add(b"1")
    with pytest.raises(StopAsking):
        memory.check()


# -- deltas ------------------------------------------------------------------------------------------------------------


class Spins(oe.Problem):
    """Quadratic over bits, with a limit on their number, that tells the change of flips and exchanges."""

    moves = ("flip", "exchange")

    def __init__(self, n: int, seed: int = 0, variable: Any = None) -> None:
        self.Q = np.random.default_rng(seed).integers(-9, 10, (n, n)).astype(float)
        super().__init__(
            self._values,
            oe.Space(variable or oe.Binary(shape=n)),
            objectives="energy",
            constraints=[oe.Constraint("size", upper=n // 2)],
            call="encoded",
            vectorized=True,
        )
        self.asked = 0

    def _values(self, X: Any) -> dict[str, Any]:
        return {"energy": np.einsum("mi,ij,mj->m", X, self.Q, X), "size": X.sum(axis=1)}

    def delta(self, x: Any, kind: str, moves: Any) -> Any:
        self.asked += len(moves)
        Y = np.repeat(x[np.newaxis, :], len(moves), axis=0)
        rows = np.arange(len(moves))
        if kind == "flip":
            assert (moves[:, 0] == moves[:, 1]).all()
            Y[rows, moves[:, 0]] = 1 - Y[rows, moves[:, 0]]
        else:
            assert (x[moves[:, 0]] == 1).all()
            assert (x[moves[:, 1]] == 0).all()
            Y[rows, moves[:, 0]], Y[rows, moves[:, 1]] = 0, 1
        after, before = self.evaluate(Y), self.evaluate(x[np.newaxis, :])
        return after.F - before.F, after.G - before.G


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 1000), budget=st.integers(1, 600), chunk=st.integers(1, 50))
def test_deltas_count_and_lead_to_true_values(seed: int, budget: int, chunk: int) -> None:
    for variable in (None, oe.Subset(12, (2, 7))):
        problem = Spins(12, seed, variable)
        result = oe.solve(problem, ILS(chunk=chunk), budget=budget, seed=seed)
        assert result.n_evaluations <= budget
        assert problem.asked <= result.n_evaluations
        X = problem.space.encode(result.x)
        evaluation: Evaluation = problem.evaluate(np.atleast_2d(X))
        if result.feasible:
            assert evaluation.F[0, 0] == result.fun
            assert evaluation.violation[0] == 0.0


def test_a_delta_run_makes_the_steps_of_a_told_one(drive: Callable[..., Driven]) -> None:
    problem = qap(10)
    options = {"learn": False, "memory": False, "moves": ("swap",), "chunk": 1}
    on_deltas = oe.solve(problem, ILS(**options), budget=2000, seed=4)
    told = oe.solve(problem, ILS(**options, delta=False), budget=2000, seed=4)
    assert on_deltas.fun == told.fun
    assert np.array_equal(on_deltas.x, told.x)
    records = np.flatnonzero(np.diff(np.minimum.accumulate(told.history.F[:, 0]), prepend=np.inf) < 0)
    assert np.array_equal(on_deltas.history.X, told.history.X[records])


def test_which_run_it_starts() -> None:
    problem, rng = qap(8), np.random.default_rng(0)
    assert isinstance(ILS().start(problem, rng), DeltaRun)
    assert isinstance(ILS(delta=False).start(problem, rng), Walk)
    assert isinstance(
        ILS(moves=("reversal",)).start(problem, rng), Walk
    )  # of which the problem tells nothing
    assert offered(ILS(moves=("swap", "reversal")), oe.problems.TSP(np.ones((6, 6)))) == ("reversal", "swap")


def test_tours_by_deltas_are_near_the_best() -> None:
    problem = oe.problems.TSP(coordinates=np.random.default_rng(2).random((30, 2)))
    values = [oe.solve(problem, "ils", budget=60_000, seed=s).fun for s in range(4)]
    assert max(values) < 1.03 * min(values)


# -- auto --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "budget", "chosen"),
    [
        ({"a": oe.Permutation(6)}, 500, "ils"),
        ({"a": oe.Binary(shape=6), "b": oe.Subset(5, 2), "c": oe.Permutation(4)}, 500, "ils"),
        ({"a": oe.Binary(shape=6), "b": oe.Integer(3, 3)}, 500, "ils"),
        ({"a": oe.Binary(shape=6), "b": oe.Integer(3, 4)}, 500, "cmaes"),
        ({"a": oe.Permutation(6)}, 10_000_000, "cem"),
        ({"a": oe.Permutation(6)}, None, "cem"),
        ({"a": oe.Permutation(6)}, 10, "ils"),
    ],
)
def test_auto_takes_it_for_orders_and_bits(
    variables: dict[str, Any], budget: int | None, chosen: str
) -> None:
    problem = oe.Problem(lambda **x: 0.0, oe.Space(variables), call="kwargs")
    name, reason = registry.choose(problem, budget, 1)
    assert (name, reason[:4]) == (chosen, "rule")
    assert (chosen == "ils") == reason.startswith("rule 3:")


def test_auto_takes_it_where_moves_tell_their_changes() -> None:
    tour = oe.problems.TSP(
        np.random.default_rng(0).integers(1, 50, (6, 6))
    )  # asymmetric: no solver of its own
    assert registry.choose(tour, None, 1)[0] == "ils"
    assert registry.choose(knapsack(), 5000, 1)[0] == "cem"
    result = oe.solve(tour, budget=200, seed=0)
    assert result.solver == "ils"
    assert "swap" in result.reason
