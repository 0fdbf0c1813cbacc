"""What a batch consists of: problems and solvers with their labels and limits, from Python values or TOML tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from optengine import registry
from optengine.batch.load import call, load_object, requires_arguments, takes
from optengine.batch.space_table import space_from_table
from optengine.core.errors import OptionError, ProblemError, did_you_mean
from optengine.core.problem import Constraint, Objective, Problem
from optengine.problems.formats import read, read_all
from optengine.problems.suites import suite

SOURCES = {
    "file": ("index",),
    "generator": ("args", "seed"),
    "callable": ("space", "args"),
    "adapter": ("args",),
}
OBJECTIVE = ("objectives", "direction", "constraints", "call", "vectorized", "noisy", "array", "cost")
LIMITS = ("budget", "time_limit", "target")
PROBLEM_KEYS = ("name", *SOURCES, *LIMITS, *OBJECTIVE, *(key for keys in SOURCES.values() for key in keys))


@dataclass(frozen=True)
class ProblemEntry:
    """A problem of a batch: its label, and limits of its own, None where the batch's count."""

    label: str
    problem: Problem
    budget: int | str | None = None
    time_limit: float | None = None
    target: float | None = None


@dataclass(frozen=True)
class SolverEntry:
    """A solver of a batch: its label, an instance or "auto", and limits that stand above all others."""

    label: str
    solver: Any
    budget: int | str | None = None
    time_limit: float | None = None


# -- problems ------------------------------------------------------------------------------------------------------


def problem_entries(given: Any, folder: Path | None = None) -> list[ProblemEntry]:
    """Return the problems that `given` names: a dict label -> problem, a list, or one; see `run_batch`.

    Raises:
        ProblemError, SpaceError: none, two with one label, or one that cannot be read.
    """
    entries: list[ProblemEntry] = []
    if isinstance(given, Mapping):
        for label, value in given.items():
            found = _problems(value, folder)
            if len(found) != 1:
                raise ProblemError(
                    f"problems[{label!r}] must be one problem, got {len(found)} from {value!r}"
                )
            entries.append(dataclasses.replace(found[0], label=str(label)))
    else:
        single = isinstance(given, (str, PathLike, Problem, ProblemEntry)) or not isinstance(given, Iterable)
        for value in [given] if single else given:
            entries += _problems(value, folder)
    if not entries:
        raise ProblemError("problems must hold at least one problem, got none")
    _distinct([entry.label for entry in entries], "problem", "name")
    return entries


def _problems(value: Any, folder: Path | None) -> list[ProblemEntry]:
    if isinstance(value, ProblemEntry):
        return [value]
    if isinstance(value, Problem):
        return [ProblemEntry(value.name, value)]
    if isinstance(value, (str, PathLike)):
        return _from_files({"file": fspath(value)}, folder)
    if isinstance(value, Mapping):
        return problems_from_table(value, folder, "a problem's table")
    raise ProblemError(f"problems must be Problems, paths or tables, got {value!r}")


def problems_from_table(table: Mapping[str, Any], folder: Path | None, where: str) -> list[ProblemEntry]:
    """Return the problems of one `[[problem]]` table; several where `file` holds or matches several.

    Args:
        table: see `spec` for its keys.
        folder: of the TOML file, to which paths are relative.
        where: which table, for messages.
    """
    sources = [source for source in SOURCES if source in table]
    if len(sources) != 1:
        unknown = [key for key in table if key not in PROBLEM_KEYS]
        near = did_you_mean(unknown[0], PROBLEM_KEYS) if unknown else ""
        raise ProblemError(f"{where} must have one of {list(SOURCES)}, got {sources or sorted(table)}{near}")
    source = sources[0]
    known = ("name", source, *SOURCES[source], *LIMITS, *(OBJECTIVE if source == "callable" else ()))
    for key in table:
        if key not in known:
            raise ProblemError(f"{where} has no key {key!r} beside {source!r}{did_you_mean(key, known)}")
    makers = {
        "file": _from_files,
        "generator": _from_generator,
        "callable": _from_callable,
        "adapter": _from_adapter,
    }
    make = makers[source]
    entries = make(table, folder)
    limits = {key: table[key] for key in LIMITS if key in table}
    if "name" in table:
        if len(entries) > 1:
            raise ProblemError(
                f"name of {where} must be left out, got {table['name']!r} for {len(entries)} problems"
            )
        entries[0].problem.name = str(table["name"])
        entries = [dataclasses.replace(entries[0], label=str(table["name"]))]
    return [dataclasses.replace(entry, **limits) for entry in entries]


