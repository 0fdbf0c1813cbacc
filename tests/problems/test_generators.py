"""Generators: sizes as published, structure as defined, the same seed the same instance."""

from __future__ import annotations

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import ProblemError
from optengine.problems.generators import (
    FAMILIES,
    SIZES,
    capacitated_facility_location,
    combinatorial_auction,
    generalized_assignment,
    generate,
    item_placement,
    p_median,
    set_cover,
    workload_apportionment,
)


def binaries(problem: oe.problems.MILP) -> int:
    return len(problem.binaries)


def test_item_placement_has_the_published_size() -> None:
    problem = item_placement(0)
    assert (problem.n_rows, problem.n_variables, binaries(problem)) == (195, 1083, 1050)


def test_workload_apportionment_has_the_published_size() -> None:
    """61 000 variables in the files; without those fixed to 0 it is the same problem, 14 times smaller."""
    full, small = workload_apportionment(0, keep_fixed=True), workload_apportionment(0)
    assert (full.n_variables, binaries(full)) == (61_000, 1_000)
    assert abs(full.n_rows - 64_306) < 300  # one row an allowed pair: random
    assert small.n_variables == 1_000 + int((full.ub[1_000:] > 0).sum())
    assert 4_000 < small.n_variables < 4_600


def test_set_cover_has_the_published_size_and_its_guarantees() -> None:
    problem = generate("set_cover", "published")
    assert (problem.n_rows, problem.n_variables, problem.A.nnz) == (3000, 5000, 750_000)
    problem = set_cover(1, 60, 100, density=0.06)
    assert problem.A.nnz == 360
    assert np.unique(problem.A.data).tolist() == [1.0]
    assert (problem.A.sum(axis=0) >= 2).all()
    assert (problem.A.sum(axis=1) >= 1).all()
    assert problem.c.min() >= 1
    assert problem.c.max() <= 100
    assert (problem.lower == 1).all()


def test_set_cover_fills_columns_up_to_all_rows() -> None:
    problem = set_cover(0, 4, 6, density=0.95)
    assert problem.A.nnz == int(4 * 6 * 0.95)
    assert problem.A.max() == 1.0


def test_auctions_have_about_the_published_size() -> None:
    problem = generate("auction", "published", 0)
    assert problem.n_variables == 1500
    assert 400 < problem.n_rows < 800  # 300 items and the bidders' own
    assert problem.objectives[0].direction == "maximize"
    assert (problem.c >= 0).all()
    mid = generate("auction", "mid", 0)
    assert abs(mid.n_rows - 1150) < 60
    assert abs(mid.A.nnz - 15_000) < 1_500


def test_bids_of_a_bidder_exclude_each_other() -> None:
    """A bidder with more than two bids has a row of its own, after those of the items."""
    problem = combinatorial_auction(3, 20, 60)
    dummies = problem.A.toarray()[20:]
    assert len(dummies)
    assert (dummies.sum(axis=1) > 2).all()
    assert (dummies.sum(axis=0) <= 1).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_seed_is_an_instance(family: str) -> None:
    one, same, other = generate(family, "tiny", 3), generate(family, "tiny", 3), generate(family, "tiny", 4)
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    assert one.name == f"{family}-tiny-3"
    assert generate(family, "small", 3).n_variables > one.n_variables


@pytest.mark.parametrize("family", FAMILIES)
def test_tiny_instances_are_solved(family: str) -> None:
    result = oe.solve(
        generate(family, "tiny", 0), "milp", time_limit=20, options={"backend": "highs", "gap": 0.4}
    )
    assert result.feasible
    assert result.status == "optimal"


def test_placement_spreads_evenly_when_it_can() -> None:
    """Two equal bins and two equal items: no deficit, objective 0, by hand."""
    problem = item_placement(0, 2, 0, 2, 1)
    x = np.zeros(problem.n_variables)
    x[[0, 3]] = 1.0  # item 0 in bin 0, item 1 in bin 1
    demand = problem.A.toarray()[2, [0, 2]]  # the capacity row of bin 0
    share = 2 * demand / demand.sum()
    x[4:6] = np.maximum(0.0, 1.0 - share)
    x[6] = x[4:6].max()
    evaluation = problem.evaluate(x[None])
    assert evaluation.feasible()[0]
    assert evaluation.F[0, 0] == pytest.approx(20 * x[6] + x[4:6].sum())


def test_facilities_and_medians_and_assignments_have_their_rows() -> None:
    facilities = capacitated_facility_location(0, 7, 5)
    assert (facilities.n_rows, facilities.n_variables, binaries(facilities)) == (7 + 5 + 1 + 35, 40, 5)
    median = p_median(0, 8, 2)
    assert (median.n_rows, median.n_variables) == (8 + 64 + 1, 8 + 64)
    assignment = generalized_assignment(0, 3, 9)
    assert (assignment.n_rows, assignment.n_variables) == (12, 27)


def test_all_points_open_cost_nothing() -> None:
    problem = p_median(0, 5, 5)
    x = np.concatenate([np.ones(5), np.tile([1.0, 0, 0, 0, 0], 5)])  # each served by itself, the nearest
    evaluation = problem.evaluate(x[None])
    assert evaluation.feasible()[0]
    assert evaluation.F[0, 0] == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: generate("setcover"), "did you mean 'set_cover'"),
        (lambda: generate("auction", "large"), "size must be one of"),
        (lambda: generate("auction", "small", -1), "seed must be an integer >= 0"),
        (lambda: set_cover(0, 10, 10, density=0.05), "density must give every column two rows"),
        (lambda: set_cover(-1), "rng must be a numpy Generator or a seed"),
        (lambda: set_cover(0, 1), "n_rows must be an integer >= 2"),
        (lambda: combinatorial_auction(0, 10, 10, add_item_prob=0.0), "add_item_prob must be a number"),
        (lambda: p_median(0, 5, 6), "p must be at most n = 5"),
        (lambda: capacitated_facility_location(0, 5, 5, ratio=0.5), "ratio must be > 1"),
        (lambda: generalized_assignment(0, 3, 9, kind="E"), "kind must be one of"),
    ],
)
def test_wrong_numbers_are_told_in_one_sentence(call: object, words: str) -> None:
    with pytest.raises(ProblemError, match=words):
        call()  # type: ignore[operator]


def test_sizes_are_those_of_every_family() -> None:
    assert all(len(arguments) == len(SIZES) for _, arguments in FAMILIES.values())
