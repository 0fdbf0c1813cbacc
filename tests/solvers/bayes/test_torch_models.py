"""The BoTorch models: each learns what it is for, and none leaves traces in torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'bayes' is not installed")
pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")

from optengine.surrogates.botorch_support import calm, require_torch  # noqa: E402

require_torch()

from optengine.surrogates.botorch_kernels import FidelityKernel, GroupedKernel, MixedKernel  # noqa: E402
from optengine.surrogates.botorch_models import BUILDERS, Fitter, Inputs  # noqa: E402


def wave(Z: np.ndarray) -> np.ndarray:
    return (np.sin(4.0 * Z[:, 0]) + Z[:, 1] ** 2)[:, None]


def data(n: int = 24, d: int = 2, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    Z = np.random.default_rng(seed).random((n, d))
    Y = wave(Z)
    return Z, (Y - Y.mean()) / Y.std()


def predicted(model: Any, Z: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        posterior = model.posterior(torch.from_numpy(Z))
    return getattr(posterior, "mixture_mean", posterior.mean).numpy()


SINGLE = ("gp", "mixed", "ibnn", "saas", "fully_bayesian", "additive", "robust")


@pytest.mark.parametrize("kind", SINGLE)
def test_every_model_predicts_a_smooth_function(kind: str) -> None:
    Z, Y = data()
    with calm(seed=0):
        model = Fitter(kind, Inputs([0, 1], [], []), maxiter=30).fit(Z[:18], Y[:18])
        error = np.abs(predicted(model, Z[18:]) - Y[18:])
    assert error.mean() < 0.2


@pytest.mark.parametrize("kind", ["gp", "saas"])
def test_several_outputs_are_modelled_apart(kind: str) -> None:
    Z, Y = data(16)
    both = np.concatenate([Y, -Y], axis=1)
    with calm(seed=0):
        mean = predicted(Fitter(kind, Inputs([0, 1], [], []), maxiter=30).fit(Z, both), Z)
    assert mean.shape[-1] == 2
    np.testing.assert_allclose(mean.reshape(-1, 2)[-16:], both, atol=0.4)


def test_known_noise_is_believed() -> None:
    Z, Y = data(12)
    with calm(seed=0):
        fitter = Fitter("gp", Inputs([0, 1], [], []))
        exact = predicted(fitter.fit(Z, Y, np.zeros_like(Y)), Z)
        loose = predicted(fitter.fit(Z, Y, np.full_like(Y, 4.0)), Z)
    np.testing.assert_allclose(exact, Y, atol=1e-3)
    assert np.abs(loose - Y).max() > 0.2


def test_a_fit_starts_where_the_last_one_ended() -> None:
    Z, Y = data(20)
    with calm(seed=0):
        fitter = Fitter("gp", Inputs([0, 1], [], []))
        first = fitter.fit(Z[:19], Y[:19]).covar_module.lengthscale.detach().numpy()
        kept = fitter.fit(Z, Y, refit=False).covar_module.lengthscale.detach().numpy()
    np.testing.assert_array_equal(first, kept)


def test_outliers_do_not_move_the_robust_model() -> None:
    Z, Y = data(24)
    spoilt = Y.copy()
    spoilt[3] += 8.0
    with calm(seed=0):
        robust = predicted(Fitter("robust", Inputs([0, 1], [], []), 30).fit(Z, spoilt), Z)
        plain = predicted(Fitter("gp", Inputs([0, 1], [], []), 30).fit(Z, spoilt), Z)
    others = np.arange(24) != 3
    assert np.abs(robust - Y)[others].mean() < 0.5 * np.abs(plain - Y)[others].mean()


def test_an_earlier_task_helps_where_this_one_has_no_values() -> None:
    Z, Y = data(24)
    task = np.array([[1.0]] * 20 + [[0.0]] * 4)
    Z_all = np.concatenate([Z, task], axis=1)
    at = np.concatenate([Z[:20], np.zeros((20, 1))], axis=1)
    with calm(seed=0):
        model = Fitter("multitask", Inputs([0, 1], [], [])).fit(Z_all, Y)
        alone = Fitter("gp", Inputs([0, 1], [], [])).fit(Z[20:], Y[20:])
        helped = np.abs(predicted(model, at) - Y[:20]).mean()
        unhelped = np.abs(predicted(alone, Z[:20]) - Y[:20]).mean()
    assert helped < 0.6 * unhelped


def test_derivatives_help() -> None:
    Z, Y = data(10)
    scale = wave(Z).std()
    slopes = np.stack([4.0 * np.cos(4.0 * Z[:, 0]), 2.0 * Z[:, 1]], axis=1) / scale
    with calm(seed=0):
        with_slopes = Fitter("gradients", Inputs([0, 1], [], [])).fit(Z[:4], Y[:4], slopes=slopes[:4])
        without = Fitter("gp", Inputs([0, 1], [], [])).fit(Z[:4], Y[:4])
        better = np.abs(predicted(with_slopes, Z[4:]) - Y[4:]).mean()
        worse = np.abs(predicted(without, Z[4:]) - Y[4:]).mean()
    assert better < 0.5 * worse


def test_grouped_features_make_the_hamming_kernel() -> None:
    with calm():
        kernel = GroupedKernel([0, 1, 1, 1]).double()
        kernel.lengthscale = torch.tensor([[0.5, 0.7]])
        hot = np.sqrt(0.5) * np.eye(3)
        x = torch.from_numpy(np.column_stack([[0.1, 0.4, 0.4], hot]))
        K = kernel(x).to_dense().detach().numpy()
    number, level = np.exp(-0.5 * (0.3 / 0.5) ** 2), np.exp(-0.5 / 0.7**2)
    np.testing.assert_allclose(K[0, 1], number * level, rtol=1e-10)
    np.testing.assert_allclose(K[1, 2], level, rtol=1e-10)


@pytest.mark.parametrize("kind", ["rbf", "matern52"])
def test_kernels_are_positive_and_their_diagonals_agree(kind: str) -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.random((9, 4)))
    with calm():
        for kernel in (
            GroupedKernel([0, 1, 1, 2], kind),
            FidelityKernel([0, 1, 2, 3], [3], kind),
            MixedKernel([0, 1, 2, 2], [2], kind),
        ):
            K = kernel(x).to_dense().detach()
            torch.testing.assert_close(K, K.T)
            torch.testing.assert_close(kernel(x, diag=True), K.diagonal())
            assert float(torch.linalg.eigvalsh(K).min()) > -1e-10


def test_at_the_target_a_fidelity_kernel_is_the_kernel_of_the_target() -> None:
    x = torch.from_numpy(np.random.default_rng(0).random((5, 3)))
    x[:, 2] = 1.0
    with calm():
        kernel = FidelityKernel([0, 1, 2], [2])
        torch.testing.assert_close(kernel(x).to_dense(), kernel.target(x[:, :2]).to_dense())


def test_torch_is_left_as_it_was() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.get_default_dtype()
    with calm(threads=1, seed=5):
        assert torch.get_default_dtype() == torch.float64
        torch.rand(3)
    assert torch.equal(before[0], torch.get_rng_state())
    assert (torch.get_num_threads(), torch.get_default_dtype()) == before[1:]


def test_the_sampled_model_is_a_mixture_of_different_models() -> None:
    Z, Y = data(12)
    with calm(seed=0):
        model = Fitter("fully_bayesian", Inputs([0, 1], [], [])).fit(Z, Y)
    assert len(BUILDERS) >= 9
    assert model.covar_module.lengthscale.detach().flatten(1).std(dim=0).min() > 0.01
