"""Can the pump be both quiet and strong enough? One plant says yes and shows where, the other is told that it cannot.

python infeasible_or_not.py [feasible.png]
"""

import sys

import numpy as np
from matplotlib.figure import Figure

import optengine as oe
from optengine.solvers.bayes import BO

space = oe.Space(speed=oe.Real(800, 3000), gap=oe.Real(0.2, 2.0))  # 1/min, mm


def pump(limit: float):
    """Power to be minimised; noise below `limit` dB, pressure above 3 bar."""

    def measure(speed: float, gap: float) -> dict[str, float]:
        turn = speed / 1000
        noise = 52 + 9 * turn + 3 * np.sin(2.5 * turn) + 6 / (1 + gap)
        pressure = 1.9 * turn**1.2 - 1.1 * gap
        power = 0.4 * turn**3 + 0.3 * gap
        return {"power": power, "noise": noise - limit, "pressure": 3.0 - pressure}

    return oe.Problem(
        measure, space, objectives="power", constraints=["noise", "pressure"], name=f"at most {limit:g} dB"
    )


if __name__ == "__main__":
    figure = Figure(figsize=(9, 4), dpi=150, layout="constrained")
    for axes, limit in zip(figure.subplots(1, 2), (82, 62), strict=True):
        problem = pump(limit)
        result = oe.solve(problem, solver=BO(acquisition="config"), budget=30, seed=0)
        print(result, result.details.get("certificate", ""), sep="\n")
        speed, gap = np.meshgrid(np.linspace(800, 3000, 80), np.linspace(0.2, 2.0, 80))
        values = problem.function(speed, gap)
        worst = np.maximum(values["noise"] / 10, values["pressure"])
        axes.contourf(speed, gap, worst, levels=[-9, 0], colors=["#cfe8cf"])
        axes.contour(speed, gap, values["power"], colors="0.7", linewidths=0.7)
        axes.scatter(*result.history.X.T, s=18, c=np.arange(len(result.history)), cmap="viridis")
        axes.set(title=f"{problem.name}: {result.status}", xlabel="speed, 1/min", ylabel="gap, mm")
    path = sys.argv[1] if len(sys.argv) > 1 else "feasible.png"
    figure.savefig(path)
    print(f"drawn in {path}; green: where both constraints hold")
