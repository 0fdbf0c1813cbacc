"""Public names load on first use, type checkers see the same names, and importing us stays cheap."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import optengine
from optengine.core.lazy import attach

LAZY = ["optengine", "optengine.problems", "optengine.report", "optengine.solvers", "optengine.workflows"]
HEAVY = {
    "botorch", "cupy", "gpytorch", "loky", "matplotlib", "moocore", "numba", "ortools", "pandas", "pymoo", "rich",
    "scipy.optimize", "sqlalchemy", "torch",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """Modules in `sys.modules` after `statement` in a new process."""
    script = f"import sys; {statement}; print(*sys.modules)"
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(process.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import optengine",
        "import optengine.problems, optengine.solvers, optengine.workflows, optengine.core.errors",
        "import optengine; dir(optengine); optengine.OptionError; optengine.__version__",
    ],
)
def test_import_loads_nothing_heavy(statement: str) -> None:
    """Absence from `sys.modules` is stable, unlike a time limit."""
    assert loaded_by(statement) & HEAVY == set()


def test_one_solver_loads_without_the_others() -> None:
    loaded = loaded_by("import optengine; optengine.solvers.CEM")
    assert "optengine.solvers.cem" in loaded
    assert "optengine.solvers.sobol" not in loaded


@pytest.mark.parametrize("package", LAZY)
def test_every_public_name_resolves(package: str) -> None:
    module = importlib.import_module(package)
    listed = dir(module)
    for name in module.__all__:
        value = getattr(module, name)
        assert name in listed
        if hasattr(value, "__name__"):
            assert value.__name__.rpartition(".")[2] == name


@pytest.mark.parametrize("package", LAZY)
def test_type_checkers_see_the_same_names(
    package: str, sources: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The imports under `TYPE_CHECKING` and what `attach` is given say the same."""
    guard = next(
        node
        for node in ast.parse(sources[package].read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    seen: dict[str, list[str]] = {}
    for node in guard.body:
        if isinstance(node, ast.ImportFrom):
            assert all(alias.asname == alias.name for alias in node.names), (
                f"write `import x as x`: {node.module}"
            )
            seen[str(node.module)] = sorted(alias.name for alias in node.names)

    given: dict[str, list[str]] = {}

    def spy(probe: str, names: dict[str, list[str]], subpackages: Sequence[str] = ()) -> Any:
        given.update({module: sorted(its_names) for module, its_names in names.items()})
        if subpackages:
            given[package] = sorted(subpackages)
        return attach(probe, names, subpackages)

    monkeypatch.setattr("optengine.core.lazy.attach", spy)
    spec = importlib.util.spec_from_file_location("probe", sources[package], submodule_search_locations=[])
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert seen == given


@pytest.mark.parametrize("package", LAZY)
def test_no_public_name_is_also_a_module(package: str, sources: dict[str, Path]) -> None:
    """Importing `optengine.x` binds the module to `optengine.x`, and the public object of that name is gone."""
    modules = {name for name, path in sources.items() if path.name != "__init__.py"}
    public = {f"{package}.{name}" for name in importlib.import_module(package).__all__}
    assert public & modules == set()


@pytest.mark.parametrize(
    ("package", "wrong", "right"),
    [
        ("optengine", "minimise", "minimize"),
        ("optengine.solvers", "CEMS", "CEM"),
        ("optengine.problems", "QAPP", "QAP"),
    ],
)
def test_misspelt_name_is_answered_with_the_nearest(package: str, wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=f"{package}.*no attribute '{wrong}'; did you mean '{right}'"):
        getattr(importlib.import_module(package), wrong)
    assert not hasattr(importlib.import_module(package), "__wrapped__")


def test_resolved_names_are_kept() -> None:
    resolve, listing, public = attach("optengine", {"optengine.core.errors": ["OptionError"]}, ["problems"])
    assert public == ["OptionError", "problems"]
    assert set(public) <= set(listing())
    assert resolve("OptionError") is vars(optengine)["OptionError"]
    assert resolve("problems") is vars(optengine)["problems"]


def test_star_import_gives_the_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from optengine.core.errors import *; from optengine.solvers import *", namespace)
    assert set(optengine.solvers.__all__) <= namespace.keys()
