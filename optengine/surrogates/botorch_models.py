"""BoTorch models of values told: which there are, how each is fitted, and what is kept from one fit for the next.

Everything is maximised and standardised here: features Z (n, d) in [0, 1], targets Y (n, m). Hyperparameters are MAP
estimates by L-BFGS that start from those of the fit before, unless a model brings its own fitting.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models.gp_regression import SingleTaskGP
from botorch.models.model import Model
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.optim.fit import fit_gpytorch_mll_scipy
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import ScaleKernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from linear_operator.utils.errors import NanError, NotPSDError
from numpy.typing import NDArray

from optengine.surrogates.botorch_kernels import SHORTEST, FidelityKernel, MixedKernel, numeric_kernel

Floats = NDArray[np.float64]

NUMERICAL = (NotPSDError, NanError, RuntimeError, ValueError)  # what a bad Cholesky or line search raises
BATCHED = ("gp", "mixed", "ibnn")  # models of several outputs at once; others are one model an output
OUTLIERS = [0.0, 0.05, 0.1, 0.2]  # shares of the values that the robust model tries as outliers
ROBUST_STEPS = 30  # L-BFGS steps of each of its fits
EXACT_NOISE = 1e-6  # of standardised values that a user calls exact


@dataclass
class Inputs:
    """What a model must know of its features.

    Attributes:
        groups: (d,) length-scale of each feature. categorical: groups of categories. fidelities: features.
        kernel: "rbf" or "matern52". warped: features that pass through a fitted Kumaraswamy distribution.
        shortest: least length-scale of the model "gp".
    """

    groups: list[int]
    categorical: list[int]
    fidelities: list[int]
    kernel: str = "rbf"
    warped: list[int] = field(default_factory=list)
    shortest: float = SHORTEST


class Fitter:
    """Fits one kind of model again and again.

    Args:
        kind: "gp", "mixed", "ibnn", "saas", "fully_bayesian", "additive", "robust", "multitask", "multifidelity".
        inputs: the features. maxiter: L-BFGS steps of a fit.
    """

    def __init__(self, kind: str, inputs: Inputs, maxiter: int = 75, seed: int = 0) -> None:
        self.kind, self.inputs, self.maxiter, self.seed = kind, inputs, maxiter, seed
        self._states: dict[int, dict[str, Any]] = {}
        self.n_failed = 0  # fits whose numbers broke down, so that the hyperparameters before them were kept

    def fit(
        self, Z: Floats, Y: Floats, V: Floats | None = None, refit: bool = True, slopes: Floats | None = None
    ) -> Model:
        """Return a model of Y (n, m) over Z (n, d); V (n, m) are known variances of the noise.

        Without `refit` the hyperparameters of the fit before are taken as they are.
        """
        z = torch.from_numpy(np.ascontiguousarray(Z))
        y = torch.from_numpy(np.ascontiguousarray(Y))
        v = None if V is None else torch.from_numpy(np.maximum(V, EXACT_NOISE))
        m = y.shape[1]
        if slopes is not None:
            return self._one(
                0, z, torch.cat([y, torch.from_numpy(np.ascontiguousarray(slopes))], dim=1), None, refit
            )
        if self.kind in BATCHED or m == 1:
            return self._one(0, z, y, v, refit)
        models: list[Any] = [
            self._one(i, z, y[:, i : i + 1], None if v is None else v[:, i : i + 1], refit) for i in range(m)
        ]
        return ModelListGP(*models)

    def _one(self, i: int, z: Any, y: Any, v: Any, refit: bool) -> Model:
        model = BUILDERS[self.kind](self.inputs, z, y, v)
        known = self._states.get(i)
        own_way = self.kind in ("robust", "fully_bayesian", "saas")
        if known is not None and self.kind != "robust":
            refit = not _loads(model, known) or refit
        if refit or (own_way and known is None) or self.kind == "robust":
            with_noise = copy.deepcopy(model.state_dict())
            try:
                FITS.get(self.kind, _map)(model, self)
            except NUMERICAL:
                model.load_state_dict(with_noise)
                self.n_failed += 1
        model.eval()
        self._states[i] = {
            k: t.clone() for k, t in model.state_dict().items() if "noise_covar.noise" not in k or v is None
        }
        return model


def _loads(model: Model, state: dict[str, Any]) -> bool:
    """Give a model the hyperparameters of another; whether they fit."""
    own = model.state_dict()
    kept = {k: t for k, t in state.items() if k in own and own[k].shape == t.shape}
    model.load_state_dict({**own, **kept})
    return len(kept) == len(own)


# -- building ------------------------------------------------------------------------------------------------------


def _warp(inputs: Inputs, z: Any) -> Any:
    """Kumaraswamy distributions with Ax's priors around the identity, or None."""
    if not inputs.warped:
        return None
    from botorch.models.transforms.input import Warp

    return Warp(
        d=z.shape[-1],
        indices=inputs.warped,
        concentration0_prior=LogNormalPrior(0.0, 0.75**0.5),
        concentration1_prior=LogNormalPrior(0.0, 0.75**0.5),
    )


