"""What must work in any installation, the wheel without extras included: CI runs a copy of this file elsewhere."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe


def sphere(x: np.ndarray[Any, Any]) -> float:
    return float(((x - 0.25) ** 2).sum())


@pytest.mark.parametrize("solver", ["random", "sobol", "cem"])
def test_solvers_solve(solver: str) -> None:
    result = oe.minimize(sphere, [(-1.0, 1.0)] * 2, solver=solver, budget=64, seed=0)
    assert result.n_evaluations == 64
    assert result.fun == sphere(result.x)
    assert result.fun < sphere(np.array([-1.0, -1.0]))


def test_named_space_and_maximize() -> None:
    space = oe.Space(depth=oe.Integer(1, 12), kind=oe.Categorical(["gini", "entropy"]))
    result = oe.maximize(
        lambda depth, kind: depth + (kind == "gini"), space, budget=200, seed=0, solver="random"
    )
    assert result.x == {"depth": 12, "kind": "gini"}
    assert result.fun == 13


def test_shipped_instances_read_and_solve() -> None:
    data = files("optengine.problems") / "data"
    shipped = [entry for entry in data.iterdir() if entry.name.endswith(".dat")] if data.is_dir() else []
    if not shipped:
        pytest.skip("no QAPLIB instance is shipped")
    problem = oe.problems.read(str(shipped[0]))
    result = oe.solve(problem, solver="random", budget=50, seed=0)
    assert sorted(result.x) == list(range(len(result.x)))


def test_command_lists_the_solvers() -> None:
    command = Path(sys.executable).parent / "optengine"
    listing = subprocess.run([command, "solvers"], capture_output=True, text=True, check=True).stdout
    assert {"random", "sobol", "cem"} <= set(listing.replace("|", " ").replace("│", " ").split())


def test_one_version_everywhere() -> None:
    assert oe.__version__.count(".") == 2
