"""Points that stay good when x cannot be set exactly: risk measures over sampled deviations.

Cakmak et al., Bayesian optimization of risk measures, NeurIPS 2020, arXiv:2007.05554.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from botorch.acquisition import risk_measures
from botorch.models.transforms.input import InputPerturbation
from scipy.stats import norm, qmc

from optengine.solvers.bayes.torch_features import Features
from optengine.solvers.bayes.torch_options import TorchOptions
from optengine.solvers.bayes.torch_plan import deviations

if TYPE_CHECKING:
    from optengine.core.problem import Problem


def objective(options: TorchOptions) -> Any:
    """The measure as an objective over samples of the deviations."""
    n = options.n_perturbations
    if options.risk == "expectation":
        return risk_measures.Expectation(n_w=n)
    if options.risk == "worst":
        return risk_measures.WorstCase(n_w=n)
    kind = risk_measures.VaR if options.risk == "var" else risk_measures.CVaR
    return kind(alpha=options.risk_level, n_w=n)


def perturbation(options: TorchOptions, problem: Problem, features: Features) -> InputPerturbation:
    """Deviations of the real features, the same ones in every ask."""
    spread = deviations(options, problem)
    at = [features.free_at[features.free.index(column)] for column in spread]
    U = qmc.Sobol(max(1, len(at)), scramble=True, rng=np.random.default_rng(0)).random(
        options.n_perturbations
    )
    shift = np.zeros((options.n_perturbations, features.d))
    shift[:, at] = norm.ppf(np.clip(U[:, : len(at)], 1e-6, 1 - 1e-6)) * np.array(list(spread.values()))
    bounds = torch.tensor([[0.0] * features.d, [1.0] * features.d])
    return InputPerturbation(torch.from_numpy(shift), bounds=bounds)
