"""The acquisition functions by name, each as a function of features (b, d) -> (b,) that the search maximises.

Expected improvement in its logarithmic forms (Ament et al., NeurIPS 2023, arXiv:2310.20708), knowledge gradient,
max-value entropy (Wang and Jegelka, ICML 2017, arXiv:1703.01968), GIBBON (Moss et al., JMLR 2021, arXiv:2102.03324),
joint entropy (Hvarfner et al., NeurIPS 2022, arXiv:2206.04771), predictive entropy (Hernandez-Lobato et al., NeurIPS
2014, arXiv:1406.2541), Thompson sampling, upper confidence bounds; for several objectives the noisy hypervolume
improvement (Daulton et al., NeurIPS 2021, arXiv:2105.08195) and random scalarisations (ParEGO, Knowles 2006).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from botorch.acquisition.analytic import (
    LogConstrainedExpectedImprovement,
    LogExpectedImprovement,
    LogProbabilityOfFeasibility,
    PosteriorMean,
)
from botorch.acquisition.cost_aware import CostAwareUtility
from botorch.acquisition.joint_entropy_search import qJointEntropySearch
from botorch.acquisition.logei import (
    qLogExpectedImprovement,
    qLogNoisyExpectedImprovement,
    qLogProbabilityOfFeasibility,
)
from botorch.acquisition.max_value_entropy_search import (
    qLowerBoundMaxValueEntropy,
    qMaxValueEntropy,
    qMultiFidelityLowerBoundMaxValueEntropy,
    qMultiFidelityMaxValueEntropy,
)
from botorch.acquisition.monte_carlo import qUpperConfidenceBound
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.objective import IdentityMCMultiOutputObjective
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.objective import GenericMCObjective
from botorch.acquisition.predictive_entropy_search import qPredictiveEntropySearch
from botorch.sampling.normal import SobolQMCNormalSampler
from botorch.utils.safe_math import log_fatplus

from optengine.solvers.bayes.torch_gradient import KnowledgeGradient

Value = Callable[[torch.Tensor], torch.Tensor]

LOGARITHMIC = ("logei", "qlognei", "kg", "mfkg", "qlognehvi", "qlognparego", "feasibility", "risk")
CONSTRAINED = (
    "logei",
    "qlognei",
    "qlognehvi",
    "qlognparego",
    "feasibility",
)  # they weigh observed constraints themselves
ONE_MODEL = (
    "kg",
    "mfkg",
    "mes",
    "gibbon",
    "jes",
    "pes",
    "mfmes",
    "ucb",
    "mean",
)  # they look at the objective's model alone
BELIEVED = ("kg", "mfkg", "jes")  # pending points enter as if they had given their posterior mean
N_SET = 48  # points of the knowledge gradient's set by each of two rules
N_MAXIMA = 10  # sampled maximum values


@dataclass
class Situation:
    """What an acquisition function is made from; features throughout.

    Attributes:
        model: of all outputs, objectives first. objective: of the first objective alone (with pending points where the
            acquisition is one of `BELIEVED`). k, m: numbers of objectives and constraints.
        best: largest standardised value among rows that count, or None without a feasible one.
        baseline: (n, d) rows that count, none pending. pending: (p, d) or None. candidates: (c, d) spread points.
        reference: (k,) reference point, standardised, to be exceeded. ensemble: whether the model is a mixture.
        project: to the target fidelity, or None. seed, n_samples, n_optima, beta: options.
        risk: objective over perturbed samples, or None.
    """

    model: Any
    objective: Any
    k: int
    m: int
    best: float | None
    baseline: torch.Tensor
    pending: torch.Tensor | None
    candidates: torch.Tensor
    reference: torch.Tensor | None
    ensemble: bool
    project: Callable[[torch.Tensor], torch.Tensor] | None
    seed: int
    n_samples: int
    n_optima: int
    beta: float
    risk: Any = None

    def sampler(self) -> SobolQMCNormalSampler:
        return SobolQMCNormalSampler(torch.Size([self.n_samples]), seed=self.seed)

    def constraints(self) -> list[Callable[[torch.Tensor], torch.Tensor]] | None:
        """The outputs that must be <= 0, as functions of samples (..., k + m)."""
        return [_Column(self.k + i) for i in range(self.m)] or None

    def first(self) -> Any:
        """The first objective of samples of several outputs."""
        return GenericMCObjective(_first) if self.k + self.m > 1 else None


class _Column:
    """One output of samples (..., k + m)."""

    def __init__(self, i: int) -> None:
        self.i = i

    def __call__(self, Y: torch.Tensor) -> torch.Tensor:
        return Y[..., self.i]


def _first(Y: torch.Tensor, X: torch.Tensor | None = None) -> torch.Tensor:
    return Y[..., 0]


def make(name: str, s: Situation) -> Value:
    """Return the acquisition function `name`, in its own scale."""
    if name in ("kg", "mfkg"):
        return KnowledgeGradient(s.objective, _promising(s), s.project)
    return _Pointwise(MAKERS[name](s))


class _Pointwise:
    """BoTorch's acquisition functions take (b, q, d)."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.function(Z.unsqueeze(1))
        return value


