"""`optengine batch`: problems x solvers x seeds."""

from __future__ import annotations

import argparse
import sys

from optengine.batch import run_batch
from optengine.batch.spec import read_set
from optengine.cli.output import say, wants_progress
from optengine.cli.parser import FAILED, INTERRUPTED
from optengine.report.tables import write


def batch(options: argparse.Namespace) -> int:
    """Run a set and print the comparison; the same call goes on where it was killed."""
    chosen = read_set(options.set)
    table = run_batch(
        chosen.problems,
        chosen.solvers,
        chosen.seeds,
        budget=chosen.budget,
        time_limit=chosen.time_limit,
        workers=chosen.workers if options.workers is None else options.workers,
        out=options.out,
        progress=wants_progress(options),
        name=chosen.name,
    )
    write(table.summary())
    assert table.folder is not None
    say(f"{len(table)} runs in {table.folder / 'results.csv'}")
    if table.interrupted:
        sys.stderr.write("optengine: interrupted; the same command goes on from here\n")
        return INTERRUPTED
    return FAILED if table.failed else 0
