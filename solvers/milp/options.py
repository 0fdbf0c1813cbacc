"""Checks of options that the solvers of this folder share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from optengine.backends.terms import BACKENDS
from optengine.core.errors import OptionError, did_you_mean


def check_backend_option(value: Any, more: Sequence[str]) -> None:
    """Raise OptionError unless `value` names a backend, or is one of `more`."""
    known = [*more, *BACKENDS]
    if not isinstance(value, str) or value not in known:
        raise OptionError(f"backend must be one of {known}, got {value!r}{did_you_mean(str(value), known)}")


def check_share(value: Any, name: str, most: float = 1.0, least: float = 0.0) -> None:
    """Raise OptionError unless `value` is a number in [least, most], below it where that is infinite."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not least <= value <= most or not np.isfinite(value):
        limit = f"in [{least:g}, {most:g}]" if np.isfinite(most) else f">= {least:g} and finite"
        raise OptionError(f"{name} must be {limit}, got {value!r}")


def check_count(value: Any, name: str, least: int = 1) -> None:
    """Raise OptionError unless `value` is None or an integer >= `least`."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if value is not None and not (whole and value >= least):
        raise OptionError(f"{name} must be an integer >= {least} or None, got {value!r}")
