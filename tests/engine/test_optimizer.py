"""Ask and tell with the user's own loop: any order, any number at a time, and across processes."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine import Failed, Optimizer, OptionError, Problem, ProblemError, StorageError
from optengine.store import Journal
from optengine.testing import Climber

BOX = [(-1.0, 1.0)] * 2


def sphere(x: Any) -> float:
    return float((x**2).sum())


PROBLEM = Problem(sphere, BOX)


def optimizer(**arguments: Any) -> Optimizer:
    return Optimizer(arguments.pop("problem", PROBLEM), **({"solver": Climber(), "seed": 0} | arguments))


def test_the_loop_of_the_readme(same_run: Any) -> None:
    mine = optimizer(budget=60)
    while not mine.done:
        candidates = mine.ask(8)
        mine.tell(candidates, [sphere(c.x) for c in candidates])
    result = mine.result()
    same_run(result, oe.solve(PROBLEM, Climber(), budget=60, seed=0, batch_size=8))
    assert result.status == "budget_exhausted"
    assert mine.best.tolist() == result.x.tolist()
    assert len(mine.ask()) == 0


def test_forms_of_candidates_and_values() -> None:
    mine = optimizer(budget=40)
    batch = mine.ask(6)
    assert len(batch) == 6
    assert batch.X.shape == (6, 2)
    assert batch.x.shape == (6, 2)
    assert batch[0].number == 0
    assert [c.number for c in batch[1:3]] == [1, 2]
    assert batch[-1].number == 5
    assert "Candidate(0, array(" in repr(batch[0])
    assert pickle.loads(pickle.dumps(batch[3])).x.tolist() == batch[3].x.tolist()
    mine.tell(batch[0], 1.0)
    mine.tell(1, 2.0)
    mine.tell([batch[2], 3], [3.0, {"objective": 4.0}])
    assert [c.number for c in mine.pending] == [4, 5]
    mine.tell(np.array([5, 4]), np.array([6.0, 5.0]))
    assert mine.pending == []
    assert sorted(mine.result().history.value) == [1, 2, 3, 4, 5, 6]
    again = mine.ask(3)
    mine.tell(again, {"objective": [7.0, 8.0, np.nan]})
    assert mine.result().history.failed.sum() == 1
    mine.tell([], [])


def test_natural_batches_and_none() -> None:
    assert len(optimizer().ask()) == 8
    assert len(optimizer(batch_size=3).ask()) == 3


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1))
def test_tells_in_any_order_lose_nothing(seed: int) -> None:
    """Several pending batches, told in pieces and out of order: each value once, the best is the best."""
    budget, rng = 30, np.random.default_rng(seed)
    mine = optimizer(budget=budget, seed=seed)
    open_: list[Any] = []
    while not mine.done:
        if not open_ or rng.random() < 0.5:
            open_ += list(mine.ask(int(rng.integers(1, 7))))
            assert len(open_) + mine.result().n_evaluations <= budget
        if open_ and rng.random() < 0.5:
            rng.shuffle(open_)
            k = int(rng.integers(1, len(open_) + 1))
            told, open_ = open_[:k], open_[k:]
            values = [Failed("leak") if c.number % 7 == 3 else sphere(c.x) for c in told]
            mine.tell(told, values)
        assert sorted(c.number for c in mine.pending) == sorted(c.number for c in open_)
    result = mine.result()
    assert result.n_evaluations == budget
    assert sorted(result.history.number) == list(range(1, budget + 1))
    assert result.history.failed.sum() == len([n for n in range(budget) if n % 7 == 3])
    good = ~result.history.failed
    assert np.array_equal(result.history.value[good], (result.history.X[good] ** 2).sum(axis=1))
    assert result.fun == result.history.value[good].min()


def test_what_cannot_be_told_is_said_and_changes_nothing(clear: Any) -> None:
    mine = optimizer()
    batch = mine.ask(4)
    mine.tell(batch[0], 1.0)
    with clear(ProblemError, "candidate 0 was told already", "[1, 2, 3]"):
        mine.tell(batch[0], 1.0)
    with clear(ProblemError, "candidate 9 was never asked"):
        mine.tell(9, 1.0)
    with clear(ProblemError, "candidate -1 was never asked"):
        mine.tell(-1, 1.0)
    with clear(ProblemError, "once each"):
        mine.tell([1, 1], [1.0, 2.0])
    with clear(ProblemError, "one a candidate", "1 for 2"):
        mine.tell([1, 2], [1.0])
    with clear(ProblemError, "values", "2.0"):
        mine.tell([1, 2], 2.0)
    with clear(ProblemError, "candidates", "'first'"):
        mine.tell(["first"], [1.0])
    with clear(ProblemError, "candidates", "1.5"):
        mine.tell(1.5, 1.0)
    with clear(ProblemError, "'much'"):
        mine.tell([1, 2], [1.0, "much"])
    with clear(ProblemError, "(2,)"):
        mine.tell([1, 2], np.ones(3))
    assert [c.number for c in mine.pending] == [1, 2, 3]
    assert mine.result().n_evaluations == 1
    for n in (0, -1, 1.5, True, "3"):
        with clear(OptionError, "n must be", repr(n)):
            mine.ask(n)  # type: ignore[arg-type]
    strict = optimizer(catch=False)
    strict.ask(2)
    for nothing in (None, float("nan"), Failed("leak")):
        with clear(ProblemError, "candidate 1", "catch"):
            strict.tell([0, 1], [1.0, nothing])
    with clear(ProblemError, "candidate 1", "catch"):
        strict.tell([0, 1], np.array([1.0, np.nan]))
    assert len(strict.pending) == 2


def test_constraints_and_several_objectives_are_told_by_name() -> None:
    plant = Problem(
        lambda x: {}, BOX, objectives=["cost", oe.Objective("gain", "maximize")], constraints=["heat"]
    )
    mine = optimizer(problem=plant)
    batch = mine.ask(3)
    mine.tell(
        batch,
        [
            {"cost": 1, "gain": 2, "heat": -1},
            {"cost": 2, "gain": 1, "heat": -1},
            {"cost": 0, "gain": 3, "heat": 1},
        ],
    )
    front = mine.result().front
    assert front is not None
    assert front.F.tolist() == [[1, 2]]
    more = mine.ask(2)
    mine.tell(more, {"cost": np.array([0, 3]), "gain": np.array([0, 9]), "heat": np.zeros(2)})
    assert mine.result().front.F.tolist() == [[0, 0], [1, 2], [3, 9]]  # type: ignore[union-attr]


def test_x0_and_data_come_first() -> None:
    mine = optimizer(x0=[[0.5, 0.5], [0.25, 0.25], [0.0, 0.125]], data=([[0.0, 0.0]], [0.0]))
    first = mine.ask(2)
    assert first.X.tolist() == [[0.5, 0.5], [0.25, 0.25]]
    second = mine.ask(2)  # no more of the user's are left: fewer come
    assert second.X.tolist() == [[0.0, 0.125]]
    assert abs(mine.ask(4).X).max() < 1  # neighbours of the point known beforehand
    mine.tell(second, [0.015625])
    assert mine.result().fun == 0.015625
    assert mine.best.tolist() == [0.0, 0.125]


def test_limits_end_the_loop() -> None:
    by_target = optimizer(target=0.5)
    by_target.tell(by_target.ask(1), [0.4])
    assert by_target.done
    assert by_target.result().status == "target_reached"
    by_cost = optimizer(max_cost=3)
    by_cost.tell(by_cost.ask(2), [{"f": 1, "cost": 2}, {"f": 1, "cost": 2}])
    assert by_cost.done
    by_clock = optimizer(time_limit=1e-6)
    assert by_clock.done
    assert by_clock.result().status == "time_limit"
    held = optimizer(budget=5)
    assert [len(held.ask(4)), len(held.ask(4)), len(held.ask(4))] == [4, 1, 0]
    assert not held.done
    assert held.result().message == "5 candidates are pending"
    assert held.best is None


def test_results_are_what_they_were_when_they_were_asked_for() -> None:
    mine = optimizer()
    mine.tell(mine.ask(2), [1.0, 2.0])
    before = mine.result()
    mine.tell(mine.ask(2), [0.5, 0.25])
    assert (before.n_evaluations, len(before.history), before.fun) == (2, 2, 1.0)
    assert mine.result().fun == 0.25


def test_threads_take_their_turns() -> None:
    mine = optimizer(budget=200)

    def work() -> None:
        while True:
            batch = mine.ask(2)
            if not len(batch):
                return
            mine.tell(batch, [sphere(c.x) for c in batch])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result = mine.result()
    assert sorted(result.history.number) == list(range(1, 201))


# -- the journal ------------------------------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path: Path) -> dict[str, Any]:
    return {"storage": tmp_path / "runs.db", "name": "plant"}


def test_pending_points_survive_the_process(stored: dict[str, Any], same_run: Any) -> None:
    def drive(interrupt: bool) -> oe.Result:
        more = stored if interrupt else {}
        mine = optimizer(budget=60, **more)
        waiting: list[Any] = []
        for step in range(20):
            waiting.append(mine.ask(4))
            if step % 3 == 2 and interrupt:
                mine.close()
                mine = optimizer(budget=60, **more)
                assert [c.number for c in mine.pending] == sorted(c.number for b in waiting for c in b)
                numbers = {c.number: c for c in mine.pending}
                waiting = [[numbers[c.number] for c in batch] for batch in waiting]
            if step % 2:
                for batch in reversed(waiting):
                    mine.tell(batch, [sphere(c.x) for c in batch])
                waiting = []
        result = mine.result()
        mine.close()
        return result

    same_run(drive(interrupt=True), drive(interrupt=False))


def test_parts_of_a_batch_told_before_the_process_died(stored: dict[str, Any], same_run: Any) -> None:
    def drive(interrupt: bool) -> oe.Result:
        more = stored if interrupt else {}
        mine = optimizer(**more)
        batch = mine.ask(6)
        mine.tell([batch[4], batch[1]], [sphere(batch[4].x), sphere(batch[1].x)])
        late = mine.ask(3)
        if interrupt:
            mine.close()
            mine = optimizer(**more)
            assert [c.number for c in mine.pending] == [0, 2, 3, 5, 6, 7, 8]
        rest = [c for c in [*late, *batch] if c.number not in (1, 4)]
        mine.tell(rest, [sphere(c.x) for c in rest])
        mine.tell(batch2 := mine.ask(5), [sphere(c.x) for c in batch2])
        result = mine.result()
        mine.close()
        return result

    same_run(drive(interrupt=True), drive(interrupt=False))


def test_the_rest_of_x0_survives_the_process(stored: dict[str, Any]) -> None:
    points = [[0.1 * i, 0.0] for i in range(5)]
    with optimizer(x0=points, **stored) as mine:
        assert mine.ask(2).X.tolist() == points[:2]
    with optimizer(x0=points, **stored) as mine:
        assert len(mine.pending) == 2
        assert mine.ask(9).X.tolist() == points[2:]


def test_values_journaled_but_not_yet_told_to_the_solver(stored: dict[str, Any], same_run: Any) -> None:
    """The process dies between an evaluation and its tell: the row is there, the solver learns it on opening."""
    mine = optimizer(**stored)
    batch = mine.ask(4)
    values = np.array([sphere(c.x) for c in batch])
    log = mine._session.journal.log  # type: ignore[union-attr]
    log.rows(batch.numbers, values[:, None], np.empty((4, 0)), np.zeros(4, dtype=bool), at=0.1)
    mine.close()
    again = optimizer(**stored)
    assert again.pending == []
    assert again.result().n_evaluations == 4
    assert sorted(again.result().history.value) == sorted(values)
    again.tell(more := again.ask(4), [sphere(c.x) for c in more])
    plain = optimizer()
    plain.tell(batch2 := plain.ask(4), [sphere(c.x) for c in batch2])
    plain.tell(batch2 := plain.ask(4), [sphere(c.x) for c in batch2])
    same_run(again.result(), plain.result())
    again.close()


def test_a_finished_optimizer_is_journaled_and_opens_again(stored: dict[str, Any]) -> None:
    with optimizer(budget=8, **stored) as mine:
        mine.tell(batch := mine.ask(8), [sphere(c.x) for c in batch])
        assert mine.done
        fun = mine.result().fun
    with Journal(stored["storage"], readonly=True) as journal:
        assert journal.read("plant").status == "budget_exhausted"
    assert oe.solve(PROBLEM, Climber(), budget=8, seed=0, **stored).fun == fun
    with optimizer(budget=12, **stored) as mine:
        assert len(mine.ask(8)) == 4


def test_two_at_once_and_other_runs_are_refused(clear: Any, stored: dict[str, Any]) -> None:
    with optimizer(**stored), clear(StorageError, "plant"):
        optimizer(**stored)
    with clear(StorageError, "population"):
        optimizer(solver=Climber(population=9), **stored)
    with clear(StorageError, "seed"):
        optimizer(seed=1, **stored)


def test_errors_inside_the_with_block_carry_the_result(stored: dict[str, Any]) -> None:
    def twice() -> None:
        with optimizer(**stored) as mine:
            mine.tell(mine.ask(2), [1.0, 2.0])
            mine.tell(0, 1.0)

    with pytest.raises(ProblemError) as caught:
        twice()
    assert caught.value.result.n_evaluations == 2
