"""The solvers by name, as text: nothing loads before it is asked for.

A third-party package adds its own through the entry-point group `optengine.solvers`; the scan happens on the first
look-up of a name that is not ours.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from optengine.core.errors import OptEngineError, OptionError, SolverNotSuitable, did_you_mean

if TYPE_CHECKING:
    from optengine.core.problem import Problem

SOLVERS: dict[str, str] = {
    "cem": "optengine.solvers.cem:CEM",
    "fast_ea": "optengine.solvers.local_search:FastEA",
    "ils": "optengine.solvers.local_search:ILS",
    "random": "optengine.solvers.random_search:RandomSearch",
    "sobol": "optengine.solvers.sobol:Sobol",
}

MODERATE = 100_000  # evaluations that a local search in Python spends in some ten seconds
ENTRY_POINTS = "optengine.solvers"


def names() -> list[str]:
    """Return the names of all solvers, those of installed third-party packages included."""
    return sorted({*SOLVERS, *_plugins()})


def load(name: str) -> type[Any]:
    """Return the class of solver `name`.

    Raises:
        OptionError: there is no such solver; the nearest name is suggested.
    """
    if name in SOLVERS:
        module, _, attribute = SOLVERS[name].partition(":")
        return getattr(importlib.import_module(module), attribute)  # type: ignore[no-any-return]
    plugins = _plugins()
    if name not in plugins:
        known = sorted({*SOLVERS, *plugins})
        raise OptionError(f"solver must be 'auto' or one of {known}, got {name!r}{did_you_mean(name, known)}")
    try:
        return plugins[name].load()  # type: ignore[no-any-return]
    except Exception as error:  # a plugin may raise anything while it is imported
        raise OptionError(
            f"solver {name!r} is {plugins[name].value!r}, which does not load: {error}"
        ) from error


def make(name: str, options: dict[str, Any] | None = None) -> Any:
    """Return solver `name` with `options` as its fields.

    Raises:
        OptionError: an unknown solver or option, or a value outside its range.
    """
    solver, given = load(name), dict(options or {})
    known = [f.name for f in dataclasses.fields(solver) if f.init]
    for option in given:
        if option not in known:
            raise OptionError(f"{name} has no option {option!r}, only {known}{did_you_mean(option, known)}")
    return solver(**given)


def name_of(solver: Any) -> str:
    """Return the registry name of a solver instance, or its class name."""
    home = f"{type(solver).__module__}:{type(solver).__qualname__}"
    for name, place in SOLVERS.items():
        module, _, attribute = place.partition(":")
        if attribute == type(solver).__qualname__ and home.startswith(module):
            return name
    for name, plugin in _plugins().items():
        if plugin.value == home:
            return name
    return type(solver).__name__


def suitable(problem: Problem) -> Iterator[tuple[str, str | None]]:
    """Yield each solver's name with the reason why it refuses `problem`, or None where it does not."""
    for name in names():
        try:
            yield name, load(name)().refuses(problem)
        except OptEngineError as error:
            yield name, str(error)


def check_suitable(solver: Any, problem: Problem) -> None:
    """Raise `SolverNotSuitable`, with the solvers that would do, if `solver` refuses `problem`."""
    reason = solver.refuses(problem)
    if reason is not None:
        others = [name for name, refusal in suitable(problem) if refusal is None]
        hint = f"; these would do: {', '.join(others)}" if others else ""
        raise SolverNotSuitable(f"solver {name_of(solver)!r} cannot solve {problem.name!r}: {reason}{hint}")


def choose(problem: Problem, budget: int | None, workers: int) -> tuple[str, str]:
    """Return the solver that `auto` takes and the rule that chose it.

    The first rule that fits wins (d free columns, w workers); where points spread evenly are wanted, they come from
    `sobol`, or under known constraints from `random`, which draws inside them.

    1. several objectives: points spread evenly; the front is what they leave.
    2. budget < 4 d, or w > budget / 5: nothing can be learnt in so few steps; points spread evenly.
    3. only permutations, bits and subsets, without known constraints, and budget <= 100 000, or a problem that tells
       what its moves change: `ils`, which costs more a candidate and needs fewer of them.
    4. otherwise `cem`, which treats every kind of variable.
    """
    d = int((problem.space.lower < problem.space.upper).sum())
    even = "random" if problem.space.constrained else "sobol"
    if problem.n_objectives > 1:
        return even, f"rule 1: {problem.n_objectives} objectives"
    if budget is not None and budget < 4 * d:
        return even, f"rule 2: budget {budget} < 4 x {d} columns"
    if budget is not None and workers > budget / 5:
        return even, f"rule 2: {workers} workers share budget {budget}"
    if not problem.space.constrained and _orders_and_bits(problem):
        if problem.moves:
            return "ils", f"rule 3: {', '.join(problem.moves)} evaluated by their changes"
        if budget is not None and budget <= MODERATE:
            return "ils", f"rule 3: permutations, bits or subsets alone, budget {budget} <= {MODERATE}"
    return "cem", f"rule 4: every kind of variable, {d} free columns"


def _orders_and_bits(problem: Problem) -> bool:
    from optengine.core.space import BINARY, PERMUTATION, SUBSET

    space = problem.space
    free = space.lower < space.upper
    return bool(free.any()) and {*space.kind[free].tolist()} <= {BINARY, PERMUTATION, SUBSET}


def _plugins() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in SOLVERS}
