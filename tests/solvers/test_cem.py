"""The cross-entropy method: generations, elites, warm starts, restarts, and what each family must not do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.solver import StopAsking
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Space,
    Subset,
)
from optengine.solvers.cem import CEM
from optengine.solvers.cem.restarts import Progress, Regimes

Encoded = Callable[..., Problem]


def begin(solver: CEM, space: Any, seed: int = 0, **options: Any) -> Any:
    problem = Problem(lambda X: X[:, 0], space, call="encoded", vectorized=True, **options)
    return solver.start(problem, np.random.default_rng(seed))


def told(run: Any, X: np.ndarray, F: np.ndarray, first: int | None = None) -> None:
    evaluation = Evaluation.of(F)
    evaluation.ids = np.full(len(X), -1) if first is None else np.arange(first, first + len(X))
    run.tell(X, evaluation)


# -- generations ---------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), pieces=st.integers(1, 6))
def test_order_and_pieces_of_tells_do_not_matter(seed: int, pieces: int) -> None:
    """Neither the order of a generation's rows nor the number of tells they come in, when no two values are equal."""
    space = Space(r=Real(0, 1, shape=3), k=Integer(0, 9), c=Categorical(list("abc")), p=Permutation(4))
    runs = [begin(CEM(population=24), space, seed) for _ in range(2)]
    rng = np.random.default_rng(seed)
    for _ in range(3):
        X, Y = (run.ask() for run in runs)
        np.testing.assert_allclose(X, Y, atol=1e-12)
        F = rng.permutation(24).astype(float)
        told(runs[0], X, F)
        for part in np.array_split(rng.permutation(24), pieces):
            told(runs[1], X[part], F[part])


def test_a_generation_closes_on_told_rows_whichever_they_are() -> None:
    run = begin(CEM(population=10), [(0, 1)] * 2)
    first, second = run.ask(8), run.ask(8)
    told(run, second, second[:, 0])
    assert run.details["generations"] == 0
    told(run, first[:2], first[:2, 0])
    assert run.details["generations"] == 1
    told(run, first[2:], first[2:, 0])
    assert run.details["generations"] == 1


def test_failed_rows_are_never_elite() -> None:
    run = begin(CEM(population=20), [(0, 1)])
    X = run.ask()
    F = X[:, 0].copy()
    F[X[:, 0] < 0.5] = np.nan  # the lower half fails
    for _ in range(30):
        told(run, X, F)
        X = run.ask()
        F = np.where(X[:, 0] < 0.5, np.nan, X[:, 0])
    assert 0.5 < np.median(X) < 0.52


def test_a_generation_of_failures_changes_nothing() -> None:
    run = begin(CEM(population=20, restarts="never"), [(0, 1)])
    mean, sigma = run._models[0].mean.copy(), run._models[0].sigma.copy()
    told(run, run.ask(), np.full(20, np.nan))
    assert (run._models[0].mean == mean).all()
    assert (run._models[0].sigma == sigma).all()


def test_feasible_rows_come_first() -> None:
    """The best values are infeasible: the run must end at the best feasible one, x0 = 0.4."""
    run = begin(CEM(), [(0, 1)] * 3)
    for _ in range(40):
        X = run.ask()
        run.tell(X, Evaluation.of(X[:, 0], 0.4 - X[:, :1]))
    best = X[X[:, 0] >= 0.4, 0].min()
    assert best - 0.4 < 1e-4


def test_no_column_varies() -> None:
    run = begin(CEM(), Space(a=Real(2, 2), b=Categorical(["only"]), n=Integer(7, 7)))
    for _ in range(5):
        X = run.ask()
        assert (X == [2, 0, 7]).all()
        told(run, X, X[:, 0])


@pytest.mark.parametrize("n_objectives", [1, 2])
def test_refuses_several_objectives(n_objectives: int) -> None:
    problem = Problem(lambda X: X, [(0, 1)] * 2, objectives=["f", "g"][:n_objectives])
    assert (CEM().refuses(problem) is None) == (n_objectives == 1)


def test_refuses_endless_permutations(encoded: Encoded) -> None:
    assert "4001" in str(CEM().refuses(encoded(lambda X: X[:, 0], Space(Permutation(4001)))))


# -- warm starts ---------------------------------------------------------------------------------------------


def test_a_starting_point_moves_the_mean() -> None:
    run = begin(CEM(family="diagonal"), [(0, 1)] * 4)
    told(run, np.full((1, 4), 0.9), np.array([0.0]))
    assert 0.6 < run.ask(400).mean() < 0.75  # of a normal distribution about 0.9, truncated at 1
    assert 0.45 < begin(CEM(family="diagonal"), [(0, 1)] * 4).ask(400).mean() < 0.55


