"""`optengine explain`: what `auto` would take, and why, without running anything."""

from __future__ import annotations

import argparse

from optengine import registry, rules
from optengine.cli.output import say
from optengine.cli.solving import read_spec
from optengine.core.problem import Problem
from optengine.report.tables import Table, write

STEPS = (1, 10, 100)  # times the budget


def explain(options: argparse.Namespace) -> int:
    """Print the choice of `auto` for a problem, and how it changes with the budget."""
    spec = read_spec(options.spec, options.index)
    budget = spec.arguments.get("budget") if options.budget is None else options.budget
    workers = int(options.workers or spec.arguments.get("workers") or 1)
    say(_described(spec.problem))
    time_limit = spec.arguments.get("time_limit")
    choice = rules.plan(spec.problem, budget, workers, time_limit=time_limit)
    say(f"auto takes {rules.said_of(choice.solver, choice.options)}")
    say(f"because of {choice.reason}")
    table = Table([">budget", "solver", "rule"])
    for budget_tried in [None] if budget is None else [budget * step for step in STEPS]:
        tried = rules.plan(spec.problem, budget_tried, workers, time_limit=time_limit)
        said = rules.said_of(tried.solver, tried.options)
        table.rows.append(
            [
                "none" if budget_tried is None else str(budget_tried),
                said,
                tried.reason.split(";")[0].split(":")[0],
            ]
        )
    write(table)
    chosen = choice.solver
    others = [name for name, refusal in registry.suitable(spec.problem) if refusal is None and name != chosen]
    say(f"others that take it: {', '.join(others)}" if others else "no other solver takes it")
    return 0


def _described(problem: Problem) -> str:
    """One line: name, columns, what is known beforehand and what is measured."""
    space = problem.space
    free = int((space.lower < space.upper).sum())
    kinds = list(dict.fromkeys(type(variable).__name__.lower() for variable in space.variables.values()))
    parts = [f"{free} free columns ({', '.join(kinds)})"]
    if space.constrained:
        parts.append("constraints known beforehand")
    if space.conditional:
        parts.append("conditional variables")
    if problem.n_constraints:
        parts.append(f"{problem.n_constraints} observed constraints")
    if problem.n_objectives > 1:
        parts.append(f"{problem.n_objectives} objectives")
    if problem.noisy:
        parts.append("noise")
    if problem.moves:
        parts.append(f"moves with their changes: {', '.join(problem.moves)}")
    return f"{problem.name}: {'; '.join(parts)}"
