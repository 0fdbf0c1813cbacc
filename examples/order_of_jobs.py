"""An order as a black box: jobs on one machine, with set-up times that only the simulator knows."""

import random
from itertools import pairwise

import optengine as oe

JOBS = 30
drawer = random.Random(4)
SETUP = [
    [drawer.randint(2, 60) for _ in range(JOBS)] for _ in range(JOBS)
]  # minutes from one job to the next


def makespan(order: list[int]) -> float:
    """Minutes until the last job is done: a simulator would run here."""
    return 25.0 * JOBS + sum(SETUP[a][b] for a, b in pairwise(order))


if __name__ == "__main__":
    problem = oe.Problem(lambda x: makespan(x.tolist()), oe.Permutation(JOBS), name="one machine")
    for solver in ("random", "auto"):
        result = oe.solve(problem, solver, budget=3000, seed=0)
        print(result)
        print(
            f"{solver}: {result.fun - 25 * JOBS:.0f} minutes of set-up in {result.n_evaluations} simulations"
        )
    # what it learnt on the way: the objective is a sum over neighbours in the order, and how surely
    print("model:", result.details["model"], result.details["explained"])
