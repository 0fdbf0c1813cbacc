"""Search spaces as users of scikit-learn write them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from scipy import stats

import optengine as oe
from optengine.core.errors import SpaceError
from optengine.integrations.sklearn_space import SearchSpace, variable_of


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ((1, 8), oe.Integer(1, 8)),
        ((0.5, 2), oe.Real(0.5, 2)),
        ((1, 100, "log-uniform"), oe.Integer(1, 100, log=True)),
        ((1e-3, 1.0, "log-uniform"), oe.Real(1e-3, 1.0, log=True)),
        ((0.0, 1.0, "uniform"), oe.Real(0, 1)),
        (["a", None, 3], oe.Categorical(["a", None, 3])),
        (np.array([1, 2]), oe.Categorical([1, 2])),
        (stats.uniform(2, 3), oe.Real(2, 5)),
        (stats.loguniform(1e-3, 1e2), oe.Real(1e-3, 1e2, log=True)),
        (stats.randint(2, 9), oe.Integer(2, 8)),
        (oe.Ordinal([1, 2, 4]), oe.Ordinal([1, 2, 4])),
    ],
)
def test_what_is_understood(given: Any, variable: Any) -> None:
    read, way = variable_of("p", given)
    assert read == variable
    assert way is None


@pytest.mark.parametrize(
    ("distribution", "kind"),
    [(stats.gamma(2.0), float), (stats.norm(1.0, 2.0), float), (stats.poisson(4.0), int)],
)
def test_other_distributions_are_searched_by_their_quantiles(distribution: Any, kind: type) -> None:
    search = SearchSpace({"p": distribution})
    X = search.space.sample(400, np.random.default_rng(0))
    values = [search.parameters(x)["p"] for x in search.space.decode(X)]
    assert all(type(value) is kind for value in values)
    assert stats.kstest(values, distribution.cdf).pvalue > 0.01 if kind is float else True
    assert np.mean(values) == pytest.approx(distribution.mean(), abs=0.25 * distribution.std())
    copy.deepcopy(search)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"C": ("a", "b")}, "choices are written as a list"),
        ({"C": (1, 2, "log")}, "must be .low, high. or"),
        ({"C": (2.0, 1.0)}, "low of Real must be <= high"),
        ({"C": (-1.0, 1.0, "log-uniform")}, "low of Real must be > 0"),
        ({"C": []}, "at least one value"),
        ({"C": 3}, "must be a variable, a frozen SciPy distribution"),
        ({"C": stats.norm}, "frozen"),
        ({3: (1, 2)}, "name parameters by strings"),
        ({}, "at least one parameter"),
        ([], "at least one dict"),
        ([3], "must be a dict"),
        (oe.Space([(0, 1)]), "must name its parameters"),
        ("C", "must be a Space, a dict or a list of dicts"),
        ([{"a": (0, 1)}, {"alternative": (0, 1)}], "must not name a parameter 'alternative'"),
    ],
)
def test_what_is_not_understood_says_what_would_be(given: Any, says: str) -> None:
    with pytest.raises(SpaceError, match=says):
        SearchSpace(given)


def test_alternatives_become_a_choice_with_conditions() -> None:
    search = SearchSpace(
        [
            {"clf": ["svm"], "clf__C": (0.1, 10.0), "scale": [True, False]},
            {"clf": ["forest"], "clf__C": (1, 5), "clf__depth": stats.gamma(2.0), "scale": [True, False]},
        ]
    )
    assert search.space.names == (
        "alternative",
        "clf#0",
        "clf__C#0",
        "scale",
        "clf#1",
        "clf__C#1",
        "clf__depth",
    )
    seen = set()
    for x in search.space.decode(search.space.sample(60, np.random.default_rng(0))):
        named = search.parameters(x)
        seen.add(named["clf"])
        wanted = {"clf", "clf__C", "scale"} | ({"clf__depth"} if named["clf"] == "forest" else set())
        assert set(named) == wanted
        assert type(named["clf__C"]) is (float if named["clf"] == "svm" else int)
    assert seen == {"svm", "forest"}


def test_conditions_inside_alternatives_are_kept() -> None:
    svm = oe.Space(
        kernel=oe.Categorical(["rbf", "poly"]),
        degree=oe.Integer(2, 5, when=("kernel", "poly")),
        C=oe.Real(1, 2),
    )
    search = SearchSpace([svm, {"kernel": ["linear"], "C": (3.0, 4.0)}])
    for x in search.space.decode(search.space.sample(80, np.random.default_rng(0))):
        named = search.parameters(x)
        assert ("degree" in named) == (named["kernel"] == "poly")
        assert named["C"] <= 2 or named["kernel"] == "linear"


def test_one_alternative_is_no_choice() -> None:
    search = SearchSpace([{"C": stats.gamma(2.0)}])
    assert search.space.names == ("C",)
    assert search.parameters({"C": 0.5})["C"] == pytest.approx(stats.gamma(2.0).median())
