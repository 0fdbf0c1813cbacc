"""Problems of other libraries: the library's own values, directions, constraints and optima."""

from __future__ import annotations

import json
import pickle
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import BINARY, Categorical, Permutation
from optengine.problems.adapters import from_botorch, from_ioh, from_pymoo


def sample(problem: Problem, n: int = 6) -> np.ndarray:
    return problem.space.sample(n, np.random.default_rng(0))


def check_everywhere(problem: Problem) -> None:
    """What every adapted problem keeps: it pickles, rows and batches agree, its fingerprint is JSON."""
    X = sample(problem)
    whole = problem.evaluate(X)
    again = pickle.loads(pickle.dumps(problem)).evaluate(X)
    rows = [problem.evaluate(x[np.newaxis]) for x in X]
    np.testing.assert_array_equal(again.F, whole.F)
    np.testing.assert_allclose(np.concatenate([row.F for row in rows]), whole.F, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate([row.G for row in rows]), whole.G, rtol=1e-12)
    assert not whole.failed.any()
    json.dumps(problem.fingerprint())


# -- pymoo -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ackley", "g1", "g5", "zdt1", "dtlz2", "bnh", "osy", "mw1"])
def test_pymoo_values(name: str) -> None:
    library = pytest.importorskip("pymoo.problems").get_problem(name)
    problem = from_pymoo(library)
    X = sample(problem)
    out = library.evaluate(X, return_values_of=["F", "G", "H"], return_as_dictionary=True)
    evaluation = problem.evaluate(X)
    np.testing.assert_array_equal(evaluation.F, out["F"])
    np.testing.assert_array_equal(evaluation.G[:, : library.n_ieq_constr], out["G"])
    np.testing.assert_allclose(evaluation.G[:, library.n_ieq_constr :], np.abs(out["H"]) - 1e-4, rtol=1e-12)
    np.testing.assert_array_equal(problem.space.lower, library.xl)
    np.testing.assert_array_equal(problem.space.upper, library.xu)
    check_everywhere(problem)


def test_pymoo_by_name_and_optimum() -> None:
    pytest.importorskip("pymoo")
    problem = from_pymoo("rastrigin", n_var=4)
    assert (problem.space.width, problem.best_known) == (4, 0.0)
    assert from_pymoo("zdt1", n_var=5).best_known is None
    constrained = from_pymoo("g1")
    assert constrained.best_known == -15.0
    at_optimum = np.array([[1.0] * 9 + [3.0] * 3 + [1.0]])
    assert constrained.evaluate(at_optimum).F[0, 0] == -15.0
    assert constrained.evaluate(at_optimum).violation[0] == 0.0


def test_pymoo_equality_within_a_stated_tolerance() -> None:
    pytest.importorskip("pymoo")
    x = np.full((1, 10), 1 / np.sqrt(10))  # the optimum of G3: sum of squares = 1
    x[0, 0] += 1e-3
    assert from_pymoo("g3").evaluate(x).violation[0] > 0
    assert from_pymoo("g3", tol=1e-2).evaluate(x).violation[0] == 0
    assert from_pymoo("g3").constraints[0].lower == -1e-4


def mixed_pymoo_problem() -> Any:
    core, kinds = (pytest.importorskip(f"pymoo.core.{name}") for name in ("problem", "variable"))

    class Mixed(core.ElementwiseProblem):  # type: ignore[misc]
        def __init__(self) -> None:
            variables = {
                "flag": kinds.Binary(),
                "kind": kinds.Choice(options=["add", "multiply"]),
                "count": kinds.Integer(bounds=(-2, 7)),
                "share": kinds.Real(bounds=(0.5, 2.5)),
            }
            super().__init__(vars=variables, n_obj=1, n_ieq_constr=1)

        def _evaluate(self, x: Any, out: Any, *args: Any, **kwargs: Any) -> None:
            assert isinstance(x["count"], int)
            out["F"] = x["count"] + x["share"] if x["kind"] == "add" else x["count"] * x["share"]
            out["G"] = x["share"] - 1 if x["flag"] else -1.0

    return Mixed()


def test_pymoo_mixed_variables() -> None:
    problem = from_pymoo(mixed_pymoo_problem())
    assert problem.space.names == ("flag", "kind", "count", "share")
    X = problem.space.encode(
        [
            {"flag": True, "kind": "multiply", "count": 7, "share": 2.0},
            {"flag": False, "kind": "add", "count": -2, "share": 0.5},
        ]
    )
    evaluation = problem.evaluate(X)
    assert evaluation.F[:, 0].tolist() == [14.0, -1.5]
    assert evaluation.G[:, 0].tolist() == [1.0, -1.0]


