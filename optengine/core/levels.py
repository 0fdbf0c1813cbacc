"""Levels of categories and ordinals: what they may be, finding one again, and their stand-ins in JSON."""

from __future__ import annotations

import hashlib
import math
import pickle
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from optengine.core.errors import SpaceError

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def plain(value: Any) -> Any:
    """A JSON-able stand-in for a level or a bound: itself where JSON knows it, else a name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        value = (
            value.tolist() if value.ndim == 0 or not (value == value.flat[0]).all() else value.flat[0].item()
        )
    if isinstance(value, tuple):
        return {"tuple": [plain(v) for v in value]}
    if isinstance(value, list):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return lasting_name(value)


def lasting_name(value: Any) -> str:
    """The repr of an object; where that holds an address in memory, a name that other processes give it too."""
    text = repr(value)
    if not _ADDRESS.search(text):
        return text
    if hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    try:
        return f"{kind}#{hashlib.sha256(pickle.dumps(value, protocol=4)).hexdigest()[:12]}"
    except Exception:  # noqa: BLE001  (pickle raises whatever the object's own code raises)
        return kind


def from_plain(value: Any) -> Any:
    """Undo `plain`; values that JSON does not know stay their name."""
    if isinstance(value, dict) and set(value) == {"tuple"}:
        return tuple(from_plain(v) for v in value["tuple"])
    return [from_plain(v) for v in value] if isinstance(value, list) else value


def levels_of(values: Iterable[Any], name: str, kind: str) -> tuple[Any, ...]:
    """Return `values` as a tuple of distinct, picklable levels.

    Raises:
        SpaceError: no values, NaN, one twice, or one that cannot be pickled.
    """
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise SpaceError(f"{name} of {kind} must be a list of values, got {values!r}")
    levels = tuple(v.item() if isinstance(v, np.generic) else v for v in values)
    if not levels:
        raise SpaceError(f"{name} of {kind} must hold at least one value, got {values!r}")
    for i, level in enumerate(levels):
        if isinstance(level, float) and math.isnan(level):
            raise SpaceError(f"{name} of {kind} must not hold NaN, got {levels!r}")
        if any(
            level is other or (type(level) is type(other) and _same(level, other)) for other in levels[:i]
        ):
            raise SpaceError(f"{name} of {kind} must be distinct, got {level!r} twice")
        if not isinstance(level, (type(None), bool, int, float, str, tuple)):
            try:
                pickle.dumps(level)
            except Exception as error:  # pickle raises whatever the object's own code raises
                raise SpaceError(
                    f"{name} of {kind} must be picklable, got {level!r} ({error}); use a name and look the object up"
                ) from error
    return levels


def _same(one: Any, other: Any) -> bool:
    try:
        same = one == other
        if isinstance(same, bool):
            return same
        return np.shape(one) == np.shape(other) and bool(np.all(same))
    except (TypeError, ValueError):  # exotic objects do not compare to one bool
        return False


def index_of(value: Any, levels: Sequence[Any]) -> int:
    """Position of `value` in `levels`, -1 if absent; 1, 1.0 and True are told apart where `levels` does."""
    loose = -1
    for i, level in enumerate(levels):
        if level is value:
            return i
        same = _same(level, value)
        if same and type(level) is type(value):
            return i
        if same and loose < 0:
            loose = i
    return loose
