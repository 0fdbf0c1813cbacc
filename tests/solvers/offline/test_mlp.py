"""Losses against hand-worked cases, the sharpness regulariser against its exact form, and training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from optengine.core.errors import OptionError
from optengine.surrogates import mlp_losses as losses
from optengine.surrogates.mlp_sharpness import Regulariser, Sharpness, norm_of, sharpness_gradient

torch = pytest.importorskip("torch")


def tensor(values: Any) -> Any:
    return torch.tensor(values, dtype=torch.float64)


def test_losses_by_hand() -> None:
    f, t = tensor([[0.0, math.log(3.0)]]), tensor([[0.0, 0.0]])
    assert losses.mse(f, t).item() == pytest.approx(math.log(3.0) ** 2 / 2)
    # softmax(f) = (1/4, 3/4), softmax(t) = (1/2, 1/2)
    assert losses.listnet(f, t).item() == pytest.approx(-0.5 * math.log(0.25) - 0.5 * math.log(0.75))
    assert losses.rankcosine(tensor([[1.0, 0.0]]), tensor([[0.0, 2.0]])).item() == pytest.approx(0.5)
    assert losses.rankcosine(tensor([[1.0, 2.0]]), tensor([[2.0, 4.0]])).item() == pytest.approx(0.0)
    # a raw deviation of 0 is halfway between the bounds: 0.15
    one = losses.nll(tensor([[1.0]]), tensor([[0.0]]), tensor([[1.3]])).item()
    assert one == pytest.approx(0.5 * (0.3 / 0.15) ** 2 + math.log(0.15))


def test_listnet_is_least_where_the_order_and_the_gaps_agree() -> None:
    t = tensor([[0.3, -1.0, 2.0]])
    least = losses.listnet(t + 5.0, t)
    for other in ([[0.3, -1.0, 1.0]], [[2.0, -1.0, 0.3]]):
        assert losses.listnet(tensor(other), t) > least


def test_the_line_integral_of_a_quadratic_is_exact() -> None:
    """f = x^2: the gradient is linear, and the trapezium rule is exact."""

    def square(x: Any) -> Any:
        return (x**2).sum(dim=2)

    A, B = tensor([[[1.0], [0.0]]]), tensor([[[3.0], [-2.0]]])
    assert losses.line_integral(square, A, B, tensor([[8.0, 4.0]])).item() == pytest.approx(0.0)
    assert losses.line_integral(square, A, B, tensor([[8.0, 2.0]])).item() == pytest.approx(2.0)


def test_overestimation_by_hand() -> None:
    """f = 2x: two steps of rate 0.1 move by 0.4, and f rises by 0.8."""

    def line(x: Any) -> Any:
        return 2.0 * x.sum(dim=2)

    x = tensor([[[1.0], [5.0]]])
    assert losses.ascended(line, x, 2, 0.1).tolist() == [[[1.4], [5.4]]]
    assert losses.conservative(line, x, 2, 0.1).item() == pytest.approx(0.8)


def tanh_net() -> tuple[list[Any], Any]:
    """Three networks 4-8-1 and the mean prediction of each over a batch."""
    rng = np.random.default_rng(0)
    shapes = ((3, 4, 8), (3, 1, 8), (3, 8, 1), (3, 1, 1))
    weights = [tensor(rng.normal(size=s)).requires_grad_(True) for s in shapes]
    x = tensor(rng.normal(size=(3, 32, 4)))

    def height() -> Any:
        hidden = torch.tanh(torch.baddbmm(weights[1], x, weights[0]))
        return torch.baddbmm(weights[3], hidden, weights[2])[..., 0].mean(dim=1)

    return weights, height


def test_finite_differences_are_the_hessian_vector_product() -> None:
    weights, height = tanh_net()
    exact, norm = sharpness_gradient(height, weights, 1.0, exact=True)
    near, same = sharpness_gradient(height, weights, 1e-4)
    torch.testing.assert_close(norm, same)
    scale = norm_of(exact)
    error = norm_of([a - b for a, b in zip(near, exact, strict=True)])
    assert (error <= 1e-3 * scale).all()


def test_the_exact_form_is_the_gradient_of_the_norm() -> None:
    weights, height = tanh_net()
    exact, _ = sharpness_gradient(height, weights, 1.0, exact=True)

    def norm() -> Any:
        return norm_of(torch.autograd.grad(height().sum(), weights))

    step = 1e-6
    with torch.no_grad():
        weights[0][1, 2, 3] += step
    up = norm()
    with torch.no_grad():
        weights[0][1, 2, 3] -= 2 * step
    change = (up - norm()) / (2 * step)
    assert change[1].item() == pytest.approx(exact[0][1, 2, 3].item(), rel=1e-4)
    assert change[0].item() == change[2].item() == 0.0  # members do not see each other


def test_multipliers_follow_the_constraint_and_stay_positive() -> None:
    weights, height = tanh_net()
    norm = sharpness_gradient(height, weights, 1e-3)[1]
    for epsilon, grows in ((0.0, True), (1e9, False)):
        regulariser = Regulariser(Sharpness(kind="lagrangian", epsilon=epsilon), 3, "cpu")
        for w in weights:
            w.grad = torch.zeros_like(w)
        regulariser.add(height, weights)
        if grows:
            expected = 1e-3 + 1e-3 * 0.05 * norm
            torch.testing.assert_close(regulariser.multiplier.double(), expected, rtol=1e-4, atol=0)
        else:
            assert (regulariser.multiplier == 0.0).all()
        assert all((w.grad != 0).any() for w in weights[:3])


def test_published_defaults() -> None:
    one, two = Sharpness(kind="lagrangian"), Sharpness(kind="fixed")
    assert (one.multiplier, one.rate, one.rho, one.step, one.epsilon) == (1e-3, 1e-3, 0.05, 0.05, 0.1)
    assert (two.multiplier, two.rho, two.step) == (0.01, 0.2, 0.2)
    with pytest.raises(OptionError, match="sharpness must be one of"):
        Sharpness(kind="some")


@pytest.mark.parametrize("loss", losses.LOSSES)
@pytest.mark.parametrize("sharpness", ["none", "lagrangian"])
def test_every_loss_learns_the_order(loss: str, sharpness: str) -> None:
    from optengine.surrogates.mlp import MLPEnsemble, Training
    from optengine.surrogates.posterior import spearman

    rng = np.random.default_rng(0)
    Z = rng.random((300, 3))
    y = Z @ np.array([1.0, -2.0, 0.5]) + Z[:, 0] * Z[:, 1]
    y = (y - y.mean()) / y.std()
    training = Training(
        members=2, hidden=24, loss=loss, steps=150, batch=64, rate=1e-2, sharpness=Sharpness(kind=sharpness)
    )
    model = MLPEnsemble(Z, y, training, np.random.default_rng(1))
    fresh = rng.random((200, 3))
    truth = fresh @ np.array([1.0, -2.0, 0.5]) + fresh[:, 0] * fresh[:, 1]
    P, S = model.slope(fresh)
    np.testing.assert_allclose(P, model.mean(fresh), rtol=1e-4, atol=1e-5)
    assert min(spearman(p, truth) for p in P) > 0.8
    assert S.shape == (2, 200, 3)
    assert (S[:, :, 1].mean(axis=1) < 0).all()
    again = MLPEnsemble(Z, y, training, np.random.default_rng(1))
    np.testing.assert_array_equal(again.mean(fresh), model.mean(fresh))
    if loss in losses.RANKING:  # output adaptation
        np.testing.assert_allclose(model.mean(Z).mean(axis=1), 0.0, atol=1e-5)
        np.testing.assert_allclose(model.mean(Z).std(axis=1), 1.0, atol=1e-5)


def test_wrong_options_are_named() -> None:
    from optengine.surrogates.mlp import Training

    with pytest.raises(OptionError, match="loss must be one of"):
        Training(loss="hinge")
    with pytest.raises(OptionError, match="activation must be one of"):
        Training(activation="step")
