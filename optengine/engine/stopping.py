"""Rules that stop an evaluation early: what its values up to some step say against those of the others.

A rule sees curves: values by step, minimised. It is asked each time a value comes and says whether to go on. All rules
are asked under a lock, in the order in which values arrive.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from optengine.core.errors import OptionError, did_you_mean
from optengine.engine.curves import chance_below


@dataclass
class Curve:
    """Values of one evaluation so far.

    Attributes:
        key: number of the evaluation among those of its run. steps: rising. values: minimised, inf where NaN was told.
        ended: whether it ran to its end. stopped: whether it was stopped before.
    """

    key: int
    steps: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    ended: bool = False
    stopped: bool = False

    def best_by(self, step: float) -> float | None:
        """The best value up to `step`; None where it has not come so far."""
        if not self.steps or self.steps[-1] < step:
            return None
        return min(value for at, value in zip(self.steps, self.values, strict=True) if at <= step)

    def at(self, step: float) -> float | None:
        """The value at the first step that is not before `step`; None where it has not come so far."""
        reached = [value for at, value in zip(self.steps, self.values, strict=True) if at >= step]
        return reached[0] if reached else None


class StoppingRule(Protocol):
    """Says whether an evaluation should be stopped."""

    def stop(self, curve: Curve, others: Sequence[Curve]) -> bool:
        """Whether to stop `curve`, whose last value has just come, given all other curves of the run."""
        ...


def _check(name: str, value: Any, least: float, whole: bool = True, most: float = math.inf) -> None:
    kind = (int, np.integer) if whole else (int, float, np.number)
    if (
        isinstance(value, bool)
        or not isinstance(value, kind)
        or not least <= value <= most
        or math.isinf(value)
    ):
        words = f"{'an integer' if whole else 'a number'} >= {least}{'' if math.isinf(most) else f' and <= {most}'}"
        raise OptionError(f"{name} must be {words}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class MedianRule:
    """Stop where the best value so far is worse than the median of the others' best values by the same step.

    Golovin et al., Google Vizier, KDD 2017, doi:10.1145/3097983.3098043 (there with running averages). Costs O(curves).

    Attributes:
        warm_up: steps before which nothing is stopped, >= 0.
        n_curves: other evaluations that must have come so far, >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    warm_up: float = 0.0
    n_curves: int = 5

    def __post_init__(self) -> None:
        _check("warm_up", self.warm_up, 0, whole=False)
        _check("n_curves", self.n_curves, 1)

    def stop(self, curve: Curve, others: Sequence[Curve]) -> bool:
        step = curve.steps[-1]
        if step <= self.warm_up:
            return False
        theirs = [best for other in others if (best := other.best_by(step)) is not None]
        return len(theirs) >= self.n_curves and min(curve.values) > float(np.median(theirs))


@dataclass(frozen=True, kw_only=True)
class HalvingRule:
    """Asynchronous successive halving: at each rung only the best 1 / factor of those that came so far go on.

    Li et al., A system for massively parallel hyperparameter tuning, MLSys 2020, arXiv:1810.05934, in the form that
    stops and never resumes. Rungs are at first, first * factor, first * factor^2, ... steps. With several brackets
    (Hyperband, Li et al., JMLR 2018, arXiv:1603.06560) evaluation i belongs to bracket i modulo brackets, whose first
    rung lies that many powers higher; it is compared with its own bracket. Costs O(curves).

    Attributes:
        first: step of the first rung, > 0. factor: > 1. brackets: >= 1.

    Raises:
        OptionError: a value outside its range.
    """

    first: float = 1.0
    factor: float = 3.0
    brackets: int = 1

    def __post_init__(self) -> None:
        _check("first", self.first, 1e-300, whole=False)
        _check("factor", self.factor, 1.0 + 1e-9, whole=False)
        _check("brackets", self.brackets, 1)

    def stop(self, curve: Curve, others: Sequence[Curve]) -> bool:
        bracket = curve.key % self.brackets
        before = curve.steps[-2] if len(curve.steps) > 1 else 0.0
        rung = self._rung(curve.steps[-1], bracket)
        if rung is None or before >= rung:  # the same rung as at the last step
            return False
        mine = curve.values[-1]
        rivals = [o for o in others if o.key % self.brackets == bracket]
        theirs = [value for other in rivals if (value := other.at(rung)) is not None]
        kept = max(1, int((len(theirs) + 1) / self.factor))
        return sum(value < mine for value in theirs) >= kept

    def _rung(self, step: float, bracket: int) -> float | None:
        """The highest rung not above `step`; None below the first."""
        low = self.first * self.factor**bracket
        if step < low:
            return None
        power = math.floor(math.log(step / low) / math.log(self.factor) + 1e-9)
        return float(low * self.factor**power)


@dataclass(frozen=True, kw_only=True)
class CurveRule:
    """Stop where the end that the curve is heading for is very probably worse than the best end so far.

    After Domhan, Springenberg and Hutter, IJCAI 2015: power laws, exponentials and logarithms are fitted to the values
    so far and weighted by how well they fit; here by least squares on a grid of shapes in place of MCMC, which takes a
    millisecond (`curves.py`). Stops where the chance of an end below the best one is under `chance`.

    Attributes:
        last: step at which an evaluation ends; None: the largest one seen of those that have ended.
        chance: in (0, 0.5]. warm_up: values that a curve must have, >= 4.

    Raises:
        OptionError: a value outside its range.
    """

    last: float | None = None
    chance: float = 0.05
    warm_up: int = 4

    def __post_init__(self) -> None:
        if self.last is not None:
            _check("last", self.last, 1e-300, whole=False)
        _check("chance", self.chance, 1e-12, whole=False, most=0.5)
        _check("warm_up", self.warm_up, 4)

    def stop(self, curve: Curve, others: Sequence[Curve]) -> bool:
        ended = [other for other in others if other.ended and other.values]
        if not ended or len(curve.values) < self.warm_up:
            return False
        last = self.last if self.last is not None else max(other.steps[-1] for other in ended)
        if curve.steps[-1] >= last:
            return False
        if not math.isfinite(curve.values[-1]):
            return True
        best = min(other.values[-1] for other in ended)
        if min(curve.values) < best:
            return False
        return chance_below(np.array(curve.steps), np.array(curve.values), last, best) < self.chance


RULES: dict[str, Any] = {
    "median": MedianRule(),
    "halving": HalvingRule(),
    "hyperband": HalvingRule(brackets=3),
    "curve": CurveRule(),
}


def rule_of(given: Any) -> StoppingRule | None:
    """Return the rule that `early_stopping` names or is.

    Raises:
        OptionError: neither a rule nor the name of one.
    """
    if given is None or hasattr(given, "stop"):
        return given  # type: ignore[no-any-return]
    if not isinstance(given, str) or given not in RULES:
        near = did_you_mean(given, RULES) if isinstance(given, str) else ""
        raise OptionError(f"early_stopping must be a rule or one of {list(RULES)}, got {given!r}{near}")
    return RULES[given]  # type: ignore[no-any-return]
