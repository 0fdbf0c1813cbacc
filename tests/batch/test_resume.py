"""The same call again: finished runs at once, killed ones to the same end, a larger budget further."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import optengine as oe
from optengine.batch import run_batch
from optengine.store import Journal

Named = Callable[..., oe.Problem]

OBJECTIVE = """
import os, time

def slow(x):
    with open(os.environ["COUNT"], "a") as file:
        file.write(f"{os.environ['WHO']}\\n")
    time.sleep(0.004)
    return float(((x - 0.3) ** 2).sum())
"""

SET = """
name = "killed"
seeds = 2
[[problem]]
callable = "slow_objective:slow"
space = [[0.0, 1.0], [0.0, 1.0]]
budget = 60
[[solver]]
name = "cem"
population = 20
[[solver]]
name = "random"
population = 7
"""


def facts(path: Path) -> list[dict[str, str]]:
    lines = list(csv.DictReader(path.read_text().splitlines()))
    for line in lines:
        del line["seconds"]
    return lines


def begin(folder: Path, out: str, workers: int, who: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "optengine.cli",
        "batch",
        "set.toml",
        "--out",
        out,
        "--workers",
        str(workers),
    ]
    environment = os.environ | {"COUNT": str(folder / f"{out}.count"), "WHO": who}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """The table of the set, run through."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "slow_objective.py").write_text(OBJECTIVE)
    (folder / "set.toml").write_text(SET)
    assert begin(folder, "out", 1, "whole").wait() == 0
    return facts(folder / "out" / "results.csv")


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_batch_ends_with_the_table_of_an_uninterrupted_one(
    tmp_path: Path, uninterrupted: list[dict[str, str]], workers: int
) -> None:
    (tmp_path / "slow_objective.py").write_text(OBJECTIVE)
    (tmp_path / "set.toml").write_text(SET)
    victim = begin(tmp_path, "out", workers, "first")
    count = tmp_path / "out.count"
    deadline = time.monotonic() + 60
    while not count.exists() or len(count.read_text().splitlines()) < 100:
        assert victim.poll() is None, "the batch ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()

    assert begin(tmp_path, "out", workers, "second").wait() == 0
    assert facts(tmp_path / "out" / "results.csv") == uninterrupted
    both = count.read_text().splitlines()
    assert len(both) < 4 * 60 + 2 * 60, "journaled evaluations were done again"


