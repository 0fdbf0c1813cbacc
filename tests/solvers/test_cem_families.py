"""Families of numbers and permutations, and the options that change what a run samples or believes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.space import Binary, Integer, Permutation, Real, Space
from optengine.solvers.cem import CEM, PoincareBall, Sphere, shifted
from optengine.solvers.cem.full import FullModel
from optengine.solvers.cem.gaussian import GaussianModel
from optengine.solvers.cem.mixture import floored, responsibilities
from optengine.solvers.cem.quadratic import Quadratic

Encoded = Callable[..., Problem]
Drive = Callable[..., Any]
FAMILIES = ("diagonal", "full", "lowrank", "mixture")


def begin(solver: CEM, space: Any, seed: int = 0, **options: Any) -> Any:
    problem = Problem(lambda X: X[:, 0], space, call="encoded", vectorized=True, **options)
    return solver.start(problem, np.random.default_rng(seed))


def told(run: Any, X: np.ndarray, F: np.ndarray) -> None:
    run.tell(X, Evaluation.of(F))


def rotated_ellipsoid(d: int, condition: float, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    rng = np.random.default_rng(seed)
    Q, _ = np.linalg.qr(rng.normal(size=(d, d)))
    goal, scales = rng.uniform(-2, 2, d), condition ** (np.arange(d) / (d - 1))
    return lambda X: (((X - goal) @ Q) ** 2 * scales).sum(axis=1)


# -- which family ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "options", "family"),
    [
        ([(0, 1)] * 5, {}, FullModel),
        ([(0, 1)], {}, GaussianModel),
        ([(0, 1)] * 61, {}, GaussianModel),
        ([(0, 1)] * 5, {"noisy": True}, GaussianModel),
        (Space(x=Real(0, 1, shape=3), k=Integer(0, 9)), {}, GaussianModel),
        (Space(x=Real(0, 1, shape=3), b=Binary()), {}, GaussianModel),
    ],
)
def test_auto_follows_its_rule(space: Any, options: dict[str, Any], family: type) -> None:
    assert type(begin(CEM(), space, **options)._models[0]) is family


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_keeps_bounds_and_levels(family: str) -> None:
    space = Space(x=Real(-3, 5, shape=3), lr=Real(1e-5, 1, log=True), k=Integer(0, 9), b=Binary())
    run = begin(CEM(family=family), space)
    for _ in range(8):
        X = run.ask()
        assert space.contains(X).all()
        told(run, X, X[:, :4].sum(axis=1) + X[:, 4] + X[:, 5])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_solves_a_sphere(family: str, encoded: Encoded, drive: Drive) -> None:
    problem = encoded(lambda X: ((X - 1.3) ** 2).sum(axis=1), [(-5.0, 5.0)] * 6)
    assert drive(CEM(family=family), problem, 30_000, target=1e-8).best <= 1e-8


@pytest.mark.parametrize(
    "options", [{}, {"polish": False}, {"polish": False, "cumulation": False, "population": 60}]
)
def test_a_full_covariance_turns_with_the_valley(options: Any, encoded: Encoded, drive: Drive) -> None:
    problem = encoded(rotated_ellipsoid(6, 1e6, 1), [(-5.0, 5.0)] * 6)
    assert drive(CEM(family="full", **options), problem, 40_000, target=1e-8).best <= 1e-8
    assert drive(CEM(family="diagonal"), problem, 10_000).best > 1e-3


def test_low_rank_finds_one_long_direction(encoded: Encoded, drive: Drive) -> None:
    """One cheap direction across 40 columns: independent columns crawl along it."""
    u = np.full(40, 1 / np.sqrt(40))

    def function(X: np.ndarray) -> np.ndarray:
        along = (X - 1.0) @ u
        return 1e4 * (((X - 1.0) ** 2).sum(axis=1) - along**2) + along**2

    problem = encoded(function, [(-5.0, 5.0)] * 40)
    low = drive(CEM(family="lowrank", r=2), problem, 30_000).best
    assert low < 0.2 * drive(CEM(family="diagonal"), problem, 30_000).best


def test_a_mixture_keeps_several_valleys() -> None:
    """Two valleys alike: one Gaussian settles in one of them, three components keep both."""
    for seed in range(6):
        run = begin(CEM(family="mixture"), [(-5.0, 5.0)] * 3, seed)
        for _ in range(12):
            X = run.ask()
            told(run, X, np.minimum(((X + 2.5) ** 2).sum(axis=1), ((X - 2.5) ** 2).sum(axis=1)))
        middles = 10 * run._models[0].means.mean(axis=1) - 5
        assert np.abs(middles + 2.5).min() < 0.6
        assert np.abs(middles - 2.5).min() < 0.6


def test_mixture_pieces() -> None:
    shares = floored(np.array([0.9, 0.1, 0.0]), 1 / 12)
    np.testing.assert_allclose(shares.sum(), 1.0)
    assert shares.min() >= 1 / 12 - 1e-12
    R = responsibilities(
        np.array([[0.1], [0.9]]), np.array([[0.1], [0.9]]), np.full((2, 1), 0.1), np.full(2, 0.5)
    )
    np.testing.assert_allclose(R, np.eye(2), atol=1e-6)


def test_student_tails_are_heavy() -> None:
    for family in ("diagonal", "full"):
        normal = begin(CEM(family=family, sigma_0=0.01), [(0, 1)] * 3).ask(4000)
        heavy = begin(CEM(family=family, sigma_0=0.01, nu=1.0), [(0, 1)] * 3).ask(4000)
        assert (np.abs(normal - 0.5) > 0.1).mean() == 0
        assert (np.abs(heavy - 0.5) > 0.1).mean() > 0.02


# -- the refit -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["diagonal", "full"])
def test_the_divergence_of_a_step_is_bounded(family: str) -> None:
    moved = {}
    for delta in (None, 0.05):
        run = begin(CEM(family=family, delta=delta, polish=False), [(0, 1)] * 3)
        model = run._models[0]
        X = run.ask()
        told(run, X, X.sum(axis=1))
        moved[delta] = np.abs(model.mean - 0.5).max()
    assert 0 < moved[0.05] < 0.7 * moved[None]


def test_variance_noise_keeps_the_search_wide() -> None:
    widths = {}
    for z_0 in (0.0, 0.01):
        run = begin(CEM(family="diagonal", z_0=z_0, z_T=20), [(0, 1)] * 2)
        for _ in range(15):
            X = run.ask()
            told(run, X, ((X - 0.3) ** 2).sum(axis=1))
        widths[z_0] = run._models[0].sigma.max()
    assert widths[0.0] < 0.01 < widths[0.01]


def test_the_quadratic_finds_its_minimum() -> None:
    d = 4
    function = rotated_ellipsoid(d, 100.0, 3)
    rng = np.random.default_rng(0)
    quadratic = Quadratic(d)
    assert quadratic.minimiser(np.full(d, 0.5), np.eye(d), np.ones(d)) is None
    U = rng.random((60, d))
    quadratic.add(U, function(10 * U - 5))
    found = quadratic.minimiser(np.full(d, 0.4), np.eye(d), np.full(d, 0.3))
    assert found is not None
    assert function(10 * found[None] - 5)[0] < 1e-8


def test_the_quadratic_goes_to_the_corner_of_a_slope() -> None:
    U = np.random.default_rng(0).random((40, 3))
    quadratic = Quadratic(3)
    quadratic.add(U, U @ [1.0, -2.0, 0.5])
    found = quadratic.minimiser(np.full(3, 0.5), np.eye(3), np.full(3, 0.3))
    np.testing.assert_allclose(found, [0.0, 1.0, 0.0])


def test_integers_keep_a_chance_in_the_full_family() -> None:
    run = begin(CEM(family="full", stagnation=10**6), Space(k=Integer(0, 9, shape=2), x=Real(0, 1)))
    for _ in range(150):
        X = run.ask()
        told(run, X, np.abs(X[:, :2] - 4).sum(axis=1) + X[:, 2])
    assert 0.02 < (run.ask(500)[:, :2] != 4).mean() < 0.5


# -- hooks -----------------------------------------------------------------------------------------------------


def test_the_guide_moves_rows_before_they_are_evaluated() -> None:
    def guide(X: np.ndarray) -> np.ndarray:
        X[:, 0] = np.minimum(X[:, 0], 0.2)
        return X

    run = begin(CEM(guide=guide), [(0, 1)] * 3)
    for _ in range(10):
        X = run.ask()
        assert X[:, 0].max() <= 0.2
        told(run, X, -X[:, 0])
    wrong = begin(CEM(guide=lambda X: X[:1]), [(0, 1)] * 3)
    with pytest.raises(OptionError, match="guide"):
        wrong.ask()


@pytest.mark.parametrize("manifold", [PoincareBall(), Sphere()])
def test_manifolds_invert(manifold: Any) -> None:
    V = 0.4 * np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(manifold.log(manifold.exp(V)), V, atol=1e-9)


def test_a_run_on_the_sphere_stays_on_it() -> None:
    goal = np.array([0.6, 0.0, 0.8])
    run = begin(CEM(manifold=Sphere(), elite_fraction=0.5, sigma_schedule=(0.3, 0.01, 60)), [(-1, 1)] * 3)
    for _ in range(80):
        X = run.ask()
        np.testing.assert_allclose(np.linalg.norm(X, axis=1), 1.0, atol=1e-9)
        told(run, X, -X @ goal)
    assert (X @ goal).max() > 0.999


def test_elites_are_evaluated_again_and_averaged() -> None:
    run = begin(CEM(n_again=3, family="diagonal"), [(0, 1)] * 2, noisy=True)
    X = run.ask()
    F = np.arange(len(X), dtype=float)
    F[10] = -100.0  # luck
    lucky = X[10].copy()
    told(run, X, F)
    X = run.ask()
    again = np.flatnonzero((X == lucky).all(axis=1))
    assert len(again) == 1
    told(run, X, np.full(len(X), 50.0))
    kept, values = run._kept
    place = np.flatnonzero((kept == lucky).all(axis=1))
    assert values.F[place[0], 0] == pytest.approx(-25.0)  # the mean of -100 and 50


def test_the_tolerance_of_violations_falls() -> None:
    run = begin(CEM(epsilon_0=0.5, epsilon_T=10, family="diagonal", keep=0.0), [(0, 1)] * 2)
    means = []
    for _ in range(30):
        X = run.ask()
        run.tell(X, Evaluation.of(X[:, 0], 0.5 - X[:, :1]))  # feasible from 0.5 up, better below
        means.append(X[:, 0].mean())
    assert min(means[:8]) < 0.45
    assert means[-1] >= 0.49


def test_the_population_falls_to_twice_the_elites() -> None:
    run = begin(CEM(gamma=1.25, population=100, restarts="never", family="diagonal"), [(0, 1)] * 2)
    sizes = []
    for _ in range(12):
        X = run.ask()
        sizes.append(len(X))
        told(run, X, X[:, 0])
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == 100
    assert sizes[-1] <= 20


# -- plans over time -------------------------------------------------------------------------------------------


def test_coloured_plans_are_smooth_and_include_the_mean() -> None:
    space = Space(u=Real(-1, 1, shape=(20, 2)))
    white = begin(CEM(family="diagonal"), space).ask(300)
    run = begin(CEM(noise_beta=3.0), space)
    coloured = run.ask(300)
    assert space.contains(coloured).all()
    assert (coloured[-1] == 0).all()

    def roughness(X: np.ndarray) -> float:
        return float((np.diff(X.reshape(-1, 20, 2), axis=1) ** 2).mean() / X.var())

    assert roughness(coloured) < 0.2 * roughness(white)
    told(run, coloured, (coloured**2).sum(axis=1))
    assert run.details["elites"].shape[1] == 40


def test_shifted_plans_start_one_step_later() -> None:
    space = Space(u=Real(-1, 1, shape=(6, 2)), gain=Real(0, 1))
    X = space.sample(3, np.random.default_rng(0))
    Y = shifted(space, X, 2)
    before, after = X[:, :12].reshape(3, 6, 2), Y[:, :12].reshape(3, 6, 2)
    assert (after[:, :4] == before[:, 2:]).all()
    assert (after[:, 4:] == before[:, -1:]).all()
    assert (Y[:, 12] == X[:, 12]).all()


# -- permutations ----------------------------------------------------------------------------------------------


def test_transitions_learn_a_tour(encoded: Encoded, drive: Drive) -> None:
    n = 20
    angle = 2 * np.pi * np.random.default_rng(0).permutation(n) / n
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    D = np.hypot(*(points[:, None] - points).transpose(2, 0, 1)) / (2 * n * np.sin(np.pi / n))
    problem = encoded(
        lambda X: D[X.astype(int), np.roll(X.astype(int), -1, axis=1)].sum(axis=1), Space(Permutation(n))
    )
    best = {
        family: drive(CEM(permutation=family, local=0.0), problem, 40_000).best
        for family in ("position", "transition")
    }
    assert best["transition"] < 1.01
    assert best["transition"] <= best["position"]


def test_strengths_learn_an_order(encoded: Encoded, drive: Drive) -> None:
    goal = np.random.default_rng(1).permutation(15)
    problem = encoded(lambda X: (np.argsort(X, axis=1) @ -goal).astype(float), Space(Permutation(15)))
    optimum = -float(np.sort(goal) @ np.sort(np.arange(15)))
    best = drive(CEM(permutation="plackett-luce", local=0.0), problem, 20_000).best
    assert best <= 0.97 * optimum


def test_warming_up_compiles_what_a_run_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second signature would be compiled within the time limit of the first run on a machine."""
    from numba import typeof

    from optengine.kernels import cem_paths, cem_quadratic
    from optengine.solvers.cem import full

    seen: set[tuple[Any, ...]] = set()

    def noted(kernel: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            seen.add((kernel, *map(typeof, arguments)))
            return kernel(*arguments)

        return call

    monkeypatch.setattr(full, "follow", noted(cem_paths.follow))
    monkeypatch.setattr(cem_quadratic, "minimiser", noted(cem_quadratic.minimiser))
    run = begin(CEM(), [(0, 1)] * 4)
    run.warm_up()
    compiled = seen.copy()
    assert len(compiled) == 2
    for _ in range(20):
        X = run.ask()
        told(run, X, (X**2).sum(axis=1))
    assert seen == compiled


@pytest.mark.parametrize(
    "wrong",
    [{"family": "fulll"}, {"nu": 0.0}, {"K": 0}, {"b": 2.0}, {"guide": 3}, {"sigma_schedule": (1, 2)}],
)
def test_wrong_options_are_named(wrong: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(wrong))):
        CEM(**wrong)
