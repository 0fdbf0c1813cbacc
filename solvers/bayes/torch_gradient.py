"""Knowledge gradient over a finite set, exact in the new value: how much the best posterior mean is expected to rise.

Frazier, Powell and Dayanik, INFORMS J. Comput. 21, 2009, doi:10.1287/ijoc.1080.0314; differentiated in x as by Scott,
Frazier and Powell, SIAM J. Optim. 21, 2011, doi:10.1137/100801275. The set holds the points whose mean may become the
best, and x itself. BoTorch's one-shot form lifts the search to (1 + fantasies) d reals and so cannot move categories or
fidelities; this one takes every space, and any fidelity: the set then stands at the target (Wu et al., UAI 2019,
arXiv:1903.04703).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

NODES = 41  # of the trapezoid rule over the standard normal, to REACH
REACH = 4.5
SMALLEST = 1e-16  # gain, in standardised units, below which the logarithm is cut


class KnowledgeGradient:
    """log of the knowledge gradient at Z (b, d).

    Args:
        model: a fitted exact model of one output. points: (a, d) features at the target.
        project: maps features to their target fidelity; None without fidelities.
    """

    def __init__(self, model: Any, points: Any, project: Callable[[Any], Any] | None = None) -> None:
        self._model, self._project = model, project
        with torch.no_grad():
            z, y = (
                model.train_inputs[0],
                model.train_targets,
            )  # transformed already: the model is in eval mode
            K = model.covar_module(z).to_dense()
            noise = _noise(model, len(z))
            self._noise = noise.mean()
            self._factor = torch.linalg.cholesky(K + torch.diag(noise + 1e-8))
            self._weights = torch.cholesky_solve(
                (y - model.mean_module(z)).unsqueeze(-1), self._factor
            ).squeeze(-1)
            self._z = z
            self._points = model.transform_inputs(points)
            self._mean, self._half = self._state(self._points)
        grid = torch.linspace(-REACH, REACH, NODES)
        weight = torch.exp(-0.5 * grid**2)
        self._grid, self._weight = grid, weight / weight.sum()

    def _state(self, u: Any) -> tuple[Any, Any]:
        """Posterior mean (b,) at u (b, d), and L^-1 k(X, u), (n, b)."""
        k = self._model.covar_module(self._z, u).to_dense()
        return self._model.mean_module(u) + self._weights @ k, torch.linalg.solve_triangular(
            self._factor, k, upper=False
        )

    def mean(self, Z: Any) -> Any:
        """Posterior mean (b,) at features Z (b, d)."""
        return self._state(self._model.transform_inputs(Z))[0]

    def gain(self, Z: Any) -> Any:
        """The knowledge gradient (b,), standardised."""
        kernel = self._model.covar_module
        u = self._model.transform_inputs(Z)
        _, half = self._state(u)
        variance = (kernel(u, diag=True) - half.square().sum(0)).clamp_min(1e-12)
        spread = (variance + self._noise).sqrt()
        slopes = (kernel(u, self._points).to_dense() - half.T @ self._half) / spread[:, None]  # (b, a)
        w = u if self._project is None else self._model.transform_inputs(self._project(Z))
        mean_w, half_w = self._state(w)
        across = (
            variance
            if self._project is None
            else kernel(u.unsqueeze(1), w.unsqueeze(1)).to_dense()[:, 0, 0] - (half * half_w).sum(0)
        )
        means = torch.cat([self._mean.expand(len(u), -1), mean_w[:, None]], dim=1)
        slopes = torch.cat([slopes, (across / spread)[:, None]], dim=1)
        best = means.max(dim=1).values
        # Subtracting before averaging keeps the digits of small gains.
        lines = means[:, :, None] - best[:, None, None] + slopes[:, :, None] * self._grid
        return (lines.max(dim=1).values * self._weight).sum(-1)

    def __call__(self, Z: Any) -> Any:
        return torch.log(self.gain(Z).clamp_min(0.0) + SMALLEST)


def _noise(model: Any, n: int) -> Any:
    """Variances (n,) of the observation noise."""
    noise = model.likelihood.noise
    return noise.reshape(-1).expand(n) if noise.numel() == 1 else noise.reshape(-1)
