"""Hypergradients against ridge regression, whose optimum is known in closed form, and their failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.workflows import implicit_hypergradient

torch = pytest.importorskip("torch")


class Ridge:
    """Decay exp(h_i) of each weight; weights at the optimum of training."""

    def __init__(self, seed: int = 0, n: int = 30, d: int = 5) -> None:
        rng = np.random.default_rng(seed)
        X, V = rng.normal(size=(n, d)), rng.normal(size=(n, d))
        truth = rng.normal(size=d)
        y, u = X @ truth + 0.5 * rng.normal(size=n), V @ truth
        self.X, self.y, self.V, self.u = (torch.tensor(a) for a in (X, y, V, u))
        self.h = torch.tensor(rng.normal(size=d), requires_grad=True)
        self.w = self.optimum(self.h).detach().requires_grad_()

    def optimum(self, h: Any) -> Any:
        return torch.linalg.solve(self.X.T @ self.X + torch.diag(torch.exp(h)), self.X.T @ self.y)

    def training(self) -> Any:
        return 0.5 * ((self.X @ self.w - self.y) ** 2).sum() + 0.5 * (torch.exp(self.h) * self.w**2).sum()

    def validation(self, w: Any = None) -> Any:
        w = self.w if w is None else w
        return ((self.V @ w - self.u) ** 2).mean() + 0.01 * (self.h**2).sum()

    def exact(self) -> Any:
        return torch.autograd.grad(self.validation(self.optimum(self.h)), self.h)[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("method", "steps"), [("cg", 50), ("neumann", 3000)])
def test_ridge_has_its_closed_form(seed: int, method: str, steps: int) -> None:
    ridge = Ridge(seed)
    found = implicit_hypergradient(
        ridge.training, ridge.validation, [ridge.w], [ridge.h], method=method, steps=steps
    )
    np.testing.assert_allclose(found.gradient[0], ridge.exact(), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.direct[0], 0.02 * ridge.h.detach())
    assert found.residual < 1e-8
    if method == "cg":
        assert found.products <= 5 + 2  # as many as there are weights, and one for the residual


def test_a_short_series_is_the_truncated_sum() -> None:
    ridge = Ridge()
    H = ridge.X.T @ ridge.X + torch.diag(torch.exp(ridge.h.detach()))
    v = torch.autograd.grad(ridge.validation(), ridge.w)[0]
    rate = 0.5 / float(torch.linalg.eigvalsh(H)[-1])
    q = sum(rate * torch.linalg.matrix_power(torch.eye(5, dtype=v.dtype) - rate * H, k) @ v for k in range(4))
    expected = 0.02 * ridge.h - torch.exp(ridge.h) * ridge.w * q
    found = implicit_hypergradient(
        ridge.training, ridge.validation, ridge.w, ridge.h, method="neumann", steps=3, rate=rate
    )
    np.testing.assert_allclose(found.gradient[0], expected.detach(), rtol=1e-10)


def test_a_module_and_a_weight_that_validation_does_not_see() -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    X, decay = (
        torch.randn(20, 3, dtype=torch.float64),
        torch.tensor(0.3, dtype=torch.float64, requires_grad=True),
    )

    def training() -> Any:
        return (net(X) ** 2).mean() + decay * sum((p**2).sum() for p in net.parameters())

    found = implicit_hypergradient(training, lambda: net(X).mean(), net.parameters(), [decay], damping=1.0)
    assert found.gradient[0].shape == decay.shape
    flat = implicit_hypergradient(training, lambda: decay**2, net.parameters(), [decay])
    assert float(flat.gradient[0]) == pytest.approx(0.6)
    assert flat.products == 0


def saddle() -> tuple[Callable[[], Any], Callable[[], Any], Any, Any]:
    w, h = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
    return lambda: (w[0] ** 2 - w[1] ** 2) * h[0], lambda: w[1] * 1.0, w, h


def test_negative_curvature_and_divergence_are_said() -> None:
    with pytest.raises(oe.OptEngineError, match="curvature -2 <= 0"):
        implicit_hypergradient(*saddle())
    with pytest.raises(oe.OptEngineError, match="diverges with rate 1"):
        implicit_hypergradient(*saddle(), method="neumann", rate=1.0)
    w, h = torch.ones(2, requires_grad=True), torch.ones(1, requires_grad=True)
    with pytest.raises(oe.OptEngineError, match="Hessian is zero"):
        implicit_hypergradient(lambda: (w * h).sum(), lambda: w.sum(), w, h, method="neumann")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "lanczos"}, "method must be one of"),
        ({"steps": 0}, "steps must be an integer >= 1, got 0"),
        ({"rate": -1.0}, "rate must be a finite number > 0"),
        ({"damping": float("nan")}, "damping must be a finite number >= 0"),
        ({"weights": []}, "weights must hold at least one tensor"),
        ({"hyper": [0.3]}, "hyper must be tensors with requires_grad, got float at place 0"),
        ({"training_loss": lambda: torch.ones(2)}, r"training_loss must return one .* got \(2,\)"),
        ({"validation_loss": 3}, "validation_loss must be a function"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(options: dict[str, Any], says: str) -> None:
    ridge = Ridge()
    given = {
        "training_loss": ridge.training,
        "validation_loss": ridge.validation,
        "weights": ridge.w,
        "hyper": ridge.h,
    }
    with pytest.raises(oe.OptionError, match=says):
        implicit_hypergradient(**(given | options))
