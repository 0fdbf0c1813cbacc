"""Losses of offline surrogates, on batches of all members at once: predictions f (k, b), targets t (k, b).

Each returns one loss a member, (k,): members never see each other's gradients.

- `mse`; `nll`: a Gaussian whose deviation is a head of its own (clamped, as in the public baselines).
- `listnet` (Cao et al., ICML 2007) and `rankcosine` (Qin et al., 2008), as RaM uses them (Tan et al., ICLR 2025,
  arXiv:2410.11502): only the order of f counts, so that it must be standardised over the table before it is climbed.
- `line_integral`: MATCH-OPT (Hoang et al., ICML 2024): the integral of the gradient along the way between two points is
  the difference of their values.
- `conservative`: COMs (Trabucco et al., ICML 2021, arXiv:2107.06882): the overestimation where ascent leads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optengine.core.errors import require

LOSSES = ("mse", "nll", "listnet", "rankcosine", "match_opt", "coms")
RANKING = ("listnet", "rankcosine")  # whose predictions have no scale of their own
DEVIATIONS = (0.1, 0.2)  # bounds of the deviation of `nll`, standard deviations of y


def mse(f: Any, t: Any) -> Any:
    """Mean squared error (k,)."""
    return ((f - t) ** 2).mean(dim=1)


def nll(f: Any, raw: Any, t: Any) -> Any:
    """Negative log likelihood (k,) of a Gaussian: mean f, deviation a sigmoid of `raw` between `DEVIATIONS`."""
    torch = require("torch", "bayes")
    low, high = DEVIATIONS
    s = low + (high - low) * torch.sigmoid(raw)
    return (0.5 * ((t - f) / s) ** 2 + torch.log(s)).mean(dim=1)


def listnet(f: Any, t: Any) -> Any:
    """-sum softmax(t) log softmax(f) (k,), each batch one list."""
    torch = require("torch", "bayes")
    return -(torch.softmax(t, dim=1) * torch.log_softmax(f, dim=1)).sum(dim=1)


def rankcosine(f: Any, t: Any) -> Any:
    """(1 - cos(f, t)) / 2 (k,), each batch one list."""
    torch = require("torch", "bayes")
    return 0.5 * (1.0 - torch.nn.functional.cosine_similarity(f, t, dim=1))


def line_integral(predict: Callable[[Any], Any], A: Any, B: Any, dt: Any, points: int = 5) -> Any:
    """Mean squared error (k,) of the trapezium sum of gradient . (B - A) from A to B against dt.

    Args:
        predict: inputs (k, b, f) -> (k, b). A, B: (k, b, f). dt: (k, b) differences of targets. points: of the sum.
    """
    torch = require("torch", "bayes")
    step, total = B - A, 0.0
    for i in range(points):
        at = (A + step * (i / (points - 1))).detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(predict(at).sum(), at, create_graph=True)
        weight = (0.5 if i in (0, points - 1) else 1.0) / (points - 1)
        total = total + weight * (slope * step).sum(dim=2)
    return ((total - dt) ** 2).mean(dim=1)


def ascended(predict: Callable[[Any], Any], inputs: Any, steps: int, rate: float) -> Any:
    """Return the inputs (k, b, f) after some steps of plain gradient ascent, without a graph to the weights."""
    torch = require("torch", "bayes")
    at = inputs.detach()
    for _ in range(steps):
        at = at.requires_grad_(True)
        (slope,) = torch.autograd.grad(predict(at).sum(), at)
        at = (at + rate * slope).detach()
    return at


def conservative(predict: Callable[[Any], Any], inputs: Any, steps: int, rate: float) -> Any:
    """Overestimation (k,): mean prediction where ascent leads less that on the data."""
    return (predict(ascended(predict, inputs, steps, rate)) - predict(inputs)).mean(dim=1)