def test_pymoo_binary_and_permutation() -> None:
    knapsack = pytest.importorskip("pymoo.problems.single.knapsack")
    travel = pytest.importorskip("pymoo.problems.single.traveling_salesman")
    packed = from_pymoo(knapsack.Knapsack(3, np.array([2, 3, 4]), np.array([10, 20, 30]), 5))
    assert (packed.space.kind == BINARY).all()
    evaluation = packed.evaluate(np.array([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]))
    assert evaluation.F[:, 0].tolist() == [-30.0, -50.0]
    assert evaluation.violation.tolist() == [0.0, 2.0]
    check_everywhere(packed)
    cities = travel.TravelingSalesman(np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 4.0], [0.0, 4.0]]))
    tour = from_pymoo(cities, space=Permutation(4))
    assert tour.evaluate(np.array([[0.0, 1.0, 2.0, 3.0], [0.0, 2.0, 1.0, 3.0]])).F[:, 0].tolist() == [
        14.0,
        18.0,
    ]
    with pytest.raises(ProblemError, match="space must have 4 columns"):
        from_pymoo(cities, space=Permutation(5))


def test_pymoo_what_is_none() -> None:
    core = pytest.importorskip("pymoo.core.problem")
    with pytest.raises(ProblemError, match="pymoo cannot make a problem 'nonsense'"):
        from_pymoo("nonsense")
    with pytest.raises(ProblemError, match="must be a pymoo problem or a name, got int"):
        from_pymoo(3)
    with pytest.raises(ProblemError, match="has no bounds; give space="):
        from_pymoo(core.Problem(n_var=2))


# -- BoTorch -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def functions() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # BoTorch's own imports warn of torch's deprecations
        pytest.importorskip("botorch")
        import botorch.test_functions.multi_fidelity
        import botorch.test_functions.multi_objective_multi_fidelity
        import botorch.test_functions.synthetic
    return botorch.test_functions


@pytest.mark.parametrize("negate", [False, True])
def test_botorch_sense(functions: ModuleType, negate: bool) -> None:
    minimized = from_botorch(functions.Branin(negate=negate))
    assert minimized.objectives[0].direction == ("maximize" if negate else "minimize")
    assert minimized.best_known == (-0.397887 if negate else 0.397887)
    optimum = np.array([[np.pi, 2.275]])
    assert abs(minimized.evaluate(optimum).F[0, 0] - 0.397887) < 1e-5  # inside, everything minimises
    maximized = from_botorch(functions.Cosine8(negate=negate))
    assert maximized.objectives[0].direction == ("minimize" if negate else "maximize")
    assert abs(maximized.evaluate(np.zeros((1, 8))).F[0, 0] + 0.8) < 1e-12
    check_everywhere(minimized)


def test_botorch_constraints_are_slacks(functions: ModuleType) -> None:
    import torch

    library = functions.PressureVessel()
    problem = from_botorch(library)
    X = sample(problem, 50)
    evaluation = problem.evaluate(X)
    inputs = torch.from_numpy(X)
    np.testing.assert_array_equal(evaluation.F[:, 0], library(inputs).numpy())
    np.testing.assert_array_equal(evaluation.violation == 0, library.is_feasible(inputs).numpy())
    assert problem.n_constraints == 4
    check_everywhere(problem)


def test_botorch_several_objectives(functions: ModuleType) -> None:
    import torch

    problem = from_botorch(functions.BraninCurrin(negate=True))
    assert [o.direction for o in problem.objectives] == ["maximize", "maximize"]
    X = sample(problem)
    np.testing.assert_array_equal(
        problem.evaluate(X).F, functions.BraninCurrin()(torch.from_numpy(X)).numpy()
    )
    constrained = from_botorch(functions.C2DTLZ2(dim=4))
    assert (constrained.n_objectives, constrained.n_constraints) == (2, 1)
    check_everywhere(constrained)


def test_botorch_discrete_inputs(functions: ModuleType) -> None:
    labs = from_botorch(functions.synthetic.Labs(10))
    assert (labs.space.kind == BINARY).all()
    assert labs.objectives[0].direction == "maximize"
    assert labs.best_known == 3.846
    mixed = from_botorch(functions.synthetic.AckleyMixed(dim=6))
    assert mixed.space.named
    x = {f"x{i}": 0 for i in range(1, 4)} | {f"x{i}": 0.0 for i in range(4, 7)}
    assert abs(mixed.evaluate(mixed.space.encode([x])).F[0, 0]) < 1e-12
    check_everywhere(mixed)


def test_botorch_categorical_inputs_keep_their_numbers(functions: ModuleType) -> None:
    class Numbered(functions.SyntheticTestFunction):  # type: ignore[misc,name-defined]
        dim = 2
        _bounds = [(3.0, 5.0), (0.0, 1.0)]  # noqa: RUF012
        categorical_inds = [0]  # noqa: RUF012
        continuous_inds = [1]  # noqa: RUF012

        def _evaluate_true(self, X: Any) -> Any:
            return X.sum(dim=-1)

    problem = from_botorch(Numbered())
    variable = problem.space.variables["x1"]
    assert isinstance(variable, Categorical)
    assert list(variable.choices) == [3, 4, 5]
    assert problem.evaluate(problem.space.encode([{"x1": 5, "x2": 0.5}])).F[0, 0] == 5.5


