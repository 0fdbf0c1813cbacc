"""Parts of the search around predictions by themselves: the network's two forms, and the local search.

python benchmarks/milp_parts.py --modes    # CPU seconds, forward and backward, of one thread (or of the GPU there is)
python benchmarks/milp_parts.py --jumps    # moves a second of one core, and what they find
"""

from __future__ import annotations

import argparse
import os
import time

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np
from milp_prediction import TUNING
from milp_table import CLASSES

from optengine.problems.generators import generate, set_cover


def modes() -> None:
    """CPU seconds of one thread, forward and backward, of the edge and the node form."""
    import torch

    from optengine.solvers.milp.learning.batches import batch_graphs
    from optengine.solvers.milp.learning.features import bipartite_graph
    from optengine.solvers.milp.learning.network import Network, NetworkOptions

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(f"{'rows x columns':16}{'edges':>8}  mode   forward   forward + backward   ({device}, seconds)")
    for m, n in ((200, 400), (500, 1000), (1000, 2000)):
        batch = batch_graphs([bipartite_graph(set_cover(0, m, n))], device)
        for convolution in ("edge", "node"):
            torch.manual_seed(0)
            network = Network(NetworkOptions(convolution=convolution)).to(device)
            times = []
            for backward in (False, True):
                each = []
                for _ in range(7):
                    start = time.process_time()
                    value = network(batch).sum()
                    if backward:
                        value.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
                    float(value.detach())
                    each.append(time.process_time() - start)
                times.append(float(np.median(each[2:])))
            print(f"{f'{m} x {n}':16}{len(batch.row):>8}  {convolution}  {times[0]:8.4f}   {times[1]:8.4f}")


def jumps() -> None:
    """What the local search does in a second of one core, on a tuning instance of each class."""
    from optengine.kernels import feasibility_jump as kernel

    print("class  rows x columns    prepared ms   moves/s   value after 0.1, 0.3, 1 and 3 CPU s")
    for name, family in CLASSES.items():
        problem = generate(family, "mid", TUNING)
        kernel.search(rows := kernel.prepare(problem.model), kernel.begin(rows), 10, 0)
        start = time.process_time()
        rows = kernel.prepare(problem.model)
        prepared, state, seen = time.process_time() - start, kernel.begin(rows), []
        start = time.process_time()
        for until in (0.1, 0.3, 1.0, 3.0):
            while time.process_time() - start < until:
                kernel.search(rows, state, 200, 0)
            found = np.isfinite(state.numbers[kernel.BEST])
            value = float(problem.evaluate(state.best[None]).F[0, 0] * problem.signs[0]) if found else np.nan
            seen.append(f"{value:.6g}")
        speed = state.counts[kernel.CLOCK] / (time.process_time() - start)
        size = f"{problem.n_rows} x {problem.n_variables}"
        print(f"{name:6} {size:16}{1e3 * prepared:12.1f}{speed:12.0f}   {', '.join(seen)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--modes", action="store_true")
    which.add_argument("--jumps", action="store_true")
    (modes if parser.parse_args().modes else jumps)()


if __name__ == "__main__":
    main()
