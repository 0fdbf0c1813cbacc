"""Callbacks, Ctrl-C, the progress bar."""

from __future__ import annotations

import json
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine import OptionError
from optengine.engine import Snapshot
from optengine.engine.limits import Limits
from optengine.engine.progress import ProgressBar
from optengine.store import Journal

BOX = [(-1.0, 1.0)] * 2


def sphere(x: Any) -> float:
    return float((x**2).sum())


def solve(function: Any = sphere, **arguments: Any) -> oe.Result:
    return oe.minimize(
        function, BOX, **({"solver": "random", "budget": 60, "batch_size": 10, "seed": 0} | arguments)
    )


# -- callbacks --------------------------------------------------------------------------------------------------------


def test_callbacks_see_the_run_after_each_batch() -> None:
    seen: list[tuple[int, Any, Any, float]] = []
    results: list[oe.Result] = []

    def look(snapshot: Snapshot) -> None:
        seen.append((snapshot.n_evaluations, snapshot.fun, snapshot.x, snapshot.violation))
        results.append(snapshot.result())

    result = solve(callbacks=look)
    assert [n for n, *_ in seen] == [10, 20, 30, 40, 50, 60]
    assert all(fun == sphere(x) and violation == 0 for _, fun, x, violation in seen)
    assert seen[-1][1] == result.fun
    for kept, (n, fun, *_) in zip(results, seen, strict=True):  # what was shown then stays as it was
        assert (kept.n_evaluations, len(kept.history), kept.fun, kept.status) == (n, n, fun, "stopped")


@pytest.mark.parametrize("answer", [True, np.True_])
@pytest.mark.parametrize("how", ["serial", "threads", "unordered threads"])
def test_a_callback_that_returns_true_stops_the_run(answer: Any, how: str) -> None:
    def enough(snapshot: Snapshot) -> Any:
        return answer if snapshot.n_evaluations >= 25 else None

    calls: list[int] = []
    with ThreadPoolExecutor(2) as executor:
        pool = {} if how == "serial" else {"executor": executor, "workers": 2, "ordered": how == "threads"}
        result = solve(callbacks=[enough, lambda s: calls.append(s.n_evaluations)], **pool)
    assert result.status == "stopped"
    assert 25 <= result.n_evaluations <= 30
    assert calls[-1] == result.n_evaluations == len(result.history)


@pytest.mark.parametrize("answer", [1, "yes", [True], None, False, np.array([True, False])])
def test_other_answers_stop_nothing(answer: Any) -> None:
    assert solve(callbacks=lambda snapshot: answer).n_evaluations == 60


def test_a_callback_before_anything_feasible_sees_no_value() -> None:
    seen: list[Any] = []
    oe.minimize(
        lambda x: {"f": x[0], "g": 1 + x[0] ** 2},
        BOX,
        constraints="g",
        solver="random",
        budget=5,
        seed=0,
        callbacks=lambda s: seen.append((s.x, s.fun, s.violation)),
    )
    x, fun, violation = seen[0]
    assert (fun, violation) == (x[0], 1 + x[0] ** 2)
    oe.minimize(
        lambda x: None,
        BOX,
        solver="random",
        budget=5,
        seed=0,
        catch=True,
        callbacks=lambda s: seen.append(s.x),
    )
    assert seen[-1] is None


def test_bad_callbacks_are_refused_in_one_sentence(clear: Any) -> None:
    for wrong in (5, [sphere, 5], "call"):
        with clear(OptionError, "callbacks"):
            solve(callbacks=wrong)


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import json, os, sys, time
import optengine as oe
marker, storage, workers = sys.argv[1], sys.argv[2], int(sys.argv[3])

def slow(x):
    if os.getpid() and float(x[0]) > 0.9:
        open(marker, "w").close()
    time.sleep(0.01)
    return float((x**2).sum())

more = {"workers": workers} if workers > 1 else {}
result = oe.minimize(slow, [(-1.0, 1.0)] * 2, solver="random", batch_size=50, time_limit=60, seed=0,
                     storage=storage, name="run", **more)
print(json.dumps([result.status, result.message, result.n_evaluations, len(result.history), result.fun,
                  float((result.history.X[:, 0] ** 2 + result.history.X[:, 1] ** 2).min())]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_gives_back_the_best_so_far(start: Any, tmp_path: Path, workers: int) -> None:
    marker, storage = tmp_path / "evaluating", tmp_path / "runs.db"
    process = start(INTERRUPTED, marker, storage, workers)
    deadline = time.monotonic() + 30
    while not marker.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert err == ""
    status, message, n, rows, fun, best = json.loads(out)
    assert (status, message) == ("stopped", "interrupted")
    assert n == rows >= 1
    assert fun == best
    with Journal(storage, readonly=True) as journal:
        record = journal.read("run")
    assert len(record.evaluations) == n
    assert record.status == "stopped"


# -- progress ---------------------------------------------------------------------------------------------------------


def test_the_progress_bar_writes_one_line_to_stderr(capfd: Any) -> None:
    solve(progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "sphere" in err
    assert "60/60 evaluations" in err
    assert "best 0.0" in err
    assert "Traceback" not in err


def test_the_progress_bar_says_what_counts() -> None:
    class Shown:
        n_evaluations, seconds, fun, violation = 512, 6.0, 0.01234567, 0.0

    bar = ProgressBar(Limits(budget=1024), "plant")
    assert bar.text(Shown()) == "best 0.0123457 · 512/1024 evaluations · 85.3/s · 6 s left"  # type: ignore[arg-type]
    timed = ProgressBar(Limits(time_limit=10, budget=10_000), "plant")
    assert timed.text(Shown()).endswith("4 s left")  # type: ignore[arg-type]
    Shown.violation, Shown.seconds = 0.5, 0.0
    assert ProgressBar(Limits(max_cost=3), "plant").text(Shown()) == "violation 0.5 · 512 evaluations · 0/s"  # type: ignore[arg-type]
    Shown.violation, Shown.fun = 0.0, None  # type: ignore[assignment]
    assert ProgressBar(Limits(max_cost=3), "plant").text(Shown()).startswith("512 evaluations")  # type: ignore[arg-type]


def test_an_error_still_closes_the_bar(capfd: Any) -> None:
    def broken(x: Any) -> float:
        raise ValueError("pipe burst")

    with pytest.raises(oe.EvaluationFailed):
        solve(broken, progress=True)
    assert "Traceback" not in capfd.readouterr().err
