"""Variables: what they refuse, and that they are known again."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from optengine import Binary, Categorical, Integer, Ordinal, Permutation, Real, Simplex, SpaceError, Subset
from optengine.core.levels import from_plain, index_of, plain
from optengine.core.variables import Variable


class Kernel:
    """A choice without a repr of its own."""

    def __init__(self, width: int) -> None:
        self.width = width

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Kernel) and other.width == self.width

    def __hash__(self) -> int:
        return self.width


VARIABLES: list[Variable] = [
    Real(0, 1),
    Real(1e-5, 1e-1, log=True),
    Real([0, 1], [2, 3]),
    Real(0, 1, shape=(2, 3), when=("kind", "svm")),
    Real(1, 8, fidelity=True, target=4),
    Integer(-3, 12),
    Integer(1, 1000, log=True, when={"kind": ["svm", "knn"], "deep": True}),
    Integer([0, 1], 5),
    Categorical(["gini", "entropy", None, 1, 1.5, True, ("a", 2)]),
    Categorical(["a", "c"], shape=3),
    Ordinal(["low", "mid", "high"]),
    Ordinal([[1, 2, 4], [8, 16]]),
    Ordinal([0.1, 0.5, 1.0], fidelity=True),
    Binary(),
    Binary(shape=(2, 2), when=("kind", "svm")),
    Permutation(5),
    Permutation(3, shape=2),
    Subset(6),
    Subset(6, 2),
    Subset(6, (1, 4), shape=2),
    Simplex(4),
]


@pytest.mark.parametrize("variable", VARIABLES, ids=repr)
def test_equal_descriptions_are_equal_variables(variable: Variable) -> None:
    twin = pickle.loads(pickle.dumps(variable))
    assert twin == variable
    assert hash(twin) == hash(variable)
    assert repr(twin) == repr(variable)
    assert json.loads(json.dumps(variable.fingerprint())) == variable.fingerprint()
    assert [other for other in VARIABLES if other == variable] == [variable]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Real(2, 1), ("low", "high", "2", "1")),
        (lambda: Real([0, 5], [1, 4]), ("low", "high", "5", "4")),
        (lambda: Real(float("nan"), 1), ("low of Real", "finite", "nan")),
        (lambda: Real(0, float("inf")), ("high of Real", "finite", "inf")),
        (lambda: Real(0, None), ("high of Real", "None")),
        (lambda: Real("a", 1), ("low of Real", "'a'")),
        (lambda: Real("0", "1"), ("low of Real", "'0'")),
        (lambda: Real(-1.7e308, 1.7e308), ("Real", "high - low")),
        (lambda: Real([0, 1], [1, 2, 3]), ("low and high", "[0, 1]", "[1, 2, 3]")),
        (lambda: Real([0, 1], 3, shape=3), ("low of Real", "(3,)", "[0, 1]")),
        (lambda: Real(0, 1, log=True), ("low of Real", "log", "0")),
        (lambda: Real([1, -1], 2, log=True), ("low of Real", "log", "-1")),
        (lambda: Real(0.5, 1, log="yes"), ("log of Real", "'yes'")),
        (lambda: Real(0, 1, shape=0), ("shape of Real", "0")),
        (lambda: Real(0, 1, shape=(2, -1)), ("shape of Real", "(2, -1)")),
        (lambda: Real(0, 1, shape=1.5), ("shape of Real", "1.5")),
        (lambda: Real(0, 1, shape="ab"), ("shape of Real", "'ab'")),
        (lambda: Real(0, 1, when="kind"), ("when of Real", "'kind'")),
        (lambda: Real(0, 1, when=(1, 2)), ("when of Real", "(1, 2)")),
        (lambda: Real(0, 1, when=[]), ("when of Real", "[]")),
        (lambda: Real(0, 1, target=1), ("target of Real", "fidelity=True")),
        (lambda: Real(0, 1, fidelity=True, target=2), ("target of Real", "[0.0, 1.0]", "2")),
        (lambda: Real(0, 1, fidelity=True, target="x"), ("target of Real", "'x'")),
        (lambda: Real(0, 1, fidelity=True, shape=2), ("fidelity", "(2,)")),
        (lambda: Integer(5, 1), ("low of Integer", "5", "1")),
        (lambda: Integer(0.5, 3), ("Integer", "whole", "0.5")),
        (lambda: Integer(0, 2**60), ("Integer", "2**53")),
        (lambda: Integer(0, 5, log=True), ("low of Integer", "log", "0")),
        (lambda: Integer(0, 5, fidelity=True, target=2.5), ("target of Integer", "2.5")),
        (lambda: Categorical([]), ("choices of Categorical", "[]")),
        (lambda: Categorical("abc"), ("choices of Categorical", "'abc'")),
        (lambda: Categorical(7), ("choices of Categorical", "7")),
        (lambda: Categorical({"a": 1}), ("choices of Categorical", "{'a': 1}")),
        (lambda: Categorical(["a", "b", "a"]), ("choices of Categorical", "'a'", "twice")),
        (lambda: Categorical([1, float("nan")]), ("choices of Categorical", "NaN")),
        (
            lambda: Categorical([np.arange(2), np.arange(2)]),
            ("choices of Categorical", "array([0, 1])", "twice"),
        ),
        (lambda: Categorical([lambda: 1, 2]), ("choices of Categorical", "picklable")),
        (lambda: Ordinal([]), ("levels of Ordinal", "[]")),
        (lambda: Ordinal("abc"), ("levels of Ordinal", "'abc'")),
        (lambda: Ordinal(3), ("levels of Ordinal", "3")),
        (lambda: Ordinal([1, 2, 2]), ("levels of Ordinal", "2", "twice")),
        (lambda: Ordinal([[1, 2], [3]], shape=3), ("levels of Ordinal", "(3,)", "2")),
        (lambda: Ordinal([1, 2], fidelity=True, target=3), ("target of Ordinal", "[1, 2]", "3")),
        (lambda: Ordinal(["a", "b"], fidelity=True), ("fidelity", "numbers", "'a'")),
        (lambda: Ordinal([1, 2], fidelity=True, when=("a", 1)), ("fidelity", "unconditional")),
        (lambda: Ordinal([1, 2], target=2), ("target of Ordinal", "fidelity=True")),
        (lambda: Binary(shape=-1), ("shape of Binary", "-1")),
        (lambda: Permutation(0), ("n of Permutation", "0")),
        (lambda: Permutation(2.5), ("n of Permutation", "2.5")),
        (lambda: Permutation(True), ("n of Permutation", "True")),
        (lambda: Simplex("3"), ("n of Simplex", "'3'")),
        (lambda: Subset(-1), ("n of Subset", "-1")),
        (lambda: Subset(3, 4), ("size of Subset", "0..3", "4")),
        (lambda: Subset(3, (2, 1)), ("size of Subset", "(2, 1)")),
        (lambda: Subset(3, (0, 1, 2)), ("size of Subset", "(0, 1, 2)")),
        (lambda: Subset(3, 1.5), ("size of Subset", "1.5")),
    ],
)
def test_bad_variables_are_refused_in_one_sentence(clear: Any, make: Any, words: tuple[str, ...]) -> None:
    with clear(SpaceError, *words):
        make()


def test_long_values_stay_on_one_line(clear: Any) -> None:
    with clear(SpaceError, "low of Real"):
        Real(np.arange(60.0), np.zeros(60))


def test_conditions_given_as_sets_have_one_order() -> None:
    """The order of a set of strings changes from process to process, and a journal must know the space again."""
    code = (
        "from optengine import Real; import json;"
        "print(json.dumps(Real(0, 1, when=('k', {'svm', 'knn', 'tree', 'ridge'})).fingerprint()))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(seen) == 1


def test_choices_without_a_repr_have_a_lasting_fingerprint() -> None:
    """An address in memory is no name: it differs in the process that resumes."""
    variable = Categorical([Kernel(1), Kernel(2), np.sqrt, json.dumps, Kernel])
    text = json.dumps(variable.fingerprint())
    assert " at 0x" not in text
    assert len(set(variable.fingerprint()["choices"])) == 5
    assert variable == Categorical([Kernel(1), Kernel(2), np.sqrt, json.dumps, Kernel])
    assert variable != Categorical([Kernel(1), Kernel(3), np.sqrt, json.dumps, Kernel])


def test_levels_of_equal_value_and_other_kind_are_told_apart() -> None:
    levels = Categorical([1, True, 1.0, "1"]).choices
    assert [index_of(v, levels) for v in (1, True, 1.0, "1")] == [0, 1, 2, 3]
    assert index_of(2.0, [1, 2]) == 1
    assert index_of("2", [1, 2]) == -1
    assert index_of(np.arange(2), [1, 2]) == -1


@pytest.mark.parametrize("value", [None, True, 3, 2.5, "a", (1, ("b", None)), [1, 2]])
def test_plain_values_come_back(value: object) -> None:
    assert from_plain(json.loads(json.dumps(plain(value)))) == value


def test_numpy_levels_become_pythons_own() -> None:
    assert [type(c) for c in Categorical(np.array([1, 2])).choices] == [int, int]
    assert [type(c) for c in Ordinal(np.array([0.5, 2.0])).levels()] == [float, float]
