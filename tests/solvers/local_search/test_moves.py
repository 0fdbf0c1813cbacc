"""Moves stay in the space, change what they should, and are drawn as they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import optengine as oe
from optengine.kernels.permutation import apply_moves
from optengine.solvers.local_search.moves import (
    CLUSTERS,
    EXCHANGE,
    FLIP,
    JUMP,
    KINDS,
    REVERSAL,
    Credits,
    Draws,
    Neighbourhood,
    PowerLaw,
    possible_kinds,
)

SPACES = {
    "permutation": oe.Space(oe.Permutation(6)),
    "two permutations": oe.Space(a=oe.Permutation(4), b=oe.Permutation(2)),
    "bits": oe.Space(oe.Binary(shape=7)),
    "subset of a size": oe.Space(oe.Subset(8, 3)),
    "subset between sizes": oe.Space(oe.Subset(8, (2, 4))),
    "any subset": oe.Space(oe.Subset(5)),
    "levels": oe.Space(
        a=oe.Integer(-3, 50), b=oe.Categorical(list("xyz")), c=oe.Ordinal([1, 5, 9]), d=oe.Integer(4, 4)
    ),
    "mixed": oe.Space(order=oe.Permutation(5), bits=oe.Binary(shape=3), chosen=oe.Subset(6, (1, 2))),
    "conditional": oe.Space(
        kind=oe.Categorical(["a", "b"]),
        n=oe.Integer(1, 9, when=("kind", "a")),
        order=oe.Permutation(3, when=("kind", "b")),
    ),
}
seeds = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=150)
@given(name=st.sampled_from(sorted(SPACES)), seed=seeds, strength=st.integers(1, 9))
def test_every_move_stays_in_the_space(name: str, seed: int, strength: int) -> None:
    space, rng = SPACES[name], np.random.default_rng(seed)
    moves = Neighbourhood(space, Draws(rng))
    assert {KINDS[kind] for kind in moves.kinds} == set(possible_kinds(space)) - {"cluster", "slide"}
    x = np.ascontiguousarray(space.sample(1, rng)[0])
    before = x.copy()
    for kind in moves.kinds:
        y = moves.apply(x, kind, *moves.draw(kind, x))
        assert space.contains(y[np.newaxis, :])[0], KINDS[kind]
        assert np.array_equal(space.canonical(y[np.newaxis, :])[0], y)
    y = moves.perturbed(x, strength)
    assert space.contains(y[np.newaxis, :])[0]
    assert np.array_equal(x, before)


@settings(deadline=None)
@given(seed=seeds)
def test_orders_move_as_problems_mean_it(seed: int) -> None:
    space, rng = SPACES["permutation"], np.random.default_rng(seed)
    moves, x = Neighbourhood(space, Draws(rng)), space.sample(1, rng)[0]
    for kind in range(REVERSAL + 1):
        pair = moves.draw(kind, x)
        assert np.array_equal(moves.apply(x, kind, *pair), apply_moves(x, KINDS[kind], np.array([pair]))[0])


@settings(deadline=None)
@given(seed=seeds)
def test_flips_and_exchanges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name, others in (("bits", 0), ("subset of a size", 1), ("subset between sizes", 1)):
        space = SPACES[name]
        moves, x = Neighbourhood(space, Draws(rng)), space.sample(1, rng)[0]
        if FLIP in moves.kinds:
            column, value = moves.draw(FLIP, x)
            y = moves.apply(x, FLIP, column, value)
            assert y[column] != x[column]
            assert (y != x).sum() == 1 or (others and not moves.may_flip(x, column))
        a, b = moves.draw(EXCHANGE, x)
        y = moves.apply(x, EXCHANGE, a, b)
        assert y.sum() == x.sum()
        assert (y != x).sum() in (0, 2)
    space = SPACES["bits"]
    moves, x = Neighbourhood(space, Draws(rng)), space.sample(1, rng)[0]
    size, _ = moves.draw(JUMP, x)
    assert size >= 2
    assert (moves.apply(x, JUMP, size, 0) != x).sum() == min(size, 7)


def test_each_site_is_flipped_once_a_round_the_hopeful_first() -> None:
    space = SPACES["bits"]
    moves = Neighbourhood(space, Draws(np.random.default_rng(0)))
    x = np.zeros(7)
    for column in (2, 5):
        moves.learn(column, worse=True)
    drawn = [moves.draw(FLIP, x)[0] for _ in range(7)]
    assert sorted(drawn) == list(range(7))
    assert set(drawn[5:]) == {2, 5}


def test_only_the_moves_asked_for() -> None:
    moves = Neighbourhood(SPACES["mixed"], Draws(np.random.default_rng(0)), ("swap", "flip"))
    assert [KINDS[kind] for kind in moves.kinds] == ["swap", "flip"]
    assert CLUSTERS not in Neighbourhood(SPACES["bits"], Draws(np.random.default_rng(0))).kinds


@pytest.mark.parametrize("least", [1, 2, 5])
def test_power_law(least: int) -> None:
    law = PowerLaw(10, 1.5)
    drawn = np.array([law.draw((u + 0.5) / 20000, least) for u in range(20000)])
    weights = np.arange(least, 11) ** -1.5
    shares = np.bincount(drawn, minlength=11)[least:] / len(drawn)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=1e-3)


def test_credits_follow_success_and_give_nobody_up() -> None:
    credits = Credits(3)
    for _ in range(300):
        credits.learn(0, True)
        credits.learn(1, False)
        credits.learn(2, False)
    assert sum(credits.shares) == pytest.approx(1.0)
    assert credits.shares[0] > 0.8
    assert min(credits.shares) > 0.03
    assert credits.choose(0.0) == 0
    assert credits.choose(1.0) == 2
