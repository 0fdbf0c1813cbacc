"""Rates of the combinatorial kernels on one core, and their shares of what the machine gives.

Two peaks are measured beside them, in the same process: elements a second of y[i] -= a[i] * (s * x[i]) on float32 rows
that stay in the first cache, which is what a step on dense rows must do at least; and random reads a second of 32-bit
numbers from a table of 256 kB, which is what a step on lists must do at least. A move of a tour counts when the change
of its length is computed; those that the neighbour lists cut off do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

import optengine as oe
from optengine.solvers.combinatorial.assignment_walk import AssignmentWalk
from optengine.solvers.combinatorial.facilities import _Places
from optengine.solvers.combinatorial.flip_walks import Annealing, DenseTabu, FlipForm, SparseTabu
from optengine.solvers.combinatorial.linear_order import _Orders
from optengine.solvers.combinatorial.tour import _Tour

SECONDS = 1.0
HELD = {"QUBO tabu, n = 1000 dense": 1.5e9, "QAP tabu, n = 30": 150e6, "TSP moves, n = 1000": 25e6}


@numba.njit(cache=False)
def _stream(a: Any, x: Any, y: Any, rounds: int) -> None:
    s = a.dtype.type(1)
    for _ in range(rounds):
        for i in range(len(a)):
            y[i] -= a[i] * (s * x[i])
        s = -s


@numba.njit(cache=False)
def _reads(table: Any, rounds: int) -> int:
    total, at = 0, 12345
    for _ in range(rounds):
        at = (at * 1103515245 + 12345) & 0x7FFFFFFF
        total += table[(at >> 8) & 0xFFFF]
    return total


def rate(run: Callable[[int], int]) -> float:
    """Units a CPU second of `run(amount) -> units`, grown until it takes long enough."""
    amount = 64
    while True:
        began = time.process_time()
        units = run(amount)
        took = time.process_time() - began
        if took > SECONDS / 4:
            return units / took
        amount *= 4


def _peaks() -> tuple[float, float]:
    a, x, y = (np.ones(1024, dtype=np.float32) for _ in range(3))
    table = np.arange(1 << 16, dtype=np.int32)

    def stream(amount: int) -> int:
        _stream(a, x, y, amount)
        return amount * len(a)

    def reads(amount: int) -> int:
        _reads(table, amount)
        return amount

    stream(1)
    reads(1)
    return rate(stream), rate(reads)


def _flips(kind: type, problem: oe.problems.QUBO) -> Callable[[int], int]:
    form = FlipForm(problem)
    walk = kind(form, 0, form.n // 100 + 10, 10, 1 << 60)
    walk.begin(np.zeros(form.n, dtype=np.int64))
    return lambda amount: walk.advance(amount) * form.n


def _annealing(problem: oe.problems.QUBO) -> Callable[[int], int]:
    form = FlipForm(problem)
    walk = Annealing(form, 0)

    def run(amount: int) -> int:
        walk.heat(1.0, amount)
        walk.begin(np.zeros(form.n, dtype=np.int64))
        return walk.advance(amount) * form.n

    return run


def _exchanges(n: int) -> Callable[[int], int]:
    walk = AssignmentWalk(oe.problems.QAP.random(np.random.default_rng(0), n), 0, n, n // 5 + 1)
    walk.begin(np.arange(n), 1 << 60)
    return lambda amount: walk.advance(amount) * n * (n - 1) // 2


def _moves(n: int) -> Callable[[int], int]:
    books = _Tour(oe.problems.TSP.random(np.random.default_rng(0), n).distance.astype(np.float64), 8, 0)
    books.begin(np.random.default_rng(1).permutation(n))

    def run(amount: int) -> int:
        books.advance(amount, 0.0)
        return amount

    return run


def _insertions(n: int) -> Callable[[int], int]:
    W = oe.problems.LinearOrdering.random(np.random.default_rng(0), n).W
    search = _Orders((W - W.T).astype(np.int32), np.arange(n), 0.0, 5, 0.0, 0)

    def run(amount: int) -> int:
        search.advance(amount)
        return amount * (n - 1)

    return run


def _swaps(n: int, k: int) -> Callable[[int], int]:
    distance = oe.problems.PMedian.random(np.random.default_rng(0), n, n).distance.T.copy()
    search = _Places(distance, np.arange(k), 0)

    def run(amount: int) -> int:
        search.advance(amount, 0.0, 2)
        return amount * k

    return run


def print_rates() -> None:
    """Measure and print; one line a kernel."""
    rng = np.random.default_rng(0)
    stream, reads = _peaks()
    print(f"peak: {stream / 1e9:.2f} G elements/s in rows, {reads / 1e9:.2f} G random reads/s")
    torus = oe.problems.QUBO.random(rng, 2000, 0.002)
    kernels = {
        "QUBO tabu, n = 250 dense": (_flips(DenseTabu, oe.problems.QUBO.random(rng, 250)), stream),
        "QUBO tabu, n = 1000 dense": (_flips(DenseTabu, oe.problems.QUBO.random(rng, 1000)), stream),
        "QUBO tabu, n = 2500 dense": (_flips(DenseTabu, oe.problems.QUBO.random(rng, 2500)), stream),
        "MaxCut tabu, n = 800, degree 48": (
            _flips(SparseTabu, oe.problems.MaxCut.random(rng, 800, 0.06).qubo()), None,
        ),
        "annealing, n = 2000, degree 4": (_annealing(torus), reads),
        "QAP tabu, n = 30": (_exchanges(30), stream),
        "QAP tabu, n = 42": (_exchanges(42), stream),
        "TSP moves, n = 280": (_moves(280), reads),
        "TSP moves, n = 1000": (_moves(1000), reads),
        "insertions of an order, n = 250": (_insertions(250), stream),
        "swaps of 50 of 500 places": (_swaps(500, 50), None),
    }  # fmt: skip
    for name, (run, peak) in kernels.items():
        run(1)
        found = rate(run)
        share = f", {found / peak:.0%} of the peak" if peak else ""
        held = HELD.get(name)
        verdict = (
            "" if held is None else f"  (held: >= {held / 1e6:.0f} M{'' if found >= held else ': MISSED'})"
        )
        print(f"{name:32} {found / 1e6:8.0f} M evaluations/s{share}{verdict}")
