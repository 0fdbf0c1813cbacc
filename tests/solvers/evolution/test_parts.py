"""The parts that the strategies share: memory of asked rows, merits, restarts, the normal distribution, the model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, strategies as st

from optengine.backends.cube import Cube
from optengine.core.evaluation import Evaluation, best_first
from optengine.core.pending import Pending
from optengine.core.space import Integer, Real, Row, Space
from optengine.solvers.evolution.gaussian import Gaussian, fold, unfold
from optengine.solvers.evolution.merit import merits
from optengine.solvers.evolution.quadratic import Quadratic, kendall, within_radius
from optengine.solvers.evolution.regimes import Regimes

# -- pending rows --------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6))
def test_every_row_gets_its_own_note_once(seed: int) -> None:
    rng = np.random.default_rng(seed)
    memory, rows, notes = Pending(), [], []
    for batch in range(4):
        X = rng.integers(3, size=(5, 2)).astype(float)  # equal rows, within batches and between them
        memory.add(X, [(batch, i) for i in range(5)])
        rows.append(X)
        notes += [(batch, i) for i in range(5)]
    told = [memory.take(rows[1])]  # a batch as it went
    rest = np.concatenate([rows[0], rows[2], rows[3]])
    order = rng.permutation(len(rest))
    told += [memory.take(rest[part]) for part in np.array_split(order, 3)]
    flat = [note for part in told for note in part]
    assert sorted(flat) == sorted(notes)
    assert list(memory.take(rest[:2])) == [None, None]


def test_the_cube_keeps_fixed_columns_and_known_constraints() -> None:
    space = Space(a=Real(0, 1), b=Real(2, 2), n=Integer(0, 9), rows=[Row({"a": 1, "n": 0.1}, upper=1)])
    cube = Cube(space, np.random.default_rng(0))
    X = cube.to_space(np.random.default_rng(1).random((50, cube.d)))
    assert cube.d == 2
    assert space.satisfies(X).all()
    np.testing.assert_allclose(cube.to_space(cube.from_space(X)), X, atol=1e-12)


# -- merits --------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6))
def test_merits_are_finite_and_rank_as_the_engine_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-8, 8)
    evaluation = Evaluation.of(
        scale * rng.standard_normal((12, 1)), rng.standard_normal((12, 2)) - rng.random()
    )
    lost = rng.random(12) < 0.2
    evaluation.failed |= lost
    evaluation.F[lost], evaluation.G[lost] = np.nan, np.nan
    merit = merits(evaluation)
    assert np.isfinite(merit).all()
    alive = int((~lost).sum())
    np.testing.assert_array_equal(np.argsort(merit, kind="stable")[:alive], best_first(evaluation)[:alive])


# -- restarts ------------------------------------------------------------------------------------------------


def test_bipop_shares_the_evaluations_and_doubles_the_large_runs() -> None:
    rng, regimes = np.random.default_rng(0), Regimes("bipop", 8)
    spent = {"large": 0, "small": 0}
    large = [8]
    for _ in range(60):
        small = regimes.allowance < np.inf
        if not small and regimes.population > large[-1]:
            large.append(regimes.population)
        used = int(min(40 * regimes.population, regimes.allowance))
        spent["small" if small else "large"] += used
        assert regimes.population >= 8 or small
        assert 0.01 <= regimes.step <= 1.0
        regimes.next(used, rng)
    assert large[:5] == [8, 16, 32, 64, 128]
    assert 0.3 < spent["small"] / spent["large"] < 1.5


def test_ipop_doubles_every_time() -> None:
    rng, regimes = np.random.default_rng(0), Regimes("ipop", 6)
    sizes = []
    for _ in range(4):
        sizes.append(regimes.population)
        regimes.next(100, rng)
    assert sizes == [6, 12, 24, 48]


# -- the normal distribution -----------------------------------------------------------------------------------


def test_the_update_is_that_of_the_package_cmaes() -> None:
    """The same samples in the same order give the same mean, step size and covariance."""
    package = pytest.importorskip("cmaes")
    d, rng = 5, np.random.default_rng(3)
    theirs = package.CMA(mean=np.full(d, 0.5), sigma=0.1, population_size=9, seed=0)
    ours = Gaussian(np.full(d, 0.5), 0.1, 9)
    for _ in range(60):
        U = np.array([theirs.ask() for _ in range(9)])
        values = ((U - 0.45) ** 2 * 10.0 ** np.arange(d)).sum(axis=1) + 1e-12 * rng.random(9)
        order = np.argsort(values)
        ours.update(U[order], values[order])
        theirs.tell([(u, v) for u, v in zip(U, values, strict=True)])
        np.testing.assert_allclose(ours.mean, theirs.mean, rtol=1e-6, atol=1e-9)
        assert ours.sigma == pytest.approx(theirs._sigma, rel=1e-6)
    np.testing.assert_allclose(ours._C, theirs._C, rtol=1e-4, atol=1e-9)


@given(seed=st.integers(0, 10**4), sigma=st.floats(1e-6, 10), diagonal=st.booleans())
def test_whitening_is_undone(seed: int, sigma: float, diagonal: bool) -> None:
    rng = np.random.default_rng(seed)
    gaussian = Gaussian(rng.random(4), sigma, 8, diagonal=diagonal)
    for _ in range(3):
        V = gaussian.sample(8, rng)
        np.testing.assert_allclose(gaussian.colour(gaussian.whiten(V)), V, rtol=1e-7, atol=1e-9)
        gaussian.update(V, np.sort(rng.random(8)))


@given(seed=st.integers(0, 10**4), scale=st.floats(1e-3, 1e3))
def test_folding_ends_in_the_cube_is_smooth_and_is_undone(seed: int, scale: float) -> None:
    V = 0.5 + scale * np.random.default_rng(seed).standard_normal((20, 3))
    U = fold(V)
    assert ((U >= 0) & (U <= 1)).all()
    np.testing.assert_allclose(fold(unfold(U)), U, atol=1e-12)
    assert (abs(fold(V + 1e-6) - U) <= 1.0001e-6).all()  # slopes of at most 1, without jumps


def test_folding_leaves_the_inside_alone() -> None:
    V = np.random.default_rng(0).uniform(0.05, 0.95, (50, 4))
    np.testing.assert_array_equal(fold(V), V)
    np.testing.assert_allclose(unfold(np.array([[0.0, 1.0, 0.5]])), [[-0.05, 1.05, 0.5]])


# -- the model -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [1, 3, 8])
def test_a_quadratic_is_learnt_exactly(d: int) -> None:
    rng = np.random.default_rng(d)
    A = rng.standard_normal((d, d))
    H, optimum = A @ A.T + 0.1 * np.eye(d), rng.uniform(0.4, 0.6, d)
    gaussian = Gaussian(np.full(d, 0.5), 0.1, 10)
    model = Quadratic(d, 10)
    n = (d + 1) * (d + 2)
    X = gaussian.sample(n, rng)
    F = 0.5 * np.einsum("ij,jk,ik->i", X - optimum, H, X - optimum)
    model.add(X, F)
    model.fit(gaussian)
    np.testing.assert_allclose(model.minimum(100.0), optimum, atol=1e-4)
    assert kendall(model.predict(X), F) == pytest.approx(1.0)


@given(seed=st.integers(0, 10**6), radius=st.floats(0.1, 10))
def test_nothing_within_the_radius_is_lower(seed: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((4, 4))
    H, slope = A + A.T, rng.standard_normal(4)
    z = within_radius(slope, H, radius)
    assert np.linalg.norm(z) <= radius * (1 + 1e-6)
    others = rng.standard_normal((200, 4))
    others *= radius * rng.random((200, 1)) / np.linalg.norm(others, axis=1, keepdims=True)
    value = slope @ z + 0.5 * z @ H @ z
    assert value <= (others @ slope + 0.5 * np.einsum("ij,jk,ik->i", others, H, others)).min() + 1e-6


def test_kendall_is_that_of_scipy_without_ties() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.random(20), rng.random(20)
    assert kendall(a, b) == pytest.approx(stats.kendalltau(a, b)[0])
