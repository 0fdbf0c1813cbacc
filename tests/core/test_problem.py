"""Problems: the forms in which an objective is called, and what a problem refuses."""

from __future__ import annotations

import functools
import json
import pickle
from typing import Any

import numpy as np
import pytest

from optengine import (
    Binary,
    Categorical,
    Constraint,
    EvaluationFailed,
    Integer,
    Objective,
    Permutation,
    Problem,
    ProblemError,
    Real,
    Space,
    SpaceError,
)

AB = Space(a=Real(0, 1), b=Integer(0, 9))


def keywords(a: float, b: int) -> float:
    return a + b


def keywords_only(*, a: float, b: int, scale: float = 1.0) -> float:
    return scale * (a + b)


def anything(**x: Any) -> float:
    return float(x["a"] + x["b"])


def some_and_anything(a: float, **x: Any) -> float:
    return float(a + x["b"])


def one_dict(x: dict[str, Any]) -> float:
    return float(x["a"] + x["b"])


def dict_and_settings(x: dict[str, Any], scale: float = 1.0) -> float:
    return scale * float(x["a"] + x["b"])


def positional(x: dict[str, Any], /) -> float:
    return float(x["a"] + x["b"])


def star(*x: Any) -> float:
    return float(x[0]["a"] + x[0]["b"])


def scaled(scale: float, a: float, b: int) -> float:
    return scale * (a + b)


class Model:
    def __call__(self, a: float, b: int) -> float:
        return a + b

    def loss(self, x: dict[str, Any]) -> float:
        return float(x["a"] + x["b"])


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (keywords, "kwargs"),
        (keywords_only, "kwargs"),
        (anything, "kwargs"),
        (some_and_anything, "kwargs"),
        (functools.partial(scaled, 1.0), "kwargs"),
        (Model(), "kwargs"),
        (lambda a, b: a + b, "kwargs"),
        (one_dict, "dict"),
        (dict_and_settings, "dict"),
        (positional, "dict"),
        (star, "dict"),
        (Model().loss, "dict"),
    ],
)
def test_forms_of_call_are_found(function: Any, call: str) -> None:
    problem = Problem(function, AB)
    assert problem.call == call
    evaluation = problem.evaluate(AB.encode([{"a": 0.5, "b": 3}, {"a": 1, "b": 0}]))
    assert evaluation.F.tolist() == [[3.5], [1.0]]
    assert not evaluation.failed.any()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda a, b, c: a, ("requires ['c']", "call=")),
        (lambda: 0.0, ("does not accept ['a', 'b']",)),
        (lambda x, y: 0.0, ("requires ['x', 'y']",)),
    ],
)
def test_a_form_that_fits_nothing_is_refused(clear: Any, function: Any, words: tuple[str, ...]) -> None:
    with clear(ProblemError, *words):
        Problem(function, AB)


def test_forms_said_by_the_user_win() -> None:
    def either(a: Any = None, b: Any = None) -> float:
        return float(a["a"] if isinstance(a, dict) else a)

    X = AB.encode({"a": 0.25, "b": 1})
    assert Problem(either, AB).call == "kwargs"
    assert Problem(either, AB, call="dict").evaluate(X).F[0, 0] == 0.25
    assert Problem(lambda row: float(row[1]), AB, call="encoded").evaluate(X).F[0, 0] == 1.0
    assert Problem(max, AB).call in ("dict", "kwargs")  # a builtin without a signature gets one dict


def test_arrays_for_bounds_and_single_variables() -> None:
    bounds = Problem(lambda x: float(x.sum()), [(0, 1), (0, 1)])
    assert bounds.call == "array"
    assert bounds.evaluate(np.array([[0.5, 0.25]])).F[0, 0] == 0.75
    order = Problem(lambda x: int(x[0]), Permutation(4))
    assert order.evaluate(np.array([[2.0, 0, 1, 3]])).F[0, 0] == 2
    encoded = Problem(lambda X: X[:, 0], Permutation(4), call="encoded", vectorized=True)
    assert encoded.evaluate(np.array([[2.0, 0, 1, 3], [1, 0, 2, 3]])).F.tolist() == [[2], [1]]


def test_inactive_variables_are_absent_or_none() -> None:
    space = Space(kind=Categorical(["svm", "knn"]), c=Real(1, 2, when=("kind", "svm")))
    seen: list[Any] = []
    X = space.encode([{"kind": "knn"}, {"kind": "svm", "c": 2}])
    Problem(lambda kind, c: seen.append((kind, c)) or 0.0, space).evaluate(X)
    Problem(lambda x: seen.append(x) or 0.0, space).evaluate(X)
    assert seen == [("knn", None), ("svm", 2.0), {"kind": "knn"}, {"kind": "svm", "c": 2.0}]


