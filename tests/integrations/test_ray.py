"""The searcher for Ray Tune: by its own calls, and in real runs, killed ones among them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray.tune", reason="Ray Tune is not installed")

from ray import tune

import optengine as oe
from optengine.core.errors import OptionError, SpaceError
from optengine.integrations.ray import OptEngineSearcher, variable
from optengine.store import Journal

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, at import and while it runs

SPACE = {
    "model": {"lr": tune.loguniform(1e-4, 1.0), "depth": tune.randint(1, 9)},
    "kind": tune.choice(["a", "b"]),
}


def loss(config: Any) -> float:
    return abs(config["model"]["lr"] - 0.1) + config["model"]["depth"] + (config["kind"] == "b")


def ready(searcher: OptEngineSearcher, **spec: Any) -> OptEngineSearcher:
    assert searcher.set_search_properties("loss", "min", SPACE, **spec)
    return searcher


def rounds(searcher: OptEngineSearcher, first: int, last: int) -> list[Any]:
    configs = []
    for i in range(first, last):
        config = searcher.suggest(f"t{i}")
        assert isinstance(config, dict)
        configs.append(config)
        searcher.on_trial_complete(f"t{i}", {"loss": loss(config)})
    return configs


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        (tune.uniform(-1, 2), oe.Real(-1, 2)),
        (tune.loguniform(1e-4, 1), oe.Real(1e-4, 1, log=True)),
        (tune.quniform(0, 1, 0.25), oe.Ordinal([0.0, 0.25, 0.5, 0.75, 1.0])),
        (tune.qloguniform(0.1, 1, 0.1), oe.Ordinal([k / 10 for k in range(1, 11)])),
        (tune.randint(1, 5), oe.Integer(1, 4)),
        (tune.lograndint(1, 100), oe.Integer(1, 99, log=True)),
        (tune.qrandint(2, 10, 4), oe.Ordinal([4, 8])),
        (tune.choice([None, "x", 3]), oe.Categorical([None, "x", 3])),
    ],
)
def test_domains_as_variables(domain: Any, expected: Any) -> None:
    assert variable("v", domain) == expected


def test_configurations_are_nested_as_they_were_stated() -> None:
    for config in rounds(ready(OptEngineSearcher("tpe", seed=0)), 0, 15):
        assert config.keys() == {"model", "kind"}
        assert 1 <= config["model"]["depth"] <= 8


@pytest.mark.parametrize("solver", ["tpe", "cmaes"])
def test_saved_and_restored(solver: str, tmp_path: Path) -> None:
    """A restored searcher goes on as the other would, with the trials that were running then."""
    searcher = ready(OptEngineSearcher(solver, seed=0))
    rounds(searcher, 0, 12)
    running = searcher.suggest("running")
    searcher.save(str(tmp_path / "state"))
    restored = OptEngineSearcher()
    restored.restore(str(tmp_path / "state"))
    for one in (searcher, restored):
        one.on_trial_complete("running", {"loss": loss(running)})
    assert rounds(restored, 20, 30) == rounds(searcher, 20, 30)


def test_a_journal_of_its_own_is_ahead_of_the_snapshot(tmp_path: Path) -> None:
    """What was told after the snapshot counts, and a candidate whose trial nobody remembers is suggested again."""
    storage = f"sqlite:///{tmp_path / 'runs.db'}"
    searcher = ready(OptEngineSearcher("tpe", seed=0, storage=storage, name="r"))
    rounds(searcher, 0, 3)
    searcher.save(str(tmp_path / "state"))
    rounds(searcher, 3, 8)
    forgotten = searcher.suggest("forgotten")
    assert searcher._optimizer is not None
    searcher._optimizer.close()  # the process ends
    restored = OptEngineSearcher()
    restored.restore(str(tmp_path / "state"))
    assert restored.suggest("again") == forgotten
    restored.on_trial_complete("again", {"loss": 1.0})
    rounds(restored, 10, 12)
    with Journal(storage, readonly=True) as journal:
        assert journal.read("r").evaluations.numbers.tolist() == list(range(11))


def test_failures_constraints_and_known_points() -> None:
    searcher = ready(OptEngineSearcher("tpe", seed=0, constraints=["heat"]))
    searcher.add_evaluated_point({"model": {"lr": 0.1, "depth": 1}, "kind": "a"}, 1.0, error=True)
    for i, result in enumerate([None, {"loss": float("nan"), "heat": 0.0}, {"loss": 1.0}]):
        searcher.suggest(f"t{i}")
        searcher.on_trial_complete(f"t{i}", result, error=result is None)
    searcher.suggest("good")
    searcher.on_trial_result("good", {"loss": 2.0, "heat": -1.0})
    searcher.on_trial_complete("good")  # without a last report: the one before counts
    searcher.on_trial_complete("unknown", {"loss": 1.0})
    assert searcher._optimizer is not None
    result = searcher._optimizer.result()
    assert result.history.failed.tolist() == [True, True, True, False]
    assert result.fun == 2.0
    with pytest.raises(OptionError, match="before the first suggestion"):
        searcher.add_evaluated_point({"model": {"lr": 0.1, "depth": 1}, "kind": "a"}, 1.0)


def test_a_finite_space_finishes_and_pending_ones_wait() -> None:
    searcher = OptEngineSearcher("tpe", seed=0, space={"n": oe.Integer(0, 2)}, metric="loss", mode="max")
    assert len({searcher.suggest(f"t{i}")["n"] for i in range(3)}) == 3  # type: ignore[index,call-overload]
    assert searcher.suggest("t3") == "FINISHED"
    first = {"model/lr": 0.5, "model/depth": 2, "kind": "b"}
    limited = ready(OptEngineSearcher(seed=0, points_to_evaluate=[first]), num_samples=2)
    assert limited.suggest("a") == {"model": {"lr": 0.5, "depth": 2}, "kind": "b"}
    assert isinstance(limited.suggest("b"), dict)
    assert limited.suggest("c") is None
    for trial in "ab":
        limited.on_trial_complete(trial, {"loss": 1.0})
    assert limited.suggest("c") == "FINISHED"


def test_refusals() -> None:
    with pytest.raises(OptionError, match="param_space"):
        OptEngineSearcher(metric="loss", mode="min").suggest("t")
    with pytest.raises(OptionError, match="metric and mode"):
        OptEngineSearcher(space={"x": oe.Real(0, 1)}).suggest("t")
    with pytest.raises(OptionError, match="storage="):
        OptEngineSearcher(name="r")
    with pytest.raises(SpaceError, match="uniform or loguniform"):
        variable("v", tune.randn(0, 1))
    with pytest.raises(SpaceError, match=r"tune\.choice"):
        OptEngineSearcher(space={"x": tune.grid_search([1, 2])})
    with pytest.raises(SpaceError, match="multiples"):
        variable("v", tune.quniform(0, 1, 1e-6))


# -- for real ------------------------------------------------------------------------------------------------------

DRIVER = """
import os, sys, time
os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
import ray
from ray import tune
from ray.tune.search import ConcurrencyLimiter
from optengine.integrations.ray import OptEngineSearcher

