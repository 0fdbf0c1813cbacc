"""The published instances: all are read, published solutions come out at their published values."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from optengine.problems.formats import read
from optengine.problems.qap import QAP
from optengine.problems.tsp import TSP

QAP_NAMES = [
    "bur26a",
    "chr20a",
    "kra30a",
    "nug12",
    "nug20",
    "nug30",
    "sko42",
    "tai20a",
    "tai25b",
    "tai30a",
    "tai50a",
]
TSP_NAMES = [
    "a280",
    "berlin52",
    "burma14",
    "ch150",
    "eil51",
    "gr24",
    "kroA100",
    "kroA200",
    "pcb442",
    "pr1002",
]
TSP_NAMES += ["rat783", "st70"]

# This mirror's kra30a has other flows than QAPLIB's (0 to 4): 18234 is reached, far below QAPLIB's optimum 88900.
ALTERED = {"kra30a"}

# QAPLIB's solution files (counted from 1). nug12's belongs to the file with the two matrices exchanged.
ASSIGNMENTS = {
    "nug12": (578, True, "12 7 9 3 4 8 11 1 5 6 10 2"),
    "nug30": (
        6124,
        False,
        "14 5 28 24 1 3 16 15 10 9 21 2 4 29 25 22 13 26 17 30 6 20 19 8 18 7 27 12 11 23",
    ),
    "chr20a": (2192, False, "3 20 7 18 9 12 19 4 10 11 1 6 15 8 2 5 14 16 13 17"),
    "bur26a": (5426670, False, "11 15 26 7 4 13 12 2 6 18 9 5 1 21 8 14 3 20 19 10 17 25 16 24 22 23"),
}
# TSPLIB's optimal tour of berlin52 (counted from 1).
BERLIN52 = (
    "1 49 32 45 19 41 8 9 10 43 33 51 11 52 14 13 47 26 27 28 12 25 4 6 15 5 24 48 38 37 40 39 36 35 34 44 46 16 29 50 "
    "20 23 30 2 7 42 21 17 3 18 31 22"
)


def index(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "INDEX.tsv").open(newline="") as stream:
        return {row["file"]: row for row in csv.DictReader(stream, delimiter="\t")}


@pytest.mark.parametrize("name", QAP_NAMES)
def test_qaplib_instances(combinatorial: Path, name: str) -> None:
    path = combinatorial / "qap" / f"{name}.dat"
    problem = read(path)
    assert isinstance(problem, QAP)
    assert problem.flow.dtype == np.int64
    assert str(problem.n_facilities) in name
    numbers = np.array(path.read_text().split()[1:], dtype=np.int64)
    assert (np.concatenate([problem.flow.ravel(), problem.distance.ravel()]) == numbers).all()
    row = index(combinatorial)[f"qap/{name}.dat"]
    if name in ALTERED:
        assert problem.best_known is None
        assert "cannot belong to this instance" in str(problem.best_known_source)
    else:
        assert problem.best_known == float(row["best_known"])
        claim = "proved optimal: " if row["status"] == "opt" else "best known, not proved: "
        assert str(problem.best_known_source).startswith(claim)


@pytest.mark.parametrize("name", TSP_NAMES)
def test_tsplib_instances(combinatorial: Path, name: str) -> None:
    problem = read(combinatorial / "tsp" / f"{name}.tsp")
    assert isinstance(problem, TSP)
    assert problem.symmetric
    assert problem.distance.dtype == np.int64
    assert name.endswith(str(problem.n_cities))
    assert problem.best_known == float(index(combinatorial)[f"tsp/{name}.tsp"]["best_known"])
    X = problem.space.sample(3, np.random.default_rng(0))
    assert (problem.evaluate(X).F[:, 0] > problem.best_known).all()


@pytest.mark.parametrize("name", ASSIGNMENTS)
def test_published_assignments(combinatorial: Path, name: str) -> None:
    value, exchanged, listed = ASSIGNMENTS[name]
    x = np.array(listed.split(), dtype=np.int64) - 1
    problem = read(combinatorial / "qap" / f"{name}.dat")
    assert problem.evaluate((np.argsort(x) if exchanged else x)[np.newaxis].astype(float)).F[0, 0] == value


def test_published_tour(combinatorial: Path) -> None:
    tour = np.array(BERLIN52.split(), dtype=float) - 1
    assert read(combinatorial / "tsp" / "berlin52.tsp").evaluate(tour[np.newaxis]).F[0, 0] == 7542


def test_the_altered_instance_goes_below_its_listed_optimum(combinatorial: Path) -> None:
    problem = read(combinatorial / "qap" / "kra30a.dat")
    X = problem.space.sample(100, np.random.default_rng(0))
    assert (problem.evaluate(X).F < 88900).all()


def held_karp(distance: np.ndarray) -> int:
    """Length of the shortest tour, by dynamic programming over subsets (Held and Karp, 1962); small n only."""
    n = len(distance) - 1  # the last city is the start
    best = np.full((1 << n, n), 10**9)
    best[1 << np.arange(n), np.arange(n)] = distance[n, :n]
    for subset in range(1, 1 << n):
        through = (best[subset][:, np.newaxis] + distance[:n, :n]).min(axis=0)
        for city in range(n):
            if not subset >> city & 1:
                larger = subset | 1 << city
                best[larger, city] = min(best[larger, city], through[city])
    return int((best[-1] + distance[:n, n]).min())


def test_burma14_is_solved_to_its_optimum(combinatorial: Path) -> None:
    """Exact, so it pins down TSPLIB's geographical distances."""
    problem = read(combinatorial / "tsp" / "burma14.tsp")
    assert isinstance(problem, TSP)
    assert held_karp(problem.distance) == 3323


def descend(problem: TSP, x: np.ndarray) -> float:
    """2-opt and insertion descent by `delta`; returns the value kept by adding deltas, checked against evaluate."""
    n = problem.n_cities
    pairs = {
        "reversal": np.array([(i, j) for i in range(n) for j in range(i + 1, n)]),
        "insertion": np.array([(i, j) for i in range(n) for j in range(n) if i != j]),
    }
    from optengine.kernels.permutation import apply_moves

    value = problem.evaluate(x[np.newaxis].astype(float)).F[0, 0]
    improved = True
    while improved:
        improved = False
        for kind, moves in pairs.items():
            dF, _ = problem.delta(x, kind, moves)
            best = int(dF[:, 0].argmin())
            if dF[best, 0] < 0:
                x, value = apply_moves(x, kind, moves[[best]])[0], value + dF[best, 0]
                improved = True
    assert value == problem.evaluate(x[np.newaxis].astype(float)).F[0, 0]
    return float(value)


def test_gr24_reaches_its_optimum_and_nothing_below(combinatorial: Path) -> None:
    """Explicit weights by rows of the lower triangle; 40 descents from fixed starts."""
    problem = read(combinatorial / "tsp" / "gr24.tsp")
    assert isinstance(problem, TSP)
    rng = np.random.default_rng(0)
    assert min(descend(problem, rng.permutation(24)) for _ in range(40)) == 1272
