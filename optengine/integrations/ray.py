"""A searcher for Ray Tune: `tune.TuneConfig(search_alg=OptEngineSearcher("bo"), metric="loss", mode="min", ...)`.

What was asked and told stands in a journal. Ray's restore finds the searcher as it was, or, with a `storage` of its
own, as it was when the process died: trials that Ray runs again are told to the same candidates, and candidates whose
trials Ray has forgotten are suggested again.
"""

from __future__ import annotations

import contextlib
import math
import pickle
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optengine.core.errors import OptionError, SpaceError, require
from optengine.core.problem import Failed, Problem
from optengine.core.space import Categorical, Integer, Ordinal, Real, Space, Variable, as_space
from optengine.engine.optimizer import Optimizer
from optengine.integrations.asking import unevaluated

require("ray.tune", extra="ray")

from ray.tune.search import Searcher
from ray.tune.search.sample import (
    Categorical as ChoiceDomain,
    Domain,
    Float as FloatDomain,
    Integer as IntegerDomain,
    LogUniform,
    Quantized,
    Uniform,
)
from ray.tune.utils.util import flatten_dict, unflatten_dict

MOST_LEVELS = 10_000  # of a quantised range
JOURNAL = "search.db"


class OptEngineSearcher(Searcher):  # type: ignore[misc]  # Ray may be missing where types are checked
    """Suggests Ray Tune's trials by one of our solvers; wrap it in `ConcurrencyLimiter` to bound the trials in flight.

    Args:
        solver, options, seed: as for `solve`; "auto" knows the number of samples that Tune is to run.
        space: a `Space` of ours, names with "/" standing for nested dicts; None: Tune's `param_space`.
        metric, mode: what trials report, and "min" or "max"; lists of them for several objectives. None: Tune's.
        constraints: further reported metrics, feasible where <= 0.
        points_to_evaluate: configurations suggested first.
        storage, name: where the run is journaled, so that nothing told is lost even between Ray's own snapshots. None:
            a file of its own, part of every snapshot.
        noisy: the same configuration may report different values.

    Raises:
        OptionError, SpaceError: when the first trial is suggested at the latest.
    """

    def __init__(
        self,
        solver: Any = "auto",
        *,
        space: Any = None,
        metric: str | Sequence[str] | None = None,
        mode: str | Sequence[str] | None = None,
        constraints: Sequence[str] = (),
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
        seed: int | None = None,
        storage: Any = None,
        name: str | None = None,
        noisy: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        metric = list(metric) if isinstance(metric, Sequence) and not isinstance(metric, str) else metric
        mode = list(mode) if isinstance(mode, Sequence) and not isinstance(mode, str) else mode
        super().__init__(metric=metric, mode=mode)
        if name is not None and storage is None:
            raise OptionError(
                f"name needs storage=, e.g. storage='sqlite:///runs.db', got name={name!r} alone"
            )
        self._metric, self._mode = metric, mode
        self._space = None if space is None else _space(space)
        self._constraints, self._points = list(constraints), [dict(p) for p in points_to_evaluate]
        self._settings: dict[str, Any] = {"seed": seed, "options": None if options is None else dict(options)}
        self._solver, self._storage, self._name, self._noisy = solver, storage, name or "ray", noisy
        self._known: list[tuple[dict[str, Any], float]] = []
        self._samples: int | None = None
        self._numbers: dict[str, int] = {}  # trial -> candidate, while it runs
        self._last: dict[str, dict[str, Any]] = {}
        self._snapshot: bytes | None = None
        self._optimizer: Optimizer | None = None
        self._folder: str | None = None

    # -- what Tune calls ---------------------------------------------------------------------------------------

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Take Tune's metric, mode and param_space where the searcher has none of its own."""
        self._metric, self._mode = self._metric or metric, self._mode or mode
        samples = spec.get("num_samples")
        self._samples = samples if isinstance(samples, int) and samples > 0 else None
        if self._space is not None:
            return not any(isinstance(v, Domain) for v in flatten_dict(config).values())
        if config:
            self._space = _space(config)
        return bool(config)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return a configuration, None where the budget is pending, `FINISHED` where nothing is left."""
        optimizer = self._open()
        taken = set(self._numbers.values())
        candidate = next((c for c in optimizer.pending if c.number not in taken), None)
        if candidate is None:
            asked = optimizer.ask(1)
            if not len(asked):
                return str(Searcher.FINISHED) if optimizer.done else None
            candidate = asked[0]
        self._numbers[trial_id] = candidate.number
        nested: dict[str, Any] = unflatten_dict(dict(candidate.x))
        return nested

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Remember the last report, which counts if the trial ends without one."""
        self._last[trial_id] = result

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Tell what the trial reported last; an error, NaN or a metric that is missing is a failure."""
        number, last = self._numbers.pop(trial_id, None), self._last.pop(trial_id, None)
        if number is None:
            return
        self._open().tell([number], [Failed("the trial raised") if error else self._read(result or last)])

    def _read(self, result: Mapping[str, Any] | None) -> Any:
        names = [*self._metrics, *self._constraints]
        missing = [name for name in names if result is None or result.get(name) is None]
        if missing:
            return Failed(f"the trial reported no {missing[0]}")
        assert result is not None
        return {name: float(result[name]) for name in names}

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Take a point known beforehand as data; only before the first suggestion.

        Raises:
            OptionError: a point that comes later, or with several metrics.
        """
        if self._optimizer is not None or len(self._metrics) > 1:
            raise OptionError(
                "points evaluated elsewhere must come before the first suggestion, for one metric; "
                f"got {parameters!r}"
            )
        if not error and not pruned:
            self._known.append((dict(flatten_dict(parameters)), float(value)))

    # -- the run -----------------------------------------------------------------------------------------------

    @property
    def _metrics(self) -> list[str]:
        return list(self._metric) if isinstance(self._metric, list) else [str(self._metric)]

    @property
    def _modes(self) -> list[str]:
        return list(self._mode) if isinstance(self._mode, list) else [str(self._mode)]

    def _open(self) -> Optimizer:
        if self._optimizer is not None:
            return self._optimizer
        if self._space is None:
            raise OptionError("space must be given to the searcher, or as Tune's param_space, got none")
        if not self._metric or not self._mode:
            raise OptionError(f"metric and mode must be given, got {self._metric!r} and {self._mode!r}")
        problem = Problem(
            unevaluated,
            self._space,
            objectives=self._metrics,
            direction=["minimize" if mode == "min" else "maximize" for mode in self._modes],
            constraints=self._constraints,
            call="dict",
            noisy=self._noisy,
            name=self._name,
        )
        X, values = [x for x, _ in self._known], [value for _, value in self._known]
        self._optimizer = Optimizer(
            problem,
            self._solver,
            budget=self._samples if self._solver == "auto" else None,
            x0=[dict(flatten_dict(p)) for p in self._points] or None,
            data=(X, values) if X else None,
            batch_size=1,
            storage=self._storage or self._own_journal(),
            name=self._name,
            **self._settings,
        )
        return self._optimizer

    def _own_journal(self) -> str:
        """Return the address of a file that lives as long as the searcher, filled with its snapshot."""
        if self._folder is None:
            self._folder = tempfile.mkdtemp(prefix="optengine-ray-")
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        file = Path(self._folder, JOURNAL)
        if self._snapshot is not None:
            file.write_bytes(self._snapshot)
        return f"sqlite:///{file}"

    # -- snapshots ---------------------------------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_snapshot"] = self._dumped()
        state["_optimizer"] = state["_folder"] = None
        return state

    def _dumped(self) -> bytes | None:
        if self._optimizer is None or self._folder is None:
            return self._snapshot
        file = Path(self._folder, JOURNAL)
        with (
            contextlib.closing(sqlite3.connect(file)) as journal,
            contextlib.closing(sqlite3.connect(":memory:")) as copy,
        ):
            journal.backup(copy)
            return copy.serialize()

    def save(self, checkpoint_path: str) -> None:
        """Write the searcher's state to a file."""
        Path(checkpoint_path).write_bytes(pickle.dumps(self.__getstate__()))

    def restore(self, checkpoint_path: str) -> None:
        """Take up the state that `save` wrote; with a `storage`, what was told after it counts as well."""
        if self._optimizer is not None:
            self._optimizer.close()
            self._optimizer = None
        self.__dict__.update(pickle.loads(Path(checkpoint_path).read_bytes()))


def _space(stated: Any) -> Space:
    if isinstance(stated, Mapping) and not all(isinstance(v, Variable) for v in stated.values()):
        flat = flatten_dict(dict(stated), prevent_delimiter=True)
        if "grid_search" in {str(key).rpartition("/")[2] for key in flat}:
            raise SpaceError("param_space must not hold grid_search beside a searcher; use tune.choice")
        domains = {
            name: variable(name, domain) for name, domain in flat.items() if isinstance(domain, Domain)
        }
        return Space(domains)
    return as_space(stated)


def variable(name: str, domain: Domain) -> Variable:
    """Return our variable for one of Tune's domains.

    Raises:
        SpaceError: domains without bounds, and functions of the configuration.
    """
    sampler, step = domain.get_sampler(), None
    if isinstance(sampler, Quantized):
        sampler, step = sampler.get_sampler(), sampler.q
    log, known = isinstance(sampler, LogUniform), isinstance(sampler, Uniform | LogUniform)
    if isinstance(domain, ChoiceDomain) and known:
        return Categorical(list(domain.categories))
    if isinstance(domain, FloatDomain | IntegerDomain) and known:
        whole = isinstance(domain, IntegerDomain)
        if step is not None and not (whole and step == 1):
            return _levels(name, domain, step, whole)
        if whole:
            return Integer(int(domain.lower), int(domain.upper) - (step is None), log)
        return Real(float(domain.lower), float(domain.upper), log)
    raise SpaceError(
        f"{name!r} must be uniform or loguniform between bounds, a randint or a choice, got {domain!r} with {sampler!r}"
    )


def _levels(name: str, domain: Any, step: float, whole: bool) -> Variable:
    """Return the multiples of a step within bounds, as Tune rounds them."""
    first, last = math.ceil(domain.lower / step - 1e-9), math.floor(domain.upper / step + 1e-9)
    if not 0 <= last - first < MOST_LEVELS:
        raise SpaceError(
            f"{name!r} must have 1 to {MOST_LEVELS} multiples of {step} in its range, got {domain!r}"
        )
    kind = int if whole else float
    return Ordinal([kind(round(k * step, 12)) for k in range(first, last + 1)])
