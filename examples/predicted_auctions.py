"""Train a predictor on small auctions in a few minutes, then solve larger unseen ones with it and without.

python examples/predicted_auctions.py                                      # 60 auctions, some minutes
python examples/predicted_auctions.py --auctions 8 --seconds 1 --limit 3   # to see it run
"""

import argparse
import os

import matplotlib.pyplot as plt
import numpy as np

import optengine as oe
from optengine.problems.generators import generate
from optengine.report.primal import incumbents, primal_gap, primal_integral

parser = argparse.ArgumentParser()
parser.add_argument("--auctions", type=int, default=60, help="to learn from")
parser.add_argument("--seconds", type=float, default=5.0, help="spent on each auction's solutions")
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--limit", type=float, default=15.0, help="seconds to solve an unseen one")
parser.add_argument("--size", default="small", help="of those to learn from")
parser.add_argument("--unseen", default="mid", help="size of those to solve")

if __name__ == "__main__":
    given = parser.parse_args()
    predictor = oe.train_predictor(
        [generate("auction", given.size, seed) for seed in range(given.auctions)],
        pools="auction_pools",  # a second run goes on from here
        pool_seconds=given.seconds,
        workers=os.cpu_count() or 1,
        tune_seconds=8 * given.limit,
        tune_limit=given.limit,
        tune_instances=[generate("auction", given.unseen, seed) for seed in (500, 501)],
        options={"epochs": given.epochs},
        out="auctions.pt",
        progress=True,
    )
    print(predictor)

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.5), sharey=True)
    for axis, seed in zip(axes, (1000, 1001, 1002), strict=True):
        auction = generate("auction", given.unseen, seed)
        traces = {}
        for label, solver, more in (
            ("SCIP", "milp", {}),
            ("SCIP around the prediction", "predict_and_search", {"model": "auctions.pt"}),
        ):
            result = oe.solve(
                auction, solver, time_limit=given.limit, seed=0, options={"backend": "scip", **more}
            )
            traces[label] = incumbents(result)
        best = max(values[-1] for _, values in traces.values() if len(values))
        for label, (seconds, values) in traces.items():
            gap = 100 * primal_gap(np.append(values, values[-1:]), best)
            axis.step(np.append(seconds, given.limit), np.maximum(gap, 1e-3), where="post", label=label)
            print(
                f"{auction.name}, {label}: integral {primal_integral(seconds, values, best, given.limit):.3f} s"
            )
        axis.set(title=auction.name, xlabel="seconds", yscale="log")
    axes[0].set_ylabel("primal gap, %")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig("predicted_auctions.png")
    print("drawn: predicted_auctions.png")
