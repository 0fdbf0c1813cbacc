"""From a batch's folder to a page that a browser shows, and what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import optengine as oe
from optengine.batch import run_batch, write_report
from optengine.cli import main

pytest.importorskip("matplotlib")

Named = Callable[..., oe.Problem]


@pytest.fixture
def folder(tmp_path: Path, problem_named: Named) -> Path:
    problems = [problem_named("bowl"), problem_named("broken", trouble="raise")]
    front = oe.Problem(lambda x: (x[0], 1 - x[0]), [(0, 1)], objectives=["a", "b"], name="front")
    run_batch(
        problems, ["random", "cem"], 2, budget=40, out=tmp_path / "out", name="two solvers", command="again"
    )
    run_batch(
        [*problems, front],
        ["random"],
        2,
        budget=40,
        out=tmp_path / "out",
        name="two solvers",
        command="again",
    )
    return tmp_path / "out"


def test_a_folder_becomes_a_page(folder: Path, tmp_path: Path) -> None:
    comparison = write_report(folder, tmp_path / "r.html")
    text = (tmp_path / "r.html").read_text()
    assert {t.problem for t in comparison.traces} == {"bowl", "broken"}
    assert comparison.left_out == ["front"]
    assert comparison.directions["bowl"] == "minimize"
    assert all(t.columns == 2 for t in comparison.traces if t.problem == "bowl")
    for words in ("two solvers", "again", "the furnace is cold", "Python "):
        assert words in text


def test_the_command_line_writes_both(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["report", str(folder), "--html", str(tmp_path / "r.html"), "--export", str(tmp_path / "x")])
        == 0
    )
    assert "mean rank" in capsys.readouterr().out
    assert (tmp_path / "x" / "tables" / "gaps.csv").is_file()
    assert main(["report", str(folder)]) == 2
    assert "html or folder must be given" in capsys.readouterr().err
    assert main(["report", str(tmp_path / "nowhere"), "--html", "r.html"]) == 2
    assert "is not that of a batch" in capsys.readouterr().err


def test_what_was_kept_nowhere_is_refused(problem_named: Named) -> None:
    with pytest.raises(oe.OptionError, match="run with out="):
        write_report(run_batch(problem_named(), "random", budget=5), "r.html")


def test_a_browser_shows_it(folder: Path, tmp_path: Path) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium is installed")
    write_report(folder, tmp_path / "r.html")
    options: list[Any] = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
        "--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--log-level=0",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1300,2400",
    ]  # fmt: skip
    page = (tmp_path / "r.html").as_uri()

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "HOME": str(tmp_path)}
        return subprocess.run(
            [chromium, *options, *more, page], capture_output=True, text=True, timeout=110, env=environment
        )

    shown = run("--dump-dom")
    assert shown.returncode == 0, shown.stderr
    for element in ('id="ranks"', 'id="runtimes"', 'id="gaps"', 'id="convergence"', "<table>", "<svg"):
        assert element in shown.stdout
    assert "CONSOLE" not in shown.stderr
    assert run(f"--screenshot={tmp_path / 'shot.png'}").returncode == 0
    assert (tmp_path / "shot.png").stat().st_size > 20_000
