"""Who may import whom: the rooms and the directions between them, late imports included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BELOW = (
    "core",
    "kernels",
    "backends",
    "surrogates",
    "registry",
    "rules",
    "engine",
    "store",
    "report",
    "workflows",
)
ALLOWED: dict[str, tuple[str, ...]] = {
    "core": (),
    "kernels": ("core.errors",),
    "backends": ("core", "kernels"),
    "surrogates": ("core", "kernels"),
    "registry": ("core",),
    "rules": ("core", "registry"),
    "engine": ("core", "registry", "rules", "store", "backends.repair"),
    "store": ("core",),
    "report": ("core", "store", "surrogates"),
    "workflows": (*BELOW, "batch", "integrations", "problems", "solvers"),
    "warming": (*BELOW, "problems"),
    "batch": (*BELOW, "problems"),
    "cli": (*BELOW, "problems", "batch", "warming", ""),
    "integrations": ("engine", "core"),
    "hydra_plugins": ("integrations",),
    "testing": (*BELOW, "batch", "integrations"),
    "problems": ("core", "kernels"),
    "solvers": ("core", "kernels", "backends", "surrogates", "problems", "registry", "rules"),
    "": ("core.lazy",),  # optengine/__init__.py
}
# Packages whose names resolve on first use: their imports for type checkers do not count.
LAZY = {"", "problems", "solvers", "workflows"}
# A module and what it may import besides, inside a function only.
LATE = {"core.result": ("report",), "registry": ("rules",)}


def inside(module: str, rooms: tuple[str, ...]) -> bool:
    return any(module == room or (room != "" and module.startswith(room + ".")) for room in rooms)


def imports(tree: ast.Module, modules: set[str]) -> Iterator[tuple[str, bool]]:
    """Our modules that `tree` imports, without the leading `optengine.`, and whether inside a function."""
    late = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in whole]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            first = node.args[0]
            names = [first.value] if isinstance(first, ast.Constant) and isinstance(first.value, str) else []
        for name in names:
            if name.split(".")[0] == "optengine":
                yield name.removeprefix("optengine").removeprefix("."), id(node) in late


def runtime(tree: ast.Module) -> ast.Module:
    """The module without what stands under `TYPE_CHECKING` at its top."""
    body: list[ast.stmt] = []
    for node in tree.body:
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        body += node.orelse if guarded and isinstance(node, ast.If) else [node]
    return ast.Module(body, type_ignores=[])


def offences(name: str, tree: ast.Module, modules: set[str]) -> list[str]:
    """Imports of the module `name` (installed name) that the table does not allow."""
    own = name.removeprefix("optengine").removeprefix(".")
    room = own.split(".")[0]
    if own in LAZY:
        tree = runtime(tree)
    found = []
    for module, late in imports(tree, modules):
        if room == "solvers":
            home = own.split(".")[:2]
            same = module == "solvers" or module.split(".")[:2] == home
        else:
            same = room != "" and inside(module, (room,))
        excused = late and inside(module, LATE.get(own, ()))
        if not (same or excused or inside(module, ALLOWED[room])):
            found.append(f"{name} imports optengine.{module}")
    return found


def test_rooms_import_only_what_they_may(sources: dict[str, Path]) -> None:
    modules = set(sources)
    found = [
        line
        for name, path in sources.items()
        for line in offences(name, ast.parse(path.read_text()), modules)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("name", "source", "allowed"),
    [
        ("optengine.core.space", "from optengine.kernels import projection", False),
        ("optengine.core.space", "def f():\n    import optengine.engine", False),
        ("optengine.core.space", "from optengine.core import errors", True),
        ("optengine.core.result", "def plot():\n    from optengine.report.pictures import draw", True),
        ("optengine.core.result", "from optengine.report.pictures import draw", False),
        ("optengine.kernels.minmax", "from optengine.core import errors", True),
        ("optengine.kernels.minmax", "from optengine.core.space import Space", False),
        ("optengine.engine.loop", "from optengine.backends.repair import Repair", True),
        ("optengine.engine.loop", "from optengine.backends.linear import solve_linear", False),
        ("optengine.engine.loop", "importlib.import_module('optengine.solvers.cem')", False),
        ("optengine.engine.loop", "from optengine import solvers", False),
        ("optengine.engine.loop", "import optengine", False),
        ("optengine.solvers.cem", "from optengine.solvers.cem.model import fit", True),
        ("optengine.solvers.cem", "from optengine.solvers.sobol import Sobol", False),
        ("optengine.solvers.cem", "from optengine.problems.qap import QAP", True),
        ("optengine.solvers", "if TYPE_CHECKING:\n    from optengine.solvers.cem import CEM", True),
        ("optengine.problems.qap", "from optengine.solvers.cem import CEM", False),
        ("optengine", "if TYPE_CHECKING:\n    from optengine.engine import solve", True),
        ("optengine", "from optengine.engine import solve", False),
        ("optengine.cli", "import optengine", True),
        ("optengine.core.space", "import numpy, scipy.optimize", True),
    ],
)
def test_the_law_sees_what_it_should(name: str, source: str, allowed: bool) -> None:
    modules = {"optengine.core.errors", "optengine.kernels.projection", "optengine.solvers"}
    assert (offences(name, ast.parse(source), modules) == []) is allowed


@pytest.mark.parametrize("folder", ["optengine", "problems", "solvers", "tests", "examples", "benchmarks"])
def test_nobody_imports_a_second_copy(root: Path, folder: str) -> None:
    """From the root `import solvers` works and gives every class twice; Ruff bans it, this sees what Ruff skips."""
    for path in (root / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path}: imports relatively"
                names = [str(node.module)]
            assert not {name.split(".")[0] for name in names} & {"problems", "solvers"}, path


def test_no_file_holds_two_rooms(sources: dict[str, Path]) -> None:
    """The style asks for files below 400 lines; past 600 there is no excuse."""
    long = {name: n for name, path in sources.items() if (n := len(path.read_text().splitlines())) > 600}
    assert long == {}
