"""What all local methods share: the check of their options and of the problems they can treat."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.errors import OptionError
from optengine.core.space import REAL

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Check = tuple[str, Callable[[Any], bool]]


def is_number(value: Any) -> bool:
    """Whether value is a real number, and no bool."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: Any) -> bool:
    """Whether value is an integer, and no bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


CHECKS: dict[str, Check] = {
    "starts": ("an integer >= 1 or None", lambda v: v is None or (is_whole(v) and v >= 1)),
    "step": ("in (0, 0.1]", lambda v: is_number(v) and 0 < v <= 0.1),
    "radius": ("in (0, 0.5]", lambda v: is_number(v) and 0 < v <= 0.5),
    "tolerance": ("in (0, 1)", lambda v: is_number(v) and 0 < v < 1),
    "central": ("True or False", lambda v: isinstance(v, bool)),
    "polish": ("True or False", lambda v: isinstance(v, bool)),
    "memory": ("an integer >= 1", lambda v: is_whole(v) and v >= 1),
    "stall": ("in [0, 1) or None", lambda v: v is None or (is_number(v) and 0 <= v < 1)),
    "temperature": ("in (0.01, 5e4]", lambda v: is_number(v) and 0.01 < v <= 5e4),
    "visit": ("in (1, 3]", lambda v: is_number(v) and 1 < v <= 3),
    "accept": ("in (-1e4, -5]", lambda v: is_number(v) and -math.inf < v and -1e4 < v <= -5),
}


def check(options: Any) -> None:
    """Raise OptionError for the first field of the dataclass `options` that is out of its range."""
    for field in dataclasses.fields(options):
        name, value = field.name, getattr(options, field.name)
        right, holds = CHECKS[name]
        if not holds(value):
            raise OptionError(f"{name} must be {right}, got {value!r}")


def refuses(problem: Problem, *, constraints: bool) -> str | None:
    """Return why a local method cannot treat `problem`; `constraints`: whether it knows observed ones."""
    if problem.n_objectives > 1:
        return f"it has one objective, and the problem {problem.n_objectives}; nsga2 and smsemoa take several"
    space = problem.space
    free = space.lower < space.upper
    free[[column for column, _ in space.fidelity.values()]] = False
    if (space.kind[free] != REAL).any():
        return "it moves real numbers only; cmaes and de take integers and categories"
    if problem.n_constraints and not constraints:
        return "it knows no observed constraints; slsqp and cobyqa do"
    return None
