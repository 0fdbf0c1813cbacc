"""`optengine solve`: one problem, one result."""

from __future__ import annotations

import argparse
import tomllib
from typing import Any

from optengine.batch.spec import SolveSpec, read_solve
from optengine.cli.output import check_writable, deliver, say, wants_progress
from optengine.cli.parser import FAILED, INTERRUPTED
from optengine.core.errors import EvaluationFailed, OptionError
from optengine.core.result import Result, Status
from optengine.engine import solve as solve_problem
from optengine.problems.formats import read

FLAGS = ("budget", "time_limit", "target", "seed", "workers", "storage", "name")


def solve(options: argparse.Namespace) -> int:
    """Solve the problem of a TOML or instance file; flags stand above what the file says."""
    check_writable(options)
    spec = read_spec(options.spec, options.index)
    solver, arguments = spec.solver, dict(spec.arguments)
    if options.solver is not None and options.solver != solver:
        solver = options.solver
        arguments.pop("options", None)  # they belong to the solver that the file names
    chosen = {**arguments.get("options", {}), **dict(_option(text) for text in options.option)}
    if options.model is not None:
        if solver == "auto":
            solver = "predict_and_search"
        chosen["model"] = options.model
    arguments |= {flag: getattr(options, flag) for flag in FLAGS if getattr(options, flag) is not None}
    if chosen and solver == "auto":
        raise OptionError(f"options need a solver by name, got {chosen!r} with solver 'auto'")
    try:
        result = solve_problem(
            spec.problem, solver, **arguments | {"options": chosen, "progress": wants_progress(options)}
        )
    except EvaluationFailed as error:
        if isinstance(error.result, Result) and error.result.n_evaluations:
            say(str(error.result))
        raise
    say(str(result))
    deliver(result, options)
    if result.status is Status.STOPPED:
        return INTERRUPTED
    return FAILED if result.status is Status.FAILED else 0


def read_spec(path: str, index: int | None = None) -> SolveSpec:
    """Return what a TOML file states, or the problem of an instance file."""
    if path.lower().endswith(".toml"):
        if index is not None:
            raise OptionError(
                f"--index goes with an instance file, got {index} for {path!r}; write index = {index} in it"
            )
        return read_solve(path)
    return SolveSpec(read(path, index), "auto", {})


def _option(text: str) -> tuple[str, Any]:
    """Read KEY=VALUE; a value that is not TOML is a string."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise OptionError(f"--option must be KEY=VALUE, got {text!r}")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, {"True": True, "False": False, "None": None}.get(value, value)
