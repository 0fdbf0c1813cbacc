"""Several processes on one run: every number of the budget is evaluated once, whoever dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optengine.store.shared
from optengine.core.errors import StorageError
from optengine.store import Journal, SharedRunLog

WORKER = """
import sys
import numpy as np
from optengine.store import Journal

storage, budget = sys.argv[1], int(sys.argv[2])
with Journal(storage) as journal, journal.open_run("r", {}, 0, shared=True) as log:
    ask, mine = 0, []
    while (claim := log.claim(3, budget))[1]:
        first, count = claim
        log.ask(ask, "ask", 3, first, np.arange(first, first + count)[:, None], ask)
        F = np.full((count, 1), 2.0 * log.member)
        log.rows(range(first, first + count), F, np.empty((count, 0)), [False] * count)
        ask += 1
        mine += range(first, first + count)
    print(log.member, *mine, flush=True)
"""

FALLEN = """
import sys
import numpy as np
from optengine.store import Journal

with Journal(sys.argv[1]) as journal, journal.open_run("r", {}, 0, shared=True) as log:
    first, count = log.claim(6, 100)
    log.ask(0, "ask", None, first, np.arange(first, first + 4)[:, None], 0)  # four points, two numbers without any
    log.rows([first + 1], [[1.0]], [[]], [False])
    log.flush()
    log.claim(2, 100)  # and two more without any
    print("ready", flush=True)
    sys.stdin.read()
