"""Where the collections of benchmark instances are, and what the tests of problems share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def collection(name: str) -> Path:
    """Folder of a collection: under the environment's OPTENGINE_DATA, else under ../shared/data."""
    return Path(os.environ.get("OPTENGINE_DATA", ROOT.parent / "shared" / "data")) / name


@pytest.fixture(scope="session")
def combinatorial() -> Path:
    folder = collection("combinatorial")
    if not folder.is_dir():
        pytest.skip(f"no benchmark instances at {folder}; OPTENGINE_DATA names another place")
    return folder
