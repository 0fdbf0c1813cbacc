"""Methods of Bayesian optimization from the literature, each against the claim that its paper makes.

    python benchmarks/bo_papers.py METHOD --quick [--seeds 10] [--workers 1]

A method is a module `papers_METHOD.py` beside this one; its docstring states the problems, the settings and the claim.
Ten seeds each. Printed: medians with quartiles over the seeds, and each claim with what was measured for it.
Differences are paired by seed; their 90 % bootstrap interval decides ("level with": it contains 0).
"""

from __future__ import annotations

import argparse
import importlib
import os
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

METHODS = sorted(
    path.stem.removeprefix("papers_")
    for path in Path(__file__).parent.glob("papers_*.py")
    if "common" not in path.stem
)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("method", choices=METHODS)
    parser.add_argument(
        "--quick", action="store_true", help="the subset that fits into minutes; the only one so far"
    )
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    module = importlib.import_module(f"papers_{options.method}")
    print(module.__doc__)
    start = time.process_time()
    module.measure(options.seeds, options.workers)
    print(f"\nCPU seconds of this process: {time.process_time() - start:.0f}")


if __name__ == "__main__":
    main()
