"""`auto` stays with the solver that it took when a journaled run was begun, also when the budget grows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from optengine import registry, rules
from optengine.core.errors import StorageError
from optengine.core.result import jsonable

if TYPE_CHECKING:
    from optengine.core.problem import Problem

STEP = 0.9  # ratio of the budgets that are tried: no rule holds for less than a tenth of a budget


def kept(problem: Problem, budget: int | None, workers: int, storage: Any, name: str) -> rules.Choice:
    """Return the choice for a run with a journal: that of a smaller budget, if the run was begun with its solver.

    A run that is killed is continued with its own budget, and finds its own choice; one that is extended would find
    another solver's where a rule ends between the two budgets, and a run cannot change its solver.
    """
    choice = rules.plan(problem, budget, workers)
    begun = _begun(storage, name)
    tried, smaller = choice, None if budget is None else float(budget)
    while begun is not None and not _same(tried, begun):
        if smaller is None or smaller < 1:
            return choice  # begun with another solver by name: the journal says so itself
        smaller *= STEP
        tried = rules.plan(problem, max(1, int(smaller)), workers)
    return tried


def _same(choice: rules.Choice, begun: dict[str, Any]) -> bool:
    made = registry.make(choice.solver, choice.options)
    options = jsonable({field.name: getattr(made, field.name) for field in dataclasses.fields(made)})
    return (choice.solver, options) == (begun.get("solver"), begun.get("options"))


def _begun(storage: Any, name: str) -> dict[str, Any] | None:
    """What the journal says of the run of that name; None before it was begun."""
    from optengine.store import Journal

    try:
        with Journal(storage, readonly=True) as journal:
            if not any(info.name == name for info in journal.runs()):
                return None
            return journal.read(name).fingerprint
    except StorageError:  # no journal yet; what else is wrong with it is said when it is opened
        return None