def test_data_set_mean_and_width() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal([2.0, -1.0], 0.1, (500, 2))
    run = begin(CEM(family="diagonal"), [(-5, 5)] * 2)
    told(run, X, ((X - [2.0, -1.0]) ** 2).sum(axis=1))
    assert run.ask(200).shape == (200, 2)
    np.testing.assert_allclose(run._models[0].mean, [0.7, 0.4], atol=0.01)
    assert (run._models[0].sigma < 0.4).all()
    assert (run._models[0].sigma > 0.1).all()  # the data may have missed the best region: no blind trust


def test_every_kind_leans_towards_a_starting_point() -> None:
    space = Space(
        c=Categorical(list("abcd"), shape=4),
        b=Binary(shape=8),
        p=Permutation(6),
        s=Subset(9, size=3),
        m=Simplex(4),
    )
    rng = np.random.default_rng(1)
    point = space.sample(1, rng)

    def nearness(X: np.ndarray) -> float:
        return float(np.mean(np.abs(X - point) < 0.2))

    plain, warm = begin(CEM(), space), begin(CEM(), space)
    told(warm, point, np.array([1.0]))
    assert nearness(warm.ask(2000)) > nearness(plain.ask(2000)) + 0.05


def test_a_starting_point_stays_an_elite_until_it_is_beaten() -> None:
    run = begin(CEM(population=30), Space(Permutation(8)))
    point = np.arange(8.0)[None]
    told(run, point, np.array([-1.0]))
    for _ in range(10):
        X = run.ask()
        told(run, X, np.ones(len(X)))
    assert (run._elites[0] == point).all()


# -- families ------------------------------------------------------------------------------------------------


def test_no_selection_leaves_the_distribution_alone() -> None:
    """Random values: with many elites the refit must not move mean or sigma, at a bound neither."""
    run = begin(
        CEM(
            family="diagonal", population=200_000, weights="equal", keep=0.0, elite_fraction=0.5, sigma_0=0.3
        ),
        [(0, 1)] * 4,
    )
    run._models[0].mean[:] = 0.0, 0.1, 0.5, 1.0
    rng = np.random.default_rng(0)
    for _ in range(3):
        told(run, run.ask(), rng.random(200_000))
    np.testing.assert_allclose(run._models[0].mean, [0.0, 0.1, 0.5, 1.0], atol=0.02)
    np.testing.assert_allclose(run._models[0].sigma, 0.3, rtol=0.02)


def test_points_do_not_pile_up_on_the_bounds() -> None:
    X = begin(CEM(sigma_0=1.0), [(0, 1)] * 5).ask(4000)
    assert ((X > 0) & (X < 1)).all()


@pytest.mark.parametrize(
    "variable", [Integer(0, 9), Integer(1, 10**5, log=True), Ordinal(list("abcde")), Integer(0, 1)]
)
def test_integers_do_not_freeze(variable: Any) -> None:
    """One generation after another agrees on one level; its neighbours must still be tried."""
    space = Space(k=variable, x=Real(0, 1))
    run = begin(CEM(population=64, restarts="never", stagnation=10**6), space)
    goal = np.round(space.lower[0] + 0.5 * (space.upper[0] - space.lower[0]) ** 0.5)
    strays = 0
    for t in range(120):
        X = run.ask()
        told(run, X, np.abs(X[:, 0] - goal) + 1e-3 * t)
        strays += int((X[:, 0] != goal).sum()) if t >= 60 else 0
    assert (X[:, 0] == goal).mean() > 0.5
    assert 10 < strays < 60 * 20  # `margin` promises about one a generation


def test_probabilities_keep_their_floor() -> None:
    space = Space(
        b=Binary(shape=5), c=Categorical(list("abc"), shape=5), s=Subset(5, size=2), p=Permutation(5)
    )
    run = begin(CEM(floor=0.5, stagnation=10**6), space)
    for _ in range(80):
        X = run.ask()
        told(run, X, X @ np.arange(1.0, 21.0))
    bits, choices, members, orders = run._models
    assert bits.p.min() >= 0.5 / (2 * 5) - 1e-12
    assert choices.p.min() >= 0.9 * 0.5 / (3 * 5)
    assert members.p.min() >= 0.5 / (2 * 5) - 1e-12
    assert orders.P.min() >= 0.8 * 0.5 / 25
    np.testing.assert_allclose(orders.P.sum(axis=2), 1.0)


def test_inactive_columns_are_not_learnt_from() -> None:
    space = Space(
        kind=Categorical(["a", "b"]), x=Real(0, 1, when=("kind", "a")), y=Real(0, 1, when=("kind", "b"))
    )
    run = begin(CEM(population=100, stagnation=10**6), space)
    for _ in range(30):
        X = run.ask()
        told(run, X, np.where(X[:, 0] == 0, np.abs(X[:, 1] - 0.25), 5.0))
    mean, sigma = run._models[0].mean, run._models[0].sigma
    assert abs(mean[0] - 0.25) < 0.01
    assert (mean[1], sigma[1]) == (0.5, 0.5)


