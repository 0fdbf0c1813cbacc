"""Our solvers behind Optuna: spaces, pending and failed trials, constraints, processes, pickles, resume."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

optuna = pytest.importorskip("optuna")

import optengine as oe
from optengine.core.errors import OptionError, SolverNotSuitable, SpaceError
from optengine.integrations.optuna import OptEnginePruner, OptEngineSampler, from_study, to_study
from optengine.integrations.optuna_structure import Structure, hull

Float, Int, Cat = (
    optuna.distributions.FloatDistribution,
    optuna.distributions.IntDistribution,
    optuna.distributions.CategoricalDistribution,
)
STATES = optuna.trial.TrialState


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


def study_with(solver: Any = "tpe", **arguments: Any) -> Any:
    known = {
        name: arguments.pop(name) for name in ("direction", "directions", "storage") if name in arguments
    }
    return optuna.create_study(sampler=OptEngineSampler(solver, seed=0, **arguments), **known)


def bowl(trial: Any) -> float:
    return float(sum((trial.suggest_float(f"x{i}", -5, 5) - 1) ** 2 for i in range(3)))


def tree(trial: Any) -> float:
    """A conditional objective: each kind has a parameter of its own, layers have one each."""
    x = trial.suggest_float("x", -1, 1)
    if trial.suggest_categorical("kind", ["net", "tree"]) == "tree":
        return x**2 + trial.suggest_int("depth", 1, 9) / 9
    layers = trial.suggest_int("layers", 1, 3)
    return float(
        x**2 + 0.1 + sum(trial.suggest_float(f"width{i}", 1, 100, log=True) for i in range(layers)) / 300
    )


# -- spaces --------------------------------------------------------------------------------------------------------


def test_parameters_hang_on_those_that_explain_their_absence() -> None:
    study = study_with("random")
    study.optimize(tree, n_trials=40)
    distributions, conditions = _structure_of(study).spec()
    assert set(distributions) == {"x", "kind", "depth", "layers", "width0", "width1", "width2"}
    assert conditions["depth"] == ("kind", (1,))
    assert conditions["layers"] == ("kind", (0,))
    assert conditions["width1"] == ("layers", (2, 3))
    assert conditions["width2"] == ("layers", (3,))


def test_conditional_trials_are_sampled_together() -> None:
    study = study_with("tpe")
    study.optimize(tree, n_trials=60)
    for trial in study.trials[40:]:
        proposed = trial.system_attrs["optengine"]["params"]
        assert proposed == trial.params  # neither more nor less than the objective asks for
    assert study.best_value < 0.2


def test_a_parameter_whose_absence_nothing_explains_is_sampled_alone() -> None:
    structure = Structure()
    for i in range(6):
        params = {"x": i / 10, "kind": "ab"[i % 2]} | ({"y": 0.5} if i in (0, 1) else {})
        ranges = {"x": Float(0, 1), "kind": Cat(["a", "b"])} | ({"y": Float(0, 1)} if "y" in params else {})
        structure.note(ranges, params)
    assert set(structure.spec()[0]) == {"x", "kind"}
    assert structure.spec()[1] == {}


def test_ranges_that_change_are_joined() -> None:
    assert hull(Float(0, 5), Float(3, 9)) == Float(0, 9)
    assert hull(Int(0, 6, step=2), Int(-4, 2, step=2)) == Int(-4, 6, step=2)
    assert hull(Int(0, 6, step=2), Int(1, 7, step=2)) == Int(1, 7, step=2)  # no grid holds both
    assert hull(Float(0, 1, step=0.5), Float(0, 2, step=0.5)) == Float(0, 2, step=0.5)


def test_a_stated_space_costs_no_uniform_trial_and_keeps_known_constraints() -> None:
    space = oe.Space(
        {"x0": oe.Real(-5, 5), "x1": oe.Real(-5, 5), "x2": oe.Real(-5, 5)},
        rows=[oe.Row({"x0": 1, "x1": 1, "x2": 1}, upper=2)],
    )
    study = study_with("bo", search_space=space)
    study.optimize(bowl, n_trials=12)
    assert all("optengine" in trial.system_attrs for trial in study.trials)
    assert all(sum(trial.params.values()) <= 2 + 1e-9 for trial in study.trials)
    assert study.best_value < 1.0  # the optimum under the row is 1 / 3

    study = study_with("tpe", search_space={"x0": Float(-5, 5), "x1": Float(-5, 5), "x2": Float(-5, 5)})
    study.optimize(bowl, n_trials=2)
    assert "optengine" in study.trials[0].system_attrs


def test_levels_bits_and_grids_come_back_as_they_were_stated() -> None:
    space = oe.Space(
        rate=oe.Real(1e-4, 1, log=True), n=oe.Integer(2, 5), kind=oe.Categorical(["a", None, 3]),
        level=oe.Ordinal([0.5, 2.0, 8.0]), bit=oe.Binary(), deep=oe.Integer(1, 4, when=("bit", True)),
    )  # fmt: skip

    def objective(trial: Any) -> float:
        value = trial.suggest_float("rate", 1e-4, 1, log=True) + trial.suggest_int("n", 2, 5)
        assert trial.suggest_categorical("kind", ["a", None, 3]) in ("a", None, 3)
        value += trial.suggest_categorical("level", [0.5, 2.0, 8.0])
        if trial.suggest_categorical("bit", [False, True]):
            value -= trial.suggest_int("deep", 1, 4)
        return float(value)

    study = study_with("tpe", search_space=space)
    study.optimize(objective, n_trials=30)
    assert all(t.system_attrs["optengine"]["params"] == t.params for t in study.trials)


# -- trials that run, fail, are pruned or fixed --------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["bo", "tpe", "cem"])
def test_running_trials_are_pending(solver: str) -> None:
    """Twelve points, eleven trials at once: all different."""
    ranges = {"k": Cat(["a", "b", "c"]), "n": Int(0, 3)}
    study = study_with(solver, search_space=ranges)
    study.tell(study.ask(ranges), 1.0)
    trials = [study.ask(ranges) for _ in range(11)]
    assert len({tuple(t.params.values()) for t in (*trials, study.trials[0])}) == 12


@pytest.mark.parametrize("solver", ["bo", "tpe", "cem"])
def test_trials_of_other_processes_are_pending(solver: str) -> None:
    """Two samplers of one seed take turns, as those of two processes do: what one proposed the other knows."""
    ranges = {"k": Cat(["a", "b", "c"]), "n": Int(0, 3)}
    study = study_with(solver, search_space=ranges)
    study.tell(study.ask(ranges), 1.0)
    samplers = [OptEngineSampler(solver, seed=0, search_space=ranges) for _ in range(2)]
    trials = []
    for i in range(11):
        study.sampler = samplers[i % 2]
        trials.append(study.ask(ranges))
    assert len({tuple(t.params.values()) for t in (*trials, study.trials[0])}) == 12


def test_threads_share_a_sampler() -> None:
    ranges = {"x": Float(0, 1), "y": Float(0, 1)}
    study = study_with("bo", search_space=ranges)
    study.optimize(lambda t: t.suggest_float("x", 0, 1) + t.suggest_float("y", 0, 1), n_trials=20, n_jobs=4)
    points = np.array([[t.params["x"], t.params["y"]] for t in study.trials])
    apart = np.abs(points[:, None] - points[None]).max(axis=2) + np.eye(20)
    assert len(study.trials) == 20
    assert apart.min() > 1e-6


@pytest.mark.parametrize("solver", ["bo", "tpe", "cem", "cmaes"])
def test_failed_points_are_not_proposed_again(solver: str) -> None:
    def objective(trial: Any) -> float:
        k, n = trial.suggest_categorical("k", ["a", "b", "c"]), trial.suggest_int("n", 0, 5)
        if k == "a" or n > 4:
            raise MemoryError(k)
        return float(n)

    study = study_with(solver, search_space={"k": Cat(["a", "b", "c"]), "n": Int(0, 5)})
    study.optimize(objective, n_trials=16, catch=(MemoryError,))
    failed = [tuple(t.params.items()) for t in study.trials if t.state == STATES.FAIL]
    assert failed
    assert len(set(failed)) == len(failed)


def test_failures_are_learnt() -> None:
    """Of the trials after the fifteenth, at most a fifth fail where half of the space does."""

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_float("y", 0, 1)
        if x > 0.5:
            raise MemoryError
        return (x - 0.4) ** 2

    study = study_with("bo", search_space={"x": Float(0, 1), "y": Float(0, 1)})
    study.optimize(objective, n_trials=30, catch=(MemoryError,))
    assert sum(t.state == STATES.FAIL for t in study.trials[15:]) <= 3


def test_pruned_trials_count_by_their_last_value() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.report(10 * x + 5, 0)
        trial.report(10 * x, 1)
        if x > 0.2:
            raise optuna.TrialPruned
        return x

    study = study_with("tpe", search_space={"x": Float(0, 1)})
    study.optimize(objective, n_trials=30)
    late = [t.params["x"] for t in study.trials[15:]]
    assert np.median(late) < 0.2
    data = from_study(study, pruned=True)
    assert len(data.points) == 30
    assert data.F.max() <= 10
    assert data.best["x"] == study.best_params["x"]


@pytest.mark.parametrize("rule", ["median", "halving", "hyperband", "curve"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_our_rules_prune(rule: str, sign: float) -> None:
    """Curves fall to their x: the worse half is stopped early, the best one never."""

    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        for step in range(1, 28):
            trial.report(sign * (x + 1 / step), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return sign * x

    study = optuna.create_study(
        sampler=OptEngineSampler("random", seed=0),
        pruner=OptEnginePruner(rule),
        direction="minimize" if sign > 0 else "maximize",
    )
    study.optimize(objective, n_trials=30)
    pruned = [t for t in study.trials if t.state == STATES.PRUNED]
    assert len(pruned) >= 8
    assert study.best_params["x"] == min(t.params["x"] for t in study.trials)
    steps = sum(len(t.intermediate_values) for t in study.trials)
    assert steps < 0.75 * 30 * 27


def test_rules_are_checked() -> None:
    with pytest.raises(OptionError, match="did you mean 'halving'"):
        OptEnginePruner("halvin")
    with pytest.raises(OptionError, match="rule must"):
        OptEnginePruner(None)


def test_enqueued_and_partly_fixed_trials_are_told_as_they_were() -> None:
    study = study_with("tpe", search_space={f"x{i}": Float(-5, 5) for i in range(3)})
    study.enqueue_trial({"x0": 1.0, "x1": 1.0, "x2": 1.0})
    study.enqueue_trial({"x0": 2.0})
    study.optimize(bowl, n_trials=20)
    assert study.trials[0].params == {"x0": 1.0, "x1": 1.0, "x2": 1.0}
    assert study.trials[1].params["x0"] == 2.0
    assert study.best_trial.number == 0


# -- constraints and several objectives ----------------------------------------------------------------------------


def test_constraints_of_a_function() -> None:
    study = study_with("tpe", constraints_func=lambda t: (1.0 - t.params["x0"],))
    study.optimize(bowl, n_trials=40)
    assert study.trials[0].system_attrs["constraints"] == (1.0 - study.trials[0].params["x0"],)
    kept = [t for t in study.trials if t.system_attrs["constraints"][0] <= 0]
    assert len(kept) > 10
    assert min(t.value for t in kept) < 4
    data = from_study(study)
    assert data.G.shape == (40, 1)
    assert data.best["x0"] >= 1.0


@pytest.mark.skipif(
    not hasattr(optuna.trial.Trial, "set_constraint"), reason="this Optuna has no set_constraint"
)
def test_constraints_set_in_the_objective() -> None:
    def objective(trial: Any) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("heat", 0.6 - x)
        return x

    study = study_with("bo", search_space={"x": Float(0, 1)})
    study.optimize(objective, n_trials=15)
    assert 0.6 <= study.best_value < 0.65


def test_several_objectives() -> None:
    def objective(trial: Any) -> tuple[float, float]:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 0, 1)
        return x**2 + y, -((x - 1) ** 2) - y

    study = study_with("auto", directions=["minimize", "maximize"])
    study.optimize(objective, n_trials=30)
    assert 3 <= len(study.best_trials) < 30
    with pytest.raises(SolverNotSuitable, match="objective"):
        study_with("cmaes", directions=["minimize", "maximize"]).optimize(objective, n_trials=1)


def test_maximising() -> None:
    study = study_with("tpe", direction="maximize")
    study.optimize(lambda trial: -bowl(trial), n_trials=60)
    assert study.best_value > -3


# -- copies, processes, resume -------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["cem", "cmaes", "sobol", "hybrid"])
def test_a_copy_goes_on_as_the_original_would(solver: str) -> None:
    whole = study_with(solver)
    whole.optimize(bowl, n_trials=30)
    parted = study_with(solver)
    parted.optimize(bowl, n_trials=14)
    parted.sampler = pickle.loads(pickle.dumps(parted.sampler))
    parted.optimize(bowl, n_trials=9)
    parted.sampler = OptEngineSampler(solver, seed=0)
    parted.optimize(bowl, n_trials=7)
    assert [t.params for t in parted.trials] == [t.params for t in whole.trials]


def test_another_seed_gives_other_trials() -> None:
    values = []
    for seed in (0, 1):
        study = optuna.create_study(sampler=OptEngineSampler("tpe", seed=seed))
        study.optimize(bowl, n_trials=3)
        values.append([t.value for t in study.trials])
    assert values[0] != values[1]


WORKER = """
import sys, time, optuna
from optengine.integrations.optuna import OptEngineSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
address, solver, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
if address.endswith(".log"):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    address = JournalStorage(JournalFileBackend(address))
study = optuna.load_study(study_name="s", storage=address, sampler=OptEngineSampler(solver, seed=0))

