"""Options of the BoTorch engine that the fast one does not have."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optengine.core.errors import OptionError

RISKS = (None, "expectation", "var", "cvar", "worst")


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchOptions:
    """Options of `BO(engine="botorch", torch=TorchOptions(...))`.

    Attributes:
        threads: of torch, >= 1; one is fastest for these small matrices, and only then is a run replayable.
        n_samples: Monte Carlo samples of acquisition functions, >= 1.
        maxiter: L-BFGS steps of the acquisition's search, >= 1. fit_maxiter: of the model's fit, >= 1.
        n_optima: sampled optima behind entropy searches, >= 1.
        beta: weight of the variance in "ucb", > 0.
        risk: what is minimised in place of the value at x itself when x cannot be set exactly: "expectation", "var"
            (the `risk_level` quantile), "cvar" (the mean beyond it) or "worst" of the values around x. The engine's
            incumbent stays the best value observed; `details["recommended"]` holds the most robust point.
        risk_level: of "var" and "cvar", in (0, 1).
        input_noise: standard deviation of x around what was asked, as a share of each real variable's range (of its
            logarithm's where log=True): a number for all, or a dict by names; needs `risk`.
        n_perturbations: sampled deviations, >= 1.
        cost_weight: power of the cost by which fidelities are weighed, >= 0.

    Raises:
        OptionError: a value outside its range.
    """

    threads: int = 1
    n_samples: int = 64
    maxiter: int = 60
    fit_maxiter: int = 75
    n_optima: int = 16
    beta: float = 4.0
    risk: str | None = None
    risk_level: float = 0.8
    input_noise: float | Mapping[str, float] = 0.05
    n_perturbations: int = 16
    cost_weight: float = 1.0

    def __post_init__(self) -> None:
        for name in ("threads", "n_samples", "maxiter", "fit_maxiter", "n_optima", "n_perturbations"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
        for name, low, high, words in (
            ("beta", 0.0, math.inf, "a finite number > 0"),
            ("risk_level", 0.0, 1.0, "a number in (0, 1)"),
        ):
            if not _number(getattr(self, name)) or not low < getattr(self, name) < high:
                raise OptionError(f"{name} must be {words}, got {getattr(self, name)!r}")
        if not _number(self.cost_weight) or not 0 <= self.cost_weight < math.inf:
            raise OptionError(f"cost_weight must be a finite number >= 0, got {self.cost_weight!r}")
        if self.risk not in RISKS:
            raise OptionError(f"risk must be one of {list(RISKS)}, got {self.risk!r}")
        spread = self.input_noise
        values = list(spread.values()) if isinstance(spread, Mapping) else [spread]
        if not values or not all(_number(v) and 0 <= v < math.inf for v in values):
            raise OptionError(
                f"input_noise must be a number >= 0, or a dict of them by names, got {spread!r}"
            )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
