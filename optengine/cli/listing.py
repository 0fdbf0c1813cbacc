"""`optengine solvers` and `optengine problems`: what there is."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from typing import Any

from optengine import registry
from optengine.cli.output import say
from optengine.core.errors import OptEngineError
from optengine.core.problem import Problem
from optengine.core.space import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Space,
    Subset,
    Variable,
)
from optengine.report.tables import Table, write

REFERENCE = re.compile(r"(?:doi:|arXiv:|https?://)[^\s;,]+", re.I)

SAMPLES: dict[str, Variable] = {
    "real": Real(0, 1),
    "integer": Integer(0, 9),
    "categorical": Categorical(["a", "b"]),
    "ordinal": Ordinal([1, 2, 4]),
    "binary": Binary(),
    "permutation": Permutation(4),
    "subset": Subset(4, 2),
    "simplex": Simplex(3),
}


def solvers(options: argparse.Namespace) -> int:
    """List the solvers, or those that suit a problem."""
    write(_suitable(options.problem) if options.problem is not None else _solvers())
    return 0


def _solvers() -> Table:
    table = Table(["=solver", "what it is", "variables", "=reference"])
    for name in registry.names():
        try:
            made = registry.make(name)
        except OptEngineError as error:  # a plugin that does not load, a library that is not installed
            table.rows.append([name, str(error), "-", ""])
            continue
        table.rows.append([name, first_line(type(made)), _variables(made), _reference(type(made))])
    table.notes.append("optengine solvers --problem FILE tells which of them suit a problem.")
    return table


def _variables(solver: Any) -> str:
    """Name the kinds of variable that `solver` takes, and whether it takes several objectives."""
    kinds = [kind for kind, sample in SAMPLES.items() if _takes(solver, Space(x=sample), 1)]
    text = "every kind" if len(kinds) == len(SAMPLES) else ", ".join(kinds) or "special problems"
    several = any(_takes(solver, Space(x=sample), 2) for sample in SAMPLES.values())
    return f"{text}; several objectives" if several else text


def _takes(solver: Any, space: Space, n_objectives: int) -> bool:
    problem = Problem(lambda x: 0.0, space, call="dict", objectives=[f"f{i}" for i in range(n_objectives)])
    return solver.refuses(problem) is None


def _suitable(file: str) -> Table:
    from optengine.cli.solving import read_spec

    problem = read_spec(file).problem
    table = Table(["solver", "suits", "why not"], title=repr(problem))
    for name, reason in registry.suitable(problem):
        table.rows.append([name, "yes" if reason is None else "no", reason or ""])
    chosen, why = registry.choose(problem, None, 1)
    table.notes.append(f'solver = "auto" takes {chosen} ({why}).')
    return table


def problems(options: argparse.Namespace) -> int:
    """List formats, problem classes, and what makes problems."""
    from optengine import problems as public
    from optengine.problems.formats import FORMATS

    formats = Table(["format", "what it holds"], title="Files that `read`, `solve` and sets understand")
    formats.rows += [[name, format.description] for name, format in FORMATS.items()]
    classes = Table(["class", "what it is"], title="Problem classes, in optengine.problems")
    makers = Table(["function", "what it makes"], title="Functions that make problems, in optengine.problems")
    for name in dir(public):
        value = None if name.startswith("_") else getattr(public, name)
        if inspect.isclass(value) and issubclass(value, Problem):
            classes.rows.append([name, first_line(value)])
        elif inspect.isfunction(value):
            makers.rows.append([name, first_line(value)])
    for i, table in enumerate((formats, classes, makers)):
        if i:
            say()
        write(table)
    return 0


def first_line(value: Any) -> str:
    """Return the first sentence line of a docstring."""
    text = inspect.getdoc(value) or ""
    return text.strip().split("\n")[0]


def _reference(solver: type[Any]) -> str:
    """Return the first DOI, arXiv number or address in the docstrings of the solver and of its module."""
    module = sys.modules.get(solver.__module__)
    for text in (solver.__doc__, module.__doc__ if module else None):
        found = REFERENCE.search(text or "")
        if found:
            text = found[0].rstrip(".")
            return (
                text if text.count("(") == text.count(")") else text.rstrip(").")
            )  # some DOIs hold brackets
    return ""
