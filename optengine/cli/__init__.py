"""The command `optengine`. It starts at once: everything heavy is imported inside the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from optengine.cli.parser import FAILED, INTERRUPTED, WRONG, parse
from optengine.core.errors import OptEngineError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        0; 1 when a run failed; 2 when something is stated wrongly, told in one sentence on standard error; 130 after
        Ctrl-C, with the best so far printed.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    developer = "--traceback" in given
    try:
        options = parse(given)
        code: int = options.command(options)
        sys.stdout.flush()
    except SystemExit as stop:  # argparse has said what it had to say
        return stop.code if isinstance(stop.code, int) else WRONG
    except KeyboardInterrupt:
        if developer:
            raise
        sys.stderr.write("optengine: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:  # e.g. `optengine solvers | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OptEngineError as error:
        if developer:
            raise
        sys.stderr.write(f"optengine: {error}\n")
        return WRONG
    return code


__all__ = ["FAILED", "INTERRUPTED", "WRONG", "main"]
