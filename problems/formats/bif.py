"""BIF: Bayesian networks over discrete variables, as the repositories of networks have them.

`network NAME { }`, `variable NAME { type discrete [ k ] { states }; }`, `probability ( CHILD | PARENTS ) { ... }` with
one `table`, or a line for each combination of the parents' states and possibly a `default`. Comments and `property`
lines are left out.

Reference: Cozman, The Interchange Format for Bayesian Networks, 1998.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.problem import Problem
from optengine.problems.dag.network import BayesianNetwork
from optengine.problems.formats.base import CERTAIN, NO, Format
from optengine.problems.formats.source import QUOTED, Source, is_number

Floats = NDArray[np.float64]

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
NETWORK = re.compile(r'\bnetwork\s+(?:"([^"]*)"|([^\s{"]+))?\s*\{')
VARIABLE = re.compile(
    r'\bvariable\s+"?([^\s{"]+)"?\s*\{\s*type\s+discrete\s*\[\s*(\d+)\s*\]\s*\{([^}]*)\}\s*;[^}]*\}'
)
PROBABILITY = re.compile(r"\bprobability\s*\(([^)]*)\)\s*\{([^}]*)\}")
ENTRY = re.compile(r"^\s*(?:(table|default)\b|\(([^)]*)\))(.*)$", re.S)


def read_network(path: str | PathLike[str]) -> BayesianNetwork:
    """Read a Bayesian network in the BIF format, plain or gzip-compressed.

    Raises:
        ProblemError: the file is missing, damaged, no BIF file, or no network: a cycle, or tables that do not fit.
    """
    source = Source.open(path)
    if _recognise(source) == NO:
        raise source.error(f"expected a network in BIF, got {source.quote(source.first_line)}")
    return _network(source)


def _recognise(source: Source) -> float:
    text = COMMENT.sub(" ", source.text)
    return CERTAIN if NETWORK.search(text) and re.search(r"\bvariable\b", text) else NO


def _network(source: Source) -> BayesianNetwork:
    text = COMMENT.sub(" ", source.text)
    found = NETWORK.search(text)
    states = {}
    for name, count, listed in VARIABLE.findall(text):
        states[name] = _words(listed)
        if len(states[name]) != int(count):
            raise source.error(f"variable {name} must have {count} states, got {len(states[name])}")
    declared = len(re.findall(r"\bvariable\s", text))
    if declared != len(states):
        raise source.error(f"expected {declared} discrete variables, got {len(states)} that can be read")
    tables: dict[str, tuple[tuple[str, ...], Floats]] = {}
    for head, body in PROBABILITY.findall(text):
        child, _, given = head.partition("|")
        names = (*_words(child), *_words(given))
        for name in names:
            if name not in states:
                raise source.error(
                    f"probability ({head.strip()[:QUOTED]}) names no variable {name!r}{did_you_mean(name, states)}"
                )
        tables[names[0]] = (names[1:], _table(source, names, states, body))
    missing = [name for name in states if name not in tables]
    if missing:
        raise source.error(f"expected a probability of every variable, got none of {missing[0]}")
    number = {name: k for k, name in enumerate(states)}
    try:
        return BayesianNetwork(
            names=tuple(states),
            states=tuple(tuple(listed) for listed in states.values()),
            parents=tuple(tuple(number[v] for v in tables[name][0]) for name in states),
            tables=tuple(tables[name][1] for name in states),
            name=(found and (found[1] or found[2])) or source.name,
        )
    except ProblemError as error:
        raise source.error(str(error)) from None


def _words(text: str) -> list[str]:
    return [word.strip('"') for word in text.replace(",", " ").split()]


def _table(source: Source, names: Sequence[str], states: dict[str, list[str]], body: str) -> Floats:
    """Probabilities of the first of `names` given the others, the others' axes first."""
    shape = tuple(len(states[name]) for name in (*names[1:], names[0]))
    table = np.full(shape, np.nan)
    for entry in filter(str.strip, body.split(";")):
        if entry.strip().startswith("property"):
            continue
        match = ENTRY.match(entry)
        numbers = _words(match[3]) if match else []
        if match is None or not all(map(is_number, numbers)):
            raise source.error(f"expected probabilities of {names[0]}, got {entry.strip()[:QUOTED]!r}")
        values = np.array([float(word) for word in numbers])
        need = table.size if match[1] == "table" else shape[-1]
        if len(values) != need:
            raise source.error(f"the table of {names[0]} needs {need} numbers, got {len(values)}")
        if match[1] == "table":  # the child's states run slowest
            table = np.moveaxis(values.reshape(shape[-1], *shape[:-1]), 0, -1)
        elif match[1] == "default":
            table[np.isnan(table[..., 0])] = values
        else:
            table[_place(source, names, states, match[2])] = values
    if np.isnan(table).any():
        raise source.error(
            f"the table of {names[0]} must have a line for each state of its parents, got gaps"
        )
    return np.ascontiguousarray(table)


def _place(source: Source, names: Sequence[str], states: dict[str, list[str]], text: str) -> tuple[int, ...]:
    given = _words(text)
    if len(given) != len(names) - 1:
        raise source.error(f"the table of {names[0]} needs {len(names) - 1} states, got ({text[:QUOTED]})")
    for parent, state in zip(names[1:], given, strict=True):
        if state not in states[parent]:
            raise source.error(
                f"the table of {names[0]} has no state {state!r} of {parent}{did_you_mean(state, states[parent])}"
            )
    return tuple(states[parent].index(state) for parent, state in zip(names[1:], given, strict=True))


def _parse(source: Source) -> list[Problem]:
    network = _network(source)
    raise source.error(
        f"holds the network {network.name!r}, no data: read it with optengine.problems.read_network, "
        "and learn from its sample(rng, n)"
    )


BIF = Format("BIF", "network and variable blocks of a Bayesian network", _recognise, _parse)
