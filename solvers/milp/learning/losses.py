"""Losses between the logits of one instance and its pool of solutions.

- `contrastive` (CoCo-MILP): the ones of a solution against all binaries, and against its zeros pair by pair.
- `cross_entropy` (Predict-and-Search, Han et al., ICLR 2023): each binary by itself.
- `info_nce` (ConPaS, Huang et al., ICML 2024): good solutions against bad ones.

Arguments of all: logits (k,), solutions X (q, k) of zeros and ones, weights (q,) that sum to 1.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

LOSSES = ("contrastive", "cross_entropy", "info_nce")
TEMPERATURE, MARGIN, ALPHA = 0.1, 0.9, 0.01  # of the published contrastive loss
CLAMP = 18.0  # the published code clamps probabilities to [1e-8, 1 - 1e-8]: logits to this
NEGATIVES, FLIPPED = 10, 0.1  # of InfoNCE: bad solutions for each good one, and how much of one is altered
NCE_TEMPERATURE = 1.0


def pool_weights(values: NDArray[np.float64], tau_rel: float) -> NDArray[np.float64]:
    """Weights (q,) of solutions by their values, minimised: softmax(-(f - best) / (tau_rel max(1, |best|)))."""
    best = float(values.min())
    weight = np.exp(-(values - best) / (tau_rel * max(1.0, abs(best))))
    return np.asarray(weight / weight.sum())


def contrastive(
    logits: Tensor,
    X: Tensor,
    weights: Tensor,
    *,
    temperature: float = TEMPERATURE,
    margin: float = MARGIN,
    alpha: float = ALPHA,
) -> Tensor:
    """Inter-variable contrastive loss, soft term plus alpha times the ranking term.

    Soft: -sum_q w_q log(sum over ones of exp(z / temperature) / sum over all of the same). Ranking: sum_q w_q of the
    mean over pairs (one j, zero k) of max(0, margin - (p_j - p_k)), p = sigmoid(z). Solutions without ones, or without
    zeros, are left out.
    """
    ones = X.sum(dim=1)
    kept = (ones > 0) & (ones < X.shape[1])
    if not bool(kept.any()):
        return logits.sum() * 0.0
    X, weights = X[kept], weights[kept]
    z = logits.clamp(-CLAMP, CLAMP) / temperature
    on = z.expand_as(X).masked_fill(X == 0, -torch.inf)
    soft = (weights * (torch.logsumexp(z, dim=0) - torch.logsumexp(on, dim=1))).sum()
    return soft + alpha * (weights * pair_margin(torch.sigmoid(logits), X, margin)).sum()


def pair_margin(p: Tensor, X: Tensor, margin: float) -> Tensor:
    """Mean over pairs of a one j and a zero k of max(0, margin - (p_j - p_k)), (q,).

    Exact without forming the pairs: with the binaries sorted by p, those zeros that violate the margin with a given
    one are a tail of the order, and sums over tails are differences of cumulative sums. O(q k + k log k).
    """
    order = torch.argsort(p.detach(), stable=True)
    p, X = p[order], X[:, order]
    zeros = 1.0 - X
    none = torch.zeros(len(X), 1, dtype=p.dtype, device=p.device)
    number = torch.cat([none, zeros.cumsum(dim=1)], dim=1)
    total = torch.cat([none, (zeros * p).cumsum(dim=1)], dim=1)
    first = torch.searchsorted(p.detach(), p.detach() - margin, right=True)  # zeros from here on violate
    n_above = number[:, -1:] - number[:, first]
    above = total[:, -1:] - total[:, first]
    hinge = (X * (n_above * (margin - p) + above)).sum(dim=1)
    return hinge / (X.sum(dim=1) * number[:, -1])


def cross_entropy(logits: Tensor, X: Tensor, weights: Tensor) -> Tensor:
    """Weighted binary cross-entropy: sum_q w_q sum_j BCE(x_qj, sigmoid(z_j))."""
    target = weights @ X  # linear in x: one pass for the whole pool
    total = weights.sum()
    positive, negative = functional.softplus(-logits), functional.softplus(logits)
    return (target * positive + (total - target) * negative).sum()


def info_nce(
    logits: Tensor, X: Tensor, weights: Tensor, bad: Tensor, *, temperature: float = NCE_TEMPERATURE
) -> Tensor:
    """InfoNCE between solutions: -sum_q w_q log(exp(s_q) / (exp(s_q) + sum over bad of exp(s))).

    s = p . x / temperature, p = sigmoid(z).

    Args:
        bad: (q, r, k) solutions to tell the q good ones from; see `altered`.
    """
    p = torch.sigmoid(logits)
    good = (X @ p) / temperature
    others = (bad @ p) / temperature
    everything = torch.logsumexp(torch.cat([good[:, None], others], dim=1), dim=1)
    return (weights * (everything - good)).sum()


def altered(
    X: NDArray[np.uint8],
    rng: np.random.Generator,
    n_negatives: int = NEGATIVES,
    flipped: float = FLIPPED,
) -> NDArray[np.uint8]:
    """Bad solutions (q, r, k): in each, a share of the ones and as many zeros are exchanged.

    Infeasible or worse than the pool with near certainty. The number of ones stays, so that it does not tell the two
    apart (ConPaS flips any 10 % of the binaries).
    """
    bad = np.repeat(X[:, np.newaxis], n_negatives, axis=1)
    for q, x in enumerate(X):
        ones, zeros = np.flatnonzero(x), np.flatnonzero(x == 0)
        count = min(max(1, round(flipped * len(ones))), len(ones), len(zeros))
        for r in range(n_negatives):
            bad[q, r, rng.choice(ones, count, replace=False)] = 0
            bad[q, r, rng.choice(zeros, count, replace=False)] = 1
    return bad
