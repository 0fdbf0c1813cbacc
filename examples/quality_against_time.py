"""The same tuning three times: time as a price, time as a limit, and the whole trade-off.

python quality_against_time.py [time.png]
"""

import sys

import numpy as np
from matplotlib.figure import Figure

import optengine as oe
from optengine.problems import timed
from optengine.solvers.bayes import BO

space = oe.Space(
    layers=oe.Integer(1, 8), width=oe.Integer(8, 512, log=True), rate=oe.Real(1e-4, 1e-1, log=True)
)


def train(layers: int, width: int, rate: float) -> dict[str, float]:
    """Stands for a training: the error in per cent, and how long it took."""
    capacity = np.log2(layers * width)
    error = 4 + 60 / (1 + capacity) + 3 * (np.log10(rate) + 2.2 + 0.1 * layers) ** 2
    return {"quality": error, "seconds": 0.02 * layers * width**1.1}


if __name__ == "__main__":
    # budget=40 ends a run; max_cost is in seconds of training, and cooling divides the acquisition by them
    priced = oe.solve(timed(train, space, weight=1.5), solver=BO(cooling=600), max_cost=600, seed=0)
    limited = oe.solve(timed(train, space, "constrained", limit=10), solver="bo", budget=30, seed=0)
    front = oe.solve(timed(train, space, "pareto"), solver="bo", budget=40, seed=0)
    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(front.front.F[:, 1], front.front.F[:, 0], "o-", color="#0072b2", label="trade-off (pareto)")
    for name, result, mark in (("1.5 % per factor of ten", priced, "s"), ("at most 10 s", limited, "^")):
        chosen = train(**result.x)
        print(
            f"{name}: {chosen['quality']:.2f} % in {chosen['seconds']:.1f} s, {result.x}, "
            f"{result.n_evaluations} trainings"
        )
        axes.plot(chosen["seconds"], chosen["quality"], mark, ms=9, label=name)
    axes.set(xscale="log", xlabel="training time, s", ylabel="error, %")
    axes.legend()
    path = sys.argv[1] if len(sys.argv) > 1 else "time.png"
    figure.savefig(path)
    print(f"drawn in {path}")
