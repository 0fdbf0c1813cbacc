"""Which solvers take part where none are named, and solvers from what the user wrote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine import registry
from optengine.core.errors import OptEngineError, OptionError
from optengine.core.space import BINARY, PERMUTATION, REAL, SUBSET

if TYPE_CHECKING:
    from optengine.core.problem import Problem

FEWEST = 2  # members

# Members taken where none are named: different in kind, those that do not suit the problem are left out.
REALS = ("hybrid", "de", "cem")
DISCRETE = ("ils", "fast_ea", "cem", "ga")
MIXED = ("cmaes", "cem", "tpe", "ga")
FRONTS = ("nsga2", "smsemoa", "moead")
# Search by themselves: an exact method and heuristics, so that bounds and incumbents meet.
STRUCTURED = (
    "milp", "relaxation_induced", "local_branching", "feasibility_jump", "dmmv", "minmax_exact", "order_search",
    "dag_exact",
)  # fmt: skip


def suited(problem: Problem, *, asked: bool = False) -> list[tuple[str, Any]]:
    """Return the solvers taken for a problem where none are named, with their names.

    Args:
        problem: what they must take. asked: only such as are asked and told.
    """
    if not asked:
        structured = [
            pair for pair in _usable(STRUCTURED, problem) if hasattr(_trial(pair[1], problem), "search")
        ]
        if len(structured) >= FEWEST:
            return structured
    space = problem.space
    kinds = {int(kind) for kind in space.kind[space.lower < space.upper]}
    if problem.n_objectives > 1:
        return _usable(FRONTS, problem)
    if kinds <= {REAL}:
        return _usable(REALS, problem)
    return _usable(DISCRETE if kinds <= {BINARY, PERMUTATION, SUBSET} else MIXED, problem)


def _usable(names: Iterable[str], problem: Problem) -> list[tuple[str, Any]]:
    """The registered solvers of these names that are installed and take the problem."""
    found = []
    for name in names:
        if name not in registry.SOLVERS:
            continue
        try:
            solver = registry.make(name)
            if registry.refusal(solver, problem) is None:
                found.append((name, solver))
        except OptEngineError:  # a library that is not installed
            continue
    return found


def _trial(solver: Any, problem: Problem) -> Any:
    return solver.start(problem, np.random.default_rng(0))


def made(member: Any, where: str = "members") -> tuple[str, Any]:
    """Return the name and the solver that a name, a solver, or a table {"name": ..., option: value} means.

    Raises:
        OptionError: none of the three, an unknown name or option.
    """
    if isinstance(member, str):
        return member, registry.make(member)
    if isinstance(member, Mapping):
        options = dict(member)
        name = options.pop("name", None)
        if not isinstance(name, str):
            raise OptionError(f"a table of {where} must have name, got {dict(member)!r}")
        return name, registry.make(name, options)
    if isinstance(member, type) or not (hasattr(member, "start") and hasattr(member, "refuses")):
        raise OptionError(f"{where} must be names, solvers or tables, got {member!r}")
    return registry.name_of(member), member


def numbered(members: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The members by labels: their names, numbered where one stands in the list twice."""
    seen: dict[str, int] = {}
    found = []
    for name, solver in members:
        seen[name] = seen.get(name, 0) + 1
        found.append((name if seen[name] == 1 else f"{name} {seen[name]}", solver))
    return found
