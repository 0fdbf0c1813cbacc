"""The root on a line against its definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings, strategies as st
from numpy.random import default_rng

from optengine.kernels.piecewise import line_root, line_root_reference


def line(seed: int) -> tuple[np.ndarray, ...]:
    rng = default_rng(seed)
    d = int(rng.integers(1, 8))
    lb = rng.integers(-3, 2, d).astype(float) if rng.random() < 0.5 else rng.normal(size=d)
    ub = lb + (rng.integers(0, 4, d) if rng.random() < 0.5 else 10.0 ** rng.uniform(-3, 3, d))
    c = rng.normal(size=d) * (rng.random(d) < 0.8) * 10.0 ** rng.uniform(-3, 3, d)
    w = rng.random(d) * (rng.random(d) < 0.9)
    v = lb + (ub - lb) * rng.uniform(-2, 3, d)
    low, high = np.minimum(c * lb, c * ub).sum(), np.maximum(c * lb, c * ub).sum()
    target = low + (high - low) * rng.uniform(-0.1, 1.1)
    first = -np.inf if rng.random() < 0.5 else -rng.random()
    last = np.inf if rng.random() < 0.5 else rng.random()
    return v, c, (lb, ub, w), np.empty((3, d)), np.array([first, last, target, 0.0])


@settings(max_examples=1000)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_the_definition(seed: int) -> None:
    v, c, box, work, span = line(seed)
    lb, ub, w = box

    def f(t: float) -> float:
        return float(c @ np.clip(v - t * w * c, lb, ub)) - span[2]

    ours, theirs = line_root(v, c, box, work, span), line_root_reference(v, c, box, work, span)
    assert span[0] <= ours <= span[1]
    size = np.abs(c * np.maximum(np.abs(lb), np.abs(ub))).sum() + abs(span[2])
    assert abs(f(ours)) <= abs(f(theirs)) + 1e-11 * size