def test_botorch_fidelities(functions: ModuleType) -> None:
    problem = from_botorch(functions.multi_fidelity.AugmentedHartmann(), cost=lambda x: 1 + x["x7"])
    assert problem.space.fidelity == {"x7": (6, 1.0)}
    assert abs((problem.best_known or 0) + 3.32237) < 1e-9
    evaluation = problem.evaluate(sample(problem))
    np.testing.assert_allclose(evaluation.cost, 1 + sample(problem)[:, 6])  # type: ignore[arg-type]
    wing = from_botorch(functions.multi_fidelity.WingWeightMultiFidelity())
    X = sample(wing)
    X[:, 10] = [0, 1, 2, 3, 3, 3]
    assert wing.evaluate(X).cost.tolist() == [1.0, 10.0, 100.0, 1000.0, 1000.0, 1000.0]  # type: ignore[union-attr]
    assert wing.space.at_target(X).tolist() == [False] * 3 + [True] * 3
    assert from_botorch(functions.Branin(), fidelity={-1: 15.0}).space.fidelity == {"x2": (1, 15.0)}
    check_everywhere(wing)
    check_everywhere(from_botorch(functions.multi_objective_multi_fidelity.MOMFPark()))


def test_botorch_noise_is_told(functions: ModuleType) -> None:
    import torch

    problem = from_botorch(functions.Branin(noise_std=0.5))
    assert problem.noisy
    x = np.tile([[np.pi, 2.275]], (2000, 1))
    torch.manual_seed(0)
    evaluation = problem.evaluate(x)
    assert evaluation.noise is not None
    assert (evaluation.noise == 0.5).all()
    assert abs(evaluation.F.std() - 0.5) < 0.05
    assert abs(evaluation.F.mean() - 0.397887) < 0.05


def test_botorch_what_is_none(functions: ModuleType) -> None:
    with pytest.raises(ProblemError, match="must be a BoTorch test function, got the class Branin"):
        from_botorch(functions.Branin)


# -- ioh ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suite", ["BBOB", "SBOX", "PBO"])
@pytest.mark.parametrize("instance", [1, 3])
def test_ioh_values(suite: str, instance: int) -> None:
    ioh = pytest.importorskip("ioh")
    for number in (1, 7, 18):
        library = ioh.get_problem(number, instance, 16, ioh.ProblemClass[suite])
        problem = from_ioh(library)
        X = sample(problem)
        rows = X.astype(int).tolist() if suite == "PBO" else X.tolist()
        sign = -1.0 if suite == "PBO" else 1.0
        np.testing.assert_array_equal(
            problem.evaluate(X).F[:, 0], sign * np.array([library(row) for row in rows])
        )
        assert problem.objectives[0].direction == ("maximize" if suite == "PBO" else "minimize")
        assert (problem.space.kind == BINARY).all() == (suite == "PBO")
        named = from_ioh(number, instance=instance, dimension=16, suite=suite)
        assert named.fingerprint() == problem.fingerprint()
        check_everywhere(problem)


def test_ioh_optima_are_attained_or_left_out() -> None:
    pytest.importorskip("ioh")
    for number in range(1, 25):
        problem = from_ioh(number, instance=2, dimension=4)
        assert problem.best_known == problem.function.problem.optimum.y  # type: ignore[attr-defined]
    assert from_ioh("OneMax", dimension=20, suite="PBO").best_known == 20.0
    assert from_ioh("LABS", dimension=20, suite="PBO").best_known is None  # ioh states infinity
    trap = from_ioh(
        "ConcatenatedTrap", dimension=16, suite="PBO"
    )  # random points beat the value that ioh states
    assert trap.best_known is None
    assert "cannot belong to this instance" in str(trap.best_known_source)


def test_ioh_counts_only_what_is_evaluated() -> None:
    ioh = pytest.importorskip("ioh")
    library = ioh.get_problem("Sphere", 1, 3, ioh.ProblemClass.BBOB)
    problem = from_ioh(library)
    assert library.state.evaluations == 0
    problem.evaluate(sample(problem, 7))
    assert library.state.evaluations == 7


def test_ioh_functions_of_the_user() -> None:
    ioh = pytest.importorskip("ioh")
    ioh.wrap_problem(sum, "plain_sum", problem_class=ioh.ProblemClass.REAL, dimension=2, lb=0, ub=1)
    problem = from_ioh(ioh.get_problem("plain_sum", 1, 2, ioh.ProblemClass.REAL))
    assert problem.evaluate(np.array([[0.25, 0.5]])).F[0, 0] == 0.75
    with pytest.raises(
        ProblemError, match="'plain_sum' is in no suite of ioh and cannot be sent to a worker"
    ):
        pickle.dumps(problem)


def test_ioh_what_is_none() -> None:
    pytest.importorskip("ioh")
    with pytest.raises(ProblemError, match="must be an ioh problem, its number or its name, got float"):
        from_ioh(1.5)
    with pytest.raises(ProblemError, match="ioh has no function 'Spheer' with dimension 5 in 'BBOB'"):
        from_ioh("Spheer")
    with pytest.raises(ProblemError, match="in 'BOBB'"):
        from_ioh(1, suite="BOBB")
