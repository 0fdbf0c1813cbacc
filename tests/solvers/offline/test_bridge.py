"""The bridge: marginals by simulation, and a network that learns a shift."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.surrogates.bridge import BridgeNetwork, BridgeTraining, bridged, times, variance, walk

N = 20_000


def test_the_ends_are_nearly_pinned() -> None:
    assert variance(times(9)[0]) == pytest.approx(2 * (0.999 - 0.999**2))
    assert variance(0.5) == 0.5
    assert times(9)[0] > times(9)[-1]


@pytest.mark.parametrize("m", [0.1, 0.5, 0.9])
def test_bridges_have_their_mean_and_variance(m: float) -> None:
    rng = np.random.default_rng(0)
    high, low = np.full((N, 1), 3.0), np.full((N, 1), -1.0)
    x = bridged(high, low, np.full((N, 1), m), rng.standard_normal((N, 1)))
    assert x.mean() == pytest.approx((1 - m) * 3.0 - m, abs=4 * np.sqrt(variance(m) / N))
    assert x.var() == pytest.approx(variance(m), rel=0.05)


@pytest.mark.parametrize("eta", [0.0, 0.2, 1.0])
def test_the_walk_back_keeps_mean_and_variance(eta: float) -> None:
    """With the perfect prediction x - 3 each time's points are those of the bridge, whatever is drawn anew."""
    seen = {}

    def visit(m: float, x: np.ndarray) -> None:
        seen[m] = (x.mean(), x.var())

    low = np.full((N, 1), -1.0)
    ends = walk(low, lambda x, m: x - 3.0, np.random.default_rng(1), 20, eta, visit=visit)
    np.testing.assert_allclose(ends, 3.0)
    assert len(seen) == 19
    for m, (mean, var) in seen.items():
        assert mean == pytest.approx((1 - m) * 3.0 - m, abs=5 * np.sqrt(variance(m) / N) + 0.01)
        assert var == pytest.approx(variance(m), rel=0.06)


def test_a_walk_can_be_told_to_stop() -> None:
    visits: list[float] = []
    walk(
        np.zeros((2, 1)),
        lambda x, m: 0.0 * x,
        np.random.default_rng(0),
        50,
        stop=lambda: len(visits) >= 3,
        visit=lambda m, x: visits.append(m),
    )
    assert len(visits) == 3


def test_the_network_learns_where_the_high_ends_are() -> None:
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    low = rng.normal(size=(400, 2))
    high = low + np.array([2.0, -1.0])
    ones = np.ones(400)
    training = BridgeTraining(hidden=32, layers=2, steps=400, batch=64, rate=3e-3)
    network = BridgeNetwork(high, low, ones, -ones, training, np.random.default_rng(2))
    fresh = rng.normal(size=(200, 2))
    ends = walk(fresh, network.guided(1.0, -np.ones(200), -1.5), rng, 30)
    np.testing.assert_allclose((ends - fresh).mean(axis=0), [2.0, -1.0], atol=0.3)
