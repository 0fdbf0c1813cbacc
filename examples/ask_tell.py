"""Ask and tell: the loop is yours, results come back in any order, days apart if need be."""

import random

import optengine as oe

space = oe.Space(
    temperature=oe.Real(20, 90),
    solvent=oe.Categorical(["water", "ethanol", "toluene"]),
    catalyst=oe.Real(1e-4, 1e-1, log=True),
    stirring=oe.Integer(1, 10),
)


def laboratory(temperature: float, solvent: str, catalyst: float, stirring: int) -> float:
    """Stands for an experiment: the yield of a reaction in per cent."""
    best = {"water": (55, 3e-3), "ethanol": (70, 8e-3), "toluene": (80, 2e-2)}[solvent]
    ceiling = {"water": 61, "ethanol": 88, "toluene": 74}[solvent]
    loss = ((temperature - best[0]) / 25) ** 2 + (catalyst / best[1] - 1) ** 2 / 8 + (stirring - 6) ** 2 / 60
    return ceiling / (1 + loss)


if __name__ == "__main__":
    problem = oe.Problem(laboratory, space, objectives="yield", direction="maximize")
    optimizer = oe.Optimizer(problem, solver="cem", seed=1, budget=400, options={"population": 40})
    drawer = random.Random(0)
    while not optimizer.done:
        candidates = list(optimizer.ask(8))
        drawer.shuffle(candidates)  # results arrive in any order
        for candidate in candidates:
            broken = drawer.random() < 0.05
            value = oe.Failed("the flask broke") if broken else laboratory(**candidate.x)
            optimizer.tell(candidate, value)
    print(optimizer.result())
