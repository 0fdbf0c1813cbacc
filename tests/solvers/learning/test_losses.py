"""Losses against cases worked by hand, and the sorted form of the ranking term against its pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from optengine.solvers.milp.learning import losses  # noqa: E402

LN3 = math.log(3.0)


def test_contrastive_by_hand() -> None:
    """z = (ln 3, 0), x = (1, 0): soft -ln(3/4); probabilities 3/4 and 1/2, so the pair falls 0.65 short of 0.9."""
    z, X, w = torch.tensor([LN3, 0.0]), torch.tensor([[1.0, 0.0]]), torch.ones(1)
    soft, rank = math.log(4 / 3), 0.9 - (0.75 - 0.5)
    assert float(losses.contrastive(z, X, w, temperature=1.0, alpha=0.0)) == pytest.approx(soft)
    assert float(losses.contrastive(z, X, w, temperature=1.0, alpha=2.0)) == pytest.approx(soft + 2 * rank)
    sharp = losses.contrastive(z, X, w, temperature=0.5, alpha=0.0)  # exp(z / 0.5) = 9 and 1
    assert float(sharp) == pytest.approx(math.log(10 / 9))


def test_contrastive_weighs_solutions_and_leaves_constant_ones_out() -> None:
    z = torch.tensor([LN3, 0.0])
    X = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])
    w = torch.tensor([0.5, 0.25, 0.15, 0.1])
    expected = 0.5 * math.log(4 / 3) + 0.25 * math.log(4)
    assert float(losses.contrastive(z, X, w, temperature=1.0, alpha=0.0)) == pytest.approx(expected)
    z.requires_grad_()
    loss = losses.contrastive(z, X[2:], w[2:])
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert z.grad is not None


def test_sorted_ranking_equals_all_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    for margin in (0.0, 0.3, 0.9):
        logits = torch.randn(40, generator=generator, dtype=torch.float64).requires_grad_()
        X = (torch.rand(5, 40, generator=generator) < 0.3).double()
        p = torch.sigmoid(logits)
        pairs = torch.stack([torch.relu(margin - (p[x == 1][:, None] - p[x == 0][None])).mean() for x in X])
        ours = losses.pair_margin(p, X, margin)
        torch.testing.assert_close(ours, pairs)
        (one,) = torch.autograd.grad(ours.sum(), logits, retain_graph=True)
        (other,) = torch.autograd.grad(pairs.sum(), logits)
        torch.testing.assert_close(one, other)


def test_equal_probabilities_count_in_the_ranking() -> None:
    p = torch.full((3,), 0.5)
    assert float(losses.pair_margin(p, torch.tensor([[1.0, 0, 0]]), 0.9)) == pytest.approx(0.9)


def test_cross_entropy_by_hand() -> None:
    """z = 0 costs ln 2 a binary; ln 3 for x = 1 costs ln(4/3), for x = 0 ln 4."""
    X, w = torch.tensor([[1.0, 0.0], [0.0, 0.0]]), torch.tensor([0.75, 0.25])
    assert float(losses.cross_entropy(torch.zeros(2), X, w)) == pytest.approx(2 * math.log(2))
    expected = 0.75 * math.log(4 / 3) + 0.25 * math.log(4) + math.log(2)
    assert float(losses.cross_entropy(torch.tensor([LN3, 0.0]), X, w)) == pytest.approx(expected)


def test_info_nce_by_hand() -> None:
    """p = (3/4, 1/2); the good solution scores 3/4, the bad ones 1/2 and 0."""
    z, X = torch.tensor([LN3, 0.0]), torch.tensor([[1.0, 0.0]])
    bad = torch.tensor([[[0.0, 1.0], [0.0, 0.0]]])
    expected = math.log(math.exp(0.75) + math.exp(0.5) + 1.0) - 0.75
    assert float(losses.info_nce(z, X, torch.ones(1), bad)) == pytest.approx(expected)
    cold = math.log(math.exp(1.5) + math.exp(1.0) + 1.0) - 1.5
    assert float(losses.info_nce(z, X, torch.ones(1), bad, temperature=0.5)) == pytest.approx(cold)


def test_bad_solutions_keep_the_number_of_ones() -> None:
    rng = np.random.default_rng(0)
    X = (rng.random((3, 50)) < 0.4).astype(np.uint8)
    bad = losses.altered(X, rng)
    assert bad.shape == (3, 10, 50)
    assert (bad.sum(axis=2) == X.sum(axis=1)[:, None]).all()
    assert ((bad != X[:, None]).sum(axis=2) == 2 * np.round(0.1 * X.sum(axis=1)).astype(int)[:, None]).all()
    assert np.array_equal(losses.altered(np.ones((1, 4), np.uint8), rng)[0, 0], np.ones(4))


def test_pool_weights_by_hand() -> None:
    """A value one temperature worse weighs 1/e; shifts by huge values do not overflow."""
    weights = losses.pool_weights(np.array([100.0, 105.0]), 0.05)
    assert weights.tolist() == pytest.approx([1 / (1 + math.exp(-1)), 1 / (1 + math.e)])
    assert losses.pool_weights(np.array([-1e9, -9e8]), 1e-3).tolist() == pytest.approx([1.0, 0.0])
    assert losses.pool_weights(np.array([0.0, 1.0]), 1.0)[0] == pytest.approx(1 / (1 + math.exp(-1)))
