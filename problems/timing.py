"""Tuning where training time counts: quality against seconds in three forms.

Wang, Dernoncourt and Bui, Bayesian optimization for selecting efficient machine learning models, 2020,
arXiv:2008.00386, tune recommenders for both at once; what they weigh is stated here in three explicit forms.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.problem import Constraint, Objective, Problem
from optengine.core.space import Space

FORMS = ("scalarised", "constrained", "pareto")
LEAST = 1e-9  # seconds: what takes less counts as this


def timed(
    function: Callable[..., Any],
    space: Space,
    form: str = "scalarised",
    *,
    direction: str = "minimize",
    weight: float | None = None,
    limit: float | None = None,
    clock: Callable[[], float] = time.process_time,
    noisy: bool = True,
    name: str | None = None,
) -> Problem:
    """Return the problem of a model's quality and the seconds that its training takes.

    The seconds are those of the call, or those that it returns: a dict {"quality": ..., "seconds": ...}. They are the
    evaluation's cost, too, so that `max_cost` is a budget in seconds and `bo` can weigh by them (`cooling`).

    Args:
        function: called with the variables as keywords; returns the quality, or the dict.
        space: a named space.
        form: "scalarised": minimise the loss + weight * log10(seconds) (of a quality that is maximised: quality -
            weight * log10(seconds)); "constrained": the best quality with seconds <= limit, on a logarithmic scale;
            "pareto": quality and seconds as two objectives.
        direction: of the quality. weight: what ten times the training time is worth, > 0, in the quality's unit.
        limit: in seconds, > 0. clock: seconds of this process by default, without what it waits.
        noisy: measured times are. name: of the problem.

    Raises:
        ProblemError: an unknown form, or a weight or limit that it does not take.
    """
    if form not in FORMS:
        raise ProblemError(f"form must be one of {list(FORMS)}, got {form!r}{did_you_mean(str(form), FORMS)}")
    for label, value, of in (("weight", weight, "scalarised"), ("limit", limit, "constrained")):
        good = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf
        if (form == of) != (value is not None) or (form == of and not good):
            raise ProblemError(
                f"{label} must be a number > 0 for form {of!r} and None for others, got {value!r}"
            )
    if not isinstance(space, Space) or not space.named:
        raise ProblemError(f"space must be a Space with names, got {space!r}")
    quality = Objective("quality", direction)
    objectives = [quality]
    constraints = []
    if form == "pareto":
        objectives.append(Objective("seconds"))
    elif form == "scalarised":
        objectives = [Objective("tradeoff", direction)]
    else:
        constraints.append(Constraint("log_seconds", upper=math.log10(limit or 1.0)))
    call = functools.partial(_measured, function, form, weight, quality.sign, clock)
    return Problem(
        call, space, objectives=objectives, constraints=constraints, call="dict", noisy=noisy,
        name=name or getattr(function, "__name__", "timed"),
    )  # fmt: skip


def _measured(
    function: Callable[..., Any],
    form: str,
    weight: float | None,
    sign: float,
    clock: Callable[[], float],
    x: dict[str, Any],
) -> dict[str, Any]:
    """What the engine is told of one training."""
    start = clock()
    returned = function(**x)
    seconds = clock() - start
    if isinstance(returned, Mapping):
        if "quality" not in returned:
            raise ProblemError(
                f"the function must return a number or a dict with 'quality', got {dict(returned)!r}"
            )
        seconds, returned = float(returned.get("seconds", seconds)), returned["quality"]
    seconds, quality = max(float(seconds), LEAST), float(returned)
    told: dict[str, Any] = {"cost": seconds, "note": {"quality": quality, "seconds": seconds}}
    if form == "scalarised":
        return told | {"tradeoff": quality + sign * float(weight or 0.0) * math.log10(seconds)}
    if form == "constrained":
        return told | {"quality": quality, "log_seconds": math.log10(seconds)}
    return told | {"quality": quality, "seconds": seconds}