"""


def evaluate(log: SharedRunLog, ask: int, first: int, count: int) -> None:
    """Ask and evaluate claimed numbers; the point of number i is (i, member), its value 10 i."""
    numbers = np.arange(first, first + count)
    log.ask(ask, "ask", count, first, np.column_stack([numbers, np.full(count, log.member)]), ask)
    log.rows(numbers, 10.0 * numbers[:, None], np.empty((count, 0)), np.zeros(count, dtype=bool), at=1.0)
    log.flush()


def test_four_processes_claim_each_number_once(storage: str, child: Callable[..., Any]) -> None:
    workers = [child(WORKER, storage, 200) for _ in range(4)]
    lines = [[int(word) for word in worker.line().split()] for worker in workers]
    assert [worker.close() for worker in workers] == [0, 0, 0, 0]
    assert sorted(line[0] for line in lines) == [1, 2, 3, 4]
    assert sorted(number for line in lines for number in line[1:]) == list(range(200))
    with Journal(storage) as journal:
        record = journal.read("r")
    assert record.evaluations.numbers.tolist() == list(range(200))
    np.testing.assert_array_equal(record.evaluations.F[:, 0], 2.0 * record.evaluations.member)
    np.testing.assert_array_equal(record.points()[:, 0], np.arange(200))
    assert record.shared
    assert record.next_number == record.claimed == 200


def test_claims_end_with_the_budget(journal: Journal) -> None:
    with journal.open_run("r", {}, 0, shared=True) as log:
        assert log.claim(4, 10) == (0, 4)
        assert log.claim(4, 10) == (4, 4)
        assert log.claim(4, 10) == (8, 2)
        assert log.claim(4, 10) == (10, 0)
        assert log.claim(4, 12) == (10, 2)  # a larger budget goes on
        assert log.claim(5, None) == (12, 5)
        assert log.outstanding() == 17
        with pytest.raises(StorageError, match="at least 1, got 0"):
            log.claim(0, 10)


def test_news_are_the_rows_of_others_each_once(journal: Journal) -> None:
    with journal.open_run("r", {}, 0, shared=True) as a, journal.open_run("r", {}, 0, shared=True) as b:
        assert len(b.news()[0]) == 0
        a.claim(3, 100)
        b.claim(2, 100)
        evaluate(a, 0, 0, 3)
        rows, X = b.news()
        assert rows.numbers.tolist() == [0, 1, 2]
        assert rows.member.tolist() == [a.member] * 3
        np.testing.assert_array_equal(rows.F[:, 0], [0.0, 10.0, 20.0])
        np.testing.assert_array_equal(X, [[0, a.member], [1, a.member], [2, a.member]])
        assert len(b.news()[0]) == len(b.news()[1]) == 0
        evaluate(b, 0, 3, 2)
        assert a.news()[0].numbers.tolist() == [3, 4]
        a.claim(1, 100)
        a.ask(1, "ask", None, 5, [[5.0, 5.0]], 0)
        a.flush()
        assert len(b.news()[0]) == 0  # asked for, not evaluated
        a.rows(
            [5], [[np.nan]], [[]], [True], noise=[[1.0]], cost=2.0, seconds=3.0, at=4.0, errors={5: "leak"}
        )
        a.flush()
        rows, X = b.news()
        assert rows.errors == {5: "leak"}
        assert rows.noise is not None
        assert rows.cost is not None
        assert (rows.noise[0, 0], rows.cost[0], rows.seconds[0], rows.at[0]) == (1.0, 2.0, 3.0, 4.0)
        np.testing.assert_array_equal(X, [[5.0, 5.0]])


def test_news_begin_with_the_opening(journal: Journal) -> None:
    with journal.open_run("r", {}, 0, shared=True) as a:
        a.claim(2, 100)
        evaluate(a, 0, 0, 1)
        a.ask(1, "ask", None, 1, [[7.0, 7.0]], 0)
        a.flush()
        with journal.open_run("r", {}, 0, shared=True) as b:
            assert b.record.evaluations.numbers.tolist() == [0]
            a.rows([1], [[1.0]], [[]], [False])
            a.flush()
            rows, X = b.news()  # the point was journaled before the opening
            assert rows.numbers.tolist() == [1]
            np.testing.assert_array_equal(X, [[7.0, 7.0]])


def test_what_a_killed_member_left_is_adopted(storage: str, child: Callable[..., Any]) -> None:
    fallen = child(FALLEN, storage)
    assert fallen.line() == "ready"
    with Journal(storage) as journal, journal.open_run("r", {}, 0, shared=True) as log:
        assert log.claim(1, 100) == (8, 1)
        assert log.adopt() == []  # it lives
        fallen.kill()
        adopted = log.adopt()
        assert [part.numbers.tolist() for part in adopted] == [[0, 2, 3], [4, 5], [6, 7]]
        assert adopted[0].X is not None
        np.testing.assert_array_equal(adopted[0].X, [[0.0], [2.0], [3.0]])
        assert adopted[1].X is None
        assert adopted[2].X is None
        assert log.adopt() == []  # once
        log.rows([0, 2], [[0.0], [2.0]], np.empty((2, 0)), [False, False])
        log.ask(0, "ask", None, 4, [[4.0], [5.0]], 0)
        log.flush()
        with journal.open_run("r", {}, 0, shared=True) as second:
            assert second.adopt() == []
            log.close()
            again = second.adopt()  # the adopter left as well
            assert [part.numbers.tolist() for part in again] == [[3, 4, 5], [6, 7], [8]]
            np.testing.assert_array_equal(again[0].X, [[3.0], [4.0], [5.0]])
            assert again[1].X is None
            assert again[2].X is None
            assert second.outstanding() == 6
            second.rows([3, 4, 5], [[3.0], [4.0], [5.0]], np.empty((3, 0)), [False] * 3)
            second.ask(0, "ask", None, 6, [[6.0], [7.0], [8.0]], 0)
            second.rows([6, 7, 8], [[6.0], [7.0], [8.0]], np.empty((3, 0)), [False] * 3)
            assert second.outstanding() == 0
        record = journal.read("r")
    assert record.evaluations.numbers.tolist() == list(range(9))
    np.testing.assert_array_equal(record.points()[:, 0], np.arange(9.0))


def test_the_budget_is_reached_though_members_die(storage: str, child: Callable[..., Any]) -> None:
    fallen = [child(FALLEN, storage) for _ in range(2)]
    assert [one.line() for one in fallen] == ["ready"] * 2
    for one in fallen:
        one.kill()
    with Journal(storage) as journal, journal.open_run("r", {}, 0, shared=True) as log:
        ask = 0
        for part in log.adopt():
            if part.X is None:
                log.ask(ask, "ask", None, int(part.numbers[0]), part.numbers[:, None], 0)
                ask += 1
            n = len(part.numbers)
            log.rows(part.numbers, np.zeros((n, 1)), np.empty((n, 0)), np.zeros(n, dtype=bool))
        while (claim := log.claim(7, 40))[1]:
            evaluate_plainly(log, ask, *claim)
            ask += 1
        assert log.outstanding() == 0
    with Journal(storage) as journal:
        assert journal.read("r").evaluations.numbers.tolist() == list(range(40))


def evaluate_plainly(log: SharedRunLog, ask: int, first: int, count: int) -> None:
    log.ask(ask, "ask", None, first, np.arange(first, first + count)[:, None], 0)
    log.rows(range(first, first + count), np.zeros((count, 1)), np.empty((count, 0)), [False] * count)


def test_the_silent_are_adopted_and_do_no_harm(journal: Journal) -> None:
    with journal.open_run("r", {}, 0, shared=True) as a, journal.open_run("r", {}, 0, shared=True) as b:
        a.claim(3, 100)
        a.ask(0, "ask", None, 0, [[0.0], [1.0]], 0)
        a.flush()
        assert b.adopt(older_than=60.0) == []
        time.sleep(0.01)
        with_points, bare = b.adopt(older_than=0.0)
        assert (with_points.numbers.tolist(), bare.numbers.tolist()) == ([0, 1], [2])
        b.rows([0], [[100.0]], [[]], [False])
        b.ask(0, "ask", None, 2, [[-2.0]], 0)
        b.rows([2], [[102.0]], [[]], [False])
        b.flush()
        a.ask(1, "ask", None, 2, [[2.0]], 0)  # a lives on: another point under the same number
        a.rows([0, 1, 2], [[0.0], [1.0], [2.0]], np.empty((3, 0)), [False] * 3)
        a.flush()
        rows, X = a.news()  # 0 and 2 are what b made of them; a had not heard of it
        assert len(rows) == 0
        rows, X = b.news()
        assert (rows.numbers.tolist(), X.tolist()) == ([1], [[1.0]])
        b.rows([1], [[101.0]], [[]], [False])  # a was first
        assert b.outstanding() == 0
    record = journal.read("r")
    assert record.evaluations.F[:, 0].tolist() == [100.0, 1.0, 102.0]
    assert record.points()[:, 0].tolist() == [0.0, 1.0, -2.0]


def test_news_of_a_number_of_ones_own(journal: Journal) -> None:
    with journal.open_run("r", {}, 0, shared=True) as a, journal.open_run("r", {}, 0, shared=True) as b:
        a.claim(2, 100)
        a.ask(0, "ask", None, 0, [[0.5], [1.5]], 0)
        a.flush()
        time.sleep(0.01)
        (part,) = b.adopt(older_than=0.0)
        b.rows(part.numbers, [[7.0], [8.0]], np.empty((2, 0)), [False, False])
        b.flush()
        rows, X = a.news()
        assert (rows.numbers.tolist(), X.tolist()) == ([0, 1], [[0.5], [1.5]])
        a.rows([0], [[1.0]], [[]], [False])  # too late, and no error
    assert journal.read("r").evaluations.F[:, 0].tolist() == [7.0, 8.0]


def test_what_an_owner_left_is_adopted(journal: Journal, write_rows) -> None:
    with journal.open_run("r", {}, 0) as owner:
        owner.ask(0, "x0", None, 0, [[0.0]], 0)
        owner.ask(1, "ask", None, 1, [[1.0], [2.0], [3.0]], 0)
        write_rows(owner, [0, 2])
    with journal.open_run("r", {}, 0, shared=True) as log:
        assert log.claim(2, 6) == (4, 2)
        (part,) = log.adopt()
        assert part.numbers.tolist() == [1, 3]
        np.testing.assert_array_equal(part.X, [[1.0], [3.0]])
        log.rows([1], [[1.0]], [[]], [False])
    with journal.open_run("r", {}, 0) as owner:  # and back: numbers without points stay unused
        assert owner.record.next_number == 6
        assert owner.record.pending()[0].tolist() == [3]
        owner.ask(2, "ask", None, 6, [[6.0], [7.0]], 0)
        write_rows(owner, [6])
    with journal.open_run("r", {}, 0, shared=True) as log:
        assert log.claim(1, 10) == (8, 1)
        assert [part.numbers.tolist() for part in log.adopt()] == [[3], [4, 5], [7]]


def test_members_are_numbered_and_counted_once(journal: Journal) -> None:
    numbers = []
    for _ in range(3):
        with journal.open_run("r", {}, 0, shared=True) as log:
            numbers.append(log.member)
            assert log.record.shared == bool(log.member > 1)
            log.claim(1, 10)
    assert numbers == [1, 2, 3]


def test_the_heart_beats_by_itself(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optengine.store.shared, "HEARTBEAT", 0.02)
    with journal.open_run("r", {}, 0, shared=True) as a, journal.open_run("r", {}, 0, shared=True) as b:
        a.claim(1, 10)
        time.sleep(0.5)  # a writes nothing, and is not taken for dead
        assert b.adopt(older_than=0.3) == []
        a._stop.set()
        time.sleep(0.4)
        assert len(b.adopt(older_than=0.3)) == 1


def test_beat_is_cheap_and_spaced(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    with journal.open_run("r", {}, 0, shared=True) as log:
        monkeypatch.setattr(log._database, "write", None)  # a write now would be an error
        log.beat()
        monkeypatch.undo()


def test_finish_of_a_shared_run(journal: Journal) -> None:
    with journal.open_run("r", {}, 0, shared=True) as a, journal.open_run("r", {}, 0, shared=True) as b:
        a.finish("budget_exhausted", {"by": a.member})
        b.finish("budget_exhausted", {"by": b.member})
    assert journal.read("r").result == {"by": 2}