@pytest.mark.parametrize("call", ["kwargs", "dict"])
def test_vectorized_functions_get_columns(call: str) -> None:
    X = AB.encode([{"a": 0.5, "b": 3}, {"a": 1, "b": 0}])
    if call == "kwargs":
        problem = Problem(lambda a, b: a + b, AB, vectorized=True)
    else:
        problem = Problem(lambda x: x["a"] + x["b"], AB, vectorized=True)
    assert problem.call == call
    assert problem.evaluate(X).F.tolist() == [[3.5], [1.0]]
    assert problem.measure(X[0]).F.tolist() == [[3.5]]


def test_an_objective_that_writes_into_its_argument_harms_nobody() -> None:
    def rude(x: Any) -> Any:
        x *= 2
        return x.sum(axis=-1)

    X = np.array([[0.5, 0.25], [1.0, 0.0]])
    for vectorized in (False, True):
        before = X.copy()
        assert Problem(rude, [(0, 1)] * 2, vectorized=vectorized).evaluate(X).F.tolist() == [[1.5], [2.0]]
        assert np.array_equal(X, before)


def test_directions_and_constraints_are_turned_to_minimising() -> None:
    def plant(a: float, b: int) -> dict[str, float]:
        return {"cost": a, "yield": b, "heat": a - 0.5, "flow": b}

    problem = Problem(
        plant,
        AB,
        objectives=["cost", Objective("yield", "maximize")],
        constraints=["heat", Constraint("flow", 2, 5)],
    )
    evaluation = problem.evaluate(AB.encode([{"a": 0.25, "b": 3}, {"a": 1, "b": 7}]))
    assert evaluation.F.tolist() == [[0.25, -3], [1, -7]]
    assert evaluation.G.tolist() == [[-0.25, -1], [0.5, 2]]
    assert evaluation.violation.tolist() == [0, 2.5]
    assert problem.signs.tolist() == [1, -1]
    assert (problem.n_objectives, problem.n_constraints) == (2, 2)
    assert json.loads(json.dumps(problem.fingerprint())) == problem.fingerprint()
    assert "maximize yield" in repr(problem)


@pytest.mark.parametrize(
    "returned",
    [
        1.5,
        np.float64(1.5),
        np.float32(1.5),
        np.array(1.5),
        [1.5],
        np.array([1.5]),
        {"objective": 1.5},
        {"loss": 1.5},
    ],
)
def test_ways_to_return_one_number(returned: Any) -> None:
    evaluation = Problem(lambda x: returned, [(0, 1)]).evaluate(np.zeros((1, 1)))
    assert evaluation.F.tolist() == [[1.5]]
    maximised = Problem(lambda x: returned, [(0, 1)], direction="maximize").evaluate(np.zeros((1, 1)))
    assert maximised.F.tolist() == [[-1.5]]


def test_noise_and_cost_travel_with_the_value() -> None:
    problem = Problem(lambda a, b: {"loss": a, "noise": 0.1, "cost": b}, AB)
    evaluation = problem.evaluate(AB.encode([{"a": 0.5, "b": 3}, {"a": 1, "b": 2}]))
    assert evaluation.noise is not None
    assert evaluation.noise.tolist() == [[0.1], [0.1]]
    assert evaluation.cost is not None
    assert evaluation.cost.tolist() == [3, 2]
    known = Problem(lambda a, b: a, AB, cost=lambda x: x["b"] / 2).evaluate(AB.encode({"a": 0, "b": 3}))
    assert known.cost is not None
    assert known.cost.tolist() == [1.5]
    batch = Problem(lambda a, b: {"f": a, "noise": a / 10, "cost": b}, AB, vectorized=True, cost=None)
    wide = batch.evaluate(AB.encode([{"a": 0.5, "b": 3}, {"a": 1, "b": 2}]))
    assert wide.noise is not None
    assert wide.cost is not None
    assert wide.noise.tolist() == [[0.05], [0.1]]
    assert wide.cost.tolist() == [3, 2]
    fixed = Problem(lambda a, b: a, AB, vectorized=True, cost=2).evaluate(AB.encode({"a": 0, "b": 3}))
    assert fixed.cost is not None
    assert fixed.cost.tolist() == [2]
    named = Problem(lambda a, b: {"cost": a, "noise": b}, AB, objectives="cost", constraints="noise")
    taken = named.evaluate(AB.encode({"a": 0.5, "b": 3}))
    assert taken.cost is None
    assert taken.G.tolist() == [[3]]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Problem(5, AB), ("function", "5")),
        (lambda: Problem(keywords, 5), ("space", "5")),
        (lambda: Problem(keywords, AB, direction="down"), ("direction", "'down'")),
        (lambda: Problem(keywords, AB, direction=None), ("direction", "None")),
        (lambda: Problem(keywords, AB, objectives=["a", "b"], direction=["minimize"]), ("direction", "2")),
        (lambda: Problem(keywords, AB, objectives=[]), ("objectives", "at least one")),
        (lambda: Problem(keywords, AB, objectives=["f", "f"]), ("objectives", "distinct", "'f'")),
        (lambda: Problem(keywords, AB, objectives=[3]), ("objectives", "3")),
        (lambda: Problem(keywords, AB, objectives=3), ("objectives", "3")),
        (lambda: Problem(keywords, AB, objectives=[""]), ("Objective", "''")),
        (lambda: Problem(keywords, AB, objectives=["f"], constraints=["f"]), ("distinct", "'f'")),
        (lambda: Problem(keywords, AB, constraints=[keywords]), ("constraints", "keywords", "space")),
        (lambda: Problem(keywords, AB, constraints=7), ("constraints", "7")),
        (lambda: Problem(keywords, AB, call="keywords"), ("call", "'keywords'", "did you mean 'kwargs'")),
        (lambda: Problem(keywords, AB, call="array"), ("call='array'", "named")),
        (lambda: Problem(lambda x: 0.0, [(0, 1)], call="dict"), ("call", "'array'", "'dict'")),
        (lambda: Problem(keywords, AB, array="torch"), ("array", "'torch'")),
        (lambda: Problem(keywords, AB, cost="2"), ("cost", "'2'")),
        (lambda: Constraint("c", 2, 1), ("'c'", "2", "1")),
        (lambda: Constraint("c", upper=float("inf")), ("'c'", "finite", "inf")),
        (lambda: Constraint("c", upper="x"), ("'c'", "'x'")),
        (lambda: Constraint("c", float("nan")), ("'c'", "nan")),
        (lambda: Constraint(""), ("Constraint", "''")),
        (lambda: Objective("f", "up"), ("'f'", "'up'")),
        (lambda: Objective(3), ("Objective", "3")),
    ],
)
def test_bad_problems_are_refused_in_one_sentence(clear: Any, make: Any, words: tuple[str, ...]) -> None:
    with clear((ProblemError, SpaceError), *words):
        make()


