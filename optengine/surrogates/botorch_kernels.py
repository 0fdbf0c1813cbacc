"""Kernels for BoTorch models that GPyTorch does not have: shared length-scales, falling fidelities."""

from __future__ import annotations

import math
from typing import Any

import torch
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, MaternKernel, RBFKernel, ScaleKernel
from gpytorch.priors import LogNormalPrior

SHORTEST = 2.5e-2  # length-scale, for numerical stability; BoTorch's bound


class GroupedKernel(Kernel):  # type: ignore[misc]
    """A stationary kernel whose features share length-scales by group: one-hot columns make it the Hamming kernel.

    The prior on length-scales is BoTorch's, scaled by the number of groups (Hvarfner, Hellsten and Nardi, ICML 2024,
    arXiv:2402.02229).
    """

    has_lengthscale = True

    def __init__(
        self, groups: list[int], kind: str = "rbf", batch_shape: Any = None, shortest: float = SHORTEST
    ) -> None:
        n_groups = max(groups) + 1
        prior = LogNormalPrior(loc=math.sqrt(2) + math.log(n_groups) * 0.5, scale=math.sqrt(3))
        super().__init__(
            ard_num_dims=n_groups,
            batch_shape=torch.Size() if batch_shape is None else batch_shape,
            lengthscale_prior=prior,
            lengthscale_constraint=GreaterThan(
                shortest, transform=None, initial_value=max(float(prior.mode), 1.5 * shortest)
            ),
        )
        self.register_buffer("groups", torch.tensor(groups, dtype=torch.long))
        self.kind = kind

    def forward(self, x1: Any, x2: Any, diag: bool = False, **params: Any) -> Any:
        scale = self.lengthscale[..., self.groups]
        if self.kind == "rbf":
            away = self.covar_dist(x1 / scale, x2 / scale, square_dist=True, diag=diag, **params)
            return away.div(-2.0).exp()
        away = math.sqrt(5.0) * self.covar_dist(
            x1 / scale, x2 / scale, square_dist=False, diag=diag, **params
        )
        return (1.0 + away + away**2 / 3.0) * torch.exp(-away)


class FidelityKernel(Kernel):  # type: ignore[misc]
    """What the target is like, plus what a lower fidelity adds and the target does not see.

    k((x, s), (x', s')) = k_0(x, x') + sum over fidelities of (1 - s)(1 - s') k_i((x, s), (x', s')), s = 1 at the
    target: the linear truncated kernel of Wu et al., UAI 2019, arXiv:1903.04703, with dimension-scaled priors.
    """

    def __init__(self, groups: list[int], fidelities: list[int], kind: str = "rbf") -> None:
        super().__init__()
        rest = [i for i in range(len(groups)) if i not in fidelities]
        order = sorted({groups[i] for i in rest})
        kept = [order.index(groups[i]) for i in rest]
        self.rest, self.fidelities = rest, fidelities
        prior = LogNormalPrior(loc=-1.0, scale=1.0)
        self.target = GroupedKernel(kept, kind)
        self.errors = torch.nn.ModuleList(
            ScaleKernel(
                GroupedKernel([*kept, max(kept) + 1], kind),
                outputscale_prior=prior,
                outputscale_constraint=GreaterThan(1e-4, transform=None, initial_value=0.3),
            )
            for _ in fidelities
        )

    def forward(self, x1: Any, x2: Any, diag: bool = False, **params: Any) -> Any:
        total = self.target(x1[..., self.rest], x2[..., self.rest], diag=diag, **params)
        total = total if diag else total.to_dense()
        for kernel, at in zip(self.errors, self.fidelities, strict=True):
            columns = [*self.rest, at]
            more = kernel(x1[..., columns], x2[..., columns], diag=diag, **params)
            short1, short2 = 1.0 - x1[..., at], 1.0 - x2[..., at]
            if diag:
                total = total + short1 * short2 * more
            else:
                total = total + short1.unsqueeze(-1) * short2.unsqueeze(-2) * more.to_dense()
        return total


class MixedKernel(Kernel):  # type: ignore[misc]
    """Sum plus product of a numeric and a categorical kernel: the form of BoTorch's MixedSingleTaskGP."""

    def __init__(
        self, groups: list[int], categorical: list[int], kind: str = "rbf", batch_shape: Any = None
    ) -> None:
        super().__init__(batch_shape=torch.Size() if batch_shape is None else batch_shape)
        self.levels = [i for i, g in enumerate(groups) if g in categorical]
        self.numbers = [i for i, g in enumerate(groups) if g not in categorical]

        def made(columns: list[int]) -> Kernel:
            order = sorted({groups[i] for i in columns})
            return GroupedKernel([order.index(groups[i]) for i in columns], kind, batch_shape)

        prior = LogNormalPrior(loc=-1.0, scale=1.0)

        def scaled(kernel: Kernel) -> Kernel:
            floor = GreaterThan(1e-4, transform=None, initial_value=0.5)
            return ScaleKernel(
                kernel, batch_shape=batch_shape, outputscale_prior=prior, outputscale_constraint=floor
            )

        self.level_sum, self.level_product = scaled(made(self.levels)), made(self.levels)
        self.number_sum = scaled(made(self.numbers)) if self.numbers else None
        self.number_product = scaled(made(self.numbers)) if self.numbers else None

    def forward(self, x1: Any, x2: Any, diag: bool = False, **params: Any) -> Any:
        def of(kernel: Any, columns: list[int]) -> Any:
            value = kernel(x1[..., columns], x2[..., columns], diag=diag, **params)
            return value if diag else value.to_dense()

        total = of(self.level_sum, self.levels)
        if self.number_sum is None:
            return total
        product = of(self.number_product, self.numbers) * of(self.level_product, self.levels)
        return total + of(self.number_sum, self.numbers) + product


def numeric_kernel(
    groups: list[int], kind: str, batch_shape: Any = None, shortest: float = SHORTEST
) -> Kernel:
    """BoTorch's own kernel where every feature has its own length-scale, else the grouped one."""
    if shortest == SHORTEST and groups == list(range(len(groups))):
        own: RBFKernel | MaternKernel = get_covar_module_with_dim_scaled_prior(
            ard_num_dims=len(groups), batch_shape=batch_shape, use_rbf_kernel=kind == "rbf"
        )
        return own
    return GroupedKernel(groups, kind, batch_shape, shortest)
