"""Evaluations of batches: feasibility, order, stacking."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings, strategies as st

from optengine.core.evaluation import Evaluation, best_first

NAN = np.nan
few = st.sampled_from([-1.0, 0.0, 0.5, 2.0])


@st.composite
def evaluations(draw: st.DrawFn, objectives: int = 1) -> Evaluation:
    n, m = draw(st.integers(1, 12)), draw(st.integers(0, 2))
    F = np.array(
        draw(st.lists(st.lists(few, min_size=objectives, max_size=objectives), min_size=n, max_size=n))
    )
    G = np.array(draw(st.lists(st.lists(few, min_size=m, max_size=m), min_size=n, max_size=n))).reshape(n, m)
    failed = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    F[failed], G[failed] = NAN, NAN
    return Evaluation(F, G, failed)


@settings(max_examples=300)
@given(evaluations(), st.sampled_from([0.0, 0.5]))
def test_best_first_is_the_order_of_its_definition(evaluation: Evaluation, tol: float) -> None:
    """Feasible rows by value, then the others by violation, failed rows last; ties keep their order."""

    def key(i: int) -> tuple[Any, ...]:
        violation = float(np.maximum(evaluation.G[i], 0).sum())
        if evaluation.failed[i]:
            return (2, 0, i)
        return (0, evaluation.F[i, 0], i) if violation <= tol else (1, violation, i)

    assert best_first(evaluation, tol).tolist() == sorted(range(len(evaluation)), key=key)


def dominates(a: Any, b: Any) -> bool:
    return bool((a <= b).all() and (a < b).any())


@settings(max_examples=200)
@given(evaluations(objectives=2))
def test_several_objectives_are_ordered_by_pareto_rank(evaluation: Evaluation) -> None:
    order = best_first(evaluation).tolist()
    assert sorted(order) == list(range(len(evaluation)))
    feasible = set(np.flatnonzero(evaluation.feasible()).tolist())
    assert set(order[: len(feasible)]) == feasible
    left = set(feasible)
    start = 0
    while left:  # peel off one front after the other
        front = {i for i in left if not any(dominates(evaluation.F[j], evaluation.F[i]) for j in left)}
        assert set(order[start : start + len(front)]) == front
        left -= front
        start += len(front)
    violations = [evaluation.violation[i] for i in order[len(feasible) :]]
    assert violations == sorted(violations)


def test_crowding_puts_the_ends_of_a_front_first() -> None:
    F = np.array([[0.0, 4.0], [1.0, 2.0], [1.2, 1.9], [4.0, 0.0]])
    order = best_first(Evaluation.of(F)).tolist()
    assert set(order[:2]) == {0, 3}
    assert order[2:] == [2, 1]  # distances: 1: (1.2 + 2.1) / 4, 2: (3.0 + 2.0) / 4


def test_violation_counts_each_constraint() -> None:
    evaluation = Evaluation.of(np.array([1.0, NAN, 3.0]), np.array([[-1.0, 0.5], [0, 0], [0.25, 0.5]]))
    assert evaluation.violation.tolist() == [0.5, np.inf, 0.75]
    assert evaluation.feasible().tolist() == [False, False, False]
    assert evaluation.feasible(tol=0.5).tolist() == [True, False, False]
    assert np.isnan(evaluation.F[1]).all()
    assert np.isnan(evaluation.G[1]).all()
    assert Evaluation.of(np.array([[1.0], [NAN]])).violation.tolist() == [0, np.inf]


def test_take_and_concatenate_keep_what_is_known() -> None:
    F, G = np.arange(3.0)[:, None], np.zeros((3, 0))
    none = np.zeros(3, dtype=bool)
    plain = Evaluation(F, G, none)
    rich = Evaluation(F + 10, G, none, F / 10, F[:, 0], F[:, 0] / 2, np.arange(3))
    both = Evaluation.concatenate([plain, rich])
    assert both.F[:, 0].tolist() == [0, 1, 2, 10, 11, 12]
    assert both.ids is not None
    assert both.ids.tolist() == [-1, -1, -1, 0, 1, 2]
    assert both.ids.dtype == np.int64
    assert both.noise is not None
    assert both.noise.shape == (6, 1)
    assert np.isnan(both.noise[:3]).all()
    assert both.cost is not None
    assert both.cost[3:].tolist() == [0, 1, 2]
    part = both.take(np.array([5, 0]))
    assert part.F[:, 0].tolist() == [12, 0]
    assert part.seconds is not None
    assert part.seconds[0] == 1
    assert Evaluation.concatenate([plain]) is plain
    alone = Evaluation.concatenate([plain, plain.take(slice(0, 1))])
    assert (alone.noise, alone.cost, alone.seconds, alone.ids) == (None, None, None, None)
