"""A space as JSON and back, so that a stored Result can show its x without the program that made it."""

from __future__ import annotations

from typing import Any

from optengine.core.errors import SpaceError
from optengine.core.levels import from_plain
from optengine.core.space import Space
from optengine.core.variables import (
    Binary,
    Categorical,
    Integer,
    Ordinal,
    Permutation,
    Real,
    Simplex,
    Subset,
    Variable,
)


def space_to_dict(space: Space) -> dict[str, Any]:
    """Describe the variables; known constraints are left out, choices that JSON does not know become their repr."""
    return {"named": space.named, "variables": {name: v.fingerprint() for name, v in space.variables.items()}}


def space_from_dict(description: dict[str, Any]) -> Space:
    """Rebuild the space that `space_to_dict` described.

    Raises:
        SpaceError: the description is not one of ours.
    """
    try:
        variables = {name: _variable(dict(facts)) for name, facts in description["variables"].items()}
        return Space(variables) if description["named"] else Space(variables["x"])
    except (KeyError, TypeError, AttributeError) as error:
        raise SpaceError(
            f"description of a space is not readable ({type(error).__name__}: {error})"
        ) from None


def _variable(facts: dict[str, Any]) -> Variable:
    kind = facts.pop("kind")
    shape = tuple(facts.pop("shape", ()))
    when = tuple((name, [from_plain(v) for v in values]) for name, values in facts.pop("when", ())) or None
    target = facts.pop("target", None)
    mark = {} if target is None else {"fidelity": True, "target": from_plain(target)}
    match kind:
        case "Real" | "Integer":
            make = Real if kind == "Real" else Integer
            return make(facts["low"], facts["high"], facts.get("log", False), shape=shape, when=when, **mark)
        case "Categorical":
            return Categorical([from_plain(c) for c in facts["choices"]], shape=shape, when=when)
        case "Ordinal":
            levels = [
                [from_plain(v) for v in row] if isinstance(row, list) else from_plain(row)
                for row in facts["levels"]
            ]
            return Ordinal(levels, shape=shape, when=when, **mark)
        case "Binary":
            return Binary(shape=shape, when=when)
        case "Subset":
            return Subset(facts["n"], tuple(facts["size"]), shape=shape, when=when)
        case "Permutation":
            return Permutation(facts["n"], shape=shape, when=when)
        case "Simplex":
            return Simplex(facts["n"], shape=shape, when=when)
    raise SpaceError(f"kind of a stored variable must be one of ours, got {kind!r}")
