"""A Gaussian process of a function and its derivatives; its posterior is the function's alone.

Wu, Poloczek, Wilson and Frazier, Bayesian optimization with gradients, NeurIPS 2017, arXiv:1703.04389. The kernel
matrix has n (d + 1) rows: for about ten columns and a few hundred points.
"""

from __future__ import annotations

import math
from typing import Any

import gpytorch
import torch
from botorch.models.gpytorch import GPyTorchModel
from botorch.posteriors.gpytorch import GPyTorchPosterior
from gpytorch.constraints import GreaterThan
from gpytorch.distributions import MultitaskMultivariateNormal, MultivariateNormal
from gpytorch.priors import LogNormalPrior


class GradientGP(GPyTorchModel, gpytorch.models.ExactGP):  # type: ignore[misc]
    """Values y (n, 1) and derivatives slopes (n, d) at z (n, d)."""

    num_outputs = 1

    def __init__(self, z: Any, y: Any, slopes: Any) -> None:
        d = z.shape[-1]
        likelihood = gpytorch.likelihoods.MultitaskGaussianLikelihood(
            num_tasks=d + 1, noise_constraint=GreaterThan(1e-6), has_global_noise=True, has_task_noise=True
        )
        likelihood.task_noises = torch.full((d + 1,), 1e-3)
        likelihood.noise = 1e-4
        super().__init__(z, torch.cat([y, slopes], dim=-1), likelihood)
        prior = LogNormalPrior(loc=math.sqrt(2) + math.log(d) * 0.5, scale=math.sqrt(3))
        self.mean_module = gpytorch.means.ConstantMeanGrad()
        self.covar_module = gpytorch.kernels.ScaleKernel(
            gpytorch.kernels.RBFKernelGrad(
                ard_num_dims=d,
                lengthscale_prior=prior,
                lengthscale_constraint=GreaterThan(2.5e-2, transform=None, initial_value=1.0),
            ),
            outputscale_prior=LogNormalPrior(0.0, 1.0),
        )
        self.to(z)

    def forward(self, x: Any) -> Any:
        return MultitaskMultivariateNormal(self.mean_module(x), self.covar_module(x))

    def posterior(self, X: Any, *args: Any, posterior_transform: Any = None, **kwargs: Any) -> Any:
        """The posterior of the function at X (..., q, d)."""
        self.eval()
        joint = self(X)
        step = X.shape[-1] + 1  # rows are interleaved: a value, its derivatives, the next value
        covariance = joint.covariance_matrix[..., ::step, ::step]
        posterior = GPyTorchPosterior(MultivariateNormal(joint.mean[..., 0], covariance))
        return posterior if posterior_transform is None else posterior_transform(posterior)