def objective(trial):
    x, n = trial.suggest_float("x", -5, 5), trial.suggest_int("n", 0, 9)
    print(trial.number, flush=True)
    time.sleep(0.02)
    return x * x + n

study.optimize(objective, n_trials=n)
"""


@pytest.mark.parametrize("kind", [pytest.param("rdb", marks=pytest.mark.slow), "journal"])
def test_processes_share_a_study_and_one_is_killed(
    kind: str, tmp_path: Path, child: Callable[..., Any]
) -> None:
    """Copies with the same seed propose different points; the killed trial stays what it is, the others go on."""
    if kind == "rdb":
        address = f"sqlite:///{tmp_path / 'study.db'}"
        storage: Any = address
    else:
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        address = str(tmp_path / "study.log")
        storage = JournalStorage(JournalFileBackend(address))
    optuna.create_study(study_name="s", storage=storage)
    victim = child(WORKER, address, "tpe", 1000)
    for _ in range(4):
        victim.stdout.readline()
    other = child(WORKER, address, "tpe", 16)
    victim.kill()
    victim.wait()
    assert other.wait() == 0
    study = optuna.load_study(study_name="s", storage=storage, sampler=OptEngineSampler("tpe", seed=0))
    study.optimize(lambda t: t.suggest_float("x", -5, 5) ** 2 + t.suggest_int("n", 0, 9), n_trials=3)
    states = [t.state for t in study.trials]
    assert states.count(STATES.COMPLETE) >= 3 + 16 + 3
    assert states.count(STATES.RUNNING) <= 1
    points = [tuple(sorted(t.params.items())) for t in study.trials if t.state == STATES.COMPLETE]
    assert len(set(points)) == len(points)


# -- data ----------------------------------------------------------------------------------------------------------


def test_a_study_warms_a_run_up() -> None:
    study = study_with("random")
    study.optimize(tree, n_trials=30)
    data = from_study(study)

    def objective(**x: Any) -> float:
        return float(x["x"]) ** 2 + (0.1 if x["kind"] == "net" else x["depth"] / 9)

    problem = oe.Problem(objective, data.space)
    result = oe.solve(problem, "tpe", budget=5, seed=0, data=data.data, x0=data.best)
    assert result.n_evaluations == 5
    assert result.fun <= objective(**{name: data.best.get(name) for name in data.space.names}) + 1e-12
    with pytest.raises(oe.ProblemError, match="with values"):
        from_study(optuna.create_study())


def test_a_result_as_a_study(tmp_path: Path) -> None:
    space = oe.Space(
        x=oe.Real(0, 1), kind=oe.Categorical(["a", "b"]), deep=oe.Integer(0, 3, when=("kind", "b"))
    )

    def objective(x: float, kind: str, deep: int | None) -> dict[str, float]:
        if x > 0.9:
            raise MemoryError
        return {"loss": x + (deep or 0), "heat": 0.2 - x}

    result = oe.minimize(
        objective,
        space,
        objectives=["loss"],
        constraints=["heat"],
        budget=40,
        seed=0,
        solver="cem",
        catch=True,
    )
    study = to_study(result, storage=f"sqlite:///{tmp_path / 'shown.db'}", study_name="shown")
    assert len(study.trials) == 40
    complete = study.get_trials(states=[STATES.COMPLETE])
    assert len(complete) == 40 - int(result.history.failed.sum())
    kept = [t for t in complete if t.system_attrs["constraints:heat"] <= 0]
    assert min(t.value for t in kept) == result.fun
    best = min(kept, key=lambda t: t.value)
    assert best.params == result.x
    with pytest.raises(SpaceError, match="Optuna"):
        to_study(
            oe.minimize(lambda x: float(x[0]), oe.Space(oe.Permutation(4)), budget=5, seed=0, solver="random")
        )


# -- refusals ------------------------------------------------------------------------------------------------------


def test_refusals() -> None:
    with pytest.raises(OptionError, match="did you mean 'tpe'"):
        OptEngineSampler("tpee")
    with pytest.raises(OptionError, match="n_initial"):
        OptEngineSampler("tpe", options={"n_initail": 3})
    with pytest.raises(OptionError, match="seed must"):
        OptEngineSampler(seed=-1)
    with pytest.raises(OptionError, match="constraints_func"):
        OptEngineSampler(constraints_func=3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="search_space"):
        OptEngineSampler(search_space=3)  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="Optuna knows"):
        OptEngineSampler(search_space=oe.Space(p=oe.Permutation(4)))
    with pytest.raises(OptionError, match="beside 'auto'"):
        OptEngineSampler(options={"batch": 1})
    study = study_with("tpe", constraints_func=lambda t: (float("nan"),))
    with pytest.raises(ValueError, match="constraints_func must"):
        study.optimize(bowl, n_trials=1)


def _structure_of(study: Any) -> Structure:
    structure = Structure()
    for trial in study.trials:
        structure.note(trial.distributions, trial.params)
    return structure
