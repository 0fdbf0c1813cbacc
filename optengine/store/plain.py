"""Plain forms of what a journal keeps: JSON text, blobs of float64 and int64, text that every database takes."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import StorageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ABSENT = object()


def to_json(value: Mapping[str, Any], what: str) -> str:
    """Return `value` as JSON text: ASCII, with NaN and Infinity as Python writes them.

    Args:
        value: dicts, sequences, strings, numbers, None; NumPy scalars and arrays become numbers and lists.
        what: the name of `value` in an error.
    """
    try:
        return json.dumps(value, default=_plain, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise StorageError(f"{what} cannot be kept as JSON: {error}") from error


def from_json(text: str, what: str) -> Any:
    """Return what `to_json` wrote."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise StorageError(f"the journal is damaged: its {what} is no JSON ({error})") from error


def first_difference(stored: Any, given: Any, path: str = "") -> tuple[str, str, str] | None:
    """Return the path, the stored and the given value of the first difference of two JSON values, or None."""
    if isinstance(stored, Mapping) and isinstance(given, Mapping):
        for key in [*stored, *(key for key in given if key not in stored)]:
            inner = f"{path}.{key}" if path else str(key)
            if found := first_difference(stored.get(key, _ABSENT), given.get(key, _ABSENT), inner):
                return found
        return None
    if isinstance(stored, list) and isinstance(given, list):
        for index in range(max(len(stored), len(given))):
            was, now = (values[index] if index < len(values) else _ABSENT for values in (stored, given))
            if found := first_difference(was, now, f"{path}[{index}]"):
                return found
        return None
    if stored is given or stored == given or (_is_nan(stored) and _is_nan(given)):
        return None
    return path or "fingerprint", _short(stored), _short(given)


def printable(text: str) -> str:
    """Return `text` without what a text column refuses: NUL (PostgreSQL) and lone surrogates (SQLite)."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def float_blob(values: Floats) -> bytes:
    """Return `values` as little-endian float64, C order."""
    return np.ascontiguousarray(values, dtype="<f8").tobytes()


def int_blob(values: Ints) -> bytes:
    """Return `values` as little-endian int64."""
    return np.ascontiguousarray(values, dtype="<i8").tobytes()


def row_blobs(matrix: Floats) -> list[bytes]:
    """Return one blob for each row of `matrix` (n, k), k >= 1."""
    blob, step = float_blob(matrix), 8 * matrix.shape[1]
    return [blob[i : i + step] for i in range(0, len(blob), step)]


def floats(blob: bytes, rows: int, width: int, what: str) -> Floats:
    """Return the (rows, width) array in `blob`."""
    if len(blob) != 8 * rows * width:
        raise StorageError(
            f"the journal is damaged: {what} holds {len(blob)} bytes, {8 * rows * width} were written"
        )
    return np.frombuffer(blob, dtype="<f8").reshape(rows, width).astype(np.float64)


def ints(blob: bytes, what: str) -> Ints:
    """Return the int64 array in `blob`."""
    if len(blob) % 8:
        raise StorageError(
            f"the journal is damaged: {what} holds {len(blob)} bytes, which is no multiple of 8"
        )
    return np.frombuffer(blob, dtype="<i8").astype(np.int64)


def stacked(blobs: Sequence[bytes | None], what: str, missing: float = math.nan) -> Floats:
    """Return the blobs as rows of an (n, k) array; k is 0 when all are None, else None gives a row of `missing`."""
    lengths = {len(blob) for blob in blobs if blob is not None}
    if len(lengths) > 1 or any(length % 8 for length in lengths):
        raise StorageError(
            f"the journal is damaged: blobs of {what} have {sorted(lengths)} bytes, all should be equal"
        )
    length = lengths.pop() if lengths else 0
    if None in blobs:
        blank = np.full(length // 8, missing, dtype="<f8").tobytes()
        blobs = [blank if blob is None else blob for blob in blobs]
    return floats(b"".join(blob for blob in blobs if blob is not None), len(blobs), length // 8, what)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(
        f"a value of type {type(value).__name__} ({value!r:.60}) is neither number, text, list nor dict"
    )


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _short(value: Any) -> str:
    if value is _ABSENT:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
