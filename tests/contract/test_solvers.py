"""Every registered solver keeps the contract; `slow`: on every problem, all checks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import optengine as oe
from optengine import Problem, registry
from optengine.core.errors import MissingDependency
from optengine.solvers.bayes import TorchOptions
from optengine.testing import Climber, check_solver, small_problems


def minmax_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    problem = oe.problems.MinMaxViolation
    dense, sparse = problem.random(rng, 6, 9), problem.random(rng, 12, 9, n_levels=3, density=0.3)
    several = problem(dense.A, np.zeros((2, 6)), np.ones((2, 6)), [0.0, 0.5, 2.0], fixed={1: 0.5})
    return {"dense": dense, "sparse": sparse} | {"several": several}


def dag_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    random = oe.problems.DAGProblem.random
    known = random(rng, 7, tiers=[[1, 3], [0, 2, 4, 5, 6]], required=[(0, 5), (5, 6)])
    sparse = random(rng, 7, loss="gaussian", penalty="bic", forbidden=[(0, 1), (3, 2)], tiers=[[6], range(6)])
    return {"dag": random(rng, 9), "known": known, "sparse": sparse}


def flip_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    qubo, cut = oe.problems.QUBO, oe.problems.MaxCut
    return {
        "qubo": qubo.random(rng, 14, 0.5),
        "real": qubo(rng.random((9, 9)) - 0.5),
        "sparse": cut.random(rng, 90, 0.03),
    }


def assignments() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    qap = oe.problems.QAP
    return {"qap": qap.random(rng, 9), "asymmetric": qap(rng.integers(0, 9, (6, 6)), rng.random((6, 6)))}


def knapsacks() -> dict[str, Problem]:
    return {"knapsack": oe.problems.Knapsack.random(np.random.default_rng(3), 14, 3)}


def covers() -> dict[str, Problem]:
    return {"set cover": oe.problems.SetCover.random(np.random.default_rng(3), 20, 9)}


def graphs() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    return {
        "set": oe.problems.IndependentSet.random(rng, 30),
        "clique": oe.problems.Clique.random(rng, 25, 0.7),
    }


def tours() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    tsp = oe.problems.TSP
    return {
        "tsp": tsp.random(rng, 20),
        "real": tsp(coordinates=rng.random((9, 2))),
        "tiny": tsp.random(rng, 5),
    }


def shops() -> dict[str, Problem]:
    return {"shop": oe.problems.JobShop.random(np.random.default_rng(3), 3, 3)}


def clauses() -> dict[str, Problem]:
    sat = oe.problems.MaxSAT
    hard = sat([[1, -2], [2], [-1, 3], [-3], [-2, 4], [-4, 1]], [2, np.inf, 1.5, 1, 1, 3])
    return {"random": sat.random(np.random.default_rng(3), 20, 150), "hard": hard}


def splits() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    random = oe.problems.MarketSplit.random
    return {"split": random(rng, 3), "none": random(rng, 3, 8, solvable=False)}


def milp_problems() -> dict[str, Problem]:
    rng = np.random.default_rng(3)
    random = oe.problems.MILP.random
    return {
        "mixed": random(rng),
        "whole": random(rng, 12, 5, real=0.0),
        "dense": random(rng, 15, 4, density=1.0),
    }


def tables() -> dict[str, Problem]:
    """Tables over reals, sequences, a mixed space with a known and an observed constraint, and permutations."""
    rng = np.random.default_rng(3)
    mixed = oe.Space(
        a=oe.Real(0, 1), lr=oe.Real(1e-4, 1, log=True), n=oe.Integer(0, 9), k=oe.Categorical(list("uvw")),
        on=oe.Binary(), rows=[oe.Row({"a": 1, "n": 0.1}, upper=1.2)],
    )  # fmt: skip
    spaces = {
        "reals": oe.Space([(-2, 3)] * 3),
        "sequence": oe.Space(oe.Categorical(list("ACGT"), shape=9)),
        "few points": oe.Space(oe.Binary(shape=7)),
        "mixed": mixed,
        "orders": oe.Space(oe.Permutation(6)),
    }
    found: dict[str, Problem] = {}
    for label, space in spaces.items():
        X = feasible(space, 60, rng)
        U = space.to_unit(X)
        y = -((U - 0.4) ** 2).sum(axis=1) + 0.2 * U[:, 0] * U[:, -1]
        heat = {"heat": U[:, 0] - 0.8} if label == "mixed" else None
        found[label] = oe.problems.Offline(
            space,
            X,
            y,
            12,
            direction="maximize",
            constraints=heat,
            encoded=True,
            duplicates="mean",
            name=label,
        )
    return found


def feasible(space: oe.Space, n: int, rng: np.random.Generator) -> np.ndarray:
    from optengine.backends.repair import Repair

    return Repair(space).feasible_sample(n, rng) if space.constrained else space.sample(n, rng)


def networks() -> dict[str, Problem]:
    """Small networks with random weights, one with a constraint."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    phi = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    with torch.no_grad():
        for p in phi.parameters():
            p.copy_(torch.randn(p.shape, generator=generator))
    return {
        "free": oe.problems.NNProblem(phi, first_output, [(-1, 1)] * 3),
        "bounded": oe.problems.NNProblem(
            phi, first_output, [(-1, 1)] * 3, c=second_output, direction="maximize"
        ),
    }


