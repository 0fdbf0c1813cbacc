"""Known optima, fixed seeds. The slow ones are the promises: ten seeds and the whole budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optengine.core.problem import Problem
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Permutation,
    Real,
    Simplex,
    Space,
    Subset,
)
from optengine.problems.qap import QAP
from optengine.solvers.cem import CEM
from optengine.solvers.random_search import RandomSearch

Encoded = Callable[..., Problem]
Drive = Callable[..., Any]

NUG12_FLOW = """
0 5 2 4 1 0 0 6 2 1 1 1; 5 0 3 0 2 2 2 0 4 5 0 0; 2 3 0 0 0 0 0 5 5 2 2 2; 4 0 0 0 5 2 2 10 0 0 5 5;
1 2 0 5 0 10 0 0 0 5 1 1; 0 2 0 2 10 0 5 1 1 5 4 0; 0 2 0 2 0 5 0 10 5 2 3 3; 6 0 5 10 0 1 10 0 0 0 5 0;
2 4 5 0 0 1 5 0 0 0 10 10; 1 5 2 0 5 5 2 0 0 0 5 0; 1 0 2 5 1 4 3 5 10 5 0 2; 1 0 2 5 1 0 3 0 10 0 2 0
"""


def nug12() -> QAP:
    """Nugent, Vollmann and Ruml (1968): twelve facilities on a grid of 3 x 4, optimum 578 (QAPLIB, proved)."""
    flow = np.array([row.split() for row in NUG12_FLOW.split(";")], dtype=float)
    row, column = np.divmod(np.arange(12), 4)
    distance = np.abs(row[:, None] - row) + np.abs(column[:, None] - column)
    return QAP(flow, distance)


def sphere(encoded: Encoded, d: int, seed: int, noise: float = 0.0) -> tuple[Problem, np.ndarray]:
    rng = np.random.default_rng(seed)
    goal = rng.uniform(-4, 4, d)

    def function(X: np.ndarray) -> np.ndarray:
        return ((X - goal) ** 2).sum(axis=1) + noise * rng.normal(size=len(X))

    return encoded(function, [(-5.0, 5.0)] * d, noisy=noise > 0), goal


@pytest.mark.parametrize("seed", range(10))
def test_sphere(seed: int, encoded: Encoded, drive: Drive) -> None:
    problem, _ = sphere(encoded, 10, seed)
    assert drive(CEM(), problem, 200_000, seed, target=1e-6).best <= 1e-6


def test_sphere_in_a_hundred_dimensions(encoded: Encoded, drive: Drive) -> None:
    problem, _ = sphere(encoded, 100, 0)
    assert drive(CEM(), problem, 60_000, target=1e-6).best <= 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_optimum_in_a_corner(seed: int, encoded: Encoded, drive: Drive) -> None:
    problem = encoded(lambda X: X.sum(axis=1) + 50.0, [(-5.0, 5.0)] * 10)
    assert drive(CEM(), problem, 20_000, seed, target=1e-6).best <= 1e-6


def test_the_mean_averages_noise_out(encoded: Encoded, drive: Drive) -> None:
    """Noise of standard deviation 1 at every evaluation: the mean comes ten times nearer than one value could tell."""
    problem, goal = sphere(encoded, 10, 1, noise=1.0)
    run = drive(CEM(restarts="never", stagnation=10**6), problem, 20_000).run
    assert ((run._models[0].mean * 10 - 5 - goal) ** 2).sum() < 0.3


@pytest.mark.parametrize("seed", range(3))
def test_rosenbrock(seed: int, encoded: Encoded, drive: Drive) -> None:
    """A curved valley is hard for independent columns: past the plateau near 9, towards the optimum 0."""

    def function(X: np.ndarray) -> np.ndarray:
        return (100 * (X[:, 1:] - X[:, :-1] ** 2) ** 2 + (1 - X[:, :-1]) ** 2).sum(axis=1)

    assert drive(CEM(), encoded(function, [(-5.0, 5.0)] * 10), 100_000, seed).best < 3.0


@pytest.mark.parametrize("seed", range(3))
def test_rastrigin(seed: int, encoded: Encoded, drive: Drive) -> None:
    """10^10 local optima: within five steps of the best one. Random search is left near 80."""
    goal = np.random.default_rng(seed).uniform(-4, 4, 10)

    def function(X: np.ndarray) -> np.ndarray:
        Z = X - goal
        return 100 + (Z * Z - 10 * np.cos(2 * np.pi * Z)).sum(axis=1)

    assert drive(CEM(), encoded(function, [(-5.0, 5.0)] * 10), 100_000, seed).best < 8.0


@pytest.mark.parametrize("seed", range(3))
def test_ackley(seed: int, encoded: Encoded, drive: Drive) -> None:
    goal = np.random.default_rng(seed).uniform(-20, 20, 10)

    def function(X: np.ndarray) -> np.ndarray:
        Z = X - goal
        far = -20 * np.exp(-0.2 * np.sqrt((Z * Z).mean(axis=1)))
        return far - np.exp(np.cos(2 * np.pi * Z).mean(axis=1)) + 20 + np.e

    assert drive(CEM(), encoded(function, [(-30.0, 30.0)] * 10), 20_000, seed, target=1e-6).best <= 1e-6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("leading", "budget"), [(False, 6_000), (True, 50_000)])
def test_bits(leading: bool, budget: int, seed: int, encoded: Encoded, drive: Drive) -> None:
    goal = np.random.default_rng(seed).integers(0, 2, 100)

    def function(X: np.ndarray) -> np.ndarray:
        right = X == goal
        return 100.0 - (np.cumprod(right, axis=1) if leading else right).sum(axis=1)

    assert drive(CEM(), encoded(function, Space(b=Binary(shape=100))), budget, seed, target=0).best == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("size", [8, (3, 12)])
def test_subsets(size: Any, seed: int, encoded: Encoded, drive: Drive) -> None:
    values = np.random.default_rng(seed).normal(size=50)
    best = np.sort(values)[: 8 if size == 8 else 12].sum()
    result = drive(
        CEM(), encoded(lambda X: X @ values - best, Space(Subset(50, size=size))), 6_000, seed, target=1e-9
    )
    assert result.best <= 1e-9


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("vertex", [False, True])
def test_simplex(vertex: bool, seed: int, encoded: Encoded, drive: Drive) -> None:
    goal = np.random.default_rng(seed).dirichlet(np.full(8, 0.5))

    def function(X: np.ndarray) -> np.ndarray:
        return X @ -goal + goal.max() if vertex else ((X - goal) ** 2).sum(axis=1)

    assert drive(CEM(), encoded(function, Space(Simplex(8))), 10_000, seed, target=1e-8).best <= 1e-8


@pytest.mark.parametrize("seed", range(3))
def test_integers(seed: int, encoded: Encoded, drive: Drive) -> None:
    goal = np.random.default_rng(seed).integers(-80, 80, 10)
    problem = encoded(
        lambda X: (10.0 ** (4 * np.arange(10) / 9) * (X - goal) ** 2).sum(axis=1),
        Space(k=Integer(-100, 100, shape=10)),
    )
    assert drive(CEM(), problem, 10_000, seed, target=0).best == 0


@pytest.mark.parametrize("seed", range(3))
def test_mixed_space(seed: int, encoded: Encoded, drive: Drive) -> None:
    """Six kinds at once, every one of which must be right."""
    space = Space(
        x=Real(0, 1, shape=4),
        lr=Real(1e-4, 1, log=True),
        k=Integer(0, 19, shape=3),
        c=Categorical(list("abcde"), shape=3),
        b=Binary(shape=6),
        p=Permutation(6),
    )
    goal = space.sample(1, np.random.default_rng(seed))[0]

    def function(X: np.ndarray) -> np.ndarray:
        reals = ((X[:, :4] - goal[:4]) ** 2).sum(axis=1) + np.log10(X[:, 4] / goal[4]) ** 2
        return reals + ((X[:, 5:8] - goal[5:8]) ** 2).sum(axis=1) / 100 + (X[:, 8:] != goal[8:]).sum(axis=1)

    assert drive(CEM(), encoded(function, space), 20_000, seed, target=1e-6).best <= 1e-6


@pytest.mark.parametrize("seed", range(3))
def test_conditional_space(seed: int, encoded: Encoded, drive: Drive) -> None:
    """The best branch starts level with the others and must be tuned in its own columns."""
    space = Space(
        kind=Categorical(["a", "b", "c"]),
        x=Real(0, 1, when=("kind", "a"), shape=3),
        y=Real(0, 1, when=("kind", "b"), shape=3),
        z=Integer(0, 9, when=("kind", "c")),
    )

    def function(X: np.ndarray) -> np.ndarray:
        a = 0.3 + ((X[:, 1:4] - 0.2) ** 2).sum(axis=1)
        b = 2 * ((X[:, 4:7] - 0.7) ** 2).sum(axis=1)
        return np.choose(X[:, 0].astype(int), [a, b, 0.5 + X[:, 7]])

    assert drive(CEM(), encoded(function, space), 20_000, seed, target=1e-6).best <= 1e-6


@pytest.mark.parametrize("seed", range(10))
def test_nug12(seed: int, drive: Drive) -> None:
    """Within 2 % of the optimum 578 in 200 000 evaluations, on every seed."""
    assert drive(CEM(), nug12(), 200_000, seed, target=589).best <= 589


@pytest.mark.slow
def test_nug12_to_the_optimum(drive: Drive) -> None:
    values = [drive(CEM(), nug12(), 200_000, seed, target=578).best for seed in range(10)]
    assert sum(value == 578 for value in values) >= 8


def tour(encoded: Encoded, n: int) -> Problem:
    """Cities on a circle, numbered at random: the shortest tour is the polygon, of length 2 n sin(pi / n)."""
    angle = 2 * np.pi * np.random.default_rng(0).permutation(n) / n
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    D = np.hypot(*(points[:, None] - points).transpose(2, 0, 1)) / (2 * n * np.sin(np.pi / n))

    def function(X: np.ndarray) -> np.ndarray:
        cities = X.astype(int)
        return D[cities, np.roll(cities, -1, axis=1)].sum(axis=1)

    return encoded(function, Space(Permutation(n)))


@pytest.mark.parametrize("seed", range(2))
def test_tour(seed: int, encoded: Encoded, drive: Drive) -> None:
    """Within half of the optimum; random search stays at several times."""
    problem = tour(encoded, 30)
    assert drive(CEM(), problem, 40_000, seed).best < 1.5
    assert drive(RandomSearch(), problem, 40_000, seed).best > 4.0


@pytest.mark.slow
def test_position_matrix_without_moves_of_elites(encoded: Encoded, drive: Drive) -> None:
    """The distribution alone: far better than random, and the moves of elites better still."""
    problem = tour(encoded, 50)
    alone = np.median([drive(CEM(local=0.0), problem, 100_000, seed).best for seed in range(3)])
    both = np.median([drive(CEM(), problem, 100_000, seed).best for seed in range(3)])
    assert both < alone < 0.5 * drive(RandomSearch(), problem, 100_000).best
