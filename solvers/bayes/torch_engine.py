"""The model side of a run: fit what was told, make the acquisition function, search it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from botorch.utils.multi_objective.pareto import is_non_dominated
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.repair import Repair
from optengine.core.space import Batch
from optengine.solvers.bayes import torch_acquisition as acquisition, torch_risk as risk
from optengine.solvers.bayes.fidelity import Costs, Schedule, levels_of
from optengine.solvers.bayes.told import Told
from optengine.solvers.bayes.torch_data import Targets, reference, targets
from optengine.solvers.bayes.torch_features import Features
from optengine.solvers.bayes.torch_fidelity import log_costs
from optengine.solvers.bayes.torch_plan import LOWER, THEN_LEVEL, Plan
from optengine.solvers.bayes.torch_search import Search
from optengine.solvers.bayes.torch_success import Success
from optengine.surrogates.botorch_models import Fitter, Inputs

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]

ENSEMBLES = ("saas", "fully_bayesian")
ALWAYS = 60  # rows up to which hyperparameters are fitted at every ask
GROWTH = 1.04  # by which rows grow between fits afterwards
N_BEST = 6  # rows whose neighbourhoods are searched
CANDIDATES = 384  # spread points behind entropy searches and Thompson samples
DRAWN = 1024  # points among which a sampled function's maximum is taken


class Engine:
    """Models of one run. It pickles: models and functions are made anew, hyperparameters kept."""

    def __init__(self, plan: Plan, problem: Problem, told: Told, repair: Repair, rng: Generator) -> None:
        self.plan, self._problem, self._told, self._repair, self._rng = plan, problem, told, repair, rng
        self.space, self.features = problem.space, Features(problem.space)
        self.costs = Costs(problem, self.space)
        self.k, self.m = problem.n_objectives, problem.n_constraints
        self.tasks: NDArray[np.int64] | None = (
            None  # (rows told,) where runs before this one are another task
        )
        inputs = Inputs(
            groups=self.features.groups,
            categorical=self.features.categorical,
            fidelities=self.features.fidelity,
            kernel=plan.kernel,
            warped=self.features.free_at if plan.warping else [],
        )
        self._joint = Fitter(plan.surrogate, inputs, plan.torch.fit_maxiter)
        self._single = Fitter(plan.surrogate, inputs, plan.torch.fit_maxiter)
        self._success = Success(self.features)
        self.schedule = Schedule(self.space, self.costs) if plan.lower else None
        self._fitted_at, self._seen_at, self._single_at = 0, 0, 0
        self._gradients: dict[bytes, Floats] = {}  # rows -> derivatives that the problem gave
        self._cache: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_cache": {}}

    def told(self) -> None:
        """Forget the models of what was known before."""
        self._cache = {}

    # -- data --------------------------------------------------------------------------------------------------

    @property
    def counting(self) -> NDArray[np.bool_]:
        """(rows told,) rows that may become incumbents and did not fail."""
        told = self._told
        counts = ~told.failed & self.space.at_target(told.X)
        return counts if self.tasks is None else counts & (self.tasks == 0)

    @property
    def ready(self) -> bool:
        """Whether there is enough for a model."""
        counts = ~self._told.failed if self.plan.lower else self.counting
        return int(counts.sum()) >= 2

    def _targets(self) -> Targets:
        if "targets" not in self._cache:
            self._cache["targets"] = targets(self._told, self.plan.noise, self.k == 1, self.tasks)
        found: Targets = self._cache["targets"]
        return found

    def _inputs(self, X: Batch, rows: NDArray[np.int64] | None = None) -> Floats:
        """Features of rows, with their task where there are tasks."""
        Z = self.features(X)
        if self.plan.surrogate != "multitask":
            return Z
        task = np.zeros(len(X)) if rows is None or self.tasks is None else self.tasks[rows]
        return np.concatenate([Z, np.asarray(task, dtype=np.float64)[:, None]], axis=1)

    # -- models ------------------------------------------------------------------------------------------------

    def _refit(self, n: int) -> bool:
        """Whether hyperparameters are due; never twice for the same values, so that a pickled run goes on as it was."""
        if n == self._seen_at:
            return False
        self._seen_at = n
        if n <= ALWAYS or n >= GROWTH * self._fitted_at:
            self._fitted_at = n
            return True
        return False

    def model(self) -> Any:
        """The model of all outputs."""
        if "model" not in self._cache:
            t = self._targets()
            Z = self._inputs(self._told.X[t.rows], t.rows)
            slopes = self._slopes(t) if self.plan.gradients else None
            self._cache["model"] = self._joint.fit(Z, t.outputs, t.V, self._refit(len(Z)), slopes)
        return self._cache["model"]

    def _slopes(self, t: Targets) -> Floats:
        """Derivatives (n, d) of the standardised objective by the features."""
        X = self._told.X[t.rows]
        missing = [row for row in X if row.tobytes() not in self._gradients]
        if missing:
            D = np.asarray(self._problem.gradient(np.array(missing)), dtype=np.float64)  # type: ignore[attr-defined]
            self._gradients |= {row.tobytes(): d for row, d in zip(missing, D, strict=True)}
        D = np.array([self._gradients[row.tobytes()] for row in X]) * self._problem.signs[0]
        unit = np.where(self.space.log, X * np.log(self._ratio()), self.space.upper - self.space.lower)
        return np.asarray(-(D * unit)[:, self.features.free] / t.scale[0])

    def _ratio(self) -> Floats:
        return np.where(
            self.space.log, self.space.upper / np.where(self.space.log, self.space.lower, 1.0), np.e
        )

    def objective(self, pending: Batch) -> Any:
        """The model of the first objective alone; `pending` rows enter at their posterior mean."""
        if self.k + self.m > 1:
            if "objective" not in self._cache:
                t = self._targets()
                Z = self._inputs(self._told.X[t.rows], t.rows)
                V = None if t.V is None else t.V[:, :1]
                self._cache["objective"] = self._single.fit(Z, t.Y[:, :1], V, self._single_at != len(Z))
                self._single_at = len(Z)
            model, fitter = self._cache["objective"], self._single
        else:
            model, fitter = self.model(), self._joint
        if not len(pending):
            return model
        t = self._targets()
        Z, P = self._inputs(self._told.X[t.rows], t.rows), self._inputs(pending)
        with torch.no_grad():
            mean = model.posterior(torch.from_numpy(P)).mean.numpy()[:, :1]
        Y = np.concatenate([t.Y[:, :1], mean])
        V = None if t.V is None else np.concatenate([t.V[:, :1], np.full_like(mean, t.V[:, 0].mean())])
        slopes = None
        if self.plan.gradients:
            slopes = np.concatenate([self._slopes(t), np.full((len(P), len(self.features.free)), np.nan)])
        return fitter.fit(np.concatenate([Z, P]), Y, V, False, slopes)

    # -- one point -----------------------------------------------------------------------------------------------

    def propose(self, deadline: float, at_target: bool) -> Batch | None:
        """Return the next point (1, width), or None where every point of a discrete space is taken.

        Args:
            deadline: value of time.monotonic() to be back at. at_target: keep to the target fidelity.
        """
        name = self._name()
        if self.plan.lower and not self.counting.any() and name not in (*LOWER, "feasibility"):
            at_target = True  # what improves on the best at the target needs one
        if at_target and name != "feasibility":
            name = self._confirming(name)
        lower = self.plan.lower and not at_target and name in LOWER
        search = Search(
            self.space,
            self.features,
            self._repair,
            self._rng,
            self.plan.n_raw if self.k == 1 else max(1, self.plan.n_raw // 2),  # hypervolumes are dear
            self.plan.n_starts,
            self.plan.torch.maxiter,
            deadline,
            levels_of(self.space) if lower else None,
        )
        best = self._best()
        self._success.learn(self._inputs_of_all(), self._told.failed)
        if name == "ts":
            return self._sampled(search, best)
        row: Batch | None = search.maximize(self._value(name, search, best, lower), best, self.taken)
        if row is None or not self.plan.lower or name not in THEN_LEVEL or at_target:
            return row
        return self._at_level(row)

    def _confirming(self, name: str) -> str:
        """The acquisition of the target's turn: what was learnt below pays only where it is confirmed."""
        if not self.counting.any():
            return "mean"
        if name in THEN_LEVEL:
            return name
        return "qlognei" if self._problem.noisy or self.plan.noise else "logei"

    def _at_level(self, row: Batch) -> Batch:
        """Return the row at the fidelity that tells most about its value at the target, per cost.

        The gain is the mutual information of the two values, -log(1 - correlation^2) / 2, noise included; once a cheap
        value is known nearby, another tells little and the target's turn comes (as the thresholds of Kandasamy et al.,
        ICML 2017, arXiv:1703.06240, and the gains of Takeno et al., ICML 2020, arXiv:1901.08275).
        """
        levels = levels_of(self.space)
        grids = np.meshgrid(*levels.values(), indexing="ij")
        X = np.repeat(row, grids[0].size + 1, axis=0)
        for column, grid in zip(levels, grids, strict=True):
            X[:-1, column] = grid.ravel()
        with torch.no_grad():
            model = self.objective(self._told.pending)
            covariance = model.posterior(
                torch.from_numpy(self._inputs(X))
            ).distribution.covariance_matrix.numpy()
            noise = float(model.likelihood.noise.mean())
        variance = np.maximum(np.diag(covariance), 1e-12)
        shared = covariance[:-1, -1] ** 2 / ((variance[:-1] + noise) * variance[-1])
        gain = -0.5 * np.log1p(-np.clip(shared, 0.0, 1.0 - 1e-9))
        value = gain / self.costs(X[:-1]) ** self.plan.torch.cost_weight
        value[self.taken(X[:-1])] = -1.0
        return np.asarray(X[[int(np.argmax(value))]]) if value.max() > 0 else row

    def _inputs_of_all(self) -> Floats:
        return self.features(self._told.X)

    def _name(self) -> str:
        """The acquisition of this ask: the chance of feasibility until something is feasible."""
        name = self.plan.acquisition
        if self.m and not (self._targets().feasible & self.counting[self._targets().rows]).any():
            return "feasibility"
        return "risk" if self.plan.torch.risk is not None else name

    def _best(self) -> Batch:
        """The best rows (b, width) at the target: where to search nearby."""
        t = self._targets()
        counts = self.counting[t.rows]
        if not counts.any():
            counts = np.ones(len(t.rows), dtype=bool)
        X, Y, G = self._told.X[t.rows][counts], t.Y[counts], t.G[counts]
        violation = np.maximum(G, 0.0).sum(axis=1)
        if self.k > 1 and (violation <= 0).any():
            X, Y = X[violation <= 0], Y[violation <= 0]
            front = X[is_non_dominated(torch.from_numpy(Y)).numpy()]
            return np.asarray(front[self._rng.permutation(len(front))[: 2 * N_BEST]])
        return X[np.lexsort((-Y[:, 0], violation))[:N_BEST]]

    def _value(self, name: str, search: Search, best: Batch, lower: bool) -> Any:
        t = self._targets()
        counts = self.counting[t.rows]
        pending = self._told.pending
        usable = counts & t.feasible
        one = name in acquisition.ONE_MODEL
        believed = name in acquisition.BELIEVED
        tensor = torch.from_numpy
        candidates = tensor(self._padded(search.first(best)[:CANDIDATES], best)) if one else torch.empty(0)
        objective = self.objective(pending if believed else pending[:0]) if one else None
        s = acquisition.Situation(
            model=None if one and not self.m else self.model(),
            objective=objective,
            k=self.k,
            m=self.m,
            best=float(t.Y[usable, 0].max()) if usable.any() else None,
            baseline=tensor(self._inputs(self._told.X[t.rows][counts])),
            pending=tensor(self._inputs(pending)) if len(pending) else None,
            candidates=candidates,
            reference=reference(self.plan.reference_point, self._problem.signs, t, usable)
            if self.k > 1
            else None,
            ensemble=self.plan.surrogate in ENSEMBLES,
            project=self._project if lower else None,
            seed=int(self._rng.integers(2**31)),
            n_samples=self.plan.torch.n_samples,
            n_optima=self.plan.torch.n_optima,
            beta=self.plan.torch.beta,
            risk=risk.objective(self.plan.torch) if name == "risk" else None,
        )
        if name == "risk":
            s.model.input_transform = risk.perturbation(self.plan.torch, self._problem, self.features)
            s.model.eval()
        if name == "mfkg" and not lower:
            name = "kg"
        if name == "mfmes" and not lower:
            name = "mes"
        base = acquisition.make(name, s)
        if self.plan.surrogate == "multitask" and name != "feasibility":
            base = _AtTask(base)
        weigh = self.m and name not in acquisition.CONSTRAINED
        feasible: Any = acquisition.ChanceOfConstraints(s.model, self.k, self.m) if weigh else None
        if feasible is not None and self.plan.surrogate == "multitask":
            feasible = _AtTask(feasible)
        logarithmic = name in acquisition.LOGARITHMIC
        cost = (
            log_costs(self.costs, self.features, self.space, self.plan.torch.cost_weight) if lower else None
        )
        floor = (s.best or 0.0) if name == "ucb" else 0.0
        return acquisition.Weighted(base, logarithmic, floor, self._success.log_chance, feasible, cost)

    def _padded(self, X: Batch, best: Batch) -> Floats:
        """Features of candidates, the best rows among them."""
        return self._inputs(np.concatenate([X, best]))

    def _project(self, Z: torch.Tensor) -> torch.Tensor:
        """Every fidelity at its target."""
        out = Z.clone()
        out[..., self.features.fidelity] = self._at_target
        return out

    @property
    def _at_target(self) -> torch.Tensor:
        X = self.space.from_unit(np.full((1, self.space.width), 0.5))
        for column, target in self.space.fidelity.values():
            X[:, column] = target
        return torch.from_numpy(self.features(X)[0, self.features.fidelity])

    # -- Thompson sampling ---------------------------------------------------------------------------------------

    def _sampled(self, search: Search, best: Batch) -> Batch | None:
        """The best point of one function drawn from the posterior; with constraints as in SCBO (arXiv:2002.08526)."""
        if search.all_points is not None:
            X = search.all_points
        else:
            search.n_raw = DRAWN
            X = search.first(best)
        X = X[~self.taken(X)][:DRAWN] if search.all_points is None else X[~self.taken(X)]
        if not len(X):
            return None
        with torch.no_grad():
            drawn = self.model().posterior(torch.from_numpy(self._inputs(X))).rsample(torch.Size([1]))
            values = drawn.reshape(-1, len(X), self.k + self.m).numpy()
            values = values[int(self._rng.integers(len(values)))]
            chance = self._success.log_chance
            odds = np.zeros(len(X)) if chance is None else chance(torch.from_numpy(self.features(X))).numpy()
        lucky = np.log(self._rng.random(len(X))) < odds
        violation = np.maximum(values[:, self.k :], 0.0).sum(axis=1)
        order = np.lexsort((-values[:, 0], violation, ~lucky))
        return X[order[:1]]

    # -- the model's opinion -------------------------------------------------------------------------------------

    def recommended(self) -> tuple[Batch, float] | None:
        """The feasible row (width,) that the model's mean, or its risk measure, thinks best, and that value."""
        t = self._targets()
        rows = self.counting[t.rows] & t.feasible
        if not rows.any() or self.k > 1:
            return None
        X = self._told.X[t.rows][rows]
        model = self.model()
        with torch.no_grad():
            if self.plan.torch.risk is None:
                posterior = model.posterior(torch.from_numpy(self._inputs(X)))
                mean = getattr(posterior, "mixture_mean", posterior.mean)[..., 0]
            else:
                model.input_transform = risk.perturbation(self.plan.torch, self._problem, self.features)
                model.eval()
                posterior = model.posterior(torch.from_numpy(self._inputs(X)))
                mean = risk.objective(self.plan.torch)(posterior.mean.unsqueeze(0))[0]
        best = int(mean.argmax())
        return X[best], float(t.center[0] - t.scale[0] * float(mean[best]))

    # -- duplicates ----------------------------------------------------------------------------------------------

    def taken(self, X: Batch) -> NDArray[np.bool_]:
        """(n,) rows not to be asked: known ones where values are exact, failed and pending ones always."""
        told = self._told
        again = self._problem.noisy
        known = told.X[told.failed] if again else told.X
        if again:
            taken = np.isin([row.tobytes() for row in X + 0.0], [row.tobytes() for row in known + 0.0])
        else:
            taken = told.seen(X)
        for rows, apart in ((known, 1e-6), (told.pending, 2e-3)):
            if len(rows) and len(self.features.free):
                Z, W = self.features(X), self.features(rows)
                near = (np.abs(Z[:, None, :] - W[None, :, :]).max(axis=2) < apart).any(axis=1)
                taken |= near
            elif len(rows):
                taken |= (X[:, None, :] == rows[None, :, :]).all(axis=2).any(axis=1)
        return taken


class _AtTask:
    """An acquisition over features with a task, as one over features: this run is task 0."""

    def __init__(self, base: Any) -> None:
        self._base = base

    def __call__(self, Z: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self._base(torch.cat([Z, torch.zeros(len(Z), 1)], dim=1))
        return value