def _from_files(table: Mapping[str, Any], folder: Path | None) -> list[ProblemEntry]:
    patterns = table["file"] if isinstance(table["file"], list) else [table["file"]]
    entries: list[ProblemEntry] = []
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise ProblemError(f"file must be a path or a list of paths, got {pattern!r}")
        for path in _expand((folder or Path()) / Path(pattern).expanduser()):
            problems = [read(path, table["index"])] if "index" in table else read_all(path)
            labels = [problem.name for problem in problems]
            if len(set(labels)) < len(labels):
                labels = [f"{label}[{i}]" for i, label in enumerate(labels)]
            entries += [ProblemEntry(label, problem) for label, problem in zip(labels, problems, strict=True)]
    return entries


def _expand(path: Path) -> list[Path]:
    """Return the files that a path with wildcards matches, in order; a path without them is left to the reader."""
    if path.exists() or not set("*?[") & set(str(path)):
        return [path]
    root = Path(path.absolute().anchor)
    found = sorted(match for match in root.glob(str(path.absolute().relative_to(root))) if match.is_file())
    if not found:
        raise ProblemError(f"file {str(path)!r} matches no file")
    return found


def _from_generator(table: Mapping[str, Any], folder: Path | None) -> list[ProblemEntry]:
    text, args, seed = table["generator"], table.get("args", {}), table.get("seed")
    function = load_object(text, "generator", folder)
    if seed is not None:
        parameter = "rng" if takes(function, "rng") else "seed"
        if not takes(function, parameter) or not isinstance(args, Mapping):
            raise ProblemError(
                f"seed of generator {text!r} must be left out: it takes neither rng nor seed by name"
            )
        args = {**args, parameter: np.random.default_rng(seed) if parameter == "rng" else seed}
    made = call(function, "generator", text, args)
    problems = (
        [made] if isinstance(made, Problem) else list(made) if isinstance(made, (list, tuple)) else [made]
    )
    for problem in problems:
        if not isinstance(problem, Problem):
            raise ProblemError(f"generator {text!r} must return a Problem or a list of them, got {problem!r}")
    return [ProblemEntry(problem.name, problem) for problem in problems]


def _from_adapter(table: Mapping[str, Any], folder: Path | None) -> list[ProblemEntry]:
    args = table.get("args", {})
    if not isinstance(args, Mapping):
        raise ProblemError(
            f"args of adapter {table['adapter']!r} must be a table of named arguments, got {args!r}"
        )
    return [ProblemEntry(problem.name, problem) for problem in suite(table["adapter"], **args)]


def _from_callable(table: Mapping[str, Any], folder: Path | None) -> list[ProblemEntry]:
    text = table["callable"]
    found = load_object(text, "callable", folder)
    stated = [key for key in OBJECTIVE if key in table]
    if "space" in table:
        if "args" in table:
            raise ProblemError(
                f"args of callable {text!r} must be left out beside space: the solver chooses its arguments"
            )
        arguments: dict[str, Any] = {key: table[key] for key in stated}
        arguments |= {k: _named(arguments[k], Objective) for k in ("objectives",) if k in arguments}
        arguments |= {k: _named(arguments[k], Constraint) for k in ("constraints",) if k in arguments}
        problem = Problem(found, space_from_table(table["space"], folder), **arguments)
        return [ProblemEntry(problem.name, problem)]
    if stated:
        raise ProblemError(
            f"callable {text!r} needs a space beside {stated[0]!r}: {stated[0]} belongs to an objective"
        )
    if not isinstance(found, Problem):
        if "args" not in table and requires_arguments(found):
            raise ProblemError(
                f"callable {text!r} takes arguments, so it needs a space (an objective) or args"
            )
        found = call(found, "callable", text, table.get("args", ()))
    if not isinstance(found, Problem):
        raise ProblemError(f"callable {text!r} without a space must be or return a Problem, got {found!r}")
    return [ProblemEntry(found.name, found)]


