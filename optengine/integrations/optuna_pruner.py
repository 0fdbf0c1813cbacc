"""Our rules of early stopping as a pruner of Optuna."""

from __future__ import annotations

import math
from typing import Any

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from optengine.core.errors import OptionError
from optengine.engine.stopping import Curve, rule_of


class OptEnginePruner(BasePruner):
    """Prunes by one of our rules: `study = create_study(pruner=OptEnginePruner("curve"))`.

    The rule sees what all trials reported, those of other processes among it, so that nothing has to be kept.

    Args:
        rule: "median", "halving", "hyperband", "curve" (the end that a curve is heading for), or a rule's instance.

    Raises:
        OptionError: neither a rule nor the name of one.
    """

    def __init__(self, rule: Any = "halving") -> None:
        made = rule_of(rule)
        if made is None:
            raise OptionError("rule must be the name of a rule or a rule, got None")
        self._rule = made

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial, whose last value has just been reported, should be stopped."""
        if not trial.intermediate_values:
            return False
        sign = 1.0 if study.direction == StudyDirection.MINIMIZE else -1.0
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        return self._rule.stop(
            _curve(trial, sign), [_curve(t, sign) for t in others if t.intermediate_values]
        )


def _curve(trial: FrozenTrial, sign: float) -> Curve:
    """Return what a trial reported, in the order of its steps, minimised."""
    steps = sorted(trial.intermediate_values)
    values = [trial.intermediate_values[step] for step in steps]
    return Curve(
        trial.number,
        [float(step) for step in steps],
        [math.inf if math.isnan(v) else sign * v for v in values],
        ended=trial.state == TrialState.COMPLETE,
        stopped=trial.state == TrialState.PRUNED,
    )
