"""A Gaussian process whose hyperparameters are sampled, not fitted: Hamiltonian Monte Carlo in many short chains.

Neal, MCMC using Hamiltonian dynamics, 2011, arXiv:1206.1901. BoTorch's own fully Bayesian models run NUTS in NumPyro,
minutes a fit and JAX beside torch; here `CHAINS` chains run side by side in one batch, each begins at a draw around the
prior's mode and leaves its last state, and the model is the mixture of those Gaussian processes.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from botorch.models import SingleTaskGP
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from botorch.posteriors.fully_bayesian import MCMC_DIM, GaussianMixturePosterior

CHAINS = 16
STEPS = 50  # of each chain, after which its state is a sample
LEAPS = 10  # of one step
ACCEPTED = 0.8  # share of accepted steps to which their length adapts
SHORTEST, LEAST_NOISE = 2.5e-2, 1e-4  # bounds of BoTorch's default model


class SampledGP(SingleTaskGP):
    """A mixture of `CHAINS` Gaussian processes over the same data, with BoTorch's default kernel and priors."""

    _is_ensemble = True
    _supports_batched_models = False

    def __init__(self, z: Any, y: Any, v: Any = None) -> None:
        shape = torch.Size([CHAINS])
        super().__init__(
            z.repeat(CHAINS, 1, 1),
            y.repeat(CHAINS, 1, 1),
            None if v is None else v.repeat(CHAINS, 1, 1),
            covar_module=get_covar_module_with_dim_scaled_prior(z.shape[-1], batch_shape=shape),
            outcome_transform=None,
        )
        self.known = v

    def posterior(self, X: Any, *args: Any, **kwargs: Any) -> GaussianMixturePosterior:
        """The mixture's posterior at X (..., q, d)."""
        inner: Any = super().posterior(X.unsqueeze(MCMC_DIM), *args, **kwargs)
        return GaussianMixturePosterior(distribution=inner.distribution)


def sample_hyperparameters(model: SampledGP, seed: int) -> None:
    """Put one sample of length-scales, noise and mean into each member of the mixture."""
    generator = torch.Generator().manual_seed(seed)
    z, y = model.train_inputs[0][0], model.train_targets[0]
    d = z.shape[-1]
    square = (z[:, None, :] - z[None, :, :]) ** 2  # (n, n, d)
    state = torch.zeros(CHAINS, d + 2)
    state[:, :d] = 0.3 * math.log(max(d, 1)) + 0.5 * torch.randn(CHAINS, d, generator=generator)
    state[:, d] = -5.0 + torch.randn(CHAINS, generator=generator)
    state = _chains(state, lambda s: _log_density(s, square, y, model.known), generator)
    scale, noise, mean = _parts(state, d)
    with torch.no_grad():
        model.covar_module.lengthscale = scale.unsqueeze(-2)
        model.mean_module.constant = mean
        if model.known is None:
            model.likelihood.noise = noise.unsqueeze(-1)


def _parts(state: Any, d: int) -> tuple[Any, Any, Any]:
    """Length-scales (c, d), noise variances (c,) and means (c,) of unconstrained states (c, d + 2)."""
    return SHORTEST + state[:, :d].exp(), LEAST_NOISE + state[:, d].exp(), state[:, d + 1]


def _log_density(state: Any, square: Any, y: Any, known: Any) -> Any:
    """Log posterior density (c,) of unconstrained states, up to a constant."""
    d = square.shape[-1]
    scale, noise, mean = _parts(state, d)
    K = torch.exp(-0.5 * (square.unsqueeze(0) / scale[:, None, None, :] ** 2).sum(-1))
    extra = noise[:, None].expand(-1, len(y)) if known is None else known.squeeze(-1).expand(len(state), -1)
    factor, info = torch.linalg.cholesky_ex(K + torch.diag_embed(extra + 1e-8))
    residual = (y - mean[:, None]).unsqueeze(-1)
    half = torch.linalg.solve_triangular(factor, residual, upper=False)
    value = -0.5 * half.square().sum((-2, -1)) - factor.diagonal(dim1=-2, dim2=-1).clamp_min(1e-12).log().sum(
        -1
    )
    location = math.sqrt(2) + 0.5 * math.log(d)
    log_scale, log_noise = scale.log(), noise.log()
    value = value - ((log_scale - location) ** 2 / 6.0 + log_scale - state[:, :d]).sum(-1)
    value = value - (log_noise + 4.0) ** 2 / 2.0 - log_noise + state[:, d] - mean**2 / 2.0
    return torch.where(info == 0, value, torch.full_like(value, -1e10))


def _chains(state: Any, log_density: Any, generator: Any) -> Any:
    """Run all chains; the length of their leaps adapts in the first two thirds."""

    def slope(s: Any) -> tuple[Any, Any]:
        s = s.detach().requires_grad_(True)
        value = log_density(s)
        (g,) = torch.autograd.grad(value.sum(), s)
        return value.detach(), torch.nan_to_num(g).clamp(-1e4, 1e4)

    leap = torch.full((len(state), 1), 0.05)
    value, g = slope(state)
    for step in range(STEPS):
        speed = torch.randn(state.shape, generator=generator)
        new, momentum, found, h = state, speed, value, g
        for _ in range(LEAPS):
            momentum = momentum + 0.5 * leap * h
            new = new + leap * momentum
            found, h = slope(new)
            momentum = momentum + 0.5 * leap * h
        gain = found - value - 0.5 * (momentum.square() - speed.square()).sum(-1)
        chance = torch.nan_to_num(gain, nan=-1e10).clamp_max(0.0).exp()
        kept = torch.rand(len(state), generator=generator) < chance
        state = torch.where(kept[:, None], new, state)
        value, g = torch.where(kept, found, value), torch.where(kept[:, None], h, g)
        if step < 2 * STEPS // 3:
            leap = (leap * torch.exp(0.2 * (chance - ACCEPTED))[:, None]).clamp(1e-4, 1.0)
    return state
