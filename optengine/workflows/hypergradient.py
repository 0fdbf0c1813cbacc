"""Gradients with respect to hyperparameters that the training loss depends on smoothly.

At weights w that minimise L_T(w, h), the implicit function theorem gives dL_V/dh = direct part - v^T d2L_T/(dw dh),
with v = [d2L_T/dw2]^-1 dL_V/dw. The inverse is never formed: only products of the Hessian with vectors are, each about
as dear as two gradients. Neumann series: Lorraine, Vicol and Duvenaud, AISTATS 2020, arXiv:1911.02590; conjugate
gradients: Pedregosa, ICML 2016, arXiv:1602.02355.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from optengine.core.errors import OptionError, require

if TYPE_CHECKING:
    from torch import Tensor

METHODS = ("cg", "neumann")

Tensors = tuple[Any, ...]
Product = Callable[[Tensors], Tensors]


def implicit_hypergradient(
    train_loss: Callable[[], Tensor],
    val_loss: Callable[[], Tensor],
    weights: Sequence[Tensor],
    hyperparameters: Sequence[Tensor],
    *,
    method: str = "cg",
    steps: int = 20,
    rate: float = 0.1,
    damping: float = 0.0,
    tolerance: float = 1e-8,
) -> list[Tensor]:
    """Return the gradient of the validation loss with respect to each hyperparameter, through the trained weights.

    The weights should be at, or near, a minimum of the training loss; what is far from one gives a gradient of little
    meaning. Weight decay per parameter, augmentation, weights of the data: whatever enters the training loss smoothly
    can be a hyperparameter, in any number; learning rates and the architecture cannot.

    Args:
        train_loss: scalar loss of the weights and hyperparameters, on training data.
        val_loss: scalar loss of the weights, and of the hyperparameters if it likes, on validation data.
        weights: tensors that require gradients. hyperparameters: the same.
        method: "cg" (conjugate gradients, for Hessians without negative curvature) or "neumann" (a series that
            converges where `rate` times the Hessian has eigenvalues between 0 and 2).
        steps: products with the Hessian, >= 1.
        rate: of the Neumann series, > 0: the learning rate of training is a good one.
        damping: added to the Hessian's diagonal, >= 0.
        tolerance: relative residual at which conjugate gradients end, >= 0.

    Returns:
        One tensor a hyperparameter, of its shape; zeros where nothing depends on it.

    Raises:
        OptionError: a value outside its range, or a tensor without gradient.
        MissingDependency: torch is not installed.
    """
    torch = require("torch", "learn")
    _check(method, steps, rate, damping, tolerance)
    weights, hyperparameters = tuple(weights), tuple(hyperparameters)
    for name, tensors in (("weights", weights), ("hyperparameters", hyperparameters)):
        if not tensors or not all(getattr(tensor, "requires_grad", False) for tensor in tensors):
            raise OptionError(
                f"{name} must be tensors that require gradients, got {len(tensors)} without or none"
            )
    outer = torch.autograd.grad(val_loss(), (*weights, *hyperparameters), allow_unused=True)
    target = _filled(torch, outer[: len(weights)], weights)
    direct = _filled(torch, outer[len(weights) :], hyperparameters)
    inner = torch.autograd.grad(train_loss(), weights, create_graph=True, allow_unused=True)
    inner = _filled(torch, inner, weights)

    def hessian(vector: Tensors) -> Tensors:
        product = torch.autograd.grad(inner, weights, vector, retain_graph=True, allow_unused=True)
        return tuple(p + damping * v for p, v in zip(_filled(torch, product, weights), vector, strict=True))

    if not any(part.requires_grad for part in inner):
        raise OptionError(
            "train_loss must depend on weights more than linearly: its gradient does not depend on them"
        )
    if method == "cg":
        solution = _conjugate(hessian, target, steps, tolerance)
    else:
        solution = _neumann(hessian, target, steps, rate)
    mixed = torch.autograd.grad(inner, hyperparameters, solution, allow_unused=True)
    mixed = _filled(torch, mixed, hyperparameters)
    return [d - m for d, m in zip(direct, mixed, strict=True)]


def _check(method: str, steps: int, rate: float, damping: float, tolerance: float) -> None:
    if method not in METHODS:
        raise OptionError(f"method must be one of {list(METHODS)}, got {method!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise OptionError(f"steps must be an integer >= 1, got {steps!r}")
    for name, value, above in (
        ("rate", rate, True),
        ("damping", damping, False),
        ("tolerance", tolerance, False),
    ):
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (above and value == 0):
            raise OptionError(f"{name} must be a number {'>' if above else '>='} 0, got {value!r}")


def _filled(torch: Any, found: Sequence[Any], like: Tensors) -> Tensors:
    """Gradients, zeros where there was none."""
    return tuple(torch.zeros_like(t) if g is None else g for g, t in zip(found, like, strict=True))


def _dot(a: Tensors, b: Tensors) -> float:
    return float(sum((x * y).sum() for x, y in zip(a, b, strict=True)))


def _moved(a: Tensors, step: float, b: Tensors) -> Tensors:
    return tuple((x + step * y).detach() for x, y in zip(a, b, strict=True))


def _conjugate(hessian: Product, target: Tensors, steps: int, tolerance: float) -> Tensors:
    """Solve H v = target; ends early where the residual is small or the curvature is not positive."""
    v = tuple(0.0 * t for t in target)
    residual = direction = tuple(t.detach() for t in target)
    size = first = _dot(residual, residual)
    for _ in range(steps):
        if size <= tolerance**2 * first or first == 0.0:
            break
        product = hessian(direction)
        curvature = _dot(direction, product)
        if not curvature > 0.0:
            break
        step = size / curvature
        v, residual = _moved(v, step, direction), _moved(residual, -step, product)
        before, size = size, _dot(residual, residual)
        direction = _moved(residual, size / before, direction)
    return v


def _neumann(hessian: Product, target: Tensors, steps: int, rate: float) -> Tensors:
    """The first terms of rate * sum_j (I - rate H)^j target."""
    term = tuple(t.detach() for t in target)
    total = term
    for _ in range(steps):
        term = _moved(term, -rate, hessian(term))
        total = _moved(total, 1.0, term)
    return tuple(rate * t for t in total)