def first_output(x: object, out: np.ndarray) -> np.ndarray:
    return out[:, 0]


def second_output(x: object, out: np.ndarray) -> np.ndarray:
    return out[:, 1] - 0.5


def facilities() -> dict[str, Problem]:
    rng = np.random.default_rng(0)
    return {
        "medians": oe.problems.PMedian.random(rng, 9, 12),
        "coverage": oe.problems.MaxCoverage.random(rng, 12, 30),
    }


def orderings() -> dict[str, Problem]:
    rng = np.random.default_rng(0)
    return {
        "whole": oe.problems.LinearOrdering.random(rng, 12),
        "real": oe.problems.LinearOrdering(rng.random((9, 9))),
    }


OFFLINE = [name for name, place in registry.SOLVERS.items() if ".solvers.offline:" in place]

SPECIAL: dict[
    str, Callable[[], dict[str, Problem]]
] = {  # solvers that read a structure, and problems that have it
    "dag_exact": dag_problems,
    "directional_attack": networks,
    "dmmv": minmax_problems,
    "dmmv_reference": minmax_problems,
    "facilities": facilities,
    "feasibility_jump": milp_problems,
    "linear_order": orderings,
    "local_branching": milp_problems,
    "milp": milp_problems,
    "minmax_exact": minmax_problems,
    "order_search": dag_problems,
    "predict_and_search": milp_problems,
    "relaxation_induced": milp_problems,
    "cover": covers,
    "independent_set": graphs,
    "job_shop": shops,
    "prob_sat": clauses,
    "market_split": splits,
    "knapsack": knapsacks,
    "robust_tabu": assignments,
    "tabu": flip_problems,
    "tour": tours,
    "topo": dag_problems,
    **dict.fromkeys(OFFLINE, tables),
}


SMALL = {
    "members": 2,
    "hidden": 16,
    "training_steps": 40,
}  # networks: what is checked does not depend on their size
LIGHT: dict[str, dict[str, object]] = {
    "bandit": {"inner": "tpe"},
    "bo": {"n_raw": 64, "n_starts": 2, "torch": TorchOptions(maxiter=10, fit_maxiter=20)},
    "coms": SMALL,
    "gradient_ascent": SMALL,
    "ignite": {"base_options": SMALL},
    "match_opt": SMALL,
    "ram": SMALL,
    "root": {
        "epochs": 1,
        "functions": 2,
        "training_steps": 40,
        "hidden": 16,
        "walk_steps": 8,
        "ascent_steps": 5,
    },
    "surrogate_search": SMALL | {"inner": "ga", "evaluations": 400},
}


# Every kind of variable and of constraint once; `slow` tests take all of `small_problems`.
QUICK = (
    "maximized", "log", "conditional", "permutation", "subset", "simplex", "one point", "rows", "integer rows",
    "predicate", "constraints", "two objectives", "front", "fidelity",
)  # fmt: skip
DEAR = {"bo": ("two objectives", "front")}  # fronts of BoTorch's acquisitions have tests of their own


def problems(name: str, quick: bool) -> dict[str, Problem] | None:
    if name in SPECIAL:
        found = SPECIAL[name]()
        if quick and name in OFFLINE and name != "gp_portfolio":
            return {label: found[label] for label in ("sequence", "mixed") if label in found}
        return found
    if not quick:
        return None
    wanted = [label for label in QUICK if label not in DEAR.get(name, ())]
    return {label: problem for label, problem in small_problems().items() if label in wanted}


def check(name: str, quick: bool) -> None:
    if name in OFFLINE and name != "gp_portfolio":
        pytest.importorskip("torch")
    try:
        solver = registry.make(name, LIGHT[name]) if name in LIGHT else name
        ran = check_solver(solver, problems(name, quick), quick=quick)
    except MissingDependency as error:
        pytest.skip(str(error))
    assert ran


# Solvers that share their run with another of this list: in the default suite one of each is enough.
ALIKE = {
    "gradient_ascent",
    "coms",
    "match_opt",
    "ignite",
    "nsga3",
    "rvea",
    "smsemoa",
    "moead",
    "surrogate_search",
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in ALIKE else []) for name in registry.SOLVERS],
)
def test_a_registered_solver_keeps_the_contract(name: str) -> None:
    check(name, quick=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", registry.SOLVERS)
def test_a_registered_solver_keeps_all_of_the_contract(name: str) -> None:
    check(name, quick=False)


def test_the_template_keeps_the_contract() -> None:
    assert len(check_solver(Climber)) == len(check_solver(Climber(population=3))) > 15


def test_solvers_run_on_the_problems_given() -> None:
    one = oe.Problem(lambda x: float(abs(x).sum()), [(-1, 1)] * 2, name="mine")
    assert check_solver("random", [one]) == ["0: mine"]
    assert check_solver("random", {"a": one}) == ["a"]


def test_quick_problems_are_there() -> None:
    assert set(QUICK) <= set(small_problems())
