"""Our solvers as samplers of Optuna: `optuna.create_study(sampler=OptEngineSampler("bo"))`.

The sampler keeps nothing that the study does not hold: copies in other processes, pickled ones and those of a later
session read the trials and go on. Trials that run are pending, so that parallel workers get different points; failed
ones are learnt as failures and not proposed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import SeedSequence, default_rng

from optengine.core.errors import OptionError, SolverNotSuitable, require
from optengine.core.space import Space

require("optuna", extra="hpo")

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optengine.integrations.optuna_history import ANNOUNCED, CONSTRAINTS, StudyHistory
from optengine.integrations.optuna_pruner import OptEnginePruner
from optengine.integrations.optuna_run import Following, check_suitable, problem_of
from optengine.integrations.optuna_space import Columns, StatedColumns, representable, value_of, variable
from optengine.integrations.optuna_study import StudyData, from_study, to_study

__all__ = ["OptEnginePruner", "OptEngineSampler", "StudyData", "from_study", "to_study"]

MOST_BAYES = 200  # finished trials up to which "auto" fits a model whose cost grows with their cube
WIDEST_BAYES = 20  # parameters up to which it does
MOST_STUDIES, MOST_RUNS = 4, 8  # kept in memory; others are rebuilt when they are met again


class OptEngineSampler(BaseSampler):
    """Samples a study's trials by one of our solvers.

    Parameters that all trials share are sampled together, and so are those whose absence a category, a bit or a whole
    number explains (conditional spaces); what remains is sampled uniformly, one by one. Without `search_space` the
    first trial, which shows what there is, is uniform too.

    A study that a new sampler of the same seed goes on with gets the trials that the old one would have proposed, as
    long as one process samples it; `bo`, whose fits begin from the ones before, may differ after a restart.

    Args:
        solver: a solver's name or instance; "auto": `bo` for one objective and up to 20 parameters while no more than
            200 trials have finished, else `tpe`.
        seed: with the trial's number it settles every random number; None draws one.
        search_space: known beforehand: a `Space` of ours, conditions and known constraints included, or Optuna's
            distributions by name. None: learnt from the trials.
        constraints_func: returns a finished trial's constraint values, feasible where <= 0; newer versions of Optuna
            prefer `trial.set_constraint` in the objective, which needs nothing here.
        noisy: the same parameters may give different values.
        options: the solver's options, beside its name.

    Raises:
        OptionError: an argument outside its range, or a solver that is not asked but searches by itself.
        SolverNotSuitable: when the first trial is sampled, if the solver does not take the study's objectives.
    """

    def __init__(
        self,
        solver: Any = "auto",
        *,
        seed: int | None = None,
        search_space: Space | Mapping[str, Any] | None = None,
        constraints_func: Callable[[FrozenTrial], Sequence[float]] | None = None,
        noisy: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if seed is not None and (
            isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0
        ):
            raise OptionError(f"seed must be an integer >= 0 or None, got {seed!r}")
        if constraints_func is not None and not callable(constraints_func):
            raise OptionError(f"constraints_func must be callable, got {constraints_func!r}")
        if solver == "auto" and options:
            raise OptionError(f"options go with a solver's name, got {dict(options)!r} beside 'auto'")
        with contextlib.suppress(SolverNotSuitable):  # it may be for several objectives
            check_suitable("tpe" if solver == "auto" else solver, options, ("minimize",))
        self._solver, self._options, self._noisy = solver, dict(options or {}), bool(noisy)
        self._seed = int(SeedSequence().entropy) if seed is None else int(seed)  # type: ignore[arg-type]  # an int when none was given
        self._constraints_func = constraints_func
        self._stated = None if search_space is None else _columns(search_space)
        self._forget()

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._studies: list[StudyHistory] = []
        self._runs: dict[tuple[int, str], Following] = {}
        self._suitable: set[tuple[str, ...]] = set()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        for name in ("_lock", "_studies", "_runs", "_suitable"):  # rebuilt from the study
            del state[name]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget()

    # -- what Optuna calls -------------------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return the parameters that are sampled together."""
        with self._lock:
            if self._stated is not None:
                return dict(self._stated.distributions)
            return dict(self._history(study, trial.number).structure.spec()[0])

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return values for the parameters of the search space that are there in this trial."""
        with self._lock:
            self._check(study)
            fixed = trial.system_attrs.get("fixed_params", {})
            if all(name in fixed or d.single() for name, d in search_space.items()):
                return {}
            history = self._history(study, trial.number)
            columns = self._stated
            if columns is None or columns.distributions != search_space:
                columns = history.structure.columns(search_space)
            following = self._following(study, history, columns)
            params = following.propose(history, trial.number)
            said: dict[str, Any] = {"key": following.key, "params": params}
            study._storage.set_trial_system_attr(trial._trial_id, ANNOUNCED, said)
            return params

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value that is uniform on the parameter's range, which is known only now."""
        with self._lock:
            self._check(study)
        rng = default_rng(SeedSequence(self._seed, spawn_key=(trial.number, zlib.crc32(param_name.encode()))))
        if not representable(param_distribution):
            from optuna.samplers import RandomSampler

            return RandomSampler(int(rng.integers(2**31))).sample_independent(
                study, trial, param_name, param_distribution
            )
        drawn = Space({param_name: variable(param_distribution)}).sample(1, rng)[0, 0]
        return value_of(param_distribution, float(drawn))

    def after_trial(
        self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Store what `constraints_func` says of a trial that has values."""
        if self._constraints_func is None or state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return
        found = tuple(float(c) for c in self._constraints_func(trial))
        if any(c != c for c in found):
            raise ValueError(f"constraints_func must return numbers, got {found} for trial {trial.number}")
        study._storage.set_trial_system_attr(trial._trial_id, CONSTRAINTS, found)

    def reseed_rng(self) -> None:
        """Nothing: every trial has random numbers of its own."""

    # -- what it remembers -------------------------------------------------------------------------------------

    def _check(self, study: Study) -> None:
        directions = _directions(study)
        if directions not in self._suitable:
            check_suitable(self._chosen(len(directions), 0, 1), self._options, directions)
            self._suitable.add(directions)

    def _chosen(self, n_objectives: int, n_finished: int, width: int) -> Any:
        if self._solver != "auto":
            return self._solver
        few = n_objectives == 1 and n_finished <= MOST_BAYES and width <= WIDEST_BAYES
        return "bo" if few else "tpe"

    def _history(self, study: Study, number: int) -> StudyHistory:
        """Return what is known of a study, brought up to date."""
        history = next((h for h in self._studies if h.reads(study)), None)
        if history is None:
            history = StudyHistory(study)
            self._studies = [history, *self._studies[: MOST_STUDIES - 1]]
            kept = {id(h) for h in self._studies}
            self._runs = {key: run for key, run in self._runs.items() if key[0] in kept}
        history.update(study, number)
        return history

    def _following(self, study: Study, history: StudyHistory, columns: Columns) -> Following:
        """Return the run for a search space; a space that has changed gets another one."""
        directions = _directions(study)
        solver = self._chosen(len(directions), len(history.finished), columns.space.width)
        facts = (columns.fingerprint(), directions, history.constraints, repr(solver), self._noisy)
        text = repr((*facts, sorted(self._options.items()), self._seed))
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        place = id(history), key
        if place not in self._runs:
            problem = problem_of(columns, directions, history.constraints, self._noisy)
            others = [k for k in self._runs if k[0] == place[0]]
            if len(others) >= MOST_RUNS:
                del self._runs[others[0]]
            self._runs[place] = Following(
                columns, problem, solver, self._options, self._seed, key, history.constraints
            )
        return self._runs[place]


def _directions(study: Study) -> tuple[str, ...]:
    return tuple(d.name.lower() for d in study.directions)


def _columns(stated: Space | Mapping[str, Any]) -> Columns:
    if isinstance(stated, Space):
        return StatedColumns(stated)
    if isinstance(stated, Mapping) and all(isinstance(d, BaseDistribution) for d in stated.values()):
        return Columns({name: d for name, d in stated.items() if representable(d)})
    if isinstance(stated, Mapping):
        return StatedColumns(Space(stated))
    raise OptionError(f"search_space must be a Space or a dict of distributions, got {stated!r}")
