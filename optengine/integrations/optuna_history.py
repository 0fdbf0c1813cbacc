"""The trials of a study as a sampler reads them: each finished one once, the running ones at every look."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from optengine.integrations.optuna_structure import Structure

ANNOUNCED = "optengine"  # system attribute of a trial: what was proposed, before it is evaluated
CONSTRAINTS = "constraints"  # Optuna's own, as a list or with `:name` behind it


def observed(trial: FrozenTrial) -> dict[str, float]:
    """Return a trial's constraints by name, feasible where <= 0, whichever way they were set."""
    attributes = trial.system_attrs
    found = {str(i): float(c) for i, c in enumerate(attributes.get(CONSTRAINTS) or ())}
    prefix = f"{CONSTRAINTS}:"
    named = {key.removeprefix(prefix): float(c) for key, c in attributes.items() if key.startswith(prefix)}
    return found | named


def outcome(trial: FrozenTrial, n_objectives: int) -> Sequence[float] | None:
    """Return a finished trial's values, None where it failed; a pruned one's is the last that it reported."""
    if trial.state == TrialState.COMPLETE:
        return list(trial.values)
    if trial.state == TrialState.PRUNED and n_objectives == 1 and trial.intermediate_values:
        last = trial.intermediate_values[max(trial.intermediate_values)]
        return None if math.isnan(last) else [last]
    return None


@dataclass(frozen=True)
class Announced:
    """What a sampler proposed for a trial: the key of the run that did, and the parameters."""

    key: str
    params: Mapping[str, Any]


def announced(trial: FrozenTrial) -> Announced | None:
    """Return what was proposed for a trial by one of our samplers, whichever process it lives in."""
    said = trial.system_attrs.get(ANNOUNCED)
    return None if said is None else Announced(str(said["key"]), said["params"])


def parameters(trial: FrozenTrial) -> dict[str, Any]:
    """Return a trial's parameters; those it has not come to yet, or never came to, as they were proposed."""
    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return trial.params
    said = announced(trial)
    return trial.params if said is None else {**said.params, **trial.params}


class StudyHistory:
    """What a sampler has read of one study.

    Attributes:
        study: name of the study; storage: where it lives.
        finished: trials in the order in which they were seen to have ended; open: running ones by number.
        structure: the search space; constraints: names seen so far, sorted.
    """

    def __init__(self, study: Study) -> None:
        self.study, self.storage = study.study_name, study._storage
        self.finished: list[FrozenTrial] = []
        self.open: dict[int, FrozenTrial] = {}
        self.structure = Structure()
        self.constraints: tuple[str, ...] = ()
        self._read = 0

    def reads(self, study: Study) -> bool:
        """Whether this is the history of that study."""
        return self.storage is study._storage and self.study == study.study_name

    def update(self, study: Study, current: int) -> None:
        """Read what is new; the trial numbered `current` is the one that is being sampled."""
        trials = study.get_trials(deepcopy=False)
        looked_at = [*(n for n in self.open if n < len(trials)), *range(self._read, len(trials))]
        self._read = len(trials)
        for number in looked_at:
            trial = trials[number]
            self.open.pop(number, None)
            if trial.state.is_finished():
                self._note(trial)
            elif number != current or trial.state != TrialState.RUNNING:
                self.open[number] = trial
        if current < len(trials) and not trials[current].state.is_finished():
            self.open[current] = trials[current]

    def _note(self, trial: FrozenTrial) -> None:
        self.finished.append(trial)
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            self.structure.note(trial.distributions, trial.params)
            names = observed(trial).keys() - set(self.constraints)
            if names:
                self.constraints = tuple(sorted({*self.constraints, *names}))

    def running(self, current: int) -> list[FrozenTrial]:
        """Return the other trials that are being evaluated, in the order of their numbers."""
        return [t for n, t in sorted(self.open.items()) if n != current and t.state == TrialState.RUNNING]
