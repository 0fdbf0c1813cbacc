"""Keeping a C library that prints by itself from the user's standard output.

HiGHS 1.12 prints a line from inside a search whatever its options say. C's own stream is pointed elsewhere while it
runs; what Python prints goes another way and is not touched. Where C's stream is not found, nothing happens.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

STREAM = "__stdoutp" if sys.platform == "darwin" else "stdout"  # the C library's name for the variable

_lock = threading.Lock()
_inside = 0  # how many searches run
_kept: int | None = None  # the stream to go back to


@contextmanager
def quiet() -> Iterator[None]:
    """Send what C's `printf` writes nowhere; for several threads at once, too."""
    global _inside, _kept
    place, nowhere = _place(), _nowhere()
    if place is None or nowhere is None:
        yield
        return
    with _lock:
        if _inside == 0:
            _kept, place.value = place.value, nowhere
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                place.value = _kept


@cache
def _place() -> ctypes.c_void_p | None:
    """The variable that holds C's standard output."""
    if os.name != "posix":
        return None
    try:
        return ctypes.c_void_p.in_dll(ctypes.CDLL(None), STREAM)
    except (OSError, ValueError):
        return None


@cache
def _nowhere() -> int | None:
    """A C stream that forgets what it is given."""
    try:
        library = ctypes.CDLL(None)
        library.fopen.restype = ctypes.c_void_p
        library.fopen.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
        opened: int | None = library.fopen(os.devnull.encode(), b"w")
        return opened
    except (OSError, AttributeError):
        return None
