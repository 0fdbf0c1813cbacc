"""Acquisition functions against their definitions, and the search for their maxima."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra 'bayes' is not installed")
pytest.importorskip("botorch", reason="the extra 'bayes' is not installed")

from optengine.surrogates.botorch_support import calm, require_torch  # noqa: E402

require_torch()

from optengine.backends.repair import Repair  # noqa: E402
from optengine.core.problem import Objective, Problem  # noqa: E402
from optengine.core.space import Categorical, Integer, Ordinal, Permutation, Real, Row, Space  # noqa: E402
from optengine.engine import solve  # noqa: E402
from optengine.solvers.bayes import BO  # noqa: E402
from optengine.solvers.bayes.fidelity import Costs, Schedule, levels_of  # noqa: E402
from optengine.solvers.bayes.torch_acquisition import MAKERS, Situation, make  # noqa: E402
from optengine.solvers.bayes.torch_features import Features  # noqa: E402
from optengine.solvers.bayes.torch_gradient import KnowledgeGradient  # noqa: E402
from optengine.solvers.bayes.torch_options import TorchOptions  # noqa: E402
from optengine.solvers.bayes.torch_search import Search  # noqa: E402
from optengine.surrogates.botorch_models import Fitter, Inputs  # noqa: E402

SHORT = TorchOptions(maxiter=15, fit_maxiter=20, n_samples=16, n_optima=4)
QUICK: dict[str, Any] = {"engine": "botorch", "n_raw": 64, "n_starts": 2, "torch": SHORT}


def model_of(n: int = 8, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    Z = rng.random((n, 2))
    Y = np.sin(5 * Z[:, :1]) + Z[:, 1:] ** 2
    model = Fitter("gp", Inputs([0, 1], [], []), 30).fit(Z, (Y - Y.mean()) / Y.std())
    return model, torch.from_numpy(Z)


def situation(model: Any, Z: Any) -> Situation:
    candidates = torch.rand(60, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return Situation(
        model=model, objective=model, k=1, m=0, best=1.0, baseline=Z, pending=None, candidates=candidates,
        reference=None, ensemble=False, project=None, seed=0, n_samples=32, n_optima=4, beta=4.0,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["logei", "qlognei", "kg", "ucb", "mes", "gibbon", "jes"])
def test_gradients_are_those_of_the_values(name: str) -> None:
    with calm(seed=0):
        model, Z = model_of()
        value = make(name, situation(model, Z))
        z = torch.tensor([[0.31, 0.62], [0.83, 0.27]], requires_grad=True)
        (slope,) = torch.autograd.grad(value(z).sum(), z)
        step = 1e-5
        for i in range(2):
            shift = torch.zeros(2)
            shift[i] = step
            with torch.no_grad():
                rise = (value(z + shift) - value(z - shift)) / (2 * step)
            torch.testing.assert_close(slope[:, i], rise, rtol=2e-3, atol=2e-4)
    assert name == "kg" or name in MAKERS


def test_the_knowledge_gradient_is_the_expected_rise_of_the_best_mean() -> None:
    """Against its definition: condition the model on new values, look at the best mean among the same points."""
    with calm(seed=0):
        model, _ = model_of()
        points = torch.rand(20, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        kg = KnowledgeGradient(model, points)
        z = torch.tensor([[0.4, 0.55]])
        all_points = torch.cat([points, z])
        with torch.no_grad():
            before = model.posterior(all_points).mean.max()
            posterior = model.posterior(z, observation_noise=True)
            nodes, weights = np.polynomial.hermite_e.hermegauss(60)
            rises = []
            for node in nodes:
                y = posterior.mean + posterior.variance.sqrt() * float(node)
                noise = torch.full_like(y, float(model.likelihood.noise))
                after = model.condition_on_observations(z, y, noise=noise).posterior(all_points).mean.max()
                rises.append(float(after - before))
            expected = float(np.dot(weights, rises) / weights.sum())
            found = float(kg.gain(z))
    assert found == pytest.approx(expected, rel=0.03)
    assert found > 0


@pytest.mark.parametrize(
    "space",
    [
        Space([(0.0, 1.0)] * 2),
        Space(a=Real(1e-3, 1.0, log=True), n=Integer(0, 40), kind=Categorical(["u", "v", "w"])),
        Space([(0.0, 1.0)] * 2, rows=[Row([1, 1], upper=0.8)]),
        Space(Permutation(4)),
    ],
)
def test_the_search_beats_looking_at_many_points(space: Space) -> None:
    features, rng = Features(space), np.random.default_rng(0)
    goal = torch.from_numpy(features(Repair(space).feasible_sample(1, np.random.default_rng(9))))

    def value(Z: Any) -> Any:
        return -((Z - goal) ** 2).sum(-1)

    search = Search(space, features, Repair(space), rng, 64, 3, 40)
    found = search.maximize(value, np.empty((0, space.width)), lambda X: np.zeros(len(X), dtype=bool))
    looked = search.values(value, search.first(np.empty((0, space.width))))
    assert space.satisfies(found).all()
    assert search.values(value, found)[0] >= looked.max() - 1e-9
    assert search.values(value, found)[0] > -1e-3


def test_features_separate_points_and_turn_fidelities() -> None:
    space = Space(
        x=Real(0, 1), n=Integer(0, 3), kind=Categorical(["u", "v", "w"]),
        eps=Real(1e-3, 1e-1, log=True, fidelity=True, target=1e-3), s=Ordinal([1, 2, 4], fidelity=True),
    )  # fmt: skip
    features = Features(space)
    X = space.sample(50, np.random.default_rng(0))
    for column, target in space.fidelity.values():
        X[0, column] = target
    Z = features(X)
    assert Z.shape == (50, features.d)
    np.testing.assert_allclose(Z[0, features.fidelity], 1.0)
    assert (Z[:, features.fidelity] <= 1.0 + 1e-12).all()
    assert features.free == [0]
    same = (X[:, None] == X[None]).all(axis=2)
    near = (np.abs(Z[:, None] - Z[None]) < 1e-12).all(axis=2)
    np.testing.assert_array_equal(same, near)


# -- fidelities ------------------------------------------------------------------------------------------------------

COST = {1: 1.0, 2: 3.0, 3: 10.0}


def cheap(x: float, s: int) -> float:
    return (x - 0.3) ** 2 * 4 + 0.3 * (3 - s) * np.sin(6 * x)


def ladder(cost: Any = lambda x: COST[x["s"]]) -> Problem:
    return Problem(cheap, Space(x=Real(0, 1), s=Ordinal([1, 2, 3], fidelity=True)), cost=cost)


@pytest.mark.parametrize(
    "acquisition",
    ["auto", *(pytest.param(name, marks=pytest.mark.slow) for name in ("logei", "gibbon", "mfmes"))],
)
def test_fidelities_are_used_and_only_the_target_counts(acquisition: str) -> None:
    result = solve(ladder(), BO(**QUICK, acquisition=acquisition), budget=60, max_cost=65.0, seed=0)
    level = result.history.X[:, 1]
    assert (level < 2).any()
    assert (level == 2).any()
    assert result.x["s"] == 3
    assert result.fun < 0.1
    assert result.details["surrogate"] == "multifidelity"


def test_continuous_fidelities_and_reported_costs() -> None:
    def simulate(x: float, t: float) -> dict[str, float]:
        return {"f": (x - 0.3) ** 2 + 0.2 * (1 - t) * x, "cost": 1.0 + 9.0 * t}

    problem = Problem(simulate, Space(x=Real(0, 1), t=Real(0.1, 1.0, fidelity=True)), objectives="f")
    result = solve(problem, BO(**QUICK), budget=30, max_cost=60.0, seed=0)
    assert (result.history.X[:, 1] < 1.0).any()
    assert result.x["t"] == 1.0


def test_costs_are_learnt_from_what_is_told() -> None:
    problem = Problem(cheap, Space(x=Real(0, 1), s=Integer(1, 27, log=True, fidelity=True)))
    space = problem.space
    costs = Costs(problem, space)
    X = space.sample(30, np.random.default_rng(0))
    costs.learn(X, 2.0 * X[:, 1] ** 1.5)
    np.testing.assert_allclose(costs(X), 2.0 * X[:, 1] ** 1.5, rtol=0.05)


def test_the_first_points_are_cheap_and_the_targets_turn_comes() -> None:
    problem = ladder()
    space = problem.space
    schedule = Schedule(space, Costs(problem, space))
    X = space.sample(20, np.random.default_rng(0))
    assert schedule.first(6, X[:1]) == [{1: 0.0}] * 12
    assert not schedule.due(X[:1])
    schedule.asked(np.tile([[0.5, 0.0]], (10, 1)))
    assert schedule.due(X[:1])
    schedule.asked(np.array([[0.5, 2.0]]))
    assert not schedule.due(X[:1])
    assert levels_of(space)[1].tolist() == [0.0, 1.0, 2.0]


def test_the_first_points_cost_no_more_than_half_of_as_many_at_the_target() -> None:
    problem = ladder(cost=lambda x: 9.0 + x["s"] / 3.0)
    space = problem.space
    schedule = Schedule(space, Costs(problem, space))
    assert len(schedule.first(6, space.sample(1, np.random.default_rng(0)))) == 3


@pytest.mark.parametrize("acquisition", [pytest.param("logei", marks=pytest.mark.slow), "auto"])
def test_the_first_target_is_where_the_model_expects_the_best(acquisition: str) -> None:
    problem = ladder()
    run = BO(**QUICK, acquisition=acquisition).start(problem, np.random.default_rng(0))
    X = np.column_stack([np.linspace(0.0, 1.0, 9), np.zeros(9)])
    told = problem.evaluate(X)
    told.ids = np.full(9, -1)
    run.tell(X, told)
    while not problem.space.at_target(x := run.ask(1))[0]:
        run.tell(x, problem.evaluate(x))
    lowest = min(cheap(x, 1) for x in X[:, 0])
    assert cheap(float(x[0, 0]), 1) < lowest + 0.1


# -- several objectives ------------------------------------------------------------------------------------------------


def trade(x: np.ndarray) -> dict[str, float]:
    cost, gain = float(((x - 0.2) ** 2).sum()), -float(((x - 0.8) ** 2).sum())
    return {"cost": cost, "gain": gain, "heat": float(x[0]) - 0.9}


@pytest.mark.parametrize(
    ("acquisition", "options"),
    [("auto", {}), ("qlognparego", {}), ("auto", {"reference_point": [1.0, -1.0]})],
)
def test_fronts_are_found(acquisition: str, options: dict[str, Any]) -> None:
    import moocore

    problem = Problem(
        trade, [(0.0, 1.0)] * 2, objectives=["cost", Objective("gain", "maximize")], constraints="heat"
    )
    torch_options = TorchOptions(maxiter=10, fit_maxiter=15, n_samples=8)
    solver = BO(
        engine="botorch", acquisition=acquisition, n_raw=32, n_starts=2, torch=torch_options, **options
    )
    result = solve(problem, solver, budget=12, seed=0)
    assert result.front is not None
    volume = moocore.hypervolume(result.front.F * np.array([1.0, -1.0]), ref=np.array([1.0, 1.0]))
    assert volume > 0.72
