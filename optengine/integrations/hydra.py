"""A sweeper for Hydra: `python train.py -m hydra/sweeper=optengine 'lr=tag(log,interval(1e-5,1e-1))' depth=range(1,9)`.

The job returns its objective: a number, several of them, or a dict with the names of objectives and constraints. With
`hydra.sweeper.storage` the sweep is journaled: the same line goes on after a kill, and jobs that were running then are
started again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optengine.core.errors import OptionError, require
from optengine.core.problem import Failed, Problem
from optengine.core.space import Categorical, Integer, Ordinal, Real, Space, Variable
from optengine.engine.optimizer import Candidate, Optimizer
from optengine.integrations.asking import unevaluated

require("hydra", extra="hydra")

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, ListConfig, OmegaConf

if TYPE_CHECKING:
    from hydra.types import HydraContext, TaskFunction

    from optengine.core.result import Result

log = logging.getLogger(__name__)

RESULTS = "optimization_results.yaml"  # in the folder of the sweep, as the other optimizing sweepers write it


@dataclass
class SweeperConf:
    """Settings under `hydra.sweeper`.

    Attributes:
        solver, options, seed, storage, name: as for `solve`; name's default is the job's.
        budget: jobs in all. batch_size: jobs launched together, in parallel if the launcher can.
        direction: "minimize" or "maximize", or one an objective. objectives: names; None: what the job returns is one.
        constraints: names of values that the job returns in a dict, feasible where <= 0.
        max_failure_rate: share of the jobs, of all so far, that may raise before the sweep is given up, in [0, 1].
        params: the search space, as it would stand in the command line: `{lr: "tag(log, interval(1e-5, 1e-1))"}`.
    """

    _target_: str = "hydra_plugins.optengine_sweeper.OptEngineSweeper"
    solver: Any = "auto"
    options: dict[str, Any] = field(default_factory=dict)
    budget: int = 20
    batch_size: int = 1
    direction: Any = "minimize"
    objectives: Any = None
    constraints: list[str] = field(default_factory=list)
    seed: int | None = None
    storage: str | None = None
    name: str | None = None
    max_failure_rate: float = 0.0
    params: dict[str, Any] = field(default_factory=dict)


class SweeperOfJobs(Sweeper):
    """Runs Hydra jobs in the order of a solver; the keywords are those of `SweeperConf`.

    Raises:
        OptionError: a max_failure_rate outside [0, 1]; what `Optimizer` raises when the sweep starts.
    """

    def __init__(
        self,
        solver: Any,
        options: Any,
        budget: int,
        batch_size: int,
        direction: Any,
        objectives: Any,
        constraints: Any,
        seed: int | None,
        storage: str | None,
        name: str | None,
        max_failure_rate: float,
        params: Any,
    ) -> None:
        if not 0.0 <= max_failure_rate <= 1.0:
            raise OptionError(f"max_failure_rate must lie in [0, 1], got {max_failure_rate!r}")
        self._arguments: dict[str, Any] = {
            "options": _python(options) or None,
            "budget": budget,
            "seed": seed,
            "storage": storage,
        }
        self._solver, self._batch_size, self._name = solver, batch_size, name
        self._stated = {
            "direction": _python(direction),
            "objectives": _python(objectives),
            "constraints": _python(constraints),
        }
        self._max_failure_rate = max_failure_rate
        self._params: dict[str, Any] = _python(params) or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take what Hydra hands over before the sweep."""
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Result:
        """Run the jobs; `arguments` are the overrides of the command line. Returns the Result.

        Raises:
            Exception: the job's own, where more jobs fail than may.
        """
        assert self.config is not None
        assert self.hydra_context is not None
        lines = [f"{key}={value}" for key, value in self._params.items()] + list(arguments)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        given = {override.get_key_element(): override for override in parser.parse_overrides(lines)}
        swept = {key: override for key, override in given.items() if override.is_sweep_override()}
        fixed = [
            f"{k}={override.get_value_element_as_str()}" for k, override in given.items() if k not in swept
        ]
        if not swept:
            raise OptionError(
                f"the sweep needs a parameter to vary, such as lr=interval(0,1), got {lines or 'no overrides'}"
            )
        space = Space({key: variable(override) for key, override in swept.items()})
        name = self._name or str(self.config.hydra.job.name or "sweep")
        problem = Problem(unevaluated, space, call="dict", name=name, **self._stated)
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        journaled = {} if self._arguments["storage"] is None else {"name": name}
        settings: dict[str, Any] = {**self._arguments, **journaled, "batch_size": self._batch_size}
        with Optimizer(problem, self._solver, **settings) as optimizer:
            self._run(optimizer, swept, fixed)
            result = optimizer.result()
        OmegaConf.save(OmegaConf.create(_summary(result, swept)), folder / RESULTS)
        log.info("%s", result)
        return result

    def _run(self, optimizer: Optimizer, swept: dict[str, Override], fixed: list[str]) -> None:
        waiting = optimizer.pending  # of a session that was killed
        finished, failures = 0, 0
        while waiting or not optimizer.done:
            batch, waiting = waiting[: self._batch_size], waiting[self._batch_size :]
            batch = batch or list(optimizer.ask(self._batch_size))
            if not batch:
                return
            returns = self._launch(batch, swept, fixed)
            failed = [r for r in returns if r.status != JobStatus.COMPLETED]
            optimizer.tell(batch, [_value(r) for r in returns])
            finished, failures = finished + len(batch), failures + len(failed)
            for r in failed:
                log.warning("a job failed: %s", r._return_value)
            if failed and failures > self._max_failure_rate * finished:
                _ = failed[0].return_value  # raises the job's own error, as Hydra does
        return

    def _launch(
        self, batch: Sequence[Candidate], swept: dict[str, Override], fixed: list[str]
    ) -> list[JobReturn]:
        """Launch jobs; each lives in the folder of its candidate's number."""
        lines = [
            [*fixed, *(f"{k}={text(swept[k], v)}" for k, v in candidate.x.items())] for candidate in batch
        ]
        self.validate_batch_is_legal(lines)
        assert self.launcher is not None
        first = batch[0].number
        if [c.number for c in batch] == list(range(first, first + len(batch))):
            return list(self.launcher.launch(lines, initial_job_idx=first))
        return [
            r
            for line, c in zip(lines, batch, strict=True)
            for r in self.launcher.launch([line], initial_job_idx=c.number)
        ]


