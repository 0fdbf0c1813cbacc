"""Expected improvement against quadrature, gradients against differences, the ascent against known maxima."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad

from optengine.solvers.bayes.acquisition import log_ei, log_feasible, log_h
from optengine.solvers.bayes.ascent import ascend


@pytest.mark.parametrize("z", [-40.0, -33.3, -20.0, -9.5, -5.0, -1.01, -1.0, -0.99, -0.3, 0.0, 1.0, 4.0, 8.0])
def test_log_h_is_the_integral(z: float) -> None:
    # h(z) = int_0^inf Phi(z - t) dt = phi(z) int_0^inf s exp(z s - s^2 / 2) ds, without phi(z) nothing underflows
    integral, _ = quad(
        lambda s: s * math.exp(z * s - 0.5 * s * s),
        0,
        50,
        epsabs=0,
        epsrel=1e-13,
        limit=400,
        points=[max(z, 0.02)],
    )
    expected = -0.5 * z * z - 0.5 * math.log(2 * math.pi) + math.log(integral)
    assert log_h(np.array([z]))[0] == pytest.approx(expected, abs=1e-10, rel=1e-13)


def test_log_h_goes_on_smoothly_where_its_forms_change() -> None:
    for edge in (-1.0, -1e5):
        z = edge + np.array([-1e-9, 1e-9]) * abs(edge)
        assert abs(np.diff(log_h(z))[0] / np.diff(z)[0]) < 1.1 * max(1.0, abs(edge)) + 2
    assert np.isfinite(log_h(np.array([-1e150, -1e8, 1e8]))).all()


def test_gradients() -> None:
    rng = np.random.default_rng(0)
    mean, variance, best = 3 * rng.normal(size=(6, 4)), rng.uniform(0.01, 2, 6), rng.normal(size=4)
    _, by_mean, by_variance = log_ei(mean, variance, best)
    step = 1e-6
    for i, j in np.ndindex(6, 4):
        change = np.zeros_like(mean)
        change[i, j] = step
        numeric = (log_ei(mean + change, variance, best)[0] - log_ei(mean - change, variance, best)[0])[i]
        assert by_mean[i, j] == pytest.approx(numeric / (2 * step), abs=1e-5, rel=1e-5)
    numeric = log_ei(mean, variance + 1e-7, best)[0] - log_ei(mean, variance - 1e-7, best)[0]
    np.testing.assert_allclose(by_variance, numeric / 2e-7, rtol=1e-4, atol=1e-5)
    m = mean[:, 0]
    _, slope, by_variance = log_feasible(m, variance)
    numeric = log_feasible(m + step, variance)[0] - log_feasible(m - step, variance)[0]
    np.testing.assert_allclose(slope, numeric / (2 * step), rtol=1e-5, atol=1e-6)
    numeric = log_feasible(m, variance + 1e-7)[0] - log_feasible(m, variance - 1e-7)[0]
    np.testing.assert_allclose(by_variance, numeric / 2e-7, rtol=1e-4, atol=1e-5)


def test_samples_are_averaged_before_the_logarithm() -> None:
    mean, variance, best = np.array([[0.0, 1.0, 2.0]]), np.array([0.5]), np.array([0.3, 0.2, 0.1])
    single = [log_ei(mean[:, [j]], variance, best[[j]])[0][0] for j in range(3)]
    assert log_ei(mean, variance, best)[0][0] == pytest.approx(math.log(np.exp(single).mean()))


def test_ascent_finds_maxima_of_quadratics_in_a_box() -> None:
    rng = np.random.default_rng(1)
    d = 6
    Q = rng.normal(size=(d, d))
    H = Q @ Q.T + 0.1 * np.eye(d)
    top = np.array([0.5, 0.2, 0.9, 0.4, 1.5, -0.3])  # the last two lie outside the box

    def f(U: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        step = U - top
        return -0.5 * np.einsum("ij,ij->i", step @ H, step), -step @ H

    U, values = ascend(f, rng.random((5, d)), np.zeros(d), np.ones(d), 200, 1e-14)
    assert ((U >= 0) & (U <= 1)).all()
    gradient = f(U, np.arange(5))[1]
    free = (U > 1e-9) & (U < 1 - 1e-9)
    assert np.abs(gradient[free]).max() < 1e-4
    assert (gradient[U <= 1e-9] < 1e-4).all()
    assert np.ptp(values) < 1e-6


def test_starts_do_not_disturb_each_other() -> None:
    def f(U: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.sin(7 * U).sum(axis=1), 7 * np.cos(7 * U)

    starts = np.random.default_rng(2).random((7, 3))
    together, _ = ascend(f, starts, np.zeros(3), np.ones(3), 60, 1e-12)
    alone = np.concatenate([ascend(f, s[None, :], np.zeros(3), np.ones(3), 60, 1e-12)[0] for s in starts])
    np.testing.assert_allclose(together, alone, atol=1e-9)