def test_finished_runs_are_not_opened_again(
    problem_named: Named, tmp_path: Path, same_facts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run_batch(problem_named(), ["cem", "random"], 2, budget=30, out=tmp_path)
    monkeypatch.setattr("optengine.batch.running.solve", lambda *_, **__: pytest.fail("solved again"))
    seen: list[Any] = []
    again = run_batch(problem_named(), ["cem", "random"], 2, budget=30, out=tmp_path, callbacks=seen.append)
    assert (
        [row.to_dict() for row in again]
        == [row.to_dict() for row in first]
        == [row.to_dict() for row in seen]
    )


def test_without_its_index_the_journals_tell(problem_named: Named, tmp_path: Path) -> None:
    first = run_batch(problem_named(), "cem", 2, budget=30, out=tmp_path)
    (tmp_path / "index.json").unlink()
    (tmp_path / "results.csv").unlink()
    again = run_batch(problem_named(trouble="die"), "cem", 2, budget=30, out=tmp_path)  # nothing is evaluated
    assert [row.to_dict() for row in again] == [row.to_dict() for row in first]


def test_a_larger_budget_extends_and_more_seeds_join(problem_named: Named, tmp_path: Path) -> None:
    first = run_batch(problem_named(), "cem", 2, budget=30, out=tmp_path)
    table = run_batch(problem_named(), "cem", 3, budget=50, out=tmp_path)
    assert [row.n_evaluations for row in table] == [50, 50, 50]
    for before, after in zip(first, table, strict=False):
        assert after.key == before.key
        assert after.value is not None
        assert before.value is not None
        assert after.value <= before.value
    assert table.rows[2].value == oe.solve(problem_named(), "cem", budget=50, seed=2).fun


def test_failed_runs_are_tried_again(problem_named: Named, tmp_path: Path) -> None:
    assert len(run_batch(problem_named(trouble="raise"), "random", 2, budget=30, out=tmp_path).failed) == 2
    mended = run_batch(problem_named(), "random", 2, budget=30, out=tmp_path)
    assert not mended.failed
    assert [row.value for row in mended] == [
        row.value for row in run_batch(problem_named(), "random", 2, budget=30)
    ]


def test_every_run_is_a_journal_run_of_its_name(problem_named: Named, tmp_path: Path) -> None:
    table = run_batch({"a b/c": problem_named()}, {"CEM!": "cem"}, 1, budget=20, out=tmp_path)
    (path,) = (tmp_path / "runs").rglob("*.db")
    with Journal(path, readonly=True) as journal:
        assert [run.name for run in journal.runs()] == ["a b/c/CEM!/0"]
    assert table.result("a b/c", "CEM!", 0).n_evaluations == 20


def test_labels_that_files_cannot_tell_apart_get_files_of_their_own(
    problem_named: Named, tmp_path: Path
) -> None:
    labels = ["x/y", "x y", "x-y", "X-Y", "..", "x" * 300]
    table = run_batch(
        {label: problem_named() for label in labels}, "random", budget=5, out=tmp_path / "deep" / "out"
    )
    assert len(list((tmp_path / "deep" / "out" / "runs").rglob("*.db"))) == len(labels)
    assert not table.failed


def test_ctrl_c_gives_the_table_so_far_and_the_call_goes_on(tmp_path: Path) -> None:
    calls = 0

    def impatient(x: Any) -> float:
        nonlocal calls
        calls += 1
        if calls == 45:
            raise KeyboardInterrupt
        return float(x[0])

    problem = oe.Problem(impatient, [(0.0, 1.0)])
    table = run_batch(problem, {"random": oe.solvers.RandomSearch(population=10)}, 3, budget=30, out=tmp_path)
    assert table.interrupted
    assert [(row.seed, row.status) for row in table] == [(0, "budget_exhausted"), (1, "stopped")]
    assert table.rows[1].value is not None
    again = run_batch(problem, {"random": oe.solvers.RandomSearch(population=10)}, 3, budget=30, out=tmp_path)
    assert [row.n_evaluations for row in again] == [30, 30, 30]
    assert calls == 91  # only the one that was interrupted is evaluated twice


def test_ctrl_c_with_workers_reads_unfinished_runs_from_their_journals(tmp_path: Path) -> None:
    (tmp_path / "slow_objective.py").write_text(OBJECTIVE.replace("0.004", "0.05"))
    (tmp_path / "set.toml").write_text(SET)
    process = begin(tmp_path, "out", 2, "only")
    count = tmp_path / "out.count"
    while not count.exists() or len(count.read_text().splitlines()) < 30:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    lines = facts(tmp_path / "out" / "results.csv")
    assert {line["status"] for line in lines} == {"stopped"}
    assert all(int(line["n_evaluations"]) > 0 and line["value"] for line in lines)


def test_one_batch_a_folder(problem_named: Named, tmp_path: Path) -> None:
    def intrude(row: Any) -> None:
        with pytest.raises(oe.StorageError, match="in use by another batch"):
            run_batch(problem_named(), "random", budget=5, out=tmp_path)

    run_batch(problem_named(), "random", 1, budget=5, out=tmp_path, callbacks=intrude)


def test_a_changed_problem_is_told(problem_named: Named, tmp_path: Path) -> None:
    run_batch(problem_named(), "random", budget=5, out=tmp_path)
    other = oe.Problem(lambda x: 0.0, [(0.0, 1.0)], name="bowl")
    table = run_batch(other, "random", budget=5, out=tmp_path)
    assert "was begun with" in table.failed[0].message


@pytest.mark.parametrize("text", ["nonsense", '{"format": "other"}', "[]"])
def test_a_folder_that_holds_something_else_is_left_alone(
    problem_named: Named, tmp_path: Path, text: str
) -> None:
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(oe.StorageError, match=r"index\.json"):
        run_batch(problem_named(), "random", budget=5, out=tmp_path)
    assert (tmp_path / "index.json").read_text() == text


def test_a_file_is_no_folder(problem_named: Named, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(oe.StorageError, match="cannot be used"):
        run_batch(problem_named(), "random", budget=5, out=tmp_path / "file")
