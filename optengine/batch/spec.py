"""What a TOML file says: a set of problems and solvers for `optengine batch`, or one job for `optengine solve`.

A set:

    name = "main job"
    seeds = 5                                   # 0..4, or a list
    budget = 1000                               # of every run, unless a table below says otherwise, or "1000*d": d is
                                                # the problem's free columns; also time_limit, threads (1)

    [[problem]]
    file = "instances/*.dat"                    # or a list; index = 0 where a file holds several
    [[problem]]
    generator = "package.module:function"       # args = {n = 20} or a list; seed = 0 for its rng or seed
    [[problem]]
    callable = "module:objective"               # with space (see `space_table`), objectives, direction, constraints,
                                                # call, vectorized, noisy, array, cost; without space: a Problem
    [[problem]]
    adapter = "ioh:bbob"                        # args = {functions = [1, 8], instances = [1], dimensions = [5]};
                                                # also pymoo:zdt, botorch:Hartmann (see `problems.suites.suite`)
    name = "label"                              # of any problem; also budget, time_limit, target

    [[solver]]
    name = "cem"                                # label, budget, time_limit; every other key is an option
    population = 50

A job has the keys of one problem at its top, `solver`, a table `options`, and the arguments of `solve` below. Paths are
relative to the file; its folder is where modules are looked for first.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from optengine.batch.entries import (
    LIMITS,
    PROBLEM_KEYS,
    ProblemEntry,
    SolverEntry,
    problems_from_table,
    seed_list,
    solver_from_table,
)
from optengine.batch.expression import budget_of
from optengine.core.errors import OptionError, ProblemError, did_you_mean
from optengine.core.problem import Problem

SET_KEYS = ("name", "seeds", "budget", "time_limit", "workers", "threads", "problem", "solver")
SOLVE_KEYS = (
    "max_cost", "seed", "x0", "workers", "batch_size", "ordered", "timeout", "device", "storage", "catch",
)  # fmt: skip


@dataclass(frozen=True)
class BatchSet:
    """What a set file says; its fields are arguments of `run_batch`."""

    name: str
    problems: list[ProblemEntry]
    solvers: list[SolverEntry]
    seeds: list[int]
    budget: int | str | None
    time_limit: float | None
    workers: int
    threads: int | None


@dataclass(frozen=True)
class SolveSpec:
    """What a job file says: a problem, a solver's name and the other arguments of `solve`."""

    problem: Problem
    solver: str
    arguments: dict[str, Any]


def read_set(path: str | PathLike[str]) -> BatchSet:
    """Read a set file.

    Raises:
        ProblemError, SpaceError, OptionError: one sentence that names the table, the key and the nearest right one.
    """
    file = Path(path)
    data = read_toml(file)
    for key in data:
        if key not in SET_KEYS:
            raise OptionError(
                f"{file.name} has no key {key!r}, only {list(SET_KEYS)}{did_you_mean(key, SET_KEYS)}"
            )
    problems: list[ProblemEntry] = []
    for i, table in enumerate(_tables(data, "problem", file), start=1):
        problems += problems_from_table(table, file.parent, f"[[problem]] {i} of {file.name}")
    solvers = [
        solver_from_table(table, f"[[solver]] {i} of {file.name}")
        for i, table in enumerate(_tables(data, "solver", file), start=1)
    ]
    return BatchSet(
        str(data.get("name", file.stem)),
        problems,
        solvers,
        seed_list(data.get("seeds", 1)),
        data.get("budget"),
        data.get("time_limit"),
        data.get("workers", 1),
        data.get("threads", 1),
    )


def read_solve(path: str | PathLike[str]) -> SolveSpec:
    """Read a job file.

    Raises:
        ProblemError, SpaceError, OptionError: one sentence that names the key and the nearest right one.
    """
    file = Path(path)
    data = read_toml(file)
    if isinstance(data.get("problem"), list):
        raise ProblemError(f"{file.name} is a set of problems, not one: run it with optengine batch")
    known = ("solver", "options", *SOLVE_KEYS, *PROBLEM_KEYS)
    for key in data:
        if key not in known:
            raise OptionError(f"{file.name} has no key {key!r}{did_you_mean(key, known)}")
    arguments = {key: data.pop(key) for key in (*SOLVE_KEYS, "options") if key in data}
    solver = data.pop("solver", "auto")
    if not isinstance(solver, str):
        raise OptionError(
            f"solver of {file.name} must be a name, got {solver!r}; its options go into [options]"
        )
    found = problems_from_table(data, file.parent, file.name)
    if len(found) != 1:
        raise ProblemError(
            f"{file.name} must state one problem, got {len(found)}; give index= or use a batch"
        )
    entry = found[0]
    arguments |= {key: getattr(entry, key) for key in LIMITS if getattr(entry, key) is not None}
    arguments["budget"] = budget_of(arguments.get("budget"), entry.problem)
    if "storage" in arguments:
        arguments["storage"] = _beside(str(arguments["storage"]), file)
        arguments["name"] = entry.label
    return SolveSpec(entry.problem, solver, arguments)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        ProblemError: it is missing, or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not a text file"
        raise ProblemError(f"{str(path)!r} cannot be read: {reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ProblemError(f"{str(path)!r} is not a TOML file: {error}") from None


def _tables(data: Mapping[str, Any], key: str, file: Path) -> list[Mapping[str, Any]]:
    tables = data.get(key, [])
    if not isinstance(tables, list) or not tables or not all(isinstance(t, Mapping) for t in tables):
        raise OptionError(f"{file.name} must hold at least one [[{key}]] table, got {tables!r}")
    return tables


def _beside(storage: str, file: Path) -> str:
    """Resolve a relative SQLite path against the folder of the file."""
    prefix = "sqlite:///"
    if "://" in storage and not storage.startswith(prefix):
        return storage
    return str(file.parent / Path(storage.removeprefix(prefix)).expanduser())
