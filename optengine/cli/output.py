"""Where commands write."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from optengine.core.errors import OptionError
from optengine.core.result import Result


def say(text: str = "") -> None:
    """Write a line to standard output."""
    sys.stdout.write(f"{text}\n")


def wants_progress(options: argparse.Namespace) -> bool:
    """Whether to draw progress: as asked for, else where somebody watches."""
    return sys.stderr.isatty() if options.progress is None else bool(options.progress)


def check_writable(options: argparse.Namespace) -> None:
    """Raise OptionError before a long run for `--json` and `--plot` that cannot be written after it."""
    for flag in ("json", "plot"):
        path = getattr(options, flag)
        if path is not None and not Path(path).absolute().parent.is_dir():
            raise OptionError(f"--{flag} must name a file in a folder that exists, got {path!r}")
        if path is not None and Path(path).is_dir():
            raise OptionError(f"--{flag} must name a file, got the folder {path!r}")
    if options.plot is not None:
        from optengine.report.plots import check_file

        check_file(options.plot)


def deliver(result: Result, options: argparse.Namespace) -> None:
    """Write what `--json` and `--plot` ask for."""
    try:
        if options.json is not None:
            result.to_json(options.json)
        if options.plot is not None:
            result.plot().figure.savefig(options.plot)
    except OSError as error:
        raise OptionError(f"{error.filename!r} cannot be written: {error.strerror}") from error