def _python(value: Any) -> Any:
    return (
        OmegaConf.to_container(value, resolve=True) if isinstance(value, DictConfig | ListConfig) else value
    )


def _value(returned: JobReturn) -> Any:
    """Return what a job gave as `tell` takes it."""
    if returned.status != JobStatus.COMPLETED:
        return Failed(f"{type(returned._return_value).__name__}: {returned._return_value}")
    value = returned.return_value
    return Failed("the job returned nothing") if value is None else value


def variable(override: Override) -> Variable:
    """Return our variable for a swept override.

    `choice` and simple lists: categories, in order with the tag `ordered`; `range`: whole numbers, or levels where the
    step is not 1; `interval`: real numbers, whole ones with the tag `int` or between whole bounds; the tag `log` for
    the logarithmic scale.

    Raises:
        OptionError: a range or interval without any values.
    """
    value, key = override.value(), override.get_key_element()
    if isinstance(value, IntervalSweep):
        assert value.start is not None
        assert value.end is not None
        log_scale = "log" in value.tags
        if not value.start < value.end:
            raise OptionError(
                f"{key} must be an interval(low, high) with low < high, got {override.input_line}"
            )
        if "int" in value.tags:
            return Integer(round(value.start), round(value.end), log_scale)
        return Real(float(value.start), float(value.end), log_scale)
    tags: set[str] = getattr(value, "tags", set())
    if isinstance(value, RangeSweep):
        span = value.range()
        whole = isinstance(span, range) and span.step == 1
        if isinstance(span, range) and whole and len(span):
            return Integer(span.start, span.stop - 1, "log" in tags)
        levels = list(span)
        if not levels:
            raise OptionError(f"{key} must be a range with values, got {override.input_line}")
        return Ordinal(levels)
    texts = list(dict.fromkeys(override.sweep_string_iterator()))
    return Ordinal(texts) if "ordered" in tags else Categorical(texts)


def text(override: Override, value: Any) -> str:
    """Return a value as it stands behind the = of an override."""
    return str(value) if override.is_choice_sweep() else repr(value)


def _summary(result: Result, swept: dict[str, Override]) -> dict[str, Any]:
    """What is written beside the jobs."""
    summary: dict[str, Any] = {
        "name": "optengine",
        "solver": result.solver,
        "status": str(result.status),
        "n_evaluations": result.n_evaluations,
    }
    if result.front is not None and len(result.front.F):
        points = [_parsed(x, swept) for x in result.front.x]
        values = [[float(f) for f in row] for row in result.front.F]
        return summary | {
            "solutions": [{"params": p, "values": v} for p, v in zip(points, values, strict=True)]
        }
    best = None if result.x is None else _parsed(result.x, swept)
    return summary | {"best_params": best, "best_value": result.fun, "feasible": bool(result.feasible)}


def _parsed(x: dict[str, Any], swept: dict[str, Override]) -> dict[str, Any]:
    """Return a point with the choices as the values that they were written for."""
    parsed = {}
    for key, value in x.items():
        override = swept[key]
        if override.is_choice_sweep():
            choices = dict(zip(override.sweep_string_iterator(), override.sweep_iterator(), strict=True))
            value = Override._convert_value(choices[value])
        parsed[key] = value
    return parsed
