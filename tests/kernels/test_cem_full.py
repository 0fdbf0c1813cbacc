"""What the full family is refitted by: quadratics, evolution paths and factors, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels import cem_paths, cem_quadratic


@pytest.mark.parametrize("full", [False, True])
def test_the_minimiser_is_its_definition(full: bool) -> None:
    for seed in range(100):
        rng = np.random.default_rng(seed)
        d = int(rng.integers(1, 13))
        n = int(1.2 * (1 + 2 * d + d * (d - 1) // 2 * full)) + 3
        X, B = rng.random((n, d)), rng.normal(size=(d, d))
        F = (((X - rng.random(d)) @ B) ** 2).sum(axis=1) + 0.01 * rng.normal(size=n)
        axes, _ = np.linalg.qr(rng.normal(size=(d, d)))
        deviations, centre = 0.3 * np.exp(rng.normal(size=d)), rng.random(d)
        found = cem_quadratic.minimiser(X, F, centre, axes, deviations, full)
        wanted = cem_quadratic.minimiser_numpy(X, F, centre, axes, deviations, full)
        np.testing.assert_allclose(found, wanted, atol=1e-6)
        assert ((found >= -1e-12) & (found <= 1 + 1e-12)).all()


def test_the_minimum_of_an_exact_quadratic_is_found() -> None:
    rng = np.random.default_rng(3)
    for d in range(1, 11):
        X, place, B = (
            rng.random((3 * (1 + 2 * d + d * d), d)),
            0.2 + 0.6 * rng.random(d),
            rng.normal(size=(d, d)),
        )
        F = (((X - place) @ (B + 2 * np.eye(d))) ** 2).sum(axis=1)
        found = cem_quadratic.minimiser(X, F, np.full(d, 0.5), np.eye(d), np.full(d, 0.3), True)
        np.testing.assert_allclose(found, place, atol=1e-6)


def test_points_that_determine_nothing_are_an_error_or_a_point() -> None:
    X = np.full((12, 3), 0.25)
    X[0] = 0.75
    F = np.arange(12.0)
    try:
        found = cem_quadratic.minimiser(X, F, np.full(3, 0.5), np.eye(3), np.full(3, 0.3), False)
    except np.linalg.LinAlgError:
        return
    assert np.isfinite(found).all()


def test_the_paths_are_their_definition() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        d = int(rng.integers(1, 20))
        B, M = rng.normal(size=(2, d, d))
        C, moment = B @ B.T + np.eye(d), M @ M.T
        step, paths = rng.normal(size=d), rng.normal(size=(2, d))
        _, _, _, inverse_root = cem_paths.factors(C, 1e14)
        effective, generation = float(rng.uniform(1, 50)), int(rng.integers(1, 100))
        C_2, paths_2 = C.copy(), paths.copy()
        factor = cem_paths.follow(step, moment, C, paths, inverse_root, effective, generation)
        wanted = cem_paths.follow_numpy(step, moment, C_2, paths_2, inverse_root, effective, generation)
        np.testing.assert_allclose(factor, wanted, rtol=1e-12)
        np.testing.assert_allclose(C, C_2, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(paths, paths_2, rtol=1e-10, atol=1e-12)


def test_the_factors_are_their_definition() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        d = int(rng.integers(1, 30))
        B = rng.normal(size=(d, d))
        C = B @ B.T
        vectors, roots, root, inverse_root = cem_paths.factors(C, 1e14)
        for found, wanted in zip(
            (vectors, roots, root, inverse_root), cem_paths.factors_numpy(C, 1e14), strict=True
        ):
            np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * np.abs(wanted).max())
        np.testing.assert_allclose(root.T @ root, C, atol=1e-9 * np.abs(C).max())
