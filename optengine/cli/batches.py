"""`optengine batch`: problems x solvers x seeds; `optengine report`: what they say about the solvers."""

from __future__ import annotations

import argparse
import shlex
import sys

from optengine.batch import run_batch
from optengine.batch.spec import read_set
from optengine.cli.output import say, wants_progress
from optengine.cli.parser import FAILED, INTERRUPTED
from optengine.report.tables import Table, write


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
        threads=chosen.threads,
        out=options.out,
        progress=wants_progress(options),
        name=chosen.name,
        command=shlex.join(["optengine", "batch", str(options.set), "--out", str(options.out)]),
    )
    write(table.summary())
    assert table.folder is not None
    say(f"{len(table)} runs in {table.folder / 'results.csv'}")
    if table.interrupted:
        sys.stderr.write("optengine: interrupted; the same command goes on from here\n")
        return INTERRUPTED
    return FAILED if table.failed else 0


def report(options: argparse.Namespace) -> int:
    """Write the page and the files of a batch."""
    from optengine.batch.reporting import write_report

    comparison = write_report(options.runs, options.html, folder=options.export)
    ranks = comparison.ranks()
    if ranks.problems and len(ranks.solvers) > 1:
        table = Table(["solver", ">mean rank"], title=f"ranks over {ranks.problems} problems")
        table.rows += [[s, f"{r:.2f}"] for s, r in zip(ranks.solvers, ranks.mean, strict=True)]
        write(table)
    for place in (options.html, options.export):
        if place is not None:
            say(f"written: {place}")
    return 0
