"""What is learnt about bits from their flips."""

from __future__ import annotations

import numpy as np

from optengine.solvers.local_search.linkage import Linkage
from optengine.solvers.local_search.moves import Draws

N = 12  # in blocks of three, that count what they hold times the block's number, but 0 if they hold two


def value(x: np.ndarray) -> float:
    held = x.reshape(-1, 3).sum(axis=1)
    return float((np.where(held == 2, 0.0, held) * [1.0, 2.0, 4.0, 8.0]).sum())


def measured(rounds: int, seed: int = 0) -> Linkage:
    """Flips of all bits, at random points that differ in a few bits."""
    rng = np.random.default_rng(seed)
    linkage, x = Linkage(np.arange(N), Draws(rng)), rng.integers(0, 2, N).astype(float)
    for _ in range(rounds):
        linkage.stand(x)
        for i in rng.permutation(N):
            y = x.copy()
            y[i] = 1 - y[i]
            linkage.measured(int(i), value(y) - value(x), 50.0)
        x = x.copy()
        flipped = rng.permutation(N)[:2]
        x[flipped] = 1 - x[flipped]
    return linkage


def test_interacting_bits_are_told_from_others() -> None:
    linkage = measured(60)
    assert (
        linkage.density < 0.6
    )  # two of eleven others interact: 0.18; doubts return when one changes its mind
    pairs = [linkage.cluster(2) for _ in range(200)]
    assert np.mean([a // 3 == b // 3 for a, b in pairs]) > 0.7  # by chance 0.18
    assert len(set(linkage.cluster(3))) == 3


def test_nothing_is_known_at_first() -> None:
    linkage = measured(0)
    assert linkage.density == 1.0
    assert len(linkage.cluster(5)) == 1
    assert sorted(linkage.due() for _ in range(N)) == list(range(N))
    assert len(set(linkage.slide(4))) == 4


def test_flips_known_are_not_due_and_cheap_ones_slide() -> None:
    linkage = Linkage(np.arange(N), Draws(np.random.default_rng(1)))
    linkage.stand(np.zeros(N))
    assert sorted(linkage.due() for _ in range(N)) == list(range(N))
    for i in range(N):
        linkage.measured(i, float(i), 1.0)
    assert linkage.due() == -1  # no flip is better, none unknown
    assert linkage.level() == 0
    assert sorted(linkage.slide(3)) == [0, 1, 2]
    x = np.zeros(N)
    x[5] = 1.0
    linkage.stand(x)
    linkage.flipped(5, 5.0)
    assert linkage.due() == 5  # back is known to be better: it comes first
