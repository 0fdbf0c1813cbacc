"""The run's side of early stopping: it keeps all curves, asks the rule, and says what the solver is told.

A stopped evaluation is told as what it is: the value at which it was stopped, plus the median of what the evaluations
that ran to their end gained from that step on, and never better than the best of these. Without the first correction
a point stopped early looks worse than one stopped late; without the second an extrapolation would be believed more than
a measurement. It never becomes an incumbent.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.returned import Measured
from optengine.core.steps import following
from optengine.engine.stopping import Curve, StoppingRule

Floats = NDArray[np.float64]


class Stopper:
    """Curves of a run. Safe for several threads.

    Args:
        rule: asked at each value.
        sign: turns the user's value into one to be minimised.
    """

    def __init__(self, rule: StoppingRule, sign: float = 1.0) -> None:
        self._rule, self._sign = rule, sign
        self._curves: dict[int, Curve] = {}
        self._lock = threading.RLock()

    def begin(self) -> int:
        """Return the key of a new evaluation."""
        with self._lock:
            key = len(self._curves)
            self._curves[key] = Curve(key)
            return key

    def trial(self) -> Local:
        """Return the reporter of a new evaluation in this process."""
        return Local(self)

    def measure(self, problem: Problem, row: Floats) -> Measured:
        """Evaluate one row (width,) in this process."""
        return measure(problem, row, self.trial())

    def report(self, key: int, step: float, value: float) -> bool:
        """Take one value in the user's direction; return whether the evaluation should stop.

        Raises:
            ProblemError: a step or value that is no number, or a step that does not rise.
        """
        with self._lock:
            curve = self._curves[key]
            step, value = _number("step", step), _number("value", value)
            if math.isnan(step) or (curve.steps and step <= curve.steps[-1]):
                raise ProblemError(f"step must rise from value to value, got {step} after {curve.steps[-1:]}")
            curve.steps.append(step)
            curve.values.append(math.inf if math.isnan(value) else value * self._sign)
            if not curve.stopped:
                others = [other for other in self._curves.values() if other is not curve]
                curve.stopped = bool(self._rule.stop(curve, others))
            return curve.stopped

    def finish(self, key: int, measured: Measured) -> Measured:
        """Note the end of an evaluation; return what the solver is told of it, with its curve as the note."""
        with self._lock:
            curve = self._curves[key]
            if measured.reason is not None:
                del curve.steps[:], curve.values[:]
                return measured
            note = dict(measured.note or {})
            curve.stopped = curve.stopped or "stopped" in note
            curve.ended = not curve.stopped
            if curve.steps:
                values = [None if math.isinf(v) else v * self._sign for v in curve.values]
                note["curve"] = [list(pair) for pair in zip(curve.steps, values, strict=True)]
            if curve.stopped and len(measured.f) == 1:
                note["stopped"] = curve.steps[-1] if curve.steps else note.get("stopped")
                note["value"] = measured.f[0] * self._sign
                measured.f = (self.told(key, measured.f[0]),)
            measured.note = note or None
            return measured

    def ended(self, key: int) -> None:
        """Note that an evaluation ran to its end."""
        with self._lock:
            self._curves[key].ended, self._curves[key].stopped = True, False

    def told(self, key: int, value: float) -> float:
        """Return what the solver is told of a stopped evaluation whose last value, minimised, is `value`."""
        with self._lock:
            curve = self._curves[key]
            ended = [o for o in self._curves.values() if o.ended and o.values]
            if not ended or not curve.steps:
                return value
            here = [(o.at(curve.steps[-1]), o.values[-1]) for o in ended]
            gains = [
                end - at for at, end in here if at is not None and math.isfinite(at) and math.isfinite(end)
            ]
            moved = value + (float(np.median(gains)) if gains else 0.0)
            return max(moved, min(o.values[-1] for o in ended))

    def restore(self, notes: Mapping[int, Mapping[str, Any]]) -> None:
        """Take in the curves that a journal kept, by number."""
        with self._lock:
            for number in sorted(notes):
                note = notes[number]
                if "curve" in note:
                    curve = self._curves[self.begin()]
                    curve.steps = [float(step) for step, _ in note["curve"]]
                    curve.values = [math.inf if v is None else v * self._sign for _, v in note["curve"]]
                    curve.stopped = "stopped" in note
                    curve.ended = not curve.stopped


class Local:
    """The reporter of one evaluation in the process of the run."""

    def __init__(self, stopper: Stopper) -> None:
        self._stopper, self._key = stopper, -1
        self.stopped = False
        self.step: float | None = None

    def report(self, step: float, value: float) -> bool:
        if self._key < 0:
            self._key = self._stopper.begin()
        self.stopped = self._stopper.report(self._key, step, value)
        self.step = float(step)
        return self.stopped

    def finish(self, measured: Measured) -> Measured:
        """Note the end; return what the solver is told."""
        return measured if self._key < 0 else self._stopper.finish(self._key, measured)


def measure(problem: Problem, row: Floats, trial: Any) -> Measured:
    """Evaluate one row (width,) whose steps go to `trial`, `Local` or a remote one."""
    with following(trial):
        measured: Measured = problem.measure(row)
    finished: Measured = trial.finish(measured)
    return finished


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ProblemError(f"{name} of a reported value must be a number, got {value!r}") from None
