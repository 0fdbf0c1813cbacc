"""What Gaussian families share: reflection, coloured noise, divergences; and the laws of tours and orders."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st

from optengine.kernels import cem_gaussian, cem_orders

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=200)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=30))
def test_reflection_folds(values: list[float]) -> None:
    U = np.array(values)
    folded = cem_gaussian.reflected(U.copy())
    assert ((folded >= 0) & (folded <= 1)).all()
    np.testing.assert_allclose(np.cos(np.pi * folded), np.cos(np.pi * U), atol=1e-9)
    inside = (U >= 0) & (U <= 1)
    np.testing.assert_allclose(folded[inside], U[inside], atol=1e-12)


def test_coloured_noise_has_its_spectrum() -> None:
    rng = np.random.default_rng(0)
    for steps in (16, 33):
        for beta in (0.0, 2.0):
            Z = cem_gaussian.coloured_normals(20_000, steps, 2, beta, rng)
            assert Z.shape == (20_000, steps, 2)
            np.testing.assert_allclose(Z.var(axis=0), 1.0, atol=0.08)
            power = (np.abs(np.fft.rfft(Z[:, :, 0], axis=1)) ** 2).mean(axis=0)
            slope = np.log(power[4] / power[1]) / np.log(4.0)
            assert abs(slope + beta) < 0.1
    assert abs(np.corrcoef(Z[:, 5, 0], Z[:, 5, 1])[0, 1]) < 0.05  # series are independent


@settings(max_examples=200)
@given(d=st.integers(1, 6), seed=seeds)
def test_divergences_agree(d: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, n = rng.normal(size=(2, d))
    v, w = 0.1 + rng.random((2, d))
    diagonal = cem_gaussian.kl_diagonal(m, v, n, w)
    assert diagonal >= 0
    np.testing.assert_allclose(
        cem_gaussian.kl_full(m, np.diag(v), n, np.diag(w)), diagonal, rtol=1e-9, atol=1e-12
    )
    assert cem_gaussian.kl_diagonal(m, v, m, v) == 0


def test_the_share_of_a_step() -> None:
    assert cem_gaussian.step_share(lambda t: 0.1 * t, 1.0) == 1.0
    share = cem_gaussian.step_share(lambda t: 4 * t * t, 1.0)
    assert 0.499 < share <= 0.5


def test_student_weights_trust_far_rows_less() -> None:
    weights = cem_gaussian.student_weights(np.full(3, 1 / 3), np.array([1.0, 5.0, 100.0]), 5, 3.0)
    assert (np.diff(weights) < 0).all()
    np.testing.assert_allclose(weights.sum(), 1.0)


@settings(max_examples=200)
@given(n=st.integers(1, 9), rows=st.integers(1, 20), seed=seeds)
def test_tours_are_their_definition(n: int, rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    P = rng.random((n, n)) * (rng.random((n, n)) < 0.7)
    U = rng.random((rows, n))
    X = cem_orders.tours(P, U)
    assert (X == cem_orders.tours_reference(P, U)).all()
    assert (np.sort(X, axis=1) == np.arange(n)).all()


def test_tours_follow_their_transitions() -> None:
    n = 8
    P = np.full((n, n), 1e-9)
    P[np.arange(n), (np.arange(n) + 3) % n] = 1.0
    X = cem_orders.tours(P, np.random.default_rng(0).random((50, n)))
    assert ((np.diff(X, axis=1) % n) == 3).all()
    frequencies = cem_orders.transition_frequencies(X, np.full(50, 1 / 50))
    np.testing.assert_allclose(frequencies.sum(axis=1), 1.0)
    np.testing.assert_allclose(frequencies, frequencies.T)
    np.testing.assert_allclose(frequencies[np.arange(n), (np.arange(n) + 3) % n], 0.5)


def test_plackett_luce_draws_and_fits() -> None:
    logs = np.log([4.0, 2.0, 1.0, 1.0])
    rng = np.random.default_rng(0)
    X = cem_orders.plackett_luce(logs, rng.random((40_000, 4)))
    assert abs((X[:, 0] == 0).mean() - 0.5) < 0.01
    fitted = np.zeros(4)
    for _ in range(60):
        fitted = cem_orders.plackett_luce_fit(X, np.full(len(X), 1 / len(X)), fitted)
    np.testing.assert_allclose(fitted, logs - logs.mean(), atol=0.05)
