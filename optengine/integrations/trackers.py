"""Runs in MLflow, TensorBoard and Weights & Biases: `minimize(..., callbacks=MLflowTracker(run_name="plant-7"))`.

Each tracker is a callback that writes every evaluation once, as soon as its batch is done. A run that is resumed from
its journal, tracked under the same name or folder, goes on where the tracking ended, also after a kill: no evaluation
is missing, and at most a point of MLflow's curves, written when the kill came, is there twice. The packages load on
first use.
"""

from __future__ import annotations

import json
import shutil
import time
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optengine.core.errors import OptionError, require
from optengine.core.result import Result
from optengine.engine.drive import Snapshot

FEW = 16  # entries of an array that get a name each; larger ones are written as text
LONGEST_TEXT = 500  # characters of a parameter's value
SOON = 1.0  # seconds in which a process that is alive fills a file that it made


@dataclass(frozen=True)
class Row:
    """One evaluation.

    Attributes:
        number: of the evaluation in its run, from 1. index: of the row in the history, from 0.
        x: the point as names and plain values. values: objectives and, feasible where <= 0, constraints; empty where it
            failed. best: the first objective's best feasible value so far, NaN before there is one.
    """

    number: int
    index: int
    x: dict[str, Any]
    values: dict[str, float]
    failed: bool
    best: float


class Tracker:
    """What all trackers share: which evaluations were written, and the run's facts. Also a context manager."""

    def __init__(self) -> None:
        self._rows = 0  # of the history, written
        self._facts: Result | None = None

    def __call__(self, snapshot: Snapshot) -> None:
        """Write what was evaluated since the last call."""
        if self._facts is None:
            self._facts = snapshot.result()
            self._begin(self._facts)
        for row in self._new(self._facts, snapshot):
            self._write(row)
        self._flush()

    def _new(self, facts: Result, snapshot: Snapshot) -> Iterator[Row]:
        history, space = snapshot.history, facts.space
        assert space is not None
        X, objectives = history.X, [name for name, _ in facts.objectives]
        for i in range(self._rows, len(history)):
            failed = bool(history.failed[i])
            values = dict(zip(objectives, history.F[i].tolist(), strict=True))
            values |= dict(zip(facts.constraints, history.G[i].tolist(), strict=True))
            x = flat(space.decode_one(X[i]))
            best = float(history.best[i]) if len(objectives) == 1 else float("nan")
            yield Row(int(history.number[i]), i, x, {} if failed else values, failed, best)
            self._rows = i + 1

    @abstractmethod
    def _begin(self, facts: Result) -> None:
        """Open the tracked run; `facts` tells solver, options, seed and names."""

    @abstractmethod
    def _write(self, row: Row) -> None:
        """Write one evaluation, unless an earlier session did."""

    def _flush(self) -> None:
        """Make what was written durable."""

    def close(self) -> None:
        """End the tracked run."""

    def __enter__(self) -> Tracker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def flat(x: Any) -> dict[str, Any]:
    """Return a point as names and plain values: small arrays entry by entry, large ones as text."""
    named: dict[str, Any] = {}
    for name, value in (x if isinstance(x, Mapping) else {"x": x}).items():
        array = np.asarray(value) if isinstance(value, np.ndarray | list | tuple) else None
        if array is None:
            named[name] = (
                value if isinstance(value, bool | int | float | str) or value is None else str(value)
            )
        elif array.size <= FEW:
            named |= {
                f"{name}[{','.join(map(str, index))}]": array[index].item()
                for index in np.ndindex(array.shape)
            }
        else:
            text = json.dumps(array.tolist())
            named[name] = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
    return named


