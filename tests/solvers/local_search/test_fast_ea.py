"""The (1 + lambda) evolutionary algorithm with heavy-tailed mutation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import optengine as oe
from optengine.solvers import FastEA

Driven = Any


def ones(X: np.ndarray) -> np.ndarray:
    return -X.sum(axis=1)


@pytest.mark.parametrize("rate", ["fast", "adaptive", "static"])
@pytest.mark.parametrize("offspring", [1, 8])
def test_counts_ones(
    rate: str, offspring: int, drive: Callable[..., Driven], encoded: Callable[..., oe.Problem]
) -> None:
    """Some e n log n evaluations are expected of a static rate and one offspring, at most twice that of the others."""
    problem = encoded(ones, oe.Binary(shape=40))
    for seed in range(3):
        assert drive(FastEA(rate=rate, offspring=offspring), problem, 4000, seed, target=-40).best == -40


def test_heavy_tails_jump_where_single_flips_are_stuck(
    drive: Callable[..., Driven], encoded: Callable[..., oe.Problem]
) -> None:
    """Jump_3: three bits must flip at once. Static rates need some 16 000 evaluations of n = 20, heavy tails fewer."""

    def jump(X: np.ndarray) -> np.ndarray:
        total = X.sum(axis=1)
        return np.where((total <= 17) | (total == 20), -3.0 - total, total - 20.0)

    problem = encoded(jump, oe.Binary(shape=20))
    found = [drive(FastEA(), problem, 9000, seed, target=-23).best == -23 for seed in range(6)]
    assert sum(found) >= 4


def test_strengths_follow_the_power_law(encoded: Callable[..., oe.Problem]) -> None:
    run = FastEA().start(encoded(ones, oe.Binary(shape=60)), np.random.default_rng(0))
    drawn = np.array([run._strength() for _ in range(20_000)])
    assert drawn.min() == 1
    assert (drawn == 1).mean() > 0.25
    assert (drawn >= 10).mean() > 0.05
    assert drawn.max() <= 60


def test_the_parent_is_never_worse(drive: Callable[..., Driven], encoded: Callable[..., oe.Problem]) -> None:
    driven = drive(FastEA(offspring=4), encoded(lambda X: X @ np.arange(8.0), oe.Subset(8, 3)), 40)
    assert driven.run._key == (0.0, driven.best)
    assert (driven.X.sum(axis=1) == 3).all()


def test_options() -> None:
    for wrong in ({"offspring": 0}, {"rate": "slow"}, {"beta": 1.0}, {"memory": None}):
        with pytest.raises(oe.OptionError, match=next(iter(wrong))):
            FastEA(**wrong)
    with pytest.raises(oe.SolverNotSuitable, match="discrete"):
        oe.minimize(lambda x: 0.0, oe.Space(a=oe.Real(0, 1)), solver="fast_ea", budget=3)
