"""The files that packaging reads agree with the checkout and with each other."""

from __future__ import annotations

import importlib.metadata
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import optengine


def pins(root: Path) -> dict[str, str]:
    lines = (line.split("#")[0].strip() for line in (root / "constraints.txt").read_text().splitlines())
    return {
        canonicalize_name(name): version for name, version in (line.split("==") for line in lines if line)
    }


def test_packages_are_the_folders(pyproject: dict[str, Any], sources: dict[str, Path]) -> None:
    """A forgotten sub-package works in an editable install and is silently absent from the wheel."""
    folders = {name for name, path in sources.items() if path.name == "__init__.py"} | {"hydra_plugins"}
    assert sorted(folders) == pyproject["tool"]["setuptools"]["packages"]


def test_every_folder_with_modules_is_a_package(sources: dict[str, Path]) -> None:
    """All but the one that we share with other plugins of Hydra."""
    folders = {path.parent for path in sources.values() if not (path.parent / "__init__.py").is_file()}
    assert [folder.name for folder in folders] == ["hydra_plugins"]


def test_type_checkers_see_every_room(root: Path) -> None:
    """`.typing/optengine` links everything in `optengine/`, and `problems` and `solvers` as its parts."""
    expected = {path.name: path for path in (root / "optengine").iterdir() if path.name != "__pycache__"}
    expected |= {"problems": root / "problems", "solvers": root / "solvers"}
    links = {path.name: path for path in (root / ".typing" / "optengine").iterdir()}
    for name in expected.keys() - links.keys():
        pytest.fail(f"run: ln -s ../../optengine/{name} .typing/optengine/{name}")
    assert {name: link.resolve() for name, link in links.items()} == expected
    assert not any(link.readlink().is_absolute() for link in links.values())


def test_one_version(root: Path, pyproject: dict[str, Any]) -> None:
    version = pyproject["project"]["version"]
    assert optengine.__version__ == importlib.metadata.version("optengine") == version
    assert re.search(rf"^## {re.escape(version)}\b", (root / "CHANGELOG.md").read_text(), re.M)


def test_every_requirement_is_pinned_and_the_pin_fits(root: Path, pyproject: dict[str, Any]) -> None:
    project = pyproject["project"]
    pinned = pins(root)
    for text in chain(project["dependencies"], *project["optional-dependencies"].values()):
        requirement = Requirement(text)
        if requirement.name != "optengine":
            assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, text


def test_constraints_hold_on_any_machine(root: Path) -> None:
    """Neither local builds (`+cpu`), nor URLs or paths, nor the CUDA libraries that some builds of torch bring."""
    for name, version in pins(root).items():
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}"
        assert not name.startswith("nvidia-")


def test_all_holds_every_extra_but_the_heavy_ones(pyproject: dict[str, Any]) -> None:
    extras = pyproject["project"]["optional-dependencies"]
    everything = set().union(*(Requirement(text).extras for text in extras["all"]))
    assert everything == extras.keys() - {
        "gpu",
        "gpu12",
        "cuda-compile",
        "ray",
        "ax",
        "wandb",
        "mlflow",
        "test",
        "bench",
        "dev",
        "all",
    }


@pytest.mark.parametrize("extra", ["gpu12", "gpu", "cuda-compile"])
def test_no_extra_mixes_cupy_wheels(pyproject: dict[str, Any], extra: str) -> None:
    """Two CuPy wheels in one environment overwrite each other's files."""
    names = [Requirement(text).name for text in pyproject["project"]["optional-dependencies"][extra]]
    assert sum(name.startswith("cupy-") for name in names) == 1


@pytest.mark.parametrize("marker", ["<!-- main-job -->", "<!-- test-command -->"])
def test_readme_marks_its_two_commands(root: Path, marker: str) -> None:
    """CI runs the fenced block that follows the marker, so that it is what the README shows."""
    readme = (root / "README.md").read_text()
    assert readme.count(marker) == 1
    assert re.match(r"\s*```\w*\n.+?\n```", readme.split(marker)[1], re.S)


def test_readme_and_ci_set_up_alike(root: Path) -> None:
    arguments = "-e '.[dev]' -c constraints.txt"
    for file in ("README.md", "CONTRIBUTING.md", ".ci/run"):
        assert arguments in (root / file).read_text(), file
