"""How an objective wants its x: settled once, when the problem is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.space import Space

FORMS = ("auto", "kwargs", "dict", "array", "encoded")


def settle_call(function: Callable[..., Any], space: Space, call: str, vectorized: bool) -> str:
    """Return "kwargs", "dict", "array" or "encoded".

    Raises:
        ProblemError: an unknown form, or a signature that fits none.
    """
    if call not in FORMS:
        raise ProblemError(f"call must be one of {list(FORMS)}, got {call!r}{did_you_mean(call, FORMS)}")
    if call == "encoded":
        return call
    if not space.named:
        if call in ("auto", "array"):
            return "array"
        raise ProblemError(f"call must be 'array' for a space without names, got {call!r}")
    if call == "array":
        raise ProblemError(
            "call='array' needs a space made from bounds or of one variable, got named variables"
        )
    if call != "auto":
        return call
    return _inspect(function, space)


def _inspect(function: Callable[..., Any], space: Space) -> str:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # built-ins and some extension functions have no signature
        return "dict"
    accepts_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    by_keyword = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    required = [
        p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    ]
    names = set(space.names)
    all_known = all(p.name in names and p.kind is not p.POSITIONAL_ONLY for p in required)
    if all_known and (accepts_all or names <= by_keyword):
        return "kwargs"
    if len(required) == 1 and required[0].kind in positional:
        return "dict"
    if not required and any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return "dict"
    wanted, refused = [p.name for p in required if p.name not in names], sorted(names - by_keyword)
    trouble = f"it requires {wanted}" if wanted else f"it does not accept {refused}"
    raise ProblemError(
        f"the objective must take the variables {list(space.names)} as keywords, or one dict, but {trouble}; "
        "say which with call='kwargs' or call='dict'"
    )
