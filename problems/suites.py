"""Suites of other libraries as lists of problems, by name: what a set of problems for a benchmark is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from optengine.core.errors import ProblemError, did_you_mean, require
from optengine.core.problem import Problem
from optengine.problems.adapters import from_botorch, from_ioh, from_pymoo

LIBRARIES = ("ioh", "pymoo", "botorch")


def suite(name: str, **arguments: Any) -> list[Problem]:
    """Return the problems of a suite, with distinct names.

    Args:
        name: "ioh:bbob" (also "ioh:pbo", "ioh:sbox", and ioh's others): arguments `functions` (numbers; default: all),
            `instances` (default [1]), `dimensions` (default [5]; of 0/1 suites [16]). "pymoo:zdt" (or "dtlz", "wfg",
            ..., or one problem's name): all problems whose name begins so, with arguments of pymoo's.
            "botorch:Hartmann" (a class of `botorch.test_functions`), with its arguments.
        arguments: as above; numbers may stand alone for lists of one.

    Raises:
        ProblemError: no such suite, or an argument that it does not take.
        MissingDependency: the library is not installed.
    """
    library, colon, rest = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not colon or not rest or library not in LIBRARIES:
        raise ProblemError(
            f"adapter must be 'LIBRARY:SUITE' with one of {list(LIBRARIES)}, as 'ioh:bbob', got {name!r}"
            f"{did_you_mean(library, LIBRARIES)}"
        )
    make = {"ioh": _ioh, "pymoo": _pymoo, "botorch": _botorch}[library]
    return make(rest, arguments)


def _ioh(name: str, arguments: dict[str, Any]) -> list[Problem]:
    ioh = require("ioh", "test")
    suites = {key.lower(): key for key in ioh.ProblemClass.__members__ if key not in ("REAL", "INTEGER")}
    if name.lower() not in suites:
        raise ProblemError(f"ioh has no suite {name!r}, only {sorted(suites)}{did_you_mean(name, suites)}")
    key = suites[name.lower()]
    known = ("functions", "instances", "dimensions")
    _only(arguments, known, f"ioh:{name}")
    whole = key in ("PBO", "GRAPH")
    functions = _numbers(arguments.get("functions", sorted(ioh.ProblemClass[key].problems)), "functions")
    instances = _numbers(arguments.get("instances", [1]), "instances")
    dimensions = _numbers(arguments.get("dimensions", [16] if whole else [5]), "dimensions")
    found = []
    for d in dimensions:
        for i in functions:
            for k in instances:
                problem = from_ioh(i, instance=k, dimension=d, suite=key)
                problem.name = f"f{i} {problem.name} d{d} i{k}"
                found.append(problem)
    return found


def _pymoo(name: str, arguments: dict[str, Any]) -> list[Problem]:
    names = _pymoo_names()
    chosen = [known for known in names if known == name] or [k for k in names if k.startswith(name)]
    if not chosen:
        raise ProblemError(f"pymoo has no problem that begins with {name!r}{did_you_mean(name, names)}")
    found = []
    for known in chosen:
        problem = from_pymoo(known, **arguments)
        problem.name = known
        found.append(problem)
    return found


def _pymoo_names() -> list[str]:
    """Names for pymoo's `get_problem`, which keeps them in a function: those of its families are known to us."""
    families = {
        "zdt": range(1, 7),
        "dtlz": range(1, 8),
        "wfg": range(1, 10),
        "mw": range(1, 15),
        "g": range(1, 25),
    }
    numbered = [f"{family}{i}" for family, numbers in families.items() for i in numbers]
    padded = [
        name.replace("g", "g0") if name in {f"g{i}" for i in range(1, 10)} else name for name in numbered
    ]
    single = ("bnh", "osy", "tnk", "truss2d", "welded_beam", "kursawe", "carside", "ctp1", "clutch", "sphere")
    classic = ("ackley", "griewank", "rastrigin", "rosenbrock", "schwefel", "zakharov", "himmelblau")
    return [*padded, *single, *classic]


def _botorch(name: str, arguments: dict[str, Any]) -> list[Problem]:
    functions = require("botorch.test_functions", "bayes")
    kind = getattr(functions, name, None)
    if not isinstance(kind, type):
        raise ProblemError(
            f"botorch.test_functions has no class {name!r}{did_you_mean(name, dir(functions))}"
        )
    try:
        return [from_botorch(kind(**arguments))]
    except TypeError as error:
        raise ProblemError(f"args of botorch:{name} do not fit: {error}") from None


def _only(arguments: dict[str, Any], known: Sequence[str], where: str) -> None:
    for key in arguments:
        if key not in known:
            raise ProblemError(f"{where} takes no {key!r}, only {list(known)}{did_you_mean(key, known)}")


def _numbers(value: Any, name: str) -> list[int]:
    given = [value] if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ProblemError(f"{name} must be a number or a list of numbers, got {value!r}")
    numbers = list(given)
    if not numbers or not all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in numbers):
        raise ProblemError(f"{name} must hold numbers >= 1, got {value!r}")
    return numbers
