"""Batches whose whole process group is killed at random moments end with the runs and the table of one left alone."""

from __future__ import annotations

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

OBJECTIVE = """
import os

def bowl(x):
    with open(os.environ["COUNT"], "a") as file:
        file.write(".")
    return float(((x - 0.3) ** 2).sum())
"""

SET = """
name = "killed"
seeds = {seeds}
budget = {budget}
[[problem]]
callable = "counted_objective:bowl"
space = [[0.0, 1.0], [0.0, 1.0]]
name = "plane"
[[problem]]
callable = "counted_objective:bowl"
space = [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
name = "room"
[[solver]]
name = "random"
population = 5
[[solver]]
name = "de"
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no process groups")


def prepare(folder: Path, seeds: int, budget: int) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "counted_objective.py").write_text(OBJECTIVE)
    (folder / "set.toml").write_text(SET.format(seeds=seeds, budget=budget))


def begin(folder: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "optengine.cli", "batch", "set.toml", "--out", "out"]
    return subprocess.Popen(
        [*command, "--workers", str(workers)],
        cwd=folder,
        env=os.environ | {"COUNT": str(folder / "count")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def table(folder: Path) -> list[dict[str, str]]:
    lines = list(csv.DictReader((folder / "out" / "results.csv").read_text().splitlines()))
    for line in lines:
        del line["seconds"]
    return lines


def evaluated(folder: Path) -> int:
    return (folder / "count").stat().st_size if (folder / "count").exists() else 0


def kill_at(folder: Path, workers: int, count: int) -> None:
    """Run the batch, and kill its process group once `count` evaluations were made in all."""
    victim, deadline = begin(folder, workers), time.monotonic() + 300
    while evaluated(folder) < count:
        assert victim.poll() is None, "the batch ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()


def compare(folder: Path, seeds: int, budget: int, kills: int, workers: int, lot: int) -> None:
    total = 2 * 2 * seeds * budget
    whole, killed = folder / "whole", folder / "killed"
    prepare(whole, seeds, budget)
    prepare(killed, seeds, budget)
    assert begin(whole, workers).wait() == 0
    moments = sorted(random.Random(lot).sample(range(total // 20, total * 9 // 10), kills))
    for moment in moments:
        kill_at(killed, workers, moment)
    assert begin(killed, workers).wait() == 0
    rows = table(killed)
    assert len(rows) == 2 * 2 * seeds
    assert len({(row["problem"], row["solver"], row["seed"]) for row in rows}) == len(rows)
    assert rows == table(whole)
    assert evaluated(whole) == total
    again = evaluated(killed) - total  # what was in flight, or not yet written, when the batch was killed
    assert again <= kills * workers * budget, "finished runs were done again"


def test_a_batch_of_20_runs_killed_once(tmp_path: Path) -> None:
    compare(tmp_path, seeds=5, budget=20, kills=1, workers=1, lot=1)


@pytest.mark.slow
@pytest.mark.parametrize("lot", [1, 2])
def test_a_batch_of_200_runs_killed_three_times(tmp_path: Path, lot: int) -> None:
    compare(tmp_path, seeds=50, budget=40, kills=3, workers=2, lot=lot)
