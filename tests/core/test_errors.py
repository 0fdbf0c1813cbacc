"""Errors: their families, their hints, their way through pickle."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import optengine as oe
from optengine.core.errors import did_you_mean, require
from optengine.core.lazy import attach

FAMILIES = [
    (oe.SpaceError, ValueError),
    (oe.ProblemError, ValueError),
    (oe.OptionError, ValueError),
    (oe.SolverNotSuitable, ValueError),
    (oe.EvaluationFailed, RuntimeError),
    (oe.StorageError, OSError),
    (oe.DeviceError, RuntimeError),
    (oe.MissingDependency, ImportError),
]


@pytest.mark.parametrize(("kind", "builtin"), FAMILIES)
def test_every_error_is_also_the_nearest_builtin(kind: Any, builtin: type[BaseException]) -> None:
    error = kind("one line\nand  another")
    assert isinstance(error, builtin)
    assert isinstance(error, oe.OptEngineError)
    assert str(error) == "one line and  another"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)


def test_hints() -> None:
    assert did_you_mean("populaton", ["population", "seed"]) == "; did you mean 'population'?"
    assert did_you_mean("xyz", ["population"]) == ""
    assert did_you_mean("a", []) == ""


def test_missing_packages_name_the_extra(clear: Any) -> None:
    assert require("math", "none").sqrt(4) == 2
    with clear(oe.MissingDependency, "no_such_package", "pip install 'optengine[gpu]'"):
        require("no_such_package", extra="gpu")


def test_names_load_late() -> None:
    resolve, listing, public = attach("optengine.core", {"optengine.core.errors": ["require"]}, ["space"])
    assert public == ["require", "space"]
    assert {"require", "space"} <= set(listing())
    assert resolve("require") is require
    assert resolve("space").Space is oe.Space
    with pytest.raises(AttributeError, match="did you mean 'require'"):
        resolve("requir")
