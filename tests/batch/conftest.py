"""Problems that are quick, and that travel to workers: functions made inside functions are pickled by value."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import optengine as oe

SPACE = oe.Space(lr=oe.Real(0.0, 1.0), kind=oe.Categorical(["a", "b"]))


def make_problem(name: str = "bowl", shift: float = 0.3, trouble: str = "") -> oe.Problem:
    def function(lr: float, kind: str) -> float:
        if trouble == "raise" and lr > 0.8:
            raise ValueError("the furnace is cold")
        if trouble == "die" and lr > 0.8:
            import os

            os._exit(3)
        return (lr - shift) ** 2 + (kind == "a")

    return oe.Problem(function, SPACE, name=name)


@pytest.fixture
def problem_named() -> Callable[..., oe.Problem]:
    return make_problem


@pytest.fixture
def write_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Write a set file, with a module of objectives beside it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "objectives_of_set", raising=False)
    (tmp_path / "objectives_of_set.py").write_text(MODULE, encoding="utf-8")

    def write(text: str) -> Path:
        path = tmp_path / "set.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


MODULE = """
import optengine as oe

def bowl(lr, kind="a"):
    return (lr - 0.3) ** 2 + (kind == "a")

def both(lr, kind):
    return {"cost": lr, "gain": 1 - lr, "heat": lr - 0.5}

def ready():
    return oe.Problem(lambda x: float(x[0]), [(0.0, 1.0)], name="ready")

def sized(n, power=2):
    return oe.Problem(lambda x: float((x**power).sum()), [(0.0, 1.0)] * n, name=f"sized{n}")

def several(n):
    return [sized(k) for k in range(1, n + 1)]

def random_bowl(rng, n):
    shift = float(rng.uniform())
    return oe.Problem(lambda x: float(((x - shift) ** 2).sum()), [(0.0, 1.0)] * n, name=f"shifted {shift:.3f}")

def broken():
    raise RuntimeError("no licence")

def even(x):
    return x["k"] % 2 == 0

stated = oe.Problem(lambda x: float(x[0]), [(0.0, 1.0)], name="stated")
"""


def facts(rows: Any) -> list[Any]:
    """What must be equal in two tables of the same batch: all but the seconds."""
    return [(r.key, r.value, r.bound, r.status, r.n_evaluations) for r in rows]


@pytest.fixture
def same_facts() -> Callable[[Any], list[Any]]:
    return facts
