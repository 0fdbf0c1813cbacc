"""IGNITE: the surrogate's sharpness as a regulariser (Dao et al., NeurIPS 2024, arXiv:2503.04242).

h(w) is the mean prediction over a batch; its sharpness within a ball of radius rho is, to first order, rho |grad h(w)|.
The constraint rho |grad h| <= epsilon enters as a Lagrangian. The gradient of the norm is a Hessian-vector product,

    grad |grad h| = H u = (grad h(w + r u) - grad h(w)) / r + O(r),    u = grad h / |grad h|,

by one finite difference as in the paper, or exactly by a second backward pass. Differs from the public code: each
member of an ensemble has its own h, norm and multiplier, and multipliers stay >= 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from optengine.core.errors import OptionError, require

KINDS = ("none", "fixed", "lagrangian")
TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Sharpness:
    """The regulariser's settings; the defaults are those of the published scripts.

    Attributes:
        kind: "none", "fixed" (the paper's IGNITE-2: the multiplier stays), or "lagrangian" (IGNITE).
        multiplier: lambda at the start, None: 1e-3, fixed 1e-2. rate: of its dual ascent.
        rho: radius, None: 0.05, fixed 0.2. step: of the finite difference, None: as rho. epsilon: bound on sharpness.
        exact: a second backward pass in place of the finite difference.
    """

    kind: str = "none"
    multiplier: float | None = None
    rate: float = 1e-3
    rho: float | None = None
    step: float | None = None
    epsilon: float = 0.1
    exact: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise OptionError(f"sharpness must be one of {list(KINDS)}, got {self.kind!r}")
        fixed = self.kind == "fixed"
        for name, usual in (("multiplier", 1e-2 if fixed else 1e-3), ("rho", 0.2 if fixed else 0.05)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, usual)
        if self.step is None:
            object.__setattr__(self, "step", self.rho)


def norm_of(gradients: Sequence[Any]) -> Any:
    """Return the norm (k,) of each member over all its tensors, each (k, ...)."""
    return sum((g**2).flatten(1).sum(dim=1) for g in gradients).sqrt()


def _per_member(factor: Any, tensor: Any) -> Any:
    return factor.reshape(-1, *([1] * (tensor.ndim - 1))) * tensor


def sharpness_gradient(
    height: Callable[[], Any], weights: Sequence[Any], step: float, exact: bool = False
) -> tuple[list[Any], Any]:
    """Return grad |grad h| for each tensor of weights, and |grad h| (k,).

    Args:
        height: h (k,) at the present weights. weights: tensors (k, ...), all entering h. step: r of the difference.
        exact: by a second backward pass.
    """
    torch = require("torch", "bayes")
    if exact:
        b = torch.autograd.grad(height().sum(), weights, create_graph=True)
        norm = norm_of([g.detach() for g in b])
        along = sum((g * _per_member(1.0 / (norm + TINY), g.detach())).flatten(1).sum(dim=1) for g in b)
        found = torch.autograd.grad(along.sum(), weights, allow_unused=True)
        return [torch.zeros_like(w) if g is None else g for g, w in zip(found, weights, strict=True)], norm
    b = torch.autograd.grad(height().sum(), weights)
    norm = norm_of(b)
    moves = [_per_member(step / (norm + TINY), g) for g in b]
    with torch.no_grad():
        kept = [w.clone() for w in weights]
        for w, move in zip(weights, moves, strict=True):
            w.add_(move)
    c = torch.autograd.grad(height().sum(), weights)
    with torch.no_grad():
        for w, old in zip(weights, kept, strict=True):
            w.copy_(old)
    return [(after - before) / step for before, after in zip(b, c, strict=True)], norm


class Regulariser:
    """Adds the regulariser's gradient to that of a loss, and keeps the multipliers."""

    def __init__(self, options: Sharpness, members: int, device: Any) -> None:
        torch = require("torch", "bayes")
        self._options = options
        self.multiplier = torch.full((members,), float(options.multiplier or 0.0), device=device)

    def add(self, height: Callable[[], Any], weights: Sequence[Any]) -> None:
        """Add lambda rho grad |grad h|; then lambda moves by rate (rho |grad h| - epsilon), never below 0."""
        options = self._options
        rho, step = float(options.rho or 0.0), float(options.step or 0.0)
        gradients, norm = sharpness_gradient(height, weights, step, options.exact)
        for w, g in zip(weights, gradients, strict=True):
            w.grad.add_(_per_member(self.multiplier * rho, g))
        if options.kind == "lagrangian":
            self.multiplier = (self.multiplier + options.rate * (rho * norm - options.epsilon)).clamp_(
                min=0.0
            )
