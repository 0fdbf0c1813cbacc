"""Gradients through trained weights: against ridge regression, whose weights have a closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from optengine.core.errors import OptionError
from optengine.workflows import implicit_hypergradient

torch = pytest.importorskip("torch", reason="torch is not installed")


def ridge(seed: int, each: bool) -> dict[str, Any]:
    """Data, log penalties h (one, or one a weight), the weights they give, and the exact gradient."""
    rng = np.random.default_rng(seed)
    A, B = (torch.tensor(rng.normal(size=(n, 6))) for n in (30, 20))
    truth = torch.tensor(rng.normal(size=6))
    a, b = A @ truth + torch.tensor(rng.normal(size=30)), B @ truth + torch.tensor(rng.normal(size=20))
    h = torch.tensor(rng.normal(size=6 if each else ()) - 1.0, requires_grad=True)
    penalty = torch.exp(h) * torch.ones(6, dtype=torch.float64)
    w = torch.linalg.solve(A.T @ A / 30 + torch.diag(penalty), A.T @ a / 30)
    exact = torch.autograd.grad(((B @ w - b) ** 2).mean() + 0.1 * h.sum(), h)[0]
    w = w.detach().requires_grad_()
    return {
        "exact": exact,
        "w": w,
        "h": h,
        "train": lambda: ((A @ w - a) ** 2).mean() / 2 + (torch.exp(h) * w**2).sum() / 2,
        "val": lambda: ((B @ w - b) ** 2).mean() + 0.1 * h.sum(),
    }


@pytest.mark.parametrize("each", [False, True], ids=["one penalty", "one a weight"])
@pytest.mark.parametrize(
    "options", [{"method": "cg"}, {"method": "neumann", "steps": 2000, "rate": 0.2}], ids=["cg", "neumann"]
)
def test_ridge_regression(each: bool, options: dict[str, Any]) -> None:
    for seed in range(3):
        case = ridge(seed, each)
        (found,) = implicit_hypergradient(case["train"], case["val"], [case["w"]], [case["h"]], **options)
        assert found.shape == case["h"].shape
        torch.testing.assert_close(found, case["exact"], rtol=1e-6, atol=1e-9)


def test_a_short_series_is_on_its_way() -> None:
    case = ridge(0, True)

    def error(steps: int) -> float:
        (found,) = implicit_hypergradient(
            case["train"], case["val"], [case["w"]], [case["h"]], method="neumann", steps=steps, rate=0.2
        )
        return float((found - case["exact"]).norm())

    assert error(100) < error(20) < error(2)


def test_weights_in_several_tensors_and_what_nothing_depends_on() -> None:
    case = ridge(1, True)
    idle = torch.zeros(2, requires_grad=True)
    spare = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    weights = [case["w"], spare]
    found = implicit_hypergradient(
        lambda: case["train"]() + (spare**2).sum(), case["val"], weights, [case["h"], idle]
    )
    torch.testing.assert_close(found[0], case["exact"], rtol=1e-6, atol=1e-9)
    assert (found[1] == 0).all()


def test_descent_on_it_finds_the_best_penalty() -> None:
    """Alternating exact training and hypergradient steps ends where the validation loss is flat."""
    rng = np.random.default_rng(3)
    A, B = (torch.tensor(rng.normal(size=(n, 8))) for n in (12, 200))
    truth = torch.tensor(rng.normal(size=8))
    a, b = A @ truth + 2 * torch.tensor(rng.normal(size=12)), B @ truth
    h = torch.zeros((), dtype=torch.float64, requires_grad=True)
    eye = torch.eye(8, dtype=torch.float64)

    def step() -> Any:
        w = torch.linalg.solve(A.T @ A / 12 + torch.exp(h.detach()) * eye, A.T @ a / 12).requires_grad_()
        return implicit_hypergradient(
            lambda: ((A @ w - a) ** 2).mean() / 2 + torch.exp(h) * (w**2).sum() / 2,
            lambda: ((B @ w - b) ** 2).mean(),
            [w],
            [h],
        )[0]

    for _ in range(150):
        slope = step()
        with torch.no_grad():
            h -= 0.5 * slope
    losses = []
    for penalty in np.exp(np.linspace(-6, 4, 201)):
        w = torch.linalg.solve(A.T @ A / 12 + penalty * eye, A.T @ a / 12)
        losses.append(float(((B @ w - b) ** 2).mean()))
    assert h.item() == pytest.approx(np.linspace(-6, 4, 201)[int(np.argmin(losses))], abs=0.06)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "newton"}, "method must be one of"),
        ({"steps": 0}, "steps must be"),
        ({"rate": 0.0}, "rate must be"),
        ({"damping": -1.0}, "damping must be"),
        ({"tolerance": float("nan")}, "tolerance must be"),
    ],
)
def test_options_are_checked(options: dict[str, Any], says: str) -> None:
    case = ridge(0, False)
    with pytest.raises(OptionError, match=says):
        implicit_hypergradient(case["train"], case["val"], [case["w"]], [case["h"]], **options)


def test_tensors_are_checked() -> None:
    case = ridge(0, False)
    with pytest.raises(OptionError, match="hyperparameters must be tensors that require gradients"):
        implicit_hypergradient(case["train"], case["val"], [case["w"]], [torch.zeros(1)])
    w = torch.ones(2, requires_grad=True)
    h = torch.ones((), requires_grad=True)
    with pytest.raises(OptionError, match="more than linearly"):
        implicit_hypergradient(lambda: w.sum(), lambda: w.sum() * h, [w], [h])