class Weighted:
    """An acquisition with the chances of success and feasibility, and cost, in its logarithm.

    Args:
        base: the acquisition. logarithmic: whether it is a logarithm. floor: value that counts as no gain where not.
        success, feasible, cost: log chance that the evaluation succeeds, that constraints hold, log cost; or None.
    """

    def __init__(
        self,
        base: Value,
        logarithmic: bool,
        floor: float = 0.0,
        success: Value | None = None,
        feasible: Value | None = None,
        cost: Value | None = None,
    ) -> None:
        self._base, self._log, self._floor = base, logarithmic, floor
        self._added = [f for f in (success, feasible) if f is not None]
        self._cost = cost

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        value = self._base(Z)
        if not self._added and self._cost is None:
            return value
        if not self._log:
            value = log_fatplus(value - self._floor, tau=1e-4)
        for more in self._added:
            value = value + more(Z)
        return value if self._cost is None else value - self._cost(Z)


class ChanceOfConstraints:
    """log of the probability that independent constraints hold at Z (b, d)."""

    def __init__(self, model: Any, k: int, m: int) -> None:
        self._model, self._columns = model, slice(k, k + m)

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        posterior = self._model.posterior(Z.unsqueeze(1))
        mean = getattr(posterior, "mixture_mean", posterior.mean)[..., 0, self._columns]
        variance = getattr(posterior, "mixture_variance", posterior.variance)[..., 0, self._columns]
        chance: torch.Tensor = torch.special.log_ndtr(-mean / variance.clamp_min(1e-12).sqrt()).sum(-1)
        return chance


# -- one objective ---------------------------------------------------------------------------------------------------


def _logei(s: Situation) -> Any:
    """Analytic where nothing is pending; over samples otherwise."""
    assert s.best is not None
    if s.pending is not None or s.ensemble:
        return qLogExpectedImprovement(
            s.model,
            best_f=s.best,
            sampler=s.sampler(),
            objective=s.first(),
            constraints=s.constraints(),
            X_pending=s.pending,
        )
    if s.m:
        bounds: dict[int, tuple[float | None, float | None]] = {s.k + i: (None, 0.0) for i in range(s.m)}
        return LogConstrainedExpectedImprovement(
            s.model, best_f=s.best, objective_index=0, constraints=bounds
        )
    return LogExpectedImprovement(s.model, best_f=s.best)


def _qlognei(s: Situation) -> Any:
    return qLogNoisyExpectedImprovement(
        s.model,
        X_baseline=s.baseline,
        sampler=s.sampler(),
        objective=s.first(),
        constraints=s.constraints(),
        X_pending=s.pending,
        prune_baseline=len(s.baseline) > 1,
    )


def _risk(s: Situation) -> Any:
    return qLogNoisyExpectedImprovement(
        s.model,
        X_baseline=s.baseline,
        sampler=s.sampler(),
        objective=s.risk,
        X_pending=s.pending,
        prune_baseline=len(s.baseline) > 1,
    )


def _feasibility(s: Situation) -> Any:
    """Before anything feasible is known: the chance of it alone."""
    if s.pending is not None or s.ensemble:
        return qLogProbabilityOfFeasibility(
            s.model, constraints=s.constraints() or [], sampler=s.sampler(), X_pending=s.pending
        )
    return LogProbabilityOfFeasibility(s.model, constraints={s.k + i: (None, 0.0) for i in range(s.m)})


