"""optengine solvers, problems, warmup, --version; and how little they load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import optengine as oe
from optengine import registry
from optengine.problems.formats import FORMATS, bundled

Command = Callable[..., tuple[int, str, str]]


def loaded_by(*arguments: str) -> set[str]:
    """Top-level packages that the command loads, in a new process."""
    script = (
        "import sys\nfrom optengine.cli import main\n"
        f"assert main({list(arguments)!r}) == 0\n"
        "print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["solve", "--help"], ["batch", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    heavy = {
        "numpy",
        "scipy",
        "numba",
        "sqlalchemy",
        "rich",
        "loky",
        "matplotlib",
        "torch",
        "ortools",
        "pymoo",
    }
    assert loaded_by(*arguments) & heavy == set()


def test_listing_solvers_loads_no_optional_library() -> None:
    assert (
        loaded_by("solvers") & {"torch", "botorch", "ortools", "pymoo", "cupy", "matplotlib", "sqlalchemy"}
        == set()
    )


def test_version(optengine: Command) -> None:
    assert optengine("--version") == (0, f"optengine {oe.__version__}\n", "")


def test_solvers_are_listed(optengine: Command) -> None:
    code, out, _ = optengine("solvers")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert set(registry.names()) <= set(lines)
    assert "Cross-entropy method" in lines["cem"]
    assert "every kind" in lines["cem"]
    assert "doi:10.1023/A:1010091220143" in lines["cem"]


def test_a_solver_that_does_not_load_is_listed_with_its_reason(
    optengine: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(registry.SOLVERS, "absent", "optengine.cli.nothing:Absent")

    def load(name: str) -> type:
        if name == "absent":
            raise oe.MissingDependency("nothing is needed here; pip install 'optengine[x]'")
        return real(name)

    real = registry.load
    monkeypatch.setattr(registry, "load", load)
    code, out, _ = optengine("solvers")
    assert code == 0
    assert "pip install 'optengine[x]'" in out


def test_solvers_for_a_problem(optengine: Command, folder: Path) -> None:
    code, out, _ = optengine("solvers", "--problem", bundled("clinic10.dat"))
    assert code == 0
    assert "auto" in out
    (folder / "two.toml").write_text(
        'callable = "objectives_of_command:both"\nobjectives = ["cost", "gain"]\n[space]\n'
        'a = {kind = "real", low = 0, high = 1}\nb = {kind = "binary"}\n'
    )
    code, out, _ = optengine("solvers", "--problem", "two.toml")
    verdicts = {line.split()[0]: line for line in out.splitlines()[3:]}
    assert "one objective" in verdicts["cem"]
    assert verdicts["random"].split()[1] == "yes"


def test_problems_are_listed(optengine: Command) -> None:
    code, out, _ = optengine("problems")
    assert code == 0
    for name in (*FORMATS, "QAP", "TSP", "sklearn_tuning"):
        assert name in out


def test_warmup_names_each_solver(optengine: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def pretend(report: Callable[[str, float], None]) -> float:
        report("cem", 1.5)
        return 1.5

    monkeypatch.setattr("optengine.cli.warming.compile_all", pretend)
    code, out, _ = optengine("warmup")
    assert code == 0
    assert out.split() == ["cem", "1.5", "s", "all", "1.5", "s"]


def test_the_installed_command_and_a_closed_pipe() -> None:
    command = Path(sys.executable).parent / "optengine"
    listing = subprocess.run(
        f"'{command}' problems | head -n 1", shell=True, capture_output=True, text=True, check=True
    )
    assert listing.stdout.startswith("Files that")
    assert listing.stderr == ""
    wrong = subprocess.run([command, "solve", "none.toml"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, len(wrong.stderr.splitlines())) == (2, 1)