class MLflowTracker(Tracker):
    """A run in MLflow, with one nested run an evaluation; its own metrics follow the best value.

    Args:
        run_name: of the run; the same name in the same experiment goes on with it. None: the problem's name.
        experiment: name of the experiment, made where there is none.
        tracking_uri: None: MLflow's own setting.
        nested: whether evaluations get runs of their own; False writes their values into the one run.
    """

    def __init__(
        self,
        run_name: str | None = None,
        *,
        experiment: str = "optengine",
        tracking_uri: str | None = None,
        nested: bool = True,
    ) -> None:
        super().__init__()
        self._run_name, self._experiment, self._nested = run_name, experiment, nested
        self._client: Any = require("mlflow.tracking", extra="mlflow").MlflowClient(tracking_uri)
        self._run = ""  # its id; empty before the first evaluation

    def _begin(self, facts: Result) -> None:
        client, name = self._client, self._run_name or facts.problem
        found = client.get_experiment_by_name(self._experiment)
        self._home = client.create_experiment(self._experiment) if found is None else found.experiment_id
        self._mend()
        runs = client.search_runs([self._home], f"tags.`optengine.run` = '{name}'", max_results=1)
        self._written: set[int] = set()
        if runs:
            self._run = runs[0].info.run_id
            self._written = self._numbers()
            client.set_terminated(self._run, "RUNNING")
            return
        tags = {"optengine.run": name, "mlflow.runName": name}
        self._run = client.create_run(self._home, tags=tags).info.run_id
        options = {f"option.{key}": value for key, value in facts.options.items()}
        self._log(self._run, {}, {"solver": facts.solver, "seed": facts.seed, **options}, 0)

    def _mend(self) -> None:
        """Remove runs that a kill cut short while a store in files made them: it cannot read past their empty files."""
        torn = self._torn()
        if torn:
            time.sleep(SOON)  # what another process is making is not empty for long
            for run in torn & self._torn():
                shutil.rmtree(run, ignore_errors=True)

    def _torn(self) -> set[Path]:
        uri = self._client.tracking_uri
        if uri.startswith("file:"):
            uri = require("mlflow.utils.file_utils", extra="mlflow").local_file_uri_to_path(uri)
        elif "://" in uri:
            return set()
        files = Path(uri, str(self._home)).glob("*/meta.yaml")
        return {file.parent for file in files if not file.stat().st_size}

    def _numbers(self) -> set[int]:
        """Evaluations that earlier sessions wrote."""
        if not self._nested:
            history = self._client.get_metric_history(self._run, "number")
            return {int(metric.value) for metric in history}
        numbers: set[int] = set()
        token = None
        while True:
            page = self._client.search_runs(
                [self._home], f"tags.`mlflow.parentRunId` = '{self._run}'", max_results=1000, page_token=token
            )
            for run in page:
                if run.info.status in ("FINISHED", "FAILED"):
                    numbers.add(int(run.data.tags["optengine.number"]))
                else:  # a kill cut it short: it is written again
                    self._client.delete_run(run.info.run_id)
            token = page.token
            if not token:
                return numbers

    def _write(self, row: Row) -> None:
        if row.number in self._written:
            return
        child = ""
        if self._nested:
            tags = {
                "mlflow.parentRunId": self._run,
                "mlflow.runName": f"evaluation {row.number}",
                "optengine.number": str(row.number),
            }
            child = self._client.create_run(self._home, tags=tags).info.run_id
            self._log(child, row.values, row.x, row.number)
        best = {} if np.isnan(row.best) else {"best": row.best}
        self._log(
            self._run,
            {**row.values, **best, "number": row.number, "evaluations": row.index + 1},
            {},
            row.number,
        )
        if child:  # last, as it says that all was written
            self._client.set_terminated(child, "FAILED" if row.failed else "FINISHED")
        self._written.add(row.number)

    def _log(self, run: str, metrics: Mapping[str, Any], params: Mapping[str, Any], step: int) -> None:
        entities = require("mlflow.entities", extra="mlflow")
        now = int(1000 * time.time())
        self._client.log_batch(
            run,
            metrics=[entities.Metric(_key(k), float(v), now, step) for k, v in metrics.items()],
            params=[entities.Param(_key(k), str(v)[:LONGEST_TEXT]) for k, v in params.items()],
        )

    def close(self) -> None:
        if self._run:
            self._client.set_terminated(self._run, "FINISHED")


