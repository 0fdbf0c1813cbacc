"""A trained network inside objective and constraints: minimise f(x, phi(x)) where c(x, phi(x)) <= 0.

Bouchet and Vidal, Directional attacks, 2025, arXiv:2510.01461. Ordinary solvers see a vectorised black box; those that
can use it ask `slope` for gradients through the network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError, require
from optengine.core.problem import Problem
from optengine.core.space import REAL, as_space

Floats = NDArray[np.float64]


class NNProblem(Problem):
    """Objective and constraints of a torch network's output.

    Args:
        phi: network; a tensor (n, width) of float32 -> (n, ...). It is put into evaluation mode.
        f: (x, phi(x)) -> (n,), differentiable by torch.
        space: real numbers only, without conditions.
        c: (x, phi(x)) -> (n,) or (n, constraints), feasible when <= 0; constraints are named c0, c1, ...
        constraints: names of what c returns, in place of one c0.
        direction: of f.
        device: of the network, "cpu" or "cuda".

    Raises:
        ProblemError: a space with other variables, or a network that is no torch module.
    """

    def __init__(
        self,
        phi: Any,
        f: Callable[[Any, Any], Any],
        space: Any,
        *,
        c: Callable[[Any, Any], Any] | None = None,
        constraints: Sequence[str] | None = None,
        direction: str = "minimize",
        device: str = "cpu",
        name: str | None = None,
    ) -> None:
        torch = require("torch", "bayes")
        if not isinstance(phi, torch.nn.Module):
            raise ProblemError(f"phi must be a torch module, got {type(phi).__name__}")
        space = as_space(space)
        if (space.kind != REAL).any() or space.conditional:
            raise ProblemError(f"space must hold real numbers without conditions, got {space!r}")
        self.phi, self.f, self.c = phi.eval().to(device), f, c
        self._device = device
        names = list(constraints) if constraints is not None else (["c0"] if c is not None else [])
        super().__init__(
            self._values,
            space,
            objectives="f",
            direction=direction,
            constraints=names,
            call="encoded",
            vectorized=True,
            name=name or "network",
        )

    def _forward(self, x: Any) -> tuple[Any, Any]:
        """Values f (n,) and c (n, constraints) of a tensor."""
        out = self.phi(x)
        f = self.f(x, out).reshape(-1)
        c = x.new_zeros((len(x), 0)) if self.c is None else self.c(x, out).reshape(len(x), -1)
        return f, c

    def _tensor(self, X: Floats) -> Any:
        torch = require("torch", "bayes")
        return torch.tensor(np.asarray(X, dtype=np.float32), device=self._device)

    def _values(self, X: Floats) -> dict[str, Floats]:
        torch = require("torch", "bayes")
        with torch.no_grad():
            f, c = self._forward(self._tensor(X))
        found = {"f": f.cpu().numpy().astype(np.float64)}
        for i, constraint in enumerate(self.constraints):
            found[constraint.name] = c[:, i].cpu().numpy().astype(np.float64)
        return found

    def slope(self, X: Floats, penalty: float = 0.0) -> Floats:
        """Return the gradient (n, width) of f, minimised, + penalty * sum of squared violations."""
        torch = require("torch", "bayes")
        x = self._tensor(X).requires_grad_(True)
        f, c = self._forward(x)
        total = float(self.signs[0]) * f.sum() + penalty * (torch.clamp(c, min=0.0) ** 2).sum()
        (gradient,) = torch.autograd.grad(total, x)
        return np.asarray(gradient.cpu().numpy(), dtype=np.float64)

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the network by: a hash of its weights."""
        digest = hashlib.sha256()
        for name, tensor in self.phi.state_dict().items():
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
        return super().fingerprint() | {"weights": digest.hexdigest()}
