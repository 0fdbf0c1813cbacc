"""After a run: which settings mattered, what the model believes, and whether it can be believed."""

import random

import optengine as oe

space = oe.Space(
    temperature=oe.Real(20, 90),
    catalyst=oe.Real(1e-4, 1e-1, log=True),
    solvent=oe.Categorical(["water", "ethanol", "toluene"]),
    reflux=oe.Real(0, 60, when=("solvent", ["ethanol", "toluene"])),  # minutes; water is not refluxed
    stirring=oe.Integer(1, 10),
)
drawer = random.Random(4)


def laboratory(x: dict) -> float:
    """Stands for an experiment: the yield of a reaction in per cent, measured with an error of one per cent."""
    warm, much, ceiling = {"water": (55, 3e-3, 61), "ethanol": (70, 8e-3, 88), "toluene": (80, 2e-2, 74)}[
        x["solvent"]
    ]
    loss = ((x["temperature"] - warm) / 25) ** 2 + (x["catalyst"] / much - 1) ** 2 / 20
    loss += (x.get("reflux", 30) / 60 - 0.5) ** 2
    return ceiling / (1 + loss) + drawer.gauss(0, 1)


if __name__ == "__main__":
    problem = oe.Problem(laboratory, space, objectives="yield", direction="maximize", noisy=True)
    result = oe.solve(problem, "tpe", budget=80, seed=0)
    print(result)

    print("\nshare of the variance:")
    shares = oe.report.importances(result)
    for name, alone, total in zip(shares.names, shares.first, shares.total, strict=True):
        print(f"  {name:12} {alone:5.0%} by itself, {total:5.0%} with interactions")

    check = oe.report.cross_validation(result)
    print(f"\nleave-one-out: R2 {check.r2:.2f}, {check.coverage:.0%} of the values within two deviations")
    print(oe.report.recommendation(result))

    result.plot("slice", name="temperature").figure.savefig("slice.png")
    result.plot("contour", names=("temperature", "catalyst")).figure.savefig("contour.png")
    print("model drawn in slice.png and contour.png")
