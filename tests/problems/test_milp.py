"""Mixed-integer programs as problems: evaluation, spaces, bad input, the modelling layer, models of other libraries."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import Bounds

import optengine as oe
from optengine.core.errors import ProblemError, SpaceError
from optengine.core.space import BINARY, INTEGER, REAL
from optengine.problems.milp import MILP
from optengine.problems.milp_model import Model
from optengine.testing import check_problem


def mixed() -> MILP:
    """max 5 a + 4 b + 3 r + 1,  2a + 3b + r <= 8,  a + r >= 1,  a whole in [0, 3], b binary, r in [-1, 2]."""
    return MILP(
        [5, 4, 3],
        [[2, 3, 1], [1, 0, 1]],
        [-np.inf, 1],
        [8, np.inf],
        [(0, 3), (0, 1), (-1, 2)],
        [True, True, False],
        "max",
        ["a", "b", "r"],
        constant=1.0,
    )


def test_values_and_violations_by_hand() -> None:
    p = mixed()
    X = np.array([[3, 0, 2], [3, 1, 2], [0, 0, -1], [1.5, 0, 1], [2 + 5e-7, 1, 0.5], [4, 0, 0]], dtype=float)
    evaluation = p.evaluate(X)
    assert (-evaluation.F[:, 0]).tolist() == pytest.approx([22, 26, -2, 11.5, 16.5, 21])
    # row 0: 11 > 8, by 3 / 8; row 1: -1 < 1, by 2; 1.5 is no whole number; 2 + 5e-7 is 2; a <= 3, by 1 / 3
    assert evaluation.G[:, 0].tolist() == pytest.approx([0, 3 / 8, 2, 0.5, 0, 1 / 3])
    assert evaluation.feasible().tolist() == [True, False, False, False, True, False]
    check_problem(p)


def test_the_model_minimises_without_the_constant() -> None:
    p = mixed()
    x = np.array([3.0, 0, 2])
    assert p.model.c.tolist() == [-5, -4, -3]
    assert p.model.value(x) + p.shift == p.evaluate(x[None]).F[0, 0] == -22
    assert p.binaries.tolist() == [1]
    assert p.named(x) == {"a": 3.0, "r": 2.0}
    described = p.describe(np.array([3.0, 1, 2]))
    assert described["n_nonzeros"] == 3
    assert described["largest_violation"] == {"rows": 3.0, "bounds": 0.0, "integrality": 0.0}


def test_the_space() -> None:
    p = mixed()
    assert p.space.kind.tolist() == [INTEGER, BINARY, REAL]
    assert p.space.cardinality() is None
    assert p.space.encode({"a": 2, "r": 0.5}).tolist() == [[2, 0, 0.5]]
    assert p.space.encode([[1, 0, 0], [0, 1, 2]]).tolist() == [[1, 0, 0], [0, 1, 2]]
    for wrong, message in (
        ([1, 0], "shape"),
        ([1.5, 0, 0], r"whole in column 0 \(a\), got 1.5"),
        ([9, 0, 0], r"must lie in \[0, 3\] in column 0"),
        ({"aa": 1}, "'aa', which is no column; did you mean 'a'"),
        ([np.nan, 0, 0], "finite"),
        ("abc", "numbers"),
    ):
        with pytest.raises(SpaceError, match=message):
            p.space.encode(wrong)
    whole = MILP([1, 1], bounds=(0, 2), integrality=True)
    assert whole.space.cardinality() == 9


def test_infinite_bounds_are_searched_where_rows_imply_ends() -> None:
    p = MILP([1, 1, 1], [[2, 1, 0]], 0, 10, [(0, None), (0, None), (None, None)], [True, False, False])
    assert p.space.upper[:2].tolist() == [5, 10]
    assert p.space.lower[2] == -1e4
    far = np.array([[0.0, 0.0, -1e9]])
    assert p.space.contains(far).all()  # an exact solver may find it
    assert p.evaluate(far).feasible()[0]


def test_free_whole_variables_and_empty_rows() -> None:
    p = MILP([1.0, 0.0], [[1, 0], [0, 0]], [-2.5, 0], [np.inf, 1], None, [True, False])
    result = oe.solve(p)
    assert (result.status, result.fun, result.x[0]) == ("optimal", -2, -2)
    impossible = MILP([1.0], sparse.csr_array((1, 1)), lower=1)
    assert oe.solve(impossible).status == "infeasible"


@pytest.mark.parametrize("solver", ["random", "ga", "cem", "ils", "de"])
def test_every_solver_may_run_on_it(solver: str) -> None:
    p = MILP.random(np.random.default_rng(0), 12, 4, real=0.0 if solver == "ils" else 0.2)
    result = oe.solve(p, solver, budget=300, seed=0)
    assert result.n_evaluations == 300
    assert result.x is not None


@pytest.mark.parametrize(
    "bounds", [(np.nan, 1), ([0, np.nan], 1), [(0, 1), (np.nan, 1)], np.array([[0.0, 1.0], [0.0, np.nan]])]
)
def test_a_bound_that_is_no_number_is_refused(bounds: object) -> None:
    with pytest.raises(ProblemError, match="bounds must be numbers, got nan at column"):
        MILP([1.0, 1.0], bounds=bounds)
    absent = MILP([1.0, 1.0], bounds=([0, None], [None, 4]))
    assert absent.lb.tolist() == [0, -np.inf]
    assert absent.ub.tolist() == [np.inf, 4]


def test_bounds_in_every_form() -> None:
    c = [1.0, 1.0]
    for bounds in (
        (0, 3),
        ([0, 0], [3, 3]),
        [(0, 3), (0, 3)],
        np.array([[0, 3], [0, 3]]),
        Bounds([0, 0], [3, 3]),
    ):
        p = MILP(c, bounds=bounds)
        assert (p.lb.tolist(), p.ub.tolist()) == ([0, 0], [3, 3])
    p = MILP(c, bounds=[(None, 1), (2, None)])
    assert (p.lb.tolist(), p.ub.tolist()) == ([-np.inf, 2], [1, np.inf])
    assert MILP(c).lb.tolist() == [0, 0]
    assert MILP(c, bounds=None).lb.tolist() == [-np.inf, -np.inf]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"c": []}, r"c must be one number a column"),
        ({"c": ["a"]}, "c must be numbers"),
        ({"c": [1, np.inf], "names": ["x", "y"]}, r"c must be finite, got inf at column 1 \(y\)"),
        ({"c": [1], "A": [[1, 2]]}, r"one column for each of the 1 entries of c, got shape \(1, 2\)"),
        ({"c": [1, 1], "A": [[0, np.inf]]}, "A must be finite, got inf in row 0 at column 1"),
        ({"c": [1], "A": "rows"}, "A must be a matrix of numbers"),
        ({"c": [1], "A": [[1]], "lower": 2, "upper": 1}, "lower of a linear model must be <= upper"),
        ({"c": [1], "bounds": (2, 1)}, "lb of a linear model must be <= ub, got 2.0 and 1.0"),
        ({"c": [1, 1], "bounds": [0, 1, 2]}, "bounds must be a tuple"),
        ({"c": [1], "integrality": 2}, "integrality must be 0 or 1, got 2: semi-continuous"),
        ({"c": [1], "sense": "maximum"}, "sense must be 'min' or 'max', got 'maximum'"),
        ({"c": [1], "direction": "up"}, "direction must be 'min' or 'max', got 'up'"),
        ({"c": [1, 1], "names": ["x", "x"]}, "names must be distinct, got 'x' twice"),
        ({"c": [1, 1], "names": ["x"]}, "names must be 2 strings, got 1"),
        ({"c": [1], "A": [[1]], "row_names": "r"}, "row_names must be 1 strings"),
        ({"c": [1], "constant": np.inf}, "constant must be a finite number"),
    ],
)
def test_bad_input(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message) as caught:
        MILP(**arguments)
    assert "\n" not in str(caught.value)


# -- the modelling layer -----------------------------------------------------------------------------------------------


def test_a_model_in_formulas() -> None:
    rng = np.random.default_rng(0)
    weights, values = rng.integers(1, 9, (3, 4)), rng.integers(1, 9, 4)
    m = Model("pack")
    x = m.binary("x", shape=4)
    y = m.integer("y", low=-2, high=7)
    z = m.real("z", shape=(2, 2), low=[[0, 1], [2, 3]], high=np.inf)
    m.add(weights @ x + 1 <= [19, 20, 21], "load")
    m.add(x.sum() == 2)
    m.add(3 - y >= z[0, 0] / 2, "link")
    m.add(z.sum(axis=0) <= 6 * x[:2])
    m.add(z[1] >= -1 + y)
    m.add(y <= np.inf)
    m.maximize(values @ x - 2 * y + sum(z[0]) + 4)
    p = m.build()
    assert p.names == ("x[0]", "x[1]", "x[2]", "x[3]", "y", "z[0,0]", "z[0,1]", "z[1,0]", "z[1,1]")
    assert p.row_names[:5] == ("load[0]", "load[1]", "load[2]", "row1", "link")
    assert p.c.tolist() == [*values, -2, 1, 1, 0, 0]
    assert p.constant == 4
    A = p.A.toarray()
    np.testing.assert_array_equal(A[:3, :4], weights)
    assert p.upper[:3].tolist() == [18, 19, 20]
    assert (A[3, :4].tolist(), p.lower[3], p.upper[3]) == ([1, 1, 1, 1], 2, 2)
    assert (A[4, 4], A[4, 5], p.lower[4]) == (-1, -0.5, -3)
    assert A[5].tolist() == [-6, 0, 0, 0, 0, 1, 0, 1, 0]
    assert (A[7].tolist(), p.lower[7]) == ([0, 0, 0, 0, -1, 0, 0, 1, 0], -1)
    assert p.lb.tolist() == [0, 0, 0, 0, -2, 0, 1, 2, 3]
    result = oe.solve(p)
    assert result.status == "optimal"
    assert (values @ x - 2 * y + z[0].sum() + 4).value(result.x) == pytest.approx(result.fun)
    assert x.value(result.x).shape == (4,)
    assert z.reshape(4).value(result.x).shape == (4,)


def test_what_a_model_does_not_take() -> None:
    m, other = Model(), Model()
    x, y = m.binary("x", shape=3), other.binary("x", shape=3)
    for wrong, message in (
        (lambda: x * x, "not linear"),
        (lambda: x + y, "of one model, got two"),
        (lambda: m.add(y <= 1), "of this model"),
        (lambda: m.add(x), "rows must come from comparing"),
        (lambda: bool(x <= 1), "no truth value"),
        (lambda: x != 1, "got !="),
        (lambda: x < 1, "got <"),
        (lambda: x > 1, "got >"),
        (lambda: m.minimize(x), r"one expression, got Expression of shape \(3,\)"),
        (lambda: m.binary("x"), "name of variables must be a new string, got 'x'"),
        (lambda: m.real(shape=0), "shape must be positive integers"),
        (lambda: m.real("q", low="a"), "low of 'q' must be numbers"),
        (lambda: m.real("w", shape=2, low=[1, 2, 3]), r"low of 'w' must fit shape \(2,\)"),
        (lambda: x * np.nan, "finite numbers"),
        (lambda: np.ones((2, 2)) @ x, r"matrix of shape \(2, 2\) must fit"),
        (lambda: Model().build(), "at least one variable"),
    ):
        with pytest.raises((ProblemError, TypeError), match=message):
            wrong()


# -- models of other libraries -----------------------------------------------------------------------------------------


def test_mathopt() -> None:
    mathopt = pytest.importorskip("ortools.math_opt.python.mathopt")
    m = mathopt.Model(name="mo")
    a, b = m.add_binary_variable(name="a"), m.add_variable(lb=-1, ub=3, name="b")
    dropped = m.add_variable(name="c")
    m.add_linear_constraint(a + 2 * b <= 4, name="r")
    m.delete_variable(dropped)
    m.maximize(a + b + 1)
    p = MILP.from_model(m)
    assert (p.name, p.names, p.row_names, p.constant) == ("mo", ("a", "b"), ("r",), 1)
    assert oe.solve(p).fun == pytest.approx(3.5)
    m.maximize(a * b)
    with pytest.raises(ProblemError, match="quadratic objective"):
        MILP.from_model(m)


def test_pulp_by_its_looks() -> None:
    class Terms(dict[Any, float]):
        constant, sense = 0.0, 0

    def terms(pairs: dict[Any, float], constant: float = 0.0, sense: int = 0) -> Terms:
        made = Terms(pairs)
        made.constant, made.sense = constant, sense
        return made

    class Variable(SimpleNamespace):
        __hash__ = object.__hash__

    LpProblem = type("LpProblem", (SimpleNamespace,), {"__module__": "pulp.pulp"})
    x = Variable(name="x", lowBound=0, upBound=1, cat="Integer")
    y = Variable(name="y", lowBound=None, upBound=4.0, cat="Continuous")
    model = LpProblem(
        name="p",
        sense=-1,
        objective=terms({x: 3.0, y: 1.0}, 2.0),
        constraints={"r": terms({x: 2.0, y: 1.0}, -5.0, -1), "s": terms({y: 1.0}, -1.0, 1)},
        variables=lambda: [x, y],
    )
    p = MILP.from_model(model)
    assert (p.lower.tolist(), p.upper.tolist()) == ([-np.inf, 1], [5, np.inf])
    assert (p.lb.tolist(), p.ub.tolist(), p.integrality.tolist()) == ([0, -np.inf], [1, 4], [True, False])
    assert oe.solve(p).fun == pytest.approx(8)


def test_linopy_by_its_looks() -> None:
    kind = type("Model", (SimpleNamespace,), {"__module__": "linopy.model"})
    matrices = SimpleNamespace(
        c=np.array([1.0, 2.0, -1.0]),
        A=sparse.csc_matrix([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [1.0, 0.0, 1.0]]),
        b=np.array([4.0, 1.0, 2.0]),
        sense=np.array(["<", ">", "="]),
        lb=np.array([0.0, -np.inf, 0.0]),
        ub=np.array([np.inf, 3.0, np.inf]),
        vtypes=np.array(["C", "I", "B"]),
    )
    p = MILP.from_model(kind(matrices=matrices, objective=SimpleNamespace(sense="max", is_quadratic=False)))
    assert (p.lower.tolist(), p.upper.tolist()) == ([-np.inf, 1, 2], [4, np.inf, 2])
    assert p.ub.tolist() == [np.inf, 3, 1]
    assert p.integrality.tolist() == [False, True, True]
    assert p.objectives[0].direction == "maximize"


def test_something_else_is_said() -> None:
    with pytest.raises(ProblemError, match=r"an OR-Tools MathOpt Model, .* got builtins.dict"):
        MILP.from_model({})
