"""The methods that bo_regret.py and bo_overhead.py measure: ours, and peers as their documentation shows them.

Each is an object with `ask() -> point` and `tell(point, objective, constraints)`, one point at a time; what a library
needs before its model starts (an initial design) is its own default. All minimise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from bo_problems import Case, Point, bounds

import optengine as oe


class Method(Protocol):
    """A conversation about one problem."""

    def ask(self) -> Point: ...

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None: ...


class NotApplicable(Exception):
    """The method cannot state the problem; the message says why."""


# -- ours ----------------------------------------------------------------------------------------------------------


class Ours:
    """`optengine.Optimizer`, asked for one point at a time, all options at their defaults."""

    def __init__(self, case: Case, seed: int, budget: int, solver: str, **options: Any) -> None:
        names, data = [f"c{i}" for i in range(case.n_constraints)], options.pop("data", None)
        problem = oe.Problem(
            _never,
            oe.Space(case.variables),
            constraints=names,
            noisy=case.noise > 0,
            call="dict",
            name=case.name,
        )
        self._optimizer = oe.Optimizer(problem, solver, seed=seed, data=data, options=options)
        self._names = names

    def ask(self) -> Point:
        self._candidates = self._optimizer.ask(1)
        return dict(self._candidates[0].x)

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None:
        told: Any = value
        if self._names:
            told = {"objective": value} | dict(zip(self._names, constraints, strict=True))
        self._optimizer.tell(self._candidates, [told])


def _never(x: Point) -> float:
    raise AssertionError("the loop evaluates")


# -- peers ---------------------------------------------------------------------------------------------------------


class Random:
    def __init__(self, case: Case, seed: int, budget: int) -> None:
        self._space, self._rng = oe.Space(case.variables), np.random.default_rng([seed, 5])

    def ask(self) -> Point:
        return dict(self._space.decode_one(self._space.sample(1, self._rng)[0]))

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None:
        pass


class Optuna:
    """A study; constraints through `Trial.set_constraint`, distributions fixed beforehand."""

    def __init__(self, case: Case, seed: int, budget: int, sampler: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        extra = {"deterministic_objective": case.noise == 0} if sampler == "GPSampler" else {}
        self._study = optuna.create_study(sampler=getattr(optuna.samplers, sampler)(seed=seed, **extra))
        d = optuna.distributions
        self._space: dict[str, Any] = {}
        for name, v in case.variables.items():
            if isinstance(v, oe.Categorical):
                self._space[name] = d.CategoricalDistribution(list(v.choices))
            else:
                kind = d.IntDistribution if isinstance(v, oe.Integer) else d.FloatDistribution
                self._space[name] = kind(*bounds(v), log=v.log)

    def ask(self) -> Point:
        self._trial = self._study.ask(self._space)
        return dict(self._trial.params)

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None:
        for i, g in enumerate(constraints):
            self._trial.set_constraint(f"c{i}", float(g))
        self._study.tell(self._trial, value)

    def load(self, points: Sequence[Point], values: Sequence[float]) -> None:
        """Enter finished trials."""
        import optuna

        create = optuna.trial.create_trial
        self._study.add_trials(
            [
                create(params=dict(x), distributions=self._space, value=float(y))
                for x, y in zip(points, values, strict=True)
            ]
        )


class Ax:
    """`ax.api.client.Client` with its default generation strategy."""

    def __init__(self, case: Case, seed: int, budget: int) -> None:
        import logging

        from ax.api.client import Client
        from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

        for name in list(logging.root.manager.loggerDict):
            if name.startswith("ax"):
                logging.getLogger(name).setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")
        parameters: list[Any] = []
        for name, v in case.variables.items():
            if isinstance(v, oe.Categorical):
                values = list(v.choices)
                parameters.append(
                    ChoiceParameterConfig(name=name, values=values, parameter_type="str", is_ordered=False)
                )
            else:
                kind = "int" if isinstance(v, oe.Integer) else "float"
                scale = {"scaling": "log"} if v.log else {}
                parameters.append(
                    RangeParameterConfig(name=name, bounds=bounds(v), parameter_type=kind, **scale)
                )
        self._client = Client(random_seed=seed)
        self._client.configure_experiment(parameters=parameters)
        limits = [f"c{i} <= 0" for i in range(case.n_constraints)]
        self._client.configure_optimization(objective="-f", outcome_constraints=limits or None)

    def ask(self) -> Point:
        ((self._number, point),) = self._client.get_next_trials(max_trials=1).items()
        return dict(point)

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None:
        told = {"f": float(value)} | {f"c{i}": float(g) for i, g in enumerate(constraints)}
        self._client.complete_trial(trial_index=self._number, raw_data=told)

    def load(self, points: Sequence[Point], values: Sequence[float]) -> None:
        for point, value in zip(points, values, strict=True):
            number = self._client.attach_trial(parameters=dict(point))
            self._client.complete_trial(trial_index=number, raw_data={"f": float(value)})


class BoTorch:
    """The recipe of BoTorch's tutorials: SingleTaskGP, qLogNoisyExpectedImprovement, `optimize_acqf`.

    Ten Sobol points first. Reals on a linear scale only: mixed spaces are left to Ax, which is built on it. Options of
    the acquisition's search: 4 restarts from 128 raw samples, at most 50 iterations, 128 posterior samples.
    """

    def __init__(self, case: Case, seed: int, budget: int) -> None:
        if not case.continuous:
            raise NotApplicable("the recipe is for reals; Ax stands for BoTorch on mixed spaces")
        import torch

        torch.set_num_threads(1)
        torch.manual_seed(seed)
        warnings.filterwarnings("ignore")
        self._names = list(case.variables)
        self._low = np.array([bounds(v)[0] for v in case.variables.values()])
        self._high = np.array([bounds(v)[1] for v in case.variables.values()])
        from torch.quasirandom import SobolEngine

        self._first = SobolEngine(len(self._names), scramble=True, seed=seed).draw(10).double().numpy()
        self._X: list[np.ndarray] = []
        self._Y: list[list[float]] = []

    def ask(self) -> Point:
        u = self._first[len(self._X)] if len(self._X) < len(self._first) else self._suggest()
        return dict(zip(self._names, (self._low + u * (self._high - self._low)).tolist(), strict=True))

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None:
        x = np.array([point[name] for name in self._names])
        self._X.append((x - self._low) / (self._high - self._low))
        self._Y.append([-float(value), *map(float, constraints)])

    def load(self, points: Sequence[Point], values: Sequence[float]) -> None:
        for point, value in zip(points, values, strict=True):
            self.tell(point, value, ())

    def _suggest(self) -> np.ndarray:
        import torch
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.acquisition.objective import GenericMCObjective
        from botorch.fit import fit_gpytorch_mll
        from botorch.models import ModelListGP, SingleTaskGP
        from botorch.optim import optimize_acqf
        from botorch.sampling import SobolQMCNormalSampler
        from gpytorch.mlls import ExactMarginalLogLikelihood, SumMarginalLogLikelihood

        X, Y = torch.tensor(np.array(self._X)), torch.tensor(np.array(self._Y))
        extra: dict[str, Any] = {}
        if Y.shape[1] == 1:
            model: Any = SingleTaskGP(X, Y)
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        else:
            model = ModelListGP(*(SingleTaskGP(X, Y[:, i : i + 1]) for i in range(Y.shape[1])))
            fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
            extra = {
                "objective": GenericMCObjective(lambda Z, X=None: Z[..., 0]),
                "constraints": [lambda Z, i=i: Z[..., i] for i in range(1, Y.shape[1])],
            }
        acquisition = qLogNoisyExpectedImprovement(
            model, X, sampler=SobolQMCNormalSampler(torch.Size([128])), prune_baseline=True, **extra
        )
        d = X.shape[1]
        box = torch.stack([torch.zeros(d), torch.ones(d)]).double()
        x, _ = optimize_acqf(
            acquisition, box, q=1, num_restarts=4, raw_samples=128, options={"maxiter": 50, "batch_limit": 4}
        )
        return np.asarray(x[0].numpy())


class Skopt:
    """`skopt.Optimizer` of scikit-optimize with its defaults; it knows no constraints."""

    def __init__(self, case: Case, seed: int, budget: int) -> None:
        if case.n_constraints:
            raise NotApplicable("scikit-optimize knows no constraints")
        from skopt import Optimizer
        from skopt.space import Categorical, Integer, Real

        warnings.filterwarnings("ignore")
        dimensions: list[Any] = []
        for v in case.variables.values():
            prior = "log-uniform" if getattr(v, "log", False) else "uniform"
            if isinstance(v, oe.Categorical):
                dimensions.append(Categorical(list(v.choices)))
            else:
                kind = Integer if isinstance(v, oe.Integer) else Real
                dimensions.append(kind(*bounds(v), prior=prior))
        self._names = list(case.variables)
        self._optimizer = Optimizer(dimensions, random_state=seed)

    def ask(self) -> Point:
        self._x = self._optimizer.ask()
        values = [v.item() if isinstance(v, np.generic) else v for v in self._x]
        return dict(zip(self._names, values, strict=True))

    def tell(self, point: Point, value: float, constraints: Sequence[float]) -> None:
        self._optimizer.tell(self._x, float(value))

    def load(self, points: Sequence[Point], values: Sequence[float]) -> None:
        self._optimizer.tell([[x[name] for name in self._names] for x in points], [float(v) for v in values])


def _ours(solver: str, **options: Any) -> Callable[[Case, int, int], Method]:
    return lambda case, seed, budget: Ours(case, seed, budget, solver, **options)


def _optuna(sampler: str) -> Callable[[Case, int, int], Method]:
    return lambda case, seed, budget: Optuna(case, seed, budget, sampler)


METHODS: dict[str, Callable[[Case, int, int], Method]] = {
    "bo": _ours("bo", engine="fast"),
    "bo_botorch": _ours("bo", engine="botorch"),
    "tpe": _ours("tpe"),
    "random": Random,
    "optuna_tpe": _optuna("TPESampler"),
    "optuna_gp": _optuna("GPSampler"),
    "skopt": Skopt,
    "ax": Ax,
    "botorch": BoTorch,
}
OURS = ("bo", "bo_botorch", "tpe")
PEERS = tuple(name for name in METHODS if name not in OURS)
PACKAGES = (
    "optengine",
    "numpy",
    "scipy",
    "scikit-learn",
    "optuna",
    "torch",
    "botorch",
    "gpytorch",
    "ax-platform",
)
