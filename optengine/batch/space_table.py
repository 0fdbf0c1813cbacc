"""A space written as a table.

    [problem.space]
    lr = {kind = "real", low = 1e-5, high = 0.1, log = true}
    model = {kind = "categorical", choices = ["svm", "tree"]}
    depth = {kind = "integer", low = 1, high = 12, when = ["model", "tree"]}
    rows = [{coefficients = {lr = 1.0, depth = 0.1}, upper = 1.0}]

A list of [low, high] is a space of bounds; one table with `kind` is a space of one unnamed variable. `rows` holds
linear rows (`coefficients`) and cardinalities (`names`), `where` predicates as "module:function".
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optengine.batch.load import load_object
from optengine.core.errors import SpaceError, did_you_mean
from optengine.core.space import (
    Binary,
    Cardinality,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Predicate,
    Real,
    Row,
    Simplex,
    Space,
    Subset,
    Variable,
)

KINDS: dict[str, type[Variable]] = {
    kind.__name__.lower(): kind
    for kind in (Real, Integer, Categorical, Ordinal, Binary, Permutation, Subset, Simplex)
}
ELEMENT = re.compile(r"(.+)\[(\d+(?:, *\d+)*)\]")  # a[3] or a[1, 2]: one element of an array variable


def space_from_table(table: Any, folder: Path | None = None) -> Space:
    """Return the space that a TOML value describes; `folder` is where its predicates' modules are looked for.

    Raises:
        SpaceError: an unknown kind or key (the nearest right one is named), or values that cannot be.
    """
    if isinstance(table, list):
        return Space([tuple(bounds) if isinstance(bounds, list) else bounds for bounds in table])
    if not isinstance(table, Mapping) or not table:
        raise SpaceError(f"space must be a table of variables or a list of [low, high], got {table!r}")
    if isinstance(table.get("kind"), str):
        return Space(_variable("space", table))
    parts = dict(table)
    rows = parts.pop("rows") if isinstance(parts.get("rows"), list) else []
    where = parts.pop("where") if isinstance(parts.get("where"), list) else []
    variables = {name: _variable(name, value) for name, value in parts.items()}
    return Space(
        variables,
        rows=[_row(row, variables) for row in rows],
        where=[Predicate(load_object(text, "where", folder), name=text) for text in where],
    )


def _variable(name: str, table: Any) -> Variable:
    if not isinstance(table, Mapping) or "kind" not in table:
        raise SpaceError(
            f'variable {name!r} must be a table like {{kind = "real", low = 0, high = 1}}, got {table!r}; '
            "keys of the problem itself stand above its space"
        )
    facts = dict(table)
    kind = str(facts.pop("kind")).lower()
    if kind not in KINDS:
        raise SpaceError(
            f"kind of {name!r} must be one of {list(KINDS)}, got {kind!r}{did_you_mean(kind, KINDS)}"
        )
    parameters = inspect.signature(KINDS[kind]).parameters
    check_keys(facts, list(parameters), f"variable {name!r}", ("kind",))
    if missing := [p for p, facet in parameters.items() if facet.default is facet.empty and p not in facts]:
        raise SpaceError(f"variable {name!r} needs {' and '.join(missing)} for kind {kind!r}")
    if "when" in facts:
        facts["when"] = _when(facts["when"])
    if isinstance(facts.get("size"), list):
        facts["size"] = tuple(facts["size"])
    return KINDS[kind](**facts)


def _when(when: Any) -> Any:
    """TOML has no tuples: ["kind", "svm"] and [["kind", "svm"], ["kernel", "poly"]] become them."""
    if not isinstance(when, list):
        return when
    if len(when) == 2 and isinstance(when[0], str):
        return tuple(when)
    return [tuple(pair) if isinstance(pair, list) else pair for pair in when]


def _row(row: Any, variables: Mapping[str, Variable]) -> Row | Cardinality:
    if not isinstance(row, Mapping) or ("coefficients" in row) is ("names" in row):
        raise SpaceError(
            "rows must be tables with coefficients (a linear row) or names (how many are nonzero), each with lower "
            f"or upper, got {row!r}"
        )
    if "names" in row:
        check_keys(row, ["names", "lower", "upper", "name"], "a row of the space")
        given = row["names"] if isinstance(row["names"], list) else [row["names"]]
        return Cardinality(**{**row, "names": [_key(name, variables) for name in given]})
    check_keys(row, ["coefficients", "lower", "upper", "name"], "a row of the space")
    coefficients = row["coefficients"]
    if isinstance(coefficients, Mapping):
        coefficients = {_key(name, variables): value for name, value in coefficients.items()}
    return Row(**{**row, "coefficients": coefficients})


def _key(name: str, variables: Mapping[str, Variable]) -> Any:
    element = ELEMENT.fullmatch(name) if isinstance(name, str) and name not in variables else None
    if element is None:
        return name
    index = tuple(int(part) for part in element[2].split(","))
    return element[1], index if len(index) > 1 else index[0]


def check_keys(table: Mapping[str, Any], known: list[str], what: str, also: tuple[str, ...] = ()) -> None:
    """Raise SpaceError for a key of `table` that is not `known`, naming the nearest right one."""
    allowed = [*also, *known]
    for key in table:
        if key not in known:
            raise SpaceError(f"{what} has no key {key!r}, only {allowed}{did_you_mean(key, allowed)}")
