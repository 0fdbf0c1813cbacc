"""Runs in MLflow, TensorBoard and Weights & Biases: every evaluation once, kills and resumes included."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import MissingDependency
from optengine.integrations.trackers import MLflowTracker, TensorBoardTracker, WandbTracker, flat

SPACE = oe.Space(
    lr=oe.Real(1e-3, 1, log=True),
    kind=oe.Categorical(["a", None]),
    depth=oe.Integer(1, 3, when=("kind", "a")),
)


def objective(lr: float, kind: str | None, depth: int | None) -> dict[str, float]:
    if lr > 0.5:
        raise MemoryError
    return {"loss": lr + (depth or 0), "heat": 0.01 - lr}


PROBLEM = oe.Problem(objective, SPACE, objectives=["loss"], constraints=["heat"], name="plant")


def run(tracker: Any, budget: int = 12, tmp: Path | None = None, **arguments: Any) -> oe.Result:
    storage = {} if tmp is None else {"storage": tmp / "runs.db", "name": "plant"}
    settings = {"seed": 0, "batch_size": 4, "catch": True, **storage, **arguments}
    return oe.solve(PROBLEM, "random", budget=budget, callbacks=tracker, **settings)


def interrupted(tracker: Any, tmp: Path) -> oe.Result:
    """A run that ends after six evaluations, in the middle of a batch, and is taken up by another tracker's session."""
    calls = []

    def dies(**x: Any) -> dict[str, float]:
        calls.append(x)
        if len(calls) == 7:
            raise KeyboardInterrupt
        return objective(**x)

    problem = oe.Problem(dies, SPACE, objectives=["loss"], constraints=["heat"], name="plant", call="kwargs")
    arguments = {"seed": 0, "batch_size": 4, "catch": True, "storage": tmp / "runs.db", "name": "plant"}
    with tracker:
        return oe.solve(problem, "random", budget=12, callbacks=tracker, **arguments)


KILLED = r"""
import os, sys, time
import optengine as oe
from optengine.integrations.trackers import MLflowTracker, TensorBoardTracker

kind, folder = sys.argv[1:]

def objective(x):
    os.write(log, f"{float(x[0])!r}\n".encode())
    time.sleep(0.02)
    return float((x**2).sum())

log = os.open(f"{folder}/evaluations.txt", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
place = f"{folder}/{kind}"
tracker = MLflowTracker("killed", tracking_uri=f"file://{place}") if kind == "mlflow" else TensorBoardTracker(place)
with tracker:
    oe.solve(oe.Problem(objective, [(-1.0, 1.0)] * 2), "random", budget=24, seed=0, batch_size=4, callbacks=tracker,
             storage=f"{folder}/runs.db", name="killed")
"""


def killed(child: Callable[..., Any], kind: str, tmp: Path, written: Callable[[], int]) -> list[float]:
    """A run that is killed twice, once while it tracks, and then left to its end; what it evaluated, in order."""
    log = tmp / "evaluations.txt"
    for n in (6, 15):
        process = child(KILLED, kind, tmp)
        while written() < n:
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
        process.wait()
    process = child(KILLED, kind, tmp)
    process.communicate()
    assert process.returncode == 0
    return [float(line) for line in log.read_text().split()]


def check_killed(evaluated: list[float], tracked: list[float]) -> None:
    """Each evaluation is tracked once; evaluated again are at most the batches that were under way at the two kills."""
    assert len(set(tracked)) == len(tracked) == 24
    assert set(tracked) == set(evaluated)
    assert len(evaluated) <= 24 + 2 * 4


# -- MLflow --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of a store in files."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    try:
        import mlflow.tracking
    except ImportError as error:
        pytest.skip(f"MLflow is not installed, or not for the protobuf that is: {error}")
    return mlflow.tracking.MlflowClient(f"file://{tmp_path / 'mlruns'}")


