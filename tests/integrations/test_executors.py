"""Executors that people have: a Dask cluster, loky, MPI; and PostgreSQL under many processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest

import optengine as oe
from optengine.store import Journal

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import test modules

BOX = [(-1.0, 1.0)] * 3


def sphere(x: Any) -> float:
    return float((x**2).sum())


def solve(objective: Callable[[Any], float] = sphere, **arguments: Any) -> oe.Result:
    settings = {"solver": "random", "budget": 24, "seed": 6, "batch_size": 8} | arguments
    return oe.solve(oe.Problem(objective, BOX), **settings)


# -- Dask ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """Client of a cluster of two processes, one thread each."""
    distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
    )
    client = distributed.Client(cluster)
    yield client
    client.close()
    cluster.close()


def test_dask_gives_the_run_that_one_process_gives(dask: Any) -> None:
    bonus = 0.25
    result = solve(lambda x: float((x**2).sum()) + bonus, executor=dask.get_executor(pure=False), workers=2)
    alone = solve()
    assert result.history.X.tobytes() == alone.history.X.tobytes()
    np.testing.assert_allclose(result.history.value, alone.history.value + bonus)


def test_dask_evaluates_equal_candidates_each_time(dask: Any) -> None:
    """Without `pure=False` it would answer the second of two equal calls from memory."""
    problem = oe.Problem(lambda x: time.perf_counter(), oe.Space(k=oe.Integer(0, 0)), noisy=True, call="dict")
    result = oe.solve(problem, "random", budget=4, batch_size=4, seed=0, executor=dask.get_executor())
    assert len(set(result.history.value)) == 4


def test_a_dask_worker_killed_in_mid_run_loses_nothing(dask: Any, tmp_path: Path) -> None:
    """Killed from outside while it evaluates: Dask gives its task to another worker, and the run is the same."""
    killed = []

    def kill(snapshot: Any) -> None:
        if not killed and snapshot.n_evaluations >= 8:
            killed.append(next(iter(pids.values())))
            os.kill(killed[0], signal.SIGKILL)

    pids = dask.run(os.getpid)
    storage = tmp_path / "runs.db"
    result = solve(
        lambda x: time.sleep(0.02) or float((x**2).sum()),  # type: ignore[func-returns-value]
        executor=dask.get_executor(pure=False),
        workers=2,
        storage=storage,
        name="killed",
        callbacks=kill,
    )
    assert killed
    assert not result.history.failed.any()
    assert result.history.X.tobytes() == solve().history.X.tobytes()
    with Journal(storage, readonly=True) as journal:
        assert journal.read("killed").evaluations.numbers.tolist() == list(range(24))


@pytest.mark.parametrize("catch", [True, ()])
def test_an_evaluation_that_kills_dask_workers_fails_as_configured(dask: Any, catch: Any) -> None:
    def deadly(x: Any) -> float:
        if x[0] > 0.8:
            os._exit(9)
        return float((x**2).sum())

    dask.wait_for_workers(2)
    dask.cluster.scheduler.allowed_failures = 0
    arguments = {"executor": dask.get_executor(pure=False), "workers": 2, "budget": 12, "batch_size": 12}
    try:
        if catch:
            result = solve(deadly, catch=catch, **arguments)
            assert result.n_evaluations == 12
            dead = result.history.X[:, 0] > 0.8
            assert dead.any()
            assert result.history.failed[dead].all()
            assert result.history.failed.sum() <= 2 * dead.sum()  # what ran beside it may die with it
        else:
            with pytest.raises(oe.EvaluationFailed, match="catch=True") as caught:
                solve(deadly, **arguments)
            assert (caught.value.result.history.X[:, 0] <= 0.8).all()
    finally:
        dask.cluster.scheduler.allowed_failures = 3


# -- loky and MPI --------------------------------------------------------------------------------------------------


def test_a_loky_pool_of_the_users(tmp_path: Path) -> None:
    from loky import get_reusable_executor

    executor = get_reusable_executor(max_workers=2, timeout=60)
    alone = solve()
    assert solve(executor=executor, workers=2).history.X.tobytes() == alone.history.X.tobytes()

    def deadly(x: Any) -> float:
        if x[0] > 0.8:
            os._exit(9)
        return float((x**2).sum())

    storage = tmp_path / "runs.db"
    with pytest.raises(oe.EvaluationFailed, match="the executor died"):
        solve(deadly, executor=executor, workers=2, storage=storage)
    executor = get_reusable_executor(max_workers=2, kill_workers=True)
    resumed = solve(executor=executor, workers=2, storage=storage)
    executor.shutdown(kill_workers=True)
    assert resumed.n_evaluations == 24
    assert resumed.history.X.tobytes() == alone.history.X.tobytes()


def test_mpi() -> None:
    futures = pytest.importorskip("mpi4py.futures", reason="mpi4py is not installed")
    with futures.MPIPoolExecutor(max_workers=2) as executor:
        result = solve(executor=executor, workers=2)
    assert result.history.X.tobytes() == solve().history.X.tobytes()


# -- PostgreSQL ----------------------------------------------------------------------------------------------------

MEMBER = r"""
import os, sys
import optengine as oe
import optengine.engine, optengine.store, psycopg, sqlalchemy.dialects.postgresql.psycopg

def objective(x):
    os.write(1, (" ".join(map(str, x.round(12))) + "\n").encode())  # one write: lines of eight do not mix
    return float((x**2).sum())

def work():
    problem = oe.Problem(objective, [(-1.0, 1.0)] * 3, name="shared")
    arguments = {"budget": 160, "seed": 0, "batch_size": 4, "storage": sys.argv[1], "name": "many"}
    oe.solve(problem, "random", shared=True, **arguments)

for _ in range(8):  # all at once, after the imports
    if os.fork() == 0:
        work()
        os._exit(0)
print(sum(os.wait()[1] != 0 for _ in range(8)), "failed")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_eight_processes_share_a_run_in_postgresql(postgresql: str, child: Callable[..., Any]) -> None:
    """Every number of the budget is evaluated once, by one of the eight."""
    *lines, end = child(MEMBER, f"{postgresql}/postgres").communicate()[0].strip().split("\n")
    assert end == "0 failed"
    with Journal(f"{postgresql}/postgres", readonly=True) as journal:
        record = journal.read("many")
    assert record.evaluations.numbers.tolist() == list(range(160))
    assert len(lines) == 160
    evaluated = sorted(tuple(float(word) for word in line.split()) for line in lines)
    assert evaluated == sorted(map(tuple, record.points().round(12).tolist()))
    assert len(set(evaluated)) == 160
    assert len({int(m) for m in record.evaluations.member}) >= 2