@pytest.mark.parametrize("local", [0.0, 1.0])
def test_local_moves_are_one_move_from_an_elite(local: float) -> None:
    space = Space(x=Real(0, 1), p=Permutation(10), q=Permutation(10, shape=2))
    run = begin(CEM(local=local), space)
    X = run.ask()
    told(run, X, X[:, 0])
    elites = run._elites[:, 1:].reshape(-1, 3, 10)
    changed = (run.ask(50)[:, 1:].reshape(50, 1, 3, 10) != elites).any(axis=-1).sum(axis=-1)
    assert (changed.min(axis=1) == 1).all() if local else (changed.min(axis=1) > 1).mean() > 0.9


def test_inactive_permutations_are_not_moved() -> None:
    space = Space(c=Categorical(["a", "b"]), p=Permutation(6, when=("c", "a")))
    run = begin(CEM(local=1.0), space)
    X = run.ask()
    told(run, X, -X[:, 0])  # b is best, and has no permutation
    ((_, bases),) = run._bases
    assert (run._elites[bases, 0] == 0).all()
    moved = run.ask(100)
    assert space.contains(moved).all()
    assert (moved[:, 0] == 0).all()


def test_infinite_values_are_values() -> None:
    run = begin(CEM(), [(0, 1)])
    for _ in range(20):
        X = run.ask()
        told(run, X, np.where(X[:, 0] < 0.3, np.inf, np.where(X[:, 0] > 0.7, -np.inf, 1e308)))
    assert (X > 0.6).mean() > 0.9


# -- restarts ------------------------------------------------------------------------------------------------


def run_flat(solver: CEM, generations: int) -> tuple[Any, list[int]]:
    """A constant objective; returns the run and the populations it asked with."""
    run, sizes = begin(solver, [(0, 1)] * 2), []
    for _ in range(generations):
        X = run.ask()
        sizes.append(len(X))
        told(run, X, np.ones(len(X)))
    return run, sizes


def test_growing_restarts_double_the_population() -> None:
    run, sizes = run_flat(CEM(population=10, restarts="growing", stagnation=5), 29)
    assert list(dict.fromkeys(sizes)) == [10, 20, 40, 80, 160]
    assert run.details["restarts"] == 4


def test_alternating_restarts_share_the_rows() -> None:
    regimes = Regimes(50, 2.0, alternating=True)
    rng = np.random.default_rng(0)
    size, spent = 50, {True: 0, False: 0}
    large = True
    for _ in range(200):
        spent[large] += 100 * size
        size, width = regimes.next(100 * size, rng)
        large = width == 1.0
        assert size >= 50
        assert 0.01 <= width <= 1.0
    assert 0.5 < spent[True] / sum(spent.values()) < 0.8


def test_never_restarting_ends_when_converged() -> None:
    run = begin(CEM(restarts="never"), [(0, 1)] * 2)
    while not run._finished:
        X = run.ask()
        told(run, X, ((X - 0.3) ** 2).sum(axis=1))
    assert abs(X - 0.3).max() < 1e-6
    with pytest.raises(StopAsking):
        run.ask()


def test_rows_asked_before_a_restart_do_not_reach_the_next_start() -> None:
    run = begin(CEM(population=10, restarts="growing", stagnation=5), [(0, 1)] * 2)
    late, asked = run.ask(10), 10
    while not run.details["restarts"]:
        X = run.ask()
        told(run, X, np.ones(len(X)), first=asked)
        asked += len(X)
    told(run, late, np.full(10, -1.0), first=0)
    assert run._told == []
    told(run, late, np.full(10, -1.0))  # data of unknown origin counts
    assert run._waiting == 10


def test_progress_is_feasibility_first() -> None:
    progress = Progress()
    for violation, value, stale in [
        (3.0, 1.0, 0),
        (2.0, 9.0, 0),
        (2.0, 8.0, 0),
        (2.5, 1.0, 1),
        (0.0, 9.0, 0),
        (0.0, 9.0, 1),
        (0.1, -5.0, 2),
        (0.0, 8.0, 0),
    ]:
        progress.update(violation, value)
        assert progress.stale == stale


def test_lucky_values_do_not_stay_in_noisy_problems() -> None:
    run = begin(CEM(), Space(b=Binary(shape=10)), noisy=True)
    X = run.ask()
    F = np.zeros(len(X))
    F[0] = -100.0
    told(run, X, F)
    assert run._kept is None