def _named(values: Any, kind: type[Objective] | type[Constraint]) -> Any:
    """Names, or tables {name, direction} and {name, lower, upper}."""

    def one(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = [field.name for field in dataclasses.fields(kind)]
        for key in value:
            if key not in known:
                raise ProblemError(
                    f"{kind.__name__} has no key {key!r}, only {known}{did_you_mean(key, known)}"
                )
        if "name" not in value:
            raise ProblemError(f"{kind.__name__} needs a name, got {dict(value)!r}")
        return kind(**value)

    return [one(value) for value in values] if isinstance(values, list) else one(values)


# -- solvers -------------------------------------------------------------------------------------------------------


def solver_entries(given: Any) -> list[SolverEntry]:
    """Return the solvers that `given` names: a dict label -> solver, a list, or one; see `run_batch`.

    Raises:
        OptionError: none, two with one label, an unknown solver or option.
    """
    entries = []
    if isinstance(given, Mapping):
        entries = [dataclasses.replace(_solver(value), label=str(label)) for label, value in given.items()]
    else:
        entries = [_solver(v) for v in (given if isinstance(given, (list, tuple)) else [given])]
    if not entries:
        raise OptionError("solvers must hold at least one solver, got none")
    _distinct([entry.label for entry in entries], "solver", "label")
    return entries


def _solver(value: Any) -> SolverEntry:
    if isinstance(value, SolverEntry):
        return value
    if isinstance(value, str):
        return SolverEntry(value, value if value == "auto" else registry.make(value))
    if isinstance(value, Mapping):
        return solver_from_table(value, "a solver's table")
    if isinstance(value, type) or not (hasattr(value, "start") and hasattr(value, "refuses")):
        raise OptionError(f"solvers must be names, instances or tables, got {value!r}")
    return SolverEntry(registry.name_of(value), value)


def solver_from_table(table: Mapping[str, Any], where: str) -> SolverEntry:
    """Return the solver of one `[[solver]]` table: `name`, `label`, `budget`, `time_limit`, and its options."""
    facts = dict(table)
    name = facts.pop("name", None)
    if not isinstance(name, str):
        near = did_you_mean(next(iter(table), ""), ("name",)) if table else ""
        raise OptionError(f"{where} must have name, one of {registry.names()}, got {sorted(table)}{near}")
    own = {key: facts.pop(key) for key in ("label", "budget", "time_limit") if key in facts}
    label = str(own.pop("label", name))
    if name == "auto":
        if facts:
            raise OptionError(f"{where} has no key {next(iter(facts))!r}: 'auto' takes no options")
        return SolverEntry(label, "auto", **own)
    options = [field.name for field in dataclasses.fields(registry.load(name)) if field.init]
    known = ["name", "label", "budget", "time_limit", *options]
    for key in facts:
        if key not in options:
            raise OptionError(f"{where} ({name}) has no key {key!r}, only {known}{did_you_mean(key, known)}")
    return SolverEntry(label, registry.make(name, facts), **own)


def _distinct(labels: list[str], what: str, key: str) -> None:
    if len(set(labels)) < len(labels):
        twice = next(label for i, label in enumerate(labels) if label in labels[:i])
        error = ProblemError if what == "problem" else OptionError
        raise error(
            f"{what}s must have distinct {key}s, got {twice!r} twice; give them as a dict, or with {key}="
        )


def seed_list(seeds: Any) -> list[int]:
    """Return the seeds: 0..n-1 for a number n, else the given ones.

    Raises:
        OptionError: not a number >= 1 nor a list of distinct integers >= 0.
    """
    if isinstance(seeds, (int, np.integer)) and not isinstance(seeds, bool):
        given = list(range(int(seeds)))
    elif isinstance(seeds, Iterable) and not isinstance(seeds, (str, Mapping)):
        given = list(seeds)
    else:
        given = []
    whole = all(isinstance(s, (int, np.integer)) and not isinstance(s, bool) and s >= 0 for s in given)
    if not given or not whole or len(set(given)) < len(given):
        raise OptionError(
            f"seeds must be a number n >= 1 (seeds 0..n-1) or distinct integers >= 0, got {seeds!r}"
        )
    return [int(seed) for seed in given]
