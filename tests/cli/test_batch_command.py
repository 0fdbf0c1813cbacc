"""optengine batch: the table, the file, the codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

Command = Callable[..., tuple[int, str, str]]

SET = """
name = "two bowls"
seeds = 2
budget = 20
[[problem]]
callable = "objectives_of_command:bowl"
[problem.space]
lr = {kind = "real", low = 0.0, high = 1.0}
[[solver]]
name = "cem"
[[solver]]
name = "random"
"""


def test_a_set_is_run_told_and_resumed(optengine: Command, folder: Path) -> None:
    (folder / "set.toml").write_text(SET)
    code, out, err = optengine("batch", "set.toml", "--out", "out")
    assert (code, err) == (0, "")
    assert out.startswith("two bowls\n")
    assert [line.split()[:2] for line in out.splitlines()[3:5]] == [["bowl", "cem"], ["bowl", "random"]]
    table = (folder / "out" / "results.csv").read_text()
    assert len(table.splitlines()) == 5
    assert optengine("batch", "set.toml", "--out", "out") == (0, out, "")
    assert (folder / "out" / "results.csv").read_text() == table


def test_its_runs_are_listed_and_shown(optengine: Command, folder: Path) -> None:
    (folder / "set.toml").write_text(SET)
    optengine("batch", "set.toml", "--out", "out")
    code, out, _ = optengine("show", "out")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[3:]] == [
        f"bowl/{solver}/{seed}" for solver in ("cem", "random") for seed in (0, 1)
    ]
    code, out, _ = optengine("show", "out#bowl/random/1")
    assert code == 0
    assert "seed 1" in out
    code, _, err = optengine("show", "out#bowl/random/7")
    assert code == 2
    assert "did you mean 'bowl/random/1'" in err or "did you mean 'bowl/random/0'" in err


def test_progress_tells_each_run(optengine: Command, folder: Path) -> None:
    (folder / "set.toml").write_text(SET)
    _, _, err = optengine("batch", "set.toml", "--out", "out", "--progress")
    assert [line.split()[0] for line in err.splitlines()] == [f"[{i}/4]" for i in range(1, 5)]


def test_failed_runs_give_code_1(optengine: Command, folder: Path) -> None:
    (folder / "set.toml").write_text(SET.replace(":bowl", ":leaks"))
    code, out, err = optengine("batch", "set.toml", "--out", "out")
    assert (code, err) == (1, "")
    assert "ValueError: leak" in out


def test_ctrl_c_gives_code_130_and_the_table(optengine: Command, folder: Path) -> None:
    (folder / "set.toml").write_text(SET.replace(":bowl", ":impatient"))
    code, out, err = optengine("batch", "set.toml", "--out", "out")
    assert code == 130
    assert "2 of 4 runs have not begun" in out
    assert "goes on from here" in err
    code, out, _ = optengine("batch", "set.toml", "--out", "out")
    assert code == 0
    assert "every run ended with status budget_exhausted" in out
