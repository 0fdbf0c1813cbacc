"""The process over cheap and dear versions: against its definition in NumPy, and what it makes of them."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.core.space import Categorical, Ordinal, Real, Space
from optengine.surrogates.features import Features
from optengine.surrogates.fidelity import OFFSET, FidelityFit, FidelityGP, FidelityHyper, Layout
from optengine.surrogates.fit import Prior
from optengine.surrogates.gp import Shape

SPACE = Space(
    x=Real(0, 1, shape=2),
    k=Categorical(list("abc")),
    s=Ordinal([0.4, 0.7, 1.0], fidelity=True),
    t=Real(0, 1, fidelity=True),
)
KERNELS = ("rbf", "matern52")


def layout(kernel: str = "matern52") -> tuple[Features, Layout]:
    features = Features(SPACE)
    places = np.array([features.place_of(c) for c, _ in SPACE.fidelity.values()])
    return features, Layout(Shape.of(features, kernel), places, np.ones(2))


def data(kernel: str = "matern52", n: int = 22) -> tuple[FidelityFit, np.ndarray, np.ndarray]:
    """A fit, and two sets of features: those that were told, and new ones of any fidelity."""
    rng = np.random.default_rng(0)
    features, where = layout(kernel)
    X = SPACE.sample(n, rng)
    X[:5, -2:] = 2.0, 1.0  # at the target
    fit = FidelityFit(where, Prior(scale=(0.0, 1.0)), features.of(X), rng.normal(size=n))
    return fit, features.of(X), features.of(SPACE.sample(7, rng))


def shown(kernel: str, A: np.ndarray, B: np.ndarray, lengths: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The covariance of features, pair by pair."""
    r = np.sqrt((((A[:, None] - B[None]) / lengths[groups]) ** 2).sum(axis=2))
    if kernel == "rbf":
        return np.asarray(np.exp(-0.5 * r**2))
    return np.asarray((1 + np.sqrt(5) * r + 5 / 3 * r**2) * np.exp(-np.sqrt(5) * r))


def dense(kernel: str, where: Layout, h: FidelityHyper, Z: np.ndarray, W: np.ndarray) -> np.ndarray:
    """The covariance as the module's first lines state it."""
    groups = where.shape.groups
    plain = [j for j in range(Z.shape[1]) if j not in where.places]
    shared = h.scale * shown(kernel, Z[:, plain], W[:, plain], h.lengthscales, groups[plain])
    error = h.error_scale * shown(kernel, Z, W, h.error_lengthscales, groups) + OFFSET
    a, b = (np.sqrt(((1 - A[:, where.places]) ** 2).mean(axis=1)) for A in (Z, W))
    return np.asarray(
        np.outer(1 + h.slope * a, 1 + h.slope * b) * shared + np.outer(a**h.power, b**h.power) * error
    )


@pytest.mark.parametrize("kernel", KERNELS)
def test_predictions_at_the_target_are_those_of_the_dense_formulas(kernel: str) -> None:
    fit, Z, new = data(kernel)
    where, rng = fit.layout, np.random.default_rng(1)
    h = fit.hyper(fit.drawn(rng))
    y = fit.y
    gp = FidelityGP(where, h, Z, y)
    target = where.at_target(new)
    inverse = np.linalg.inv(dense(kernel, where, h, Z, Z) + h.noise * np.eye(len(Z)))
    loads = 1 + h.slope * where.away(Z)
    mean = loads @ inverse @ y / (loads @ inverse @ loads)
    k = dense(kernel, where, h, target, Z)
    np.testing.assert_allclose(gp.predict(target)[0], mean + k @ inverse @ (y - mean * loads), atol=1e-8)
    covariance = dense(kernel, where, h, target, target) - k @ inverse @ k.T
    np.testing.assert_allclose(gp.joint(target)[1], covariance, atol=1e-8)
    both = np.concatenate([new, target])  # what a value tells of the target is their squared correlation
    K = dense(kernel, where, h, both, Z)
    joint = dense(kernel, where, h, both, both) - K @ inverse @ K.T
    m, i = len(new), np.arange(len(new))
    told = joint[i, m + i] ** 2 / (joint[i, i] + h.noise) / joint[m + i, m + i]
    np.testing.assert_allclose(gp.told_by(new), told, atol=1e-8)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("known", [False, True])
