"""The checkout as the house's tests read it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def pyproject(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def sources(root: Path) -> dict[str, Path]:
    """Every module of the package by its installed name."""
    homes = {"optengine": "optengine", "problems": "optengine.problems", "solvers": "optengine.solvers"}
    found = {}
    for folder, package in homes.items():
        for path in (root / folder).rglob("*.py"):
            parts = path.relative_to(root / folder).with_suffix("").parts
            name = ".".join([package, *parts])
            if "hydra_plugins" in parts:  # the folder that plugins of Hydra share
                name = ".".join(parts[parts.index("hydra_plugins") :])
            found[name.removesuffix(".__init__")] = path
    return found
