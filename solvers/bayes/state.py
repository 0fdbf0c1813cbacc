"""The state of a run as bytes, without the objects that a new run makes anew from the problem.

Spaces hold the user's functions, which do not pickle; a state refers to them by name instead. Both engines share it.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from typing import Any


def dump(state: Any, fixed: Mapping[str, Any]) -> bytes:
    """Return `state` as bytes; the objects in `fixed` are replaced by their names wherever they occur."""
    names = {id(value): name for name, value in fixed.items()}

    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: Any) -> str | None:
            return names.get(id(obj))

    buffer = io.BytesIO()
    Pickler(buffer).dump(state)
    return buffer.getvalue()


def load(data: bytes, fixed: Mapping[str, Any]) -> Any:
    """Return the state behind `data`, with the objects in `fixed` where their names stand."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, name: Any) -> Any:
            return fixed[name]

    return Unpickler(io.BytesIO(data)).load()