def test_gradient_of_the_posterior_of_hyperparameters(kernel: str, known: bool) -> None:
    fit, Z, _ = data(kernel)
    rng = np.random.default_rng(2)
    if known:
        noise = np.where(rng.random(len(Z)) < 0.3, 0.1, np.nan)
        fit = FidelityFit(fit.layout, fit.prior, Z, fit.y, noise)
    t = fit.drawn(rng)
    t[-2] = 0.3  # the slope
    step = 1e-5 * np.eye(len(t))
    numeric = [(fit.objective(t + e)[0] - fit.objective(t - e)[0]) / 2e-5 for e in step]
    np.testing.assert_allclose(fit.objective(t)[1], numeric, rtol=1e-5, atol=1e-5)
    again = fit.parameters(fit.hyper(t))
    np.testing.assert_allclose(fit.parameters(fit.hyper(again)), again)


def test_gradient_by_the_point_and_rows_added_later() -> None:
    fit, Z, new = data()
    rng = np.random.default_rng(3)
    gp = FidelityGP(fit.layout, fit.hyper(fit.drawn(rng)), Z, fit.y)
    target = fit.layout.at_target(new)
    by_mean, by_variance = rng.normal(size=(7, 1)), rng.normal(size=7)

    def total(A: np.ndarray) -> float:
        look = gp.look(A)
        return float((look.mean * by_mean).sum() + look.variance @ by_variance)

    ours = gp.backward(gp.look(target, slopes=True), by_mean, by_variance)
    step = 1e-6
    for j in range(2):  # the numbers
        e = np.zeros_like(target)
        e[:, j] = step
        numeric = [
            (
                total(target + e * (np.arange(7) == i)[:, None])
                - total(target - e * (np.arange(7) == i)[:, None])
            )
            / (2 * step)
            for i in range(7)
        ]
        np.testing.assert_allclose(ours[:, j], numeric, atol=1e-6)
    np.testing.assert_array_equal(ours[:, fit.layout.places], 0.0)
    y = rng.normal(size=2)
    later = gp.extended(target[:2], y[:, None])
    noise = np.append(np.full(len(Z), np.nan), [1e-9] * 2)
    assert isinstance(gp.hyper, FidelityHyper)
    whole = FidelityGP(fit.layout, gp.hyper, np.concatenate([Z, target[:2]]), np.append(fit.y, y), noise)
    np.testing.assert_allclose(later.look(target).variance, whole.look(target).variance, atol=1e-6)


def test_cheap_values_tell_where_the_target_is_low() -> None:
    """Forty cheap values and four dear ones predict the target better than the four alone, though they are off by 3."""
    rng = np.random.default_rng(0)
    space = Space(x=Real(0, 1), s=Ordinal([0, 1], fidelity=True))
    features = Features(space)
    X = np.column_stack([np.append(np.linspace(0, 1, 40), [0.1, 0.4, 0.6, 0.95]), np.repeat([0, 1], [40, 4])])

    def f(x: np.ndarray, s: np.ndarray) -> np.ndarray:
        return np.asarray(np.sin(9 * x) + (1 - s) * (3.0 + 0.8 * x))

    where = Layout(Shape.of(features), np.array([features.place_of(1)]), np.ones(1))
    Z, y = features.of(X), f(*X.T)
    fit = FidelityFit(where, Prior(scale=(0.0, 1.0), noise=(-10.0, 2.0)), Z, y)
    hyper, _ = fit.maximum([fit.usual(), fit.drawn(rng)], 60)
    new = np.column_stack([np.linspace(0, 1, 50), np.ones(50)])
    assert isinstance(hyper, FidelityHyper)
    means = FidelityGP(where, hyper, Z, y).predict(features.of(new))[0]
    assert np.sqrt(((means - f(*new.T)) ** 2).mean()) < 0.1