def _key(name: str) -> str:
    """Return a name as MLflow takes it: letters, digits and some marks."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)


class TensorBoardTracker(Tracker):
    """Event files for TensorBoard: curves of the values and the best one, and a table of the points (HParams).

    Args:
        folder: of the run; a folder with events goes on, one sub-folder an evaluation.
        points: whether each evaluation gets its sub-folder; False writes the curves only.
    """

    def __init__(self, folder: str | Path, *, points: bool = True) -> None:
        super().__init__()
        self._folder, self._points = Path(folder), points
        home = require("tensorboard.summary.writer.event_file_writer", extra="tensorboard")
        self._writer_of, self._writer = home.EventFileWriter, None
        if self._folder.exists() and not self._folder.is_dir():
            raise OptionError(f"folder must be a folder for event files, got the file {self._folder}")

    def _begin(self, facts: Result) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._written = self._steps()
        self._writer = self._writer_of(str(self._folder))

    def _steps(self) -> set[int]:
        """Evaluations that earlier sessions wrote: those whose events are whole in the files."""
        home = require("tensorboard.backend.event_processing.event_file_loader", extra="tensorboard")
        files = sorted(self._folder.glob("events.*"))
        return {
            int(event.step)
            for file in files
            for event in home.LegacyEventFileLoader(str(file)).Load()
            if event.HasField("summary")
        }

    def _write(self, row: Row) -> None:
        if row.number in self._written:
            return
        if self._points:
            self._point(row)  # before the curves, which say that it was written
        best = {} if np.isnan(row.best) else {"best": row.best}
        self._scalars(self._writer, {**row.values, **best, "failed": float(row.failed)}, row.number)
        self._written.add(row.number)

    def _point(self, row: Row) -> None:
        summaries = require("tensorboard.plugins.hparams.summary_v2", extra="tensorboard")
        folder = self._folder / f"evaluation-{row.number:06d}"
        for old in folder.glob("events.*"):  # of a session that was cut short
            old.unlink()
        writer = self._writer_of(str(folder))
        values = {k: "None" if v is None else v for k, v in row.x.items()}
        self._event(writer, summaries.hparams_pb(values, trial_id=str(row.number)), None)
        self._scalars(writer, row.values, row.number)
        writer.close()

    def _scalars(self, writer: Any, values: Mapping[str, float], step: int) -> None:
        proto = require("tensorboard.compat.proto.summary_pb2", extra="tensorboard")
        if values:
            parts = [proto.Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
            self._event(writer, proto.Summary(value=parts), step)

    def _event(self, writer: Any, summary: Any, step: int | None) -> None:
        proto = require("tensorboard.compat.proto.event_pb2", extra="tensorboard")
        writer.add_event(proto.Event(summary=summary, step=step, wall_time=time.time()))

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class WandbTracker(Tracker):
    """A run in Weights & Biases, one step an evaluation: its point, values and the best so far.

    Args:
        project: of Weights & Biases. id: a name by which a later session goes on with the run.
        settings: further arguments of `wandb.init`, such as `mode="offline"` or `group=`.
    """

    def __init__(self, project: str = "optengine", *, id: str | None = None, **settings: Any) -> None:
        super().__init__()
        self._wandb: Any = require("wandb", extra="wandb")
        self._settings = {"project": project, **settings}
        if id is not None:
            self._settings |= {"id": id, "resume": "allow"}
        self._run: Any = None

    def _begin(self, facts: Result) -> None:
        config = {"solver": facts.solver, "seed": str(facts.seed), "options": {**facts.options}}
        self._run = self._wandb.init(**{"name": facts.problem, "config": config, **self._settings})
        self._first = int(self._run.step)  # rows that earlier sessions wrote: W&B counts steps from 0

    def _write(self, row: Row) -> None:
        if row.index < self._first:
            return
        best = {} if np.isnan(row.best) else {"best": row.best}
        point = {f"x/{name}": value for name, value in row.x.items()}
        counts = {"number": row.number, "failed": int(row.failed)}
        self._run.log({**point, **row.values, **best, **counts}, step=row.index)

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None