def test_nothing_given_means_nothing() -> None:
    problem = Problem(keywords, AB, constraints=None, objectives=None)
    assert problem.n_constraints == 0
    assert problem.objectives == (Objective("objective"),)
    assert problem.name == "keywords"
    assert problem.describe({"a": 0.0, "b": 1}) == {}


def test_errors_of_the_objective_name_the_candidate(clear: Any) -> None:
    def broken(a: float, b: int) -> float:
        raise ValueError("pipe\nburst")

    def silent(x: Any) -> Any:
        raise RuntimeError

    with clear(EvaluationFailed, "ValueError: pipe burst", "{'a': 0.5, 'b': 3}") as caught:
        Problem(broken, AB).evaluate(AB.encode({"a": 0.5, "b": 3}))
    assert caught.value.candidate == {"a": 0.5, "b": 3}
    assert isinstance(caught.value.__cause__, ValueError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.candidate) == (str(caught.value), {"a": 0.5, "b": 3})
    with clear(EvaluationFailed, "RuntimeError", "2 candidates"):
        Problem(silent, [(0, 1)], vectorized=True).evaluate(np.zeros((2, 1)))


def test_a_cost_that_raises_is_an_evaluation_that_failed(clear: Any) -> None:
    for vectorized in (False, True):
        problem = Problem(lambda a, b: a, AB, cost=lambda x: x["c"], vectorized=vectorized)
        with clear(EvaluationFailed, "cost", "KeyError"):
            problem.evaluate(AB.encode({"a": 0.5, "b": 3}))


def test_moves_are_offered_or_refused(clear: Any) -> None:
    problem = Problem(keywords, AB)
    assert problem.moves == ()
    with clear(ProblemError, "no moves", "'swap'"):
        problem.delta(AB.encode({"a": 0, "b": 0})[0], "swap", np.zeros((1, 2), dtype=np.int64))


def test_device_objectives_say_what_is_missing(clear: Any) -> None:
    problem = Problem(lambda x: x.sum(axis=1), [(0, 1)], array="cupy")
    assert problem.vectorized
    try:
        import cupy

        available = bool(cupy.cuda.is_available())
    except ImportError:
        available = False
    if available:
        assert problem.evaluate(np.ones((2, 1))).F.tolist() == [[1], [1]]
    else:
        with pytest.raises((ImportError, RuntimeError), match="cupy"):
            problem.evaluate(np.ones((2, 1)))
    assert Problem(lambda x: float(x[0]), [(0, 1)], array="numba").call == "array"


def test_flags_stay_flags() -> None:
    seen: list[Any] = []
    problem = Problem(
        lambda on, grid: seen.append((on, grid)) or 0.0, Space(on=Binary(), grid=Binary(shape=2))
    )
    problem.evaluate(np.array([[1.0, 0, 1]]))
    assert seen[0][0] is True
    assert seen[0][1].tolist() == [0, 1]