folder, mode = sys.argv[1], sys.argv[2]

def trainable(config):
    with open(os.path.join(folder, "seen"), "a") as file:
        file.write(f"{config['x']!r} {config['n']}\\n")
    time.sleep(0.3)
    if config["n"] == 3:
        raise MemoryError
    return {"loss": config["x"] ** 2 + config["n"]}

ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
run_config = tune.RunConfig(name="run", storage_path=os.path.join(folder, "results"))
if mode == "start":
    searcher = OptEngineSearcher("tpe", seed=0, storage="sqlite:///" + os.path.join(folder, "runs.db"), name="r")
    config = tune.TuneConfig(search_alg=ConcurrencyLimiter(searcher, 2), metric="loss", mode="min", num_samples=12)
    tuner = tune.Tuner(
        trainable, tune_config=config, run_config=run_config,
        param_space={"x": tune.uniform(-1, 1), "n": tune.randint(0, 4), "constant": 7},
    )
else:
    tuner = tune.Tuner.restore(os.path.join(folder, "results", "run"), trainable)
print("ready", flush=True)
results = tuner.fit()
print("BEST", results.get_best_result("loss", "min").metrics["loss"], len(results), flush=True)
ray.shutdown()
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_tune_runs_and_is_restored(killed: bool, tmp_path: Path) -> None:
    def start(mode: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DRIVER, str(tmp_path), mode]
        quiet: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        return subprocess.Popen(command, start_new_session=True, **quiet)

    driver = start("start")
    if killed:
        seen = tmp_path / "seen"
        while not (seen.exists() and len(seen.read_text().splitlines()) >= 6):
            assert driver.poll() is None
            time.sleep(0.1)
        os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
        driver = start("restore")
    output = driver.communicate(timeout=400)[0]
    assert driver.returncode == 0
    with Journal(tmp_path / "runs.db", readonly=True) as journal:
        record = journal.read("r")
    rows = record.evaluations
    assert rows.numbers.tolist() == list(range(len(rows.numbers)))
    assert len(rows.numbers) >= 12
    n = record.points()[:, 1]
    assert rows.failed.tolist() == (n == 3).tolist()
    best = float(output.split("BEST")[1].split()[0])
    assert best == pytest.approx(float(rows.F[~rows.failed, 0].min()))
