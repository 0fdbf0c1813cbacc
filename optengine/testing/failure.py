"""How a check says what broke."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class CheckFailed(AssertionError):
    """A solver or a problem breaks its contract; the message names it and says what broke."""


class Subject:
    """What is being checked, for the beginning of every message."""

    def __init__(self, text: str) -> None:
        self.text = text

    def expect(self, holds: Any, what: str) -> None:
        """Raise `CheckFailed` unless `holds`."""
        if not np.all(holds):
            raise CheckFailed(f"{self.text}: {what}")

    @contextmanager
    def during(self, what: str) -> Iterator[None]:
        """Turn any exception into a `CheckFailed` that says during what it was raised."""
        try:
            yield
        except CheckFailed:
            raise
        except Exception as error:
            raise CheckFailed(f"{self.text}: {what} raised {type(error).__name__}: {error}") from error