def _mean(s: Situation) -> Any:
    """Where fidelities below the target were all that was told: the model's best guess."""
    return PosteriorMean(s.objective)


def _ucb(s: Situation) -> Any:
    return qUpperConfidenceBound(s.objective, beta=s.beta, sampler=s.sampler(), X_pending=s.pending)


# -- information -----------------------------------------------------------------------------------------------------


def _mes(s: Situation) -> Any:
    return qMaxValueEntropy(s.objective, s.candidates, num_mv_samples=N_MAXIMA, X_pending=s.pending)


def _gibbon(s: Situation) -> Any:
    if s.project is not None:
        return qMultiFidelityLowerBoundMaxValueEntropy(
            s.objective,
            s.candidates,
            num_mv_samples=N_MAXIMA,
            X_pending=s.pending,
            cost_aware_utility=_Unpriced(),
            project=s.project,
        )
    return qLowerBoundMaxValueEntropy(s.objective, s.candidates, num_mv_samples=N_MAXIMA, X_pending=s.pending)


def _mfmes(s: Situation) -> Any:
    assert s.project is not None
    return qMultiFidelityMaxValueEntropy(
        s.objective,
        s.candidates,
        num_mv_samples=N_MAXIMA,
        X_pending=s.pending,
        cost_aware_utility=_Unpriced(),
        project=s.project,
    )


class _Unpriced(CostAwareUtility):
    """The gain as it is: `Weighted` divides by the cost."""

    def forward(self, X: torch.Tensor, deltas: torch.Tensor, sampler: Any = None) -> torch.Tensor:
        return deltas


def _jes(s: Situation) -> Any:
    inputs, outputs = _optima(s)
    return qJointEntropySearch(s.objective, inputs, outputs)


def _pes(s: Situation) -> Any:
    inputs, _ = _optima(s)
    return qPredictiveEntropySearch(s.objective, inputs, X_pending=s.pending)


def _optima(s: Situation) -> tuple[torch.Tensor, torch.Tensor]:
    """Maxima (o, d) and their values (o, 1) of functions drawn from the posterior at the candidates."""
    with torch.no_grad():
        drawn = s.objective.posterior(s.candidates).rsample(torch.Size([s.n_optima]))[..., 0]
    value, at = drawn.max(dim=-1)
    return s.candidates[at], value.unsqueeze(-1)


def _promising(s: Situation) -> torch.Tensor:
    """Points (a, d) at the target fidelity whose posterior mean may become the best."""
    Z = s.candidates if s.project is None else s.project(s.candidates)
    with torch.no_grad():
        posterior = s.objective.posterior(Z.unsqueeze(1))
        mean, spread = posterior.mean.flatten(), posterior.variance.flatten().sqrt()
    k = min(N_SET, len(Z))
    chosen = torch.cat([mean.topk(k).indices, (mean + 2.0 * spread).topk(k).indices]).unique()  # type: ignore[no-untyped-call]
    return Z[chosen]


# -- several objectives ------------------------------------------------------------------------------------------------


def _qlognehvi(s: Situation) -> Any:
    assert s.reference is not None
    return qLogNoisyExpectedHypervolumeImprovement(
        s.model,
        ref_point=s.reference,
        X_baseline=s.baseline,
        sampler=s.sampler(),
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(s.k))),
        constraints=s.constraints(),
        X_pending=s.pending,
        prune_baseline=True,
        alpha=0.0 if s.k <= 4 else 1e-3,
    )


def _qlognparego(s: Situation) -> Any:
    return qLogNParEGO(
        s.model,
        X_baseline=s.baseline,
        sampler=s.sampler(),
        objective=IdentityMCMultiOutputObjective(outcomes=list(range(s.k))),
        constraints=s.constraints(),
        X_pending=s.pending,
        prune_baseline=len(s.baseline) > 1,
    )


MAKERS: dict[str, Callable[[Situation], Any]] = {
    "logei": _logei,
    "qlognei": _qlognei,
    "risk": _risk,
    "feasibility": _feasibility,
    "mean": _mean,
    "ucb": _ucb,
    "mes": _mes,
    "gibbon": _gibbon,
    "mfmes": _mfmes,
    "jes": _jes,
    "pes": _pes,
    "qlognehvi": _qlognehvi,
    "qlognparego": _qlognparego,
}
