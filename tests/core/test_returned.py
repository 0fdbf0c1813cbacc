"""What an objective may return, and what it may not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from optengine import Constraint, Failed, Problem, ProblemError
from optengine.core.evaluation import Evaluation

ONE = np.zeros((1, 1))
THREE = np.array([[0.0], [0.5], [1.0]])


def one(**settings: Any) -> Any:
    return lambda returned: Problem(lambda x: returned, [(0, 1)], **settings).evaluate(ONE)


def batch(**settings: Any) -> Any:
    return lambda returned: Problem(lambda x: returned, [(0, 1)], vectorized=True, **settings).evaluate(THREE)


PLAIN, TWO, BOUND = (
    one(),
    one(objectives=["cost", "co2"]),
    one(objectives="cost", constraints=["heat", "flow"]),
)


@pytest.mark.parametrize(
    ("read", "returned", "words"),
    [
        (PLAIN, "0.5", ("must return a number", "'0.5' (str)", "[0.]")),
        (PLAIN, b"1", ("must return a number", "bytes")),
        (PLAIN, [1.0, 2.0], ("must return a number", "(2,)")),
        (PLAIN, np.ones((3, 3)), ("must return a number", "(3, 3)")),
        (PLAIN, [], ("must return a number", "(0,)")),
        (PLAIN, object(), ("must return a number", "object")),
        (PLAIN, 1j, ("must return a number", "complex")),
        (PLAIN, np.complex128(1j), ("must return a number", "complex")),
        (PLAIN, np.array([1j]), ("must return a number", "1.j")),
        (PLAIN, [[1.0], [2.0, 3.0]], ("must return a number",)),
        (PLAIN, {"a": 1, "b": 2}, ("no value for 'objective'", "['a', 'b']")),
        (PLAIN, {}, ("no value for 'objective'", "[]")),
        (PLAIN, {"objective": "x"}, ("one number for 'objective'", "'x' (str)")),
        (PLAIN, {"objective": [1, 2]}, ("one number for 'objective'", "[1, 2]")),
        (PLAIN, {"objective": 1j}, ("one number for 'objective'", "complex")),
        (PLAIN, {"objective": 1, "noise": "much"}, ("noise", "'much'")),
        (PLAIN, {"objective": 1, "noise": [1, 2]}, ("noise", "[1, 2]")),
        (PLAIN, {"objective": 1, "cost": "much"}, ("'cost'", "'much'")),
        (TWO, 1.0, ("a sequence of 2 numbers", "()")),
        (TWO, [1.0], ("a sequence of 2 numbers", "(1,)")),
        (TWO, [[1.0, 2.0]], ("a sequence of 2 numbers", "(1, 2)")),
        (TWO, {"cost": 1, "co": 2}, ("no value for 'co2'", "did you mean 'co'")),
        (BOUND, 1.0, ("a dict with ['cost', 'heat', 'flow']", "1.0 (float)")),
        (BOUND, {"cost": 1.0, "heat": 0.0}, ("no value for 'flow'", "['cost', 'heat']")),
    ],
)
def test_what_breaks_the_contract_is_said_in_one_sentence(
    clear: Any, read: Any, returned: Any, words: tuple[str, ...]
) -> None:
    with clear(ProblemError, *words):
        read(returned)


NAN = float("nan")


@pytest.mark.parametrize(
    ("read", "returned"),
    [
        (PLAIN, None),
        (PLAIN, NAN),
        (PLAIN, np.float32("nan")),
        (PLAIN, [NAN]),
        (PLAIN, Failed("leak")),
        (PLAIN, {"objective": NAN}),
        (PLAIN, {"objective": None}),
        (TWO, [1.0, NAN]),
        (TWO, [None, 1.0]),
        (TWO, None),
        (TWO, NAN),
        (BOUND, {"cost": 1.0, "heat": NAN, "flow": 0.0}),
        (BOUND, {"cost": NAN, "heat": 0.0, "flow": 0.0}),
        (BOUND, Failed()),
    ],
)
def test_no_value_is_a_failed_evaluation(read: Any, returned: Any) -> None:
    evaluation: Evaluation = read(returned)
    assert evaluation.failed.tolist() == [True]
    assert np.isnan(evaluation.F).all()
    assert np.isnan(evaluation.G).all()
    assert evaluation.violation.tolist() == [np.inf]


def test_reasons_say_what_was_missing() -> None:
    problem = Problem(lambda x: 0.0, [(0, 1)], objectives=["cost"], constraints=["heat"])
    assert problem.read(None).reason == "the objective returned None"
    assert problem.read(Failed("leak")).reason == "leak"
    assert problem.read(Failed()).reason == "told as failed"
    assert problem.read({"cost": NAN, "heat": NAN}).reason == "the objective returned NaN for cost, heat"
    assert problem.read({"cost": 1, "heat": 1}).reason is None


@pytest.mark.parametrize("returned", [2, np.uint8(2), np.int64(2), Decimal(2), np.array([2]), 2.0])
def test_numbers_of_all_kinds_are_read(returned: Any) -> None:
    assert PLAIN(returned).F.tolist() == [[2.0]]
    assert PLAIN(True).F.tolist() == [[1.0]]


def test_infinite_values_are_values() -> None:
    evaluation = Problem(lambda x: [-np.inf, np.inf, 0.0], [(0, 1)], vectorized=True).evaluate(THREE)
    assert evaluation.F[:, 0].tolist() == [-np.inf, np.inf, 0.0]
    assert not evaluation.failed.any()
    assert PLAIN(float("inf")).F.tolist() == [[np.inf]]


@pytest.mark.parametrize(
    ("settings", "returned", "words"),
    [
        ({}, 1.0, ("array of shape (3,)", "1.0")),
        ({}, [1.0, 2.0], ("array of shape (3,)", "[1.0, 2.0]")),
        ({}, np.ones((3, 2)), ("array of shape (3,)",)),
        ({}, np.ones(100), ("array of shape (3,)", "ndarray of shape (100,)")),
        ({}, None, ("array of shape (3,)", "None")),
        ({}, ["a", "b", "c"], ("array of shape (3,)", "'a'")),
        ({}, ["1", "2", "3"], ("array of shape (3,)", "'1'")),
        ({}, np.ones(3) * 1j, ("array of shape (3,)", "1.j")),
        ({"objectives": ["a", "b"]}, np.ones(3), ("array of shape (3, 2)",)),
        ({"objectives": ["a", "b"]}, {"a": np.ones(3)}, ("no 'b'", "['a']")),
        ({"objectives": ["a"]}, {"a": np.ones(2)}, ("3 numbers for 'a'",)),
        ({"objectives": ["a"]}, {"a": ["x", "y", "z"]}, ("3 numbers for 'a'", "'x'")),
        ({"objectives": ["a"]}, {"a": np.ones(3), "noise": np.ones(2)}, ("noise", "3")),
        ({"objectives": ["a"]}, {"a": np.ones(3), "cost": np.ones(2)}, ("3 numbers for 'cost'",)),
        ({"constraints": ["g"]}, np.ones(3), ("a dict with ['objective', 'g']",)),
        ({"constraints": ["g"]}, {"f": np.ones(3)}, ("no 'g'",)),
    ],
)
def test_batches_of_another_shape_are_refused(
    clear: Any, settings: dict[str, Any], returned: Any, words: tuple[str, ...]
) -> None:
    with clear(ProblemError, *words):
        batch(**settings)(returned)


def test_rows_of_a_batch_fail_one_by_one() -> None:
    read = batch(
        objectives=["a", "b"], constraints=[Constraint("g", 1, 2)], direction=["minimize", "maximize"]
    )
    evaluation = read(
        {"a": [1, NAN, 3], "b": np.array([[4.0], [5], [6]]), "g": [1.5, 0, NAN], "noise": [[1, 2]] * 3}
    )
    assert evaluation.failed.tolist() == [False, True, True]
    assert evaluation.F[0].tolist() == [1, -4]
    assert evaluation.G[0].tolist() == [-0.5]
    assert np.isnan(evaluation.F[1:]).all()
    assert np.isnan(evaluation.G[1:]).all()
    assert evaluation.noise is not None
    assert evaluation.noise.shape == (3, 2)
    one_noise = batch()({"anything": np.ones(3), "noise": 0.5})
    assert one_noise.noise is not None
    assert one_noise.noise.tolist() == [[0.5]] * 3


def test_rows_and_batches_mix() -> None:
    problem = Problem(lambda x: x[:, 0], [(0, 1)], vectorized=True)
    evaluation = problem.collect([problem.measure(THREE[1]), problem.failure(), problem.measure(THREE[2])])
    assert evaluation.failed.tolist() == [False, True, False]
    assert evaluation.F[[0, 2], 0].tolist() == [0.5, 1.0]
    assert len(problem.collect([])) == 0
