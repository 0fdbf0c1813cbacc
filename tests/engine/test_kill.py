"""Runs killed with SIGKILL, and runs shared by several processes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import Problem, StorageError
from optengine.store import Journal
from optengine.testing import Climber

BUDGET = 400
BOX = [(-1.0, 1.0)] * 3

RUN = """
import json, os, sys, time
import optengine as oe
from optengine.testing import Climber
storage, seconds = sys.argv[1], float(sys.argv[2])

def slow(x):
    time.sleep(seconds)
    return float((x**2).sum())

result = oe.minimize(slow, [(-1.0, 1.0)] * 3, solver=Climber(population=10), budget=400, seed=4, workers=2,
                     storage=storage, name="plant")
history = result.history
print(json.dumps([result.n_evaluations, history.X.tobytes().hex(), history.best.tolist(), result.message]))
"""


def sphere(x: Any) -> float:
    return float((x**2).sum())


def rows(storage: Path) -> int:
    """How many evaluations the journal holds."""
    with contextlib.suppress(StorageError), Journal(storage, readonly=True) as journal:
        return sum(info.n_evaluations for info in journal.runs())
    return 0


def kill_at(start: Any, storage: Path, threshold: int, delay: float) -> None:
    """Start the run and kill it `delay` seconds after its journal holds `threshold` rows, which may be at once."""
    process: subprocess.Popen[str] = start(RUN, storage, 0.008)
    while rows(storage) < threshold:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    time.sleep(delay)
    process.kill()
    process.wait()


def check_kills(start: Any, storage: Path, kills: int, rng: Any) -> None:
    straight = oe.minimize(sphere, BOX, solver=Climber(population=10), budget=BUDGET, seed=4)
    thresholds = np.sort(rng.integers(0, BUDGET - 40, kills))
    before = 0
    for threshold in thresholds:
        # every fifth falls into the start of the process, before it has journaled anything of its own
        starting = rng.random() < 0.2
        kill_at(
            start,
            storage,
            0 if starting else max(int(threshold), before + 1),
            rng.uniform(0, 0.9 if starting else 0.05),
        )
        now = rows(storage)
        assert before <= now <= BUDGET
        before = now
    assert before < BUDGET
    process: subprocess.Popen[str] = start(RUN, storage, 0.0)
    out, err = process.communicate(timeout=60)
    assert err == ""
    n, X, best, message = json.loads(out)
    assert n == BUDGET
    assert bytes.fromhex(X) == straight.history.X.tobytes()
    assert best == straight.history.best.tolist()
    assert message == ""
    with Journal(storage, readonly=True) as journal:
        record = journal.read("plant")
    assert record.evaluations.numbers.tolist() == list(range(BUDGET))
    assert record.status == "budget_exhausted"


def test_a_run_killed_4_times_is_the_uninterrupted_run(start: Any, tmp_path: Path) -> None:
    check_kills(start, tmp_path / "runs.db", 4, np.random.default_rng(11))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_killed_20_times_is_the_uninterrupted_run(start: Any, tmp_path: Path, seed: int) -> None:
    check_kills(start, tmp_path / "runs.db", 20, np.random.default_rng(seed))


def test_workers_die_with_their_parent(start: Any, tmp_path: Path) -> None:
    code = """
import os, sys, time
import optengine as oe
folder = sys.argv[1]

def hang(x):
    open(f"{folder}/{os.getpid()}", "w").close()
    time.sleep(60)

oe.minimize(hang, [(0, 1)], solver="random", budget=10, workers=2)
"""
    process = start(code, tmp_path)
    while len(pids := [int(path.name) for path in tmp_path.iterdir()]) < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# -- shared runs ------------------------------------------------------------------------------------------------------

MEMBER = """
import json, os, sys, time
import optengine as oe
from optengine.testing import Climber
storage, budget, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])

def slow(x):
    time.sleep(seconds)
    return float((x**2).sum())

result = oe.minimize(slow, [(-1.0, 1.0)] * 3, solver=Climber(population=3), budget=budget, seed=4, storage=storage,
                     x0=[[0.5] * 3, [0.25] * 3], name="plant", shared=True)
print(json.dumps([result.status, result.n_evaluations, len(result.history), result.fun]))
"""


def check_shared(storage: Path, budget: int) -> Any:
    with Journal(storage, readonly=True) as journal:
        record = journal.read("plant")
    assert record.evaluations.numbers.tolist() == list(range(budget))
    X = record.points()
    assert np.array_equal(record.evaluations.F[:, 0], (X**2).sum(axis=1))
    assert [x.tolist() for x in X].count([0.5] * 3) == 1  # the user's points, by one of them
    return record


def test_three_processes_share_a_budget_exactly(start: Any, tmp_path: Path) -> None:
    storage, budget = tmp_path / "runs.db", 100
    members = [start(MEMBER, storage, budget, 0.01) for _ in range(3)]
    told = []
    for member in members:
        out, err = member.communicate(timeout=60)
        assert err == ""
        told.append(json.loads(out))
    record = check_shared(storage, budget)
    best = record.evaluations.F.min()
    assert told == [["budget_exhausted", budget, budget, best]] * 3
    assert len(set(record.evaluations.member.tolist())) >= 2
    late = oe.minimize(sphere, BOX, solver=Climber(population=3), budget=budget, seed=4, x0=[[0.5] * 3, [0.25] * 3],
                       storage=storage, name="plant", shared=True)  # fmt: skip
    assert (late.n_evaluations, late.fun) == (budget, best)


def test_members_that_are_killed_leave_their_work_to_the_others(start: Any, tmp_path: Path) -> None:
    storage, budget = tmp_path / "runs.db", 80
    members = [start(MEMBER, storage, budget, 0.02) for _ in range(3)]
    while rows(storage) < 25:
        time.sleep(0.01)
    for member in members[:2]:
        member.kill()
        member.wait()
    out, err = members[2].communicate(timeout=60)
    assert err == ""
    assert json.loads(out)[:3] == ["budget_exhausted", budget, budget]
    check_shared(storage, budget)


def test_a_shared_run_needs_no_company(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "solver": Climber(population=3),
        "seed": 4,
        "storage": tmp_path / "runs.db",
        "name": "plant",
    }
    alone = oe.minimize(sphere, BOX, budget=20, shared=True, **settings)
    assert (alone.n_evaluations, alone.status) == (20, "budget_exhausted")
    longer = oe.minimize(sphere, BOX, budget=31, shared=True, **settings)
    assert (longer.n_evaluations, len(longer.history)) == (31, 31)
    assert longer.fun == longer.history.value.min()
    stopped = oe.solve(
        Problem(sphere, BOX), budget=60, shared=True, callbacks=lambda s: s.n_evaluations >= 40, **settings
    )
    assert stopped.status == "stopped"
    assert 40 <= stopped.n_evaluations < 60
    owner = oe.minimize(sphere, BOX, budget=60, **settings)
    assert (owner.n_evaluations, len(owner.history)) == (60, 60)
