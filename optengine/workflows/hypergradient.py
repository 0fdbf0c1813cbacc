"""Gradients of a validation loss with respect to hyperparameters, through the optimum of training.

At weights w*(h) that minimise a training loss L_T(w, h), the implicit function theorem gives

    dL_V/dh = dL_V/dh|direct - (d^2 L_T / dw dh)^T q,      (d^2 L_T / dw^2) q = dL_V/dw,

and q comes from products of the Hessian with vectors alone: by a truncated Neumann series (Lorraine, Vicol, Duvenaud,
"Optimizing millions of hyperparameters by implicit differentiation", AISTATS 2020, arXiv:1911.02590) or by conjugate
gradients (Pedregosa, ICML 2016, arXiv:1602.02355). It serves hyperparameters that the training loss depends on smoothly
(decay of each weight, weights of data, of augmentations), not learning rates or architectures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.errors import OptEngineError, OptionError, require

if TYPE_CHECKING:
    from torch import Tensor

METHODS = ("cg", "neumann")
POWER_STEPS = 20  # of the power iteration that finds the largest curvature
SAFE = 0.9  # share of the largest rate that converges


@dataclass(frozen=True)
class Hypergradient:
    """What `implicit_hypergradient` returns.

    Attributes:
        gradient: dL_V/dh, one tensor for each of `hyper`, of its shape.
        direct: the part that does not pass through the weights.
        residual: |H q - dL_V/dw| / |dL_V/dw|: how well the linear system was solved; 0 is exact.
        products: Hessian-vector products spent.
    """

    gradient: tuple[Tensor, ...]
    direct: tuple[Tensor, ...]
    residual: float
    products: int


def implicit_hypergradient(
    training_loss: Callable[[], Tensor],
    validation_loss: Callable[[], Tensor],
    weights: Iterable[Tensor],
    hyper: Iterable[Tensor],
    *,
    method: str = "cg",
    steps: int = 50,
    rate: float | None = None,
    tolerance: float = 1e-10,
    damping: float = 0.0,
) -> Hypergradient:
    """Return the gradient of the validation loss at trained weights. One step costs two backward passes.

    Args:
        training_loss, validation_loss: called without arguments, return a scalar tensor of `weights` and `hyper`, e.g.
            closures over a module. The training loss must be near its minimum in the weights.
        weights: of the model, with `requires_grad`. hyper: hyperparameters, tensors with `requires_grad`.
        method: "cg" (conjugate gradients, for positive definite Hessians) or "neumann" (steps of the series; it
            regularises where the Hessian is singular or not positive).
        steps: at most so many Hessian-vector products (of "neumann": exactly, beside those that find `rate`).
        rate: of "neumann", below 2 / largest curvature; None: found by a power iteration.
        tolerance: "cg" ends at this relative residual. damping: added to the curvature, >= 0.

    Raises:
        OptionError: an option outside its range, or tensors without `requires_grad`.
        OptEngineError: negative curvature in "cg", or a diverging series, with the way out.
        MissingDependency: torch is not installed.
    """
    torch = require("torch", "learn")
    w, h = _tensors(weights, "weights"), _tensors(hyper, "hyper")
    _check(method, steps, rate, tolerance, damping)
    slope = torch.autograd.grad(_scalar(training_loss, "training_loss"), w, create_graph=True)
    v_parts = torch.autograd.grad(
        _scalar(validation_loss, "validation_loss"), [*w, *h], allow_unused=True, materialize_grads=True
    )
    v, direct = _flat(v_parts[: len(w)]), tuple(part.detach() for part in v_parts[len(w) :])
    system = _Curvature(slope, w, damping)
    if not bool(v.any()):
        return Hypergradient(direct, direct, 0.0, 0)
    if method == "cg":
        q = _conjugate_gradients(system, v, steps, tolerance)
    else:
        q = _neumann(system, v, steps, rate)
    residual = float((system(q) - v).norm() / v.norm())
    crossed = torch.autograd.grad(slope, h, _like(q, slope), allow_unused=True, materialize_grads=True)
    gradient = tuple(d - c for d, c in zip(direct, crossed, strict=True))
    return Hypergradient(gradient, direct, residual, system.products)


class _Curvature:
    """Products of the Hessian of the training loss, damped, with flat vectors."""

    def __init__(self, slope: Sequence[Tensor], weights: list[Tensor], damping: float) -> None:
        self._slope, self._weights, self._damping = slope, weights, damping
        self.products = 0

    def __call__(self, vector: Tensor) -> Tensor:
        torch = require("torch", "learn")
        self.products += 1
        parts = torch.autograd.grad(
            self._slope,
            self._weights,
            _like(vector, self._slope),
            retain_graph=True,
            allow_unused=True,
            materialize_grads=True,
        )
        product: Tensor = _flat(parts) + self._damping * vector
        return product


def _conjugate_gradients(system: _Curvature, v: Tensor, steps: int, tolerance: float) -> Tensor:
    """Solve H q = v (Hestenes and Stiefel, 1952)."""
    q, r = v.new_zeros(v.shape), v.clone()
    p, size = r.clone(), float(r @ r)
    enough = tolerance**2 * size
    for _ in range(steps):
        Hp = system(p)
        bend = float(p @ Hp)
        if bend <= 0.0:
            raise OptEngineError(
                f"the training loss has curvature {bend / float(p @ p):.3g} <= 0 in a direction: train further, give "
                "damping > 0, or use method='neumann'"
            )
        length = size / bend
        q = q + length * p
        r = r - length * Hp
        new = float(r @ r)
        if new <= enough:
            break
        p, size = r + (new / size) * p, new
    return q


def _neumann(system: _Curvature, v: Tensor, steps: int, rate: float | None) -> Tensor:
    """Return rate * sum_k (I - rate H)^k v."""
    if rate is None:
        rate = SAFE / _largest_curvature(system, v)
    term = v.clone()
    total, first = v.clone(), float(v.norm())
    for _ in range(steps):
        term = term - rate * system(term)
        total = total + term
        size = float(term.norm())
        if not np.isfinite(size) or size > 1e3 * first:
            raise OptEngineError(
                f"the Neumann series diverges with rate {rate:.3g}: give a smaller rate, damping > 0, or rate=None"
            )
    return rate * total


def _largest_curvature(system: _Curvature, v: Tensor) -> float:
    """Estimate the largest absolute eigenvalue by a power iteration from v."""
    at, size = v / v.norm(), 0.0
    for _ in range(POWER_STEPS):
        at = system(at)
        size = float(at.norm())
        if not size > 0.0:
            raise OptEngineError(
                "the training loss does not bend along the weights: its Hessian is zero there"
            )
        at = at / size
    return size


# -- tensors -----------------------------------------------------------------------------------------------------------


def _flat(parts: Sequence[Tensor]) -> Any:
    torch = require("torch", "learn")
    return torch.cat([part.detach().reshape(-1) for part in parts])


def _like(vector: Tensor, parts: Sequence[Tensor]) -> list[Tensor]:
    """Cut a flat vector into tensors of the shapes of `parts`."""
    sizes = [part.numel() for part in parts]
    pieces = require("torch", "learn").split(vector, sizes)
    return [piece.reshape(part.shape) for piece, part in zip(pieces, parts, strict=True)]


def _tensors(values: Iterable[Tensor], name: str) -> list[Tensor]:
    torch = require("torch", "learn")
    found = [values] if isinstance(values, torch.Tensor) else list(values)
    if not found:
        raise OptionError(f"{name} must hold at least one tensor, got none")
    for i, value in enumerate(found):
        if not isinstance(value, torch.Tensor) or not value.requires_grad:
            raise OptionError(
                f"{name} must be tensors with requires_grad, got {type(value).__name__} at place {i}"
            )
    return found


def _scalar(loss: Callable[[], Tensor], name: str) -> Tensor:
    torch = require("torch", "learn")
    if not callable(loss):
        raise OptionError(f"{name} must be a function without arguments, got {type(loss).__name__}")
    value: Tensor = loss()
    if not isinstance(value, torch.Tensor) or value.numel() != 1 or not bool(torch.isfinite(value).all()):
        shown = tuple(value.shape) if isinstance(value, torch.Tensor) and value.numel() != 1 else value
        raise OptionError(f"{name} must return one finite number as a tensor, got {shown!r}")
    scalar: Tensor = value.reshape(())
    return scalar


def _check(method: str, steps: int, rate: float | None, tolerance: float, damping: float) -> None:
    if method not in METHODS:
        raise OptionError(f"method must be one of {list(METHODS)}, got {method!r}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise OptionError(f"steps must be an integer >= 1, got {steps!r}")
    for name, value, least in (
        ("rate", rate, 0.0),
        ("tolerance", tolerance, 0.0),
        ("damping", damping, None),
    ):
        if value is None:
            continue
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
        if not good or value < 0 or (least is not None and value == 0):
            raise OptionError(
                f"{name} must be a finite number {'>= 0' if least is None else '> 0'}, got {value!r}"
            )
