"""The Gaussian process against gpytorch, its gradients against differences, its kernels against NumPy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from optengine.core.space import Binary, Categorical, Integer, Permutation, Real, Simplex, Space, Subset
from optengine.kernels import gp as definition, gp_pairs
from optengine.surrogates.features import LEVEL, Features
from optengine.surrogates.fit import Fit, Prior
from optengine.surrogates.gp import GP, Hyper, Shape, covariance, factor, log_marginal_likelihood, warp
from optengine.surrogates.outcomes import constraint_scaling, objective_scaling

MIXED = Space(
    a=Real(0, 1, shape=3), k=Integer(0, 9), c=Categorical(list("abcd")), b=Binary(), p=Permutation(4)
)
KERNELS = ["rbf", "matern52"]


def data(n: int, seed: int = 0) -> tuple[Features, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    features = Features(MIXED)
    return features, features.of(MIXED.sample(n, rng)), rng.normal(size=n)


def gradient_of(function: Any, Z: np.ndarray, step: float = 1e-6) -> np.ndarray:
    out = np.zeros_like(Z)
    for index in np.ndindex(*Z.shape):
        change = np.zeros_like(Z)
        change[index] = step
        out[index] = (function(Z + change) - function(Z - change)) / (2 * step)
    return out


@pytest.mark.parametrize("kernel", KERNELS)
def test_posterior_is_gpytorchs(kernel: str) -> None:
    torch = pytest.importorskip("torch")
    gpytorch = pytest.importorskip("gpytorch")
    rng = np.random.default_rng(1)
    X, y, new = rng.random((30, 4)), rng.normal(size=30), rng.random((9, 4))
    lengths, scale, noise, mean = np.array([0.3, 0.7, 1.5, 0.4]), 1.7, 0.013, 0.21
    base = gpytorch.kernels.RBFKernel if kernel == "rbf" else gpytorch.kernels.MaternKernel
    inner = base(ard_num_dims=4) if kernel == "rbf" else base(nu=2.5, ard_num_dims=4)

    class Exact(gpytorch.models.ExactGP):  # type: ignore[misc, name-defined]
        def __init__(self, likelihood: Any) -> None:
            super().__init__(torch.tensor(X), torch.tensor(y), likelihood)
            self.mean_module = gpytorch.means.ConstantMean()
            self.covar_module = gpytorch.kernels.ScaleKernel(inner)

        def forward(self, x: Any) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.mean_module(x), self.covar_module(x))

    likelihood = gpytorch.likelihoods.GaussianLikelihood()
    model = Exact(likelihood).double()
    likelihood.double()
    inner.lengthscale = torch.tensor(lengths)
    model.covar_module.outputscale = scale
    likelihood.noise = noise
    model.mean_module.constant.data.fill_(mean)
    model.train()
    likelihood.train()
    with gpytorch.settings.fast_computations(False, False, False), torch.no_grad():
        theirs = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)(
            model(torch.tensor(X)), torch.tensor(y)
        )
        model.eval()
        likelihood.eval()
        posterior = model(torch.tensor(new))
    shape = Shape(np.arange(4), 4, np.zeros(4, bool), np.empty(0, np.int64), kernel)
    ours = GP(shape, Hyper(lengths, scale, noise), X, y, mean=mean)
    means, variances = ours.predict(new)
    np.testing.assert_allclose(means, posterior.mean.numpy(), atol=1e-8)
    np.testing.assert_allclose(variances, posterior.variance.numpy(), atol=1e-8)
    np.testing.assert_allclose(ours.joint(new)[1], posterior.covariance_matrix.detach().numpy(), atol=1e-8)
    assert log_marginal_likelihood(ours) == pytest.approx(30 * float(theirs), rel=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("warping", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_gradient_of_the_posterior_of_hyperparameters(kernel: str, warping: bool, known: bool) -> None:
    features, Z, y = data(25)
    rng = np.random.default_rng(3)
    noise = np.where(rng.random(25) < 0.3, 0.1, np.nan) if known else None
    fit = Fit(Shape.of(features, kernel, warping), Prior(scale=(0.0, 1.0)), Z, y, noise)
    t = fit.drawn(rng)
    numeric = gradient_of(lambda s: fit.objective(s)[0], t, 1e-5)
    np.testing.assert_allclose(fit.objective(t)[1], numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("warping", [False, True])
def test_gradient_by_the_point(kernel: str, warping: bool) -> None:
    features, Z, y = data(25)
    rng = np.random.default_rng(4)
    shape = Shape.of(features, kernel, warping)
    fit = Fit(shape, Prior(), Z, y)
    gp = GP(shape, fit.hyper(fit.drawn(rng)), Z, np.stack([y, y**2], axis=1))
    new = features.of(MIXED.sample(4, rng))
    by_mean, by_variance = rng.normal(size=(4, 2)), rng.normal(size=4)

    def total(Z: np.ndarray) -> float:
        look = gp.look(Z)
        return float((look.mean * by_mean).sum() + look.variance @ by_variance)

    ours = gp.backward(gp.look(new, slopes=True), by_mean, by_variance)
    np.testing.assert_allclose(ours, gradient_of(total, new), atol=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_compiled_pairs_are_the_definition(kernel: str) -> None:
    features, Z, y = data(20)
    shape = Shape.of(features, kernel)
    assert shape.mixed
    hyper = Hyper(np.linspace(0.3, 2.0, features.n_groups), 1.3, 0.1, 0.3)
    A = Z / hyper.lengthscales[shape.groups]
    K, slope_a, slope_b, factors = covariance(shape, hyper, A, A, slopes=True)
    assert slope_a is not None
    assert slope_b is not None
    assert factors is not None
    numbers, levels = np.ascontiguousarray(A[:, ~shape.levels]), np.ascontiguousarray(A[:, shape.levels])
    code = KERNELS.index(kernel)
    ours = gp_pairs.covariances(numbers, levels, code, hyper.scale, hyper.mix, True)
    low = np.tril_indices(20)
    by_mix = hyper.scale * (0.5 * (factors[0] + factors[1]) - factors[0] * factors[1])
    for mine, theirs in zip(ours, (K, slope_a, slope_b, by_mix), strict=True):
        np.testing.assert_allclose(mine[low], theirs[low], atol=1e-13)
    P = np.linalg.inv(K + 0.1 * np.eye(20))
    W = np.outer(y, y) - P
    M = W * slope_a
    np.testing.assert_allclose(
        gp_pairs.pulls(numbers, ours[1], P, y), definition.column_sums(M, numbers), atol=1e-10
    )
    pulls = M.sum(axis=1)[:, None] * numbers - M @ numbers
    np.testing.assert_allclose(gp_pairs.point_pulls(numbers, ours[1], P, y), pulls, atol=1e-10)
    assert gp_pairs.inner(K, P, y) == pytest.approx((W * K).sum())


def test_rows_added_later_are_rows_known_from_the_start() -> None:
    features, Z, y = data(25)
    rng = np.random.default_rng(5)
    shape = Shape.of(features)
    gp = GP(shape, Hyper(np.ones(features.n_groups), 1.0, 1e-3, 0.2), Z, y)
    new = features.of(MIXED.sample(6, rng))
    more = gp.extended(new[:3], rng.normal(size=(3, 5)), 0.1)
    noise = np.r_[np.full(25, 1e-3), np.full(3, 0.1 + 1e-9)]
    whole = GP(shape, gp.hyper, np.concatenate([Z, new[:3]]), more.Y, noise, more.mean)
    np.testing.assert_allclose(more.look(new).mean, whole.look(new).mean, atol=1e-9)
    np.testing.assert_allclose(more.look(new).variance, whole.look(new).variance, atol=1e-9)


def test_fit_finds_what_made_the_data() -> None:
    rng = np.random.default_rng(6)
    Z = rng.random((80, 3))
    shape = Shape(np.arange(3), 3, np.zeros(3, bool), np.empty(0, np.int64), "rbf")
    truth = Hyper(np.array([0.2, 0.5, 50.0]))
    K = covariance(shape, truth, Z / truth.lengthscales, Z / truth.lengthscales)[0]
    y = factor(K + 1e-8 * np.eye(80), 1.0) @ rng.normal(size=80) + 0.1 * rng.normal(size=80)
    fit = Fit(shape, Prior(), Z, y)
    hyper, value = fit.maximum([fit.usual(), fit.drawn(rng)])
    assert value <= fit.objective(fit.parameters(replace(truth, noise=0.01)))[0]
    assert 0.12 < hyper.lengthscales[0] < 0.35
    assert 0.3 < hyper.lengthscales[1] < 0.9
    assert hyper.lengthscales[2] > 2.0
    assert 0.004 < hyper.noise < 0.025


def test_warping_is_kumaraswamys_distribution() -> None:
    shape = Shape(np.arange(1), 1, np.zeros(1, bool), np.arange(1), "rbf")
    Z = np.array([[0.25]])
    hyper = Hyper(np.ones(1), warp=np.array([[2.0], [3.0]]))
    assert warp(shape, hyper, Z)[0, 0] == pytest.approx(1 - (1 - 0.25**2) ** 3)


def test_a_singular_matrix_gets_jitter_and_a_wrong_one_an_error() -> None:
    L = factor(np.ones((4, 4)), 1.0)
    np.testing.assert_allclose(L @ L.T, np.ones((4, 4)), atol=1e-3)
    with pytest.raises(np.linalg.LinAlgError):
        factor(-np.eye(3), 1.0)


def test_distances_of_features() -> None:
    space = Space(
        c=Categorical(list("abc")), p=Permutation(4), s=Subset(3, size=1), m=Simplex(2), k=Integer(0, 4)
    )
    features = Features(space)
    p, q = [0, 1, 2, 3], [3, 2, 1, 0]
    a, b = (
        {"c": "a", "p": p, "s": [0], "m": [1.0, 0.0], "k": 0},
        {"c": "b", "p": q, "s": [0], "m": [1.0, 0.0], "k": 0},
    )
    Z = features.of(space.encode([a, b, a | {"p": [1, 0, 2, 3]}]))
    distance = ((Z[0] - Z[1]) ** 2 * (features.kind == LEVEL)).sum()
    assert distance == pytest.approx(1.0)  # two categories differ by one
    assert ((Z[0] - Z[1]) ** 2).sum() == pytest.approx(2.0)  # and opposite orders too
    assert ((Z[0] - Z[2]) ** 2).sum() == pytest.approx(1 / 6)  # one discordant pair of six


def test_columns_that_do_not_count_make_no_distance() -> None:
    space = Space(kind=Categorical(["u", "v"]), a=Real(0, 1, when=("kind", "u")), b=Real(0, 1))
    Z = Features(space).of(space.encode([{"kind": "v", "b": 0.3}, {"kind": "u", "a": 0.5, "b": 0.3}]))
    assert ((Z[0] - Z[1]) ** 2).sum() == pytest.approx(1.0)


def test_scalings_keep_order_and_sign() -> None:
    y = np.array([1.0, 2.0, 3.0, 1e9, 0.5])
    scaled = objective_scaling(y)(y)
    np.testing.assert_array_equal(np.argsort(scaled), np.argsort(y))
    assert np.ptp(scaled) < 20
    g = np.array([-1e6, -0.1, 0.0, 2.0, 1e9])
    np.testing.assert_array_equal(np.sign(constraint_scaling(g)), np.sign(g))
    for same in (np.zeros(4), np.full(4, -3e8)):
        assert np.isfinite(objective_scaling(same)(same)).all()
        assert np.isfinite(constraint_scaling(same)).all()


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e300])
def test_scalings_take_any_size(value: float) -> None:
    y = np.array([value, -value, 0.5 * value])
    assert np.isfinite(objective_scaling(y)(y)).all()
    assert np.isfinite(constraint_scaling(y)).all()
