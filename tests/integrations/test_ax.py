"""The generation node for Ax."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("ax", reason="Ax is not installed")

from ax.api.client import Client
from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.generation_strategy.generation_strategy import GenerationStrategy

import optengine as oe
from optengine.integrations.ax import OptEngineNode

pytestmark = pytest.mark.filterwarnings("ignore")  # Ax's own

RANGES = [
    RangeParameterConfig(name="x", bounds=(-5.0, 5.0), parameter_type="float"),
    RangeParameterConfig(name="lr", bounds=(1e-4, 1.0), parameter_type="float", scaling="log"),
    RangeParameterConfig(name="n", bounds=(1, 5), parameter_type="int"),
    ChoiceParameterConfig(name="kind", values=["a", "b"], parameter_type="str", is_ordered=False),
]


def client_with(
    node: OptEngineNode, parameters: Any = RANGES, objective: str = "-loss", **arguments: Any
) -> Client:
    client = Client()
    rows = arguments.pop("parameter_constraints", None)
    client.configure_experiment(parameters=parameters, parameter_constraints=rows)
    client.configure_optimization(objective=objective, **arguments)
    client.set_generation_strategy(GenerationStrategy(nodes=[node]))
    return client


def loss(p: Any) -> float:
    return float((p["x"] - 1) ** 2 + abs(p["lr"] - 0.01) + p["n"] + (p["kind"] == "b"))


@pytest.mark.parametrize("solver", ["bo", "tpe"])
def test_a_client_minimises(solver: str) -> None:
    client = client_with(OptEngineNode(solver, seed=0))
    values = []
    for _ in range(25):
        for index, parameters in client.get_next_trials(max_trials=1).items():
            values.append(loss(parameters))
            client.complete_trial(index, raw_data={"loss": values[-1]})
    assert min(values[10:]) < min(3.0, min(values[:5]))


def test_rows_limits_failures_and_pending_trials() -> None:
    node = OptEngineNode("bo", seed=0)
    client = client_with(node, parameter_constraints=["x + n <= 3"], outcome_constraints=["heat <= 0"])
    trials = client.get_next_trials(max_trials=6)
    assert len({tuple(p.values()) for p in trials.values()}) == 6
    for i, (index, parameters) in enumerate(trials.items()):
        assert parameters["x"] + parameters["n"] <= 3 + 1e-6
        if i == 0:
            client.mark_trial_failed(index)
        elif i < 5:
            client.complete_trial(index, raw_data={"loss": loss(parameters), "heat": parameters["x"]})
    client.get_next_trials(max_trials=1)
    run: Any = node._session.run  # type: ignore[union-attr]
    assert run._told.failed.tolist() == [True, False, False, False, False]
    assert len(run._told.pending) == 2
    first = list(trials.values())[1]
    assert run._told.F[1, 0] == pytest.approx(loss(first))
    assert run._told.G[1, 0] == pytest.approx(first["x"])


def test_several_objectives() -> None:
    client = client_with(OptEngineNode(seed=0), objective="-loss, gain")
    for _ in range(12):
        for index, p in client.get_next_trials(max_trials=1).items():
            client.complete_trial(index, raw_data={"loss": loss(p), "gain": p["lr"]})


def test_other_solvers_are_refused() -> None:
    with pytest.raises(oe.OptionError, match="nothing but data"):
        client_with(OptEngineNode("cmaes", seed=0)).get_next_trials(max_trials=1)