def children(client: Any) -> tuple[Any, list[Any]]:
    (experiment,) = [e for e in client.search_experiments() if e.name == "optengine"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [r for r in runs if "optengine.run" in r.data.tags]
    nested = [r for r in runs if r.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    return parent, sorted(nested, key=lambda r: int(r.data.tags["optengine.number"]))


def test_mlflow(mlflow: Any, tmp_path: Path) -> None:
    with MLflowTracker("plant-7", tracking_uri=f"file://{tmp_path / 'mlruns'}") as tracker:
        result = run(tracker)
    parent, nested = children(mlflow)
    assert parent.info.status == "FINISHED"
    assert parent.data.params["solver"] == "random"
    assert parent.data.metrics["best"] == result.fun
    assert [int(r.data.tags["optengine.number"]) for r in nested] == list(range(1, 13))
    for i, child in enumerate(nested):
        assert child.info.status == ("FAILED" if result.history.failed[i] else "FINISHED")
        assert float(child.data.params["lr"]) == result.history.X[i, 0]
        if not result.history.failed[i]:
            assert child.data.metrics["loss"] == result.history.F[i, 0]
    metrics = mlflow.get_metric_history(parent.info.run_id, "best")
    assert len(metrics) <= 12


@pytest.mark.parametrize("nested", [True, False])
def test_mlflow_goes_on_with_a_resumed_run(mlflow: Any, tmp_path: Path, nested: bool) -> None:
    def tracker() -> MLflowTracker:
        return MLflowTracker("plant-7", tracking_uri=f"file://{tmp_path / 'mlruns'}", nested=nested)

    interrupted(tracker(), tmp_path)
    run(tracker(), tmp=tmp_path)
    parent, runs = children(mlflow)
    numbers = [int(m.value) for m in mlflow.get_metric_history(parent.info.run_id, "number")]
    assert sorted(numbers) == list(range(1, 13))
    assert len(runs) == (12 if nested else 0)


@pytest.mark.slow
def test_mlflow_under_sigkill(mlflow: Any, tmp_path: Path, child: Callable[..., Any]) -> None:
    store = tmp_path / "mlflow"

    def written() -> int:
        return len(list(store.glob("*/*/tags/optengine.number")))

    evaluated = killed(child, "mlflow", tmp_path, written)
    client = type(mlflow)(f"file://{store}")
    parent, runs = children(client)
    assert {r.info.status for r in runs} == {"FINISHED"}
    assert [int(r.data.tags["optengine.number"]) for r in runs] == list(range(1, 25))
    check_killed(evaluated, [float(r.data.params["x_0_"]) for r in runs])
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["evaluations"] == 24
    metrics = client.get_metric_history(parent.info.run_id, "number")
    assert {int(m.value) for m in metrics} == set(range(1, 25))
    assert len(metrics) <= 24 + 2  # what a kill cut short


# -- TensorBoard ---------------------------------------------------------------------------------------------------


def events(folder: Path) -> list[Any]:
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return [e for file in sorted(folder.glob("events.*")) for e in EventFileLoader(str(file)).Load()]


def scalars(folder: Path, tag: str) -> dict[int, float]:
    """Values by step; each step once."""
    found = [(e.step, v) for e in events(folder) for v in e.summary.value if v.tag == tag]
    assert len({step for step, _ in found}) == len(found)
    return {step: v.tensor.float_val[0] if v.HasField("tensor") else v.simple_value for step, v in found}


def test_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.plugins.hparams import metadata

    with TensorBoardTracker(tmp_path / "board") as tracker:
        result = run(tracker)
    losses = scalars(tmp_path / "board", "loss")
    kept = ~result.history.failed
    assert list(losses) == result.history.number[kept].tolist()
    np.testing.assert_allclose(list(losses.values()), result.history.F[kept, 0], rtol=1e-6)
    assert scalars(tmp_path / "board", "best")[12] == pytest.approx(result.fun)
    point = tmp_path / "board" / "evaluation-000003"
    (start,) = [
        metadata.parse_session_start_info_plugin_data(v.metadata.plugin_data.content)
        for e in events(point)
        for v in e.summary.value
        if v.tag == metadata.SESSION_START_INFO_TAG
    ]
    assert start.hparams["lr"].number_value == result.history.X[2, 0]


def test_tensorboard_goes_on_with_a_resumed_run(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    interrupted(TensorBoardTracker(tmp_path / "board"), tmp_path)
    with TensorBoardTracker(tmp_path / "board") as tracker:
        run(tracker, tmp=tmp_path)
    assert sorted(scalars(tmp_path / "board", "failed")) == list(range(1, 13))
    assert len(list((tmp_path / "board").glob("evaluation-*"))) == 12
    (tmp_path / "file").touch()
    with pytest.raises(oe.OptionError, match="folder must be"):
        TensorBoardTracker(tmp_path / "file")


@pytest.mark.slow
def test_tensorboard_under_sigkill(tmp_path: Path, child: Callable[..., Any]) -> None:
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.plugins.hparams import metadata

    board = tmp_path / "board"
    evaluated = killed(child, "board", tmp_path, lambda: len(list(board.glob("evaluation-*"))))
    found = [(e.step, v.simple_value) for e in events(board) for v in e.summary.value if v.tag == "failed"]
    assert {step for step, _ in found} == set(range(1, 25))
    tracked = []
    for folder in sorted(board.glob("evaluation-*")):
        (start,) = [
            metadata.parse_session_start_info_plugin_data(v.metadata.plugin_data.content)
            for e in events(folder)
            for v in e.summary.value
            if v.tag == metadata.SESSION_START_INFO_TAG
        ]
        tracked.append(start.hparams["x[0]"].number_value)
    check_killed(evaluated, tracked)
    assert len(found) == 24


# -- Weights & Biases ----------------------------------------------------------------------------------------------


class Double:
    """Stands for a W&B run where the package is missing: keeps what is logged, and its steps as W&B counts them."""

    runs: ClassVar[dict[str, Double]] = {}

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings, self.finished = settings, False
        self.rows: list[dict[str, Any]] = []

    @property
    def step(self) -> int:
        return len(self.rows)

    def log(self, row: dict[str, Any], step: int) -> None:
        assert step == self.step
        self.rows.append(row)

    def finish(self) -> None:
        self.finished = True

    @classmethod
    def init(cls, **settings: Any) -> Double:
        return cls.runs.setdefault(settings["id"], cls(settings))


def test_wandb_by_a_double(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("wandb")
    module.init = Double.init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.setattr(Double, "runs", {})
    interrupted(WandbTracker("tuning", id="p7", mode="offline"), tmp_path)
    with WandbTracker("tuning", id="p7", mode="offline") as tracker:
        result = run(tracker, tmp=tmp_path)
    double = Double.runs["p7"]
    assert double.finished
    assert double.settings["project"] == "tuning"
    assert double.settings["resume"] == "allow"
    assert sorted(row["number"] for row in double.rows) == list(range(1, 13))
    assert double.rows[-1]["best"] == result.fun
    assert {row["x/kind"] for row in double.rows} == {"a", None}


def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="Weights & Biases is not installed")
    monkeypatch.setenv("WANDB_SILENT", "true")
    with WandbTracker("tuning", mode="offline", dir=str(tmp_path)) as tracker:
        result = run(tracker)
        assert tracker._run.summary["best"] == result.fun  # type: ignore[attr-defined]
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert file.stat().st_size > 0


# -- all -----------------------------------------------------------------------------------------------------------


def test_points_as_names_and_plain_values() -> None:
    assert flat({"a": 1, "b": None, "c": (1, 2), "d": object}) == {
        "a": 1,
        "b": None,
        "c[0]": 1,
        "c[1]": 2,
        "d": "<class 'object'>",
    }
    assert flat(np.arange(2.0)) == {"x[0]": 0.0, "x[1]": 1.0}
    assert len(flat(np.arange(1000))["x"]) == 500


def test_missing_packages_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingDependency, match=r"optengine\[wandb\]"):
        WandbTracker()
