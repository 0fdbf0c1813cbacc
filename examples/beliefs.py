"""What an engineer believes before the first experiment, and what becomes of it when it is right and when it is wrong.

python beliefs.py [beliefs.png]
"""

import sys

import numpy as np
from matplotlib.figure import Figure

import optengine as oe
from optengine.solvers.bayes import BO, Beliefs, Near

BEST = {"temperature": 71.0, "catalyst": 4e-3, "solvent": "ethanol"}
space = oe.Space(
    temperature=oe.Real(20, 90),
    catalyst=oe.Real(1e-4, 1e-1, log=True),
    solvent=oe.Categorical(["water", "ethanol", "toluene"]),
)


def loss(temperature: float, catalyst: float, solvent: str) -> float:
    """Percent of the yield that is lost in a made-up reaction."""
    bent = (temperature - 71) / 12 + 0.5 * np.log10(catalyst / 4e-3)
    return 12 + 9 * bent**2 + 20 * np.log10(catalyst / 4e-3) ** 2 + 15 * (solvent != "ethanol")


PLACE = {"temperature": Near(68, 0.1), "catalyst": Near(5e-3, 0.15), "solvent": {"ethanol": 5, "water": 1}}
WRONG = {"temperature": Near(30, 0.1), "catalyst": Near(5e-2, 0.1), "solvent": {"water": 5, "toluene": 1}}
STATEMENTS = {
    "nothing": None,
    "the place": PLACE,
    "the place, and worth 12 %": Beliefs(place=PLACE, value=(12, 1)),
    "a wrong place (piBO)": WRONG,
    "a wrong place (ColaBO)": Beliefs(place=WRONG, method="colabo"),
    "hotter is better": Beliefs(preferences=[(BEST, BEST | {"temperature": 25.0})]),
}

if __name__ == "__main__":
    figure = Figure(figsize=(7, 4.2), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    problem = oe.Problem(loss, space)
    for name, beliefs in STATEMENTS.items():
        runs = [oe.solve(problem, solver=BO(beliefs=beliefs), budget=30, seed=seed) for seed in range(5)]
        best = np.median([np.minimum.accumulate(run.history.F[:, 0]) for run in runs], axis=0)
        axes.plot(np.arange(1, 31), best - 12 + 1e-3, label=name)
        print(f"believed: {name:26s} lost after 10: {best[9]:6.2f} %, after 30: {best[-1]:6.2f} %",
              runs[-1].details.get("beliefs", ""))  # fmt: skip
    axes.set(yscale="log", xlabel="evaluations", ylabel="loss above the least possible, %")
    axes.legend(fontsize="small", title="believed beforehand")
    path = sys.argv[1] if len(sys.argv) > 1 else "beliefs.png"
    figure.savefig(path)
    print(f"drawn in {path}")
