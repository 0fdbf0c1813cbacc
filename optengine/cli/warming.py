"""`optengine warmup`: compile before the first run."""

from __future__ import annotations

import argparse

from optengine.cli.output import say
from optengine.report.tables import duration
from optengine.warming import warmup as compile_all


def warmup(options: argparse.Namespace) -> int:
    """Compile every kernel and say how long it took."""
    total = compile_all(lambda name, seconds: say(f"{name:<12} {duration(seconds)}"))
    say(f"{'all':<12} {duration(total)}")
    return 0