def _batch(y: Any) -> Any:
    return torch.Size([y.shape[-1]]) if y.shape[-1] > 1 else torch.Size()


def _gp(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    kernel = numeric_kernel(inputs.groups, inputs.kernel, _batch(y), inputs.shortest)
    return SingleTaskGP(
        z, y, v, covar_module=kernel, outcome_transform=None, input_transform=_warp(inputs, z)
    )


def _mixed(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    if not inputs.categorical:
        return _gp(inputs, z, y, v)
    kernel = MixedKernel(inputs.groups, inputs.categorical, inputs.kernel, _batch(y))
    return SingleTaskGP(
        z, y, v, covar_module=kernel, outcome_transform=None, input_transform=_warp(inputs, z)
    )


def _ibnn(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from botorch.models.kernels import InfiniteWidthBNNKernel

    # Depth and variances of Li, Rudner and Wilson, ICLR 2024, arXiv:2305.20028.
    kernel = InfiniteWidthBNNKernel(3, batch_shape=_batch(y))
    kernel.weight_var, kernel.bias_var = 10.0, 1.3
    scaled = ScaleKernel(
        kernel,
        batch_shape=_batch(y),
        outputscale_prior=LogNormalPrior(0.0, 2.0),
        outputscale_constraint=GreaterThan(1e-6, transform=None, initial_value=0.1),
    )
    return SingleTaskGP(z, y, v, covar_module=scaled, outcome_transform=None)


def _saas(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from botorch.models.map_saas import EnsembleMapSaasSingleTaskGP

    # Fixed shrinkages in place of drawn ones: the same data give the same model.
    taus = torch.tensor([1.0, 0.1, 0.01, 0.001])
    return EnsembleMapSaasSingleTaskGP(z, y, v, taus=taus, outcome_transform=None)


def _bayesian(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from optengine.surrogates.botorch_bayes import SampledGP

    return SampledGP(z, y, v)


def _additive(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from botorch.models.additive_gp import OrthogonalAdditiveGP
    from botorch.models.kernels.orthogonal_additive_kernel import OrthogonalAdditiveKernel

    kernel = OrthogonalAdditiveKernel(dim=z.shape[-1], second_order=z.shape[-1] <= 6, dtype=z.dtype)
    return OrthogonalAdditiveGP(z, y, covar_module=kernel, outcome_transform=None)


def _robust(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from botorch.models.robust_relevance_pursuit_model import RobustRelevancePursuitSingleTaskGP

    kernel = numeric_kernel(inputs.groups, inputs.kernel, torch.Size())
    return RobustRelevancePursuitSingleTaskGP(z, y, v, covar_module=kernel, outcome_transform=None)


def _multitask(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from botorch.models.multitask import MultiTaskGP

    kernel = numeric_kernel(inputs.groups, inputs.kernel, torch.Size())
    kernel.active_dims = torch.arange(len(inputs.groups))
    return MultiTaskGP(
        z,
        y,
        task_feature=-1,
        train_Yvar=v,
        covar_module=kernel,
        output_tasks=[0],
        all_tasks=[0, 1],
        outcome_transform=None,
    )


def _fidelity(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    kernel = FidelityKernel(inputs.groups, inputs.fidelities, inputs.kernel)
    return SingleTaskGP(
        z, y, v, covar_module=kernel, outcome_transform=None, input_transform=_warp(inputs, z)
    )


def _gradients(inputs: Inputs, z: Any, y: Any, v: Any) -> Model:
    from optengine.surrogates.botorch_gradients import GradientGP

    return GradientGP(z, y[:, :1], y[:, 1:])


BUILDERS: dict[str, Callable[[Inputs, Any, Any, Any], Model]] = {
    "gp": _gp,
    "mixed": _mixed,
    "ibnn": _ibnn,
    "saas": _saas,
    "fully_bayesian": _bayesian,
    "additive": _additive,
    "robust": _robust,
    "multitask": _multitask,
    "multifidelity": _fidelity,
    "gradients": _gradients,
}


# -- fitting -------------------------------------------------------------------------------------------------------


def _map(model: Model, fitter: Fitter) -> None:
    """MAP by L-BFGS, from where the hyperparameters stand."""
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    mll.train()
    fit_gpytorch_mll_scipy(mll, options={"maxiter": fitter.maxiter})


def _fit_robust(model: Model, fitter: Fitter) -> None:
    """Relevance pursuit: outliers are added one by one while the evidence grows; that is in BoTorch's dispatcher."""
    mll = ExactMarginalLogLikelihood(model.likelihood, model)
    fit_gpytorch_mll(
        mll,
        fractions_of_outliers=OUTLIERS,
        optimizer_kwargs={"options": {"maxiter": min(fitter.maxiter, ROBUST_STEPS)}},
    )


def _fit_bayesian(model: Any, fitter: Fitter) -> None:
    from optengine.surrogates.botorch_bayes import sample_hyperparameters

    sample_hyperparameters(model, fitter.seed)


FITS: dict[str, Callable[[Model, Fitter], None]] = {"robust": _fit_robust, "fully_bayesian": _fit_bayesian}
