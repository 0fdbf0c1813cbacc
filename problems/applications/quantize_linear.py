"""Quantization of linear layers: few-bit weights whose outputs deviate least, in the worst case, on calibration data.

For a layer y = W x with W (k, n) and calibration inputs X (m, n), row r of W is replaced by levels q_r of its own grid
so that max over samples of |X q_r - X w_r| is least: k right-hand sides that share X. Baselines: rounding to nearest,
and GPTQ (Frantar, Ashkboos, Hoefler, Alistarh 2022, arXiv:2210.17323).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import OptionError, ProblemError, require
from optengine.problems.minmax import MinMaxViolation
from optengine.problems.minmax_levels import LevelSets, read_levels

Floats = NDArray[np.float64]
Method = str | Callable[["QuantizedLinear"], ArrayLike]

DAMPING = 0.01  # GPTQ's percdamp


class QuantizedLinear(MinMaxViolation):
    """Levels (k, n) for the weights of a layer; minimised, in the unit of the layer's outputs.

    Attributes:
        W: (k, n) weights. X: (m, n) calibration inputs. bits, group_size: of the grids.
    """

    def __init__(
        self,
        W: Floats,
        X: Floats,
        sets: LevelSets,
        bits: int,
        group_size: int | None,
        name: str | None = None,
    ) -> None:
        self.W, self.X, self.bits, self.group_size = W, X, bits, group_size
        b = W @ X.T
        super().__init__(X, b, b, sets, name=name or f"quantize_{W.shape[0]}x{W.shape[1]}_{bits}bit")

    def nearest(self) -> Floats:
        """Round to nearest: (k, n)."""
        return self.sets.pick(self.sets.nearest(self.W.ravel())).reshape(self.W.shape)

    def gptq(self, damping: float = DAMPING) -> Floats:
        """GPTQ's weights (k, n): rounded column by column, the error passed on to the columns that are left.

        H = 2 X'X + damping * mean(diag) * I, C the upper Cholesky factor of H^-1; for column i:
        q_i = nearest level of w_i, then w[i:] -= (w_i - q_i) / C_ii * C[i, i:].
        """
        k, n = self.W.shape
        H = 2.0 * self.X.T @ self.X
        rest = self.W.copy()
        dead = np.diag(H) == 0
        H[dead, dead] = 1.0
        rest[:, dead] = 0.0
        H[np.diag_indices(n)] += damping * float(np.mean(np.diag(H)))
        C = np.linalg.cholesky(np.linalg.inv(H)).T
        Q = np.empty((k, n))
        for i in range(n):
            column = LevelSets(self.sets.values, self.sets.start[i::n], self.sets.count[i::n])
            Q[:, i] = column.pick(column.nearest(rest[:, i]))
            rest[:, i:] -= np.outer((rest[:, i] - Q[:, i]) / C[i, i], C[i, i:])
        return Q

    def worst_errors(self, Q: ArrayLike) -> Floats:
        """Largest output error (k,) of weights Q (k, n), levels or not."""
        return np.asarray(np.abs(self.X @ (np.asarray(Q) - self.W).T).max(axis=0))

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """Besides the values: `rms` (k,), the root mean square output errors."""
        error = self.X @ (np.asarray(x).reshape(self.W.shape) - self.W).T
        return super().describe(x) | {"rms": np.sqrt((error**2).mean(axis=0))}


def quantize_linear(
    W: ArrayLike, X: ArrayLike, bits: int = 4, group_size: int | None = None, *, name: str | None = None
) -> QuantizedLinear:
    """Make the problem of a layer's weights.

    Args:
        W: (k, n) weights, or (n,) of one output.
        X: (m, n) calibration inputs.
        bits: of each weight, 1..8: 2^bits levels from the smallest to the largest weight of the row, or of each group.
        group_size: columns that share a grid; None: the whole row.
        name: name of the instance.

    Raises:
        ProblemError: shapes that disagree, numbers that are not finite, or bits outside their range.
    """
    weights, inputs = np.atleast_2d(np.asarray(W, dtype=np.float64)), np.asarray(X, dtype=np.float64)
    if weights.ndim != 2 or inputs.ndim != 2 or weights.shape[1] != inputs.shape[1]:
        raise ProblemError(f"W and X must be (k, n) and (m, n), got {np.shape(W)} and {np.shape(X)}")
    if not (np.isfinite(weights).all() and np.isfinite(inputs).all()):
        raise ProblemError("W and X must be finite, got NaN or an infinite entry")
    if not isinstance(bits, int) or not 1 <= bits <= 8:
        raise ProblemError(f"bits must be in 1..8, got {bits!r}")
    n = weights.shape[1]
    size = n if group_size is None else group_size
    if not 1 <= size <= n:
        raise ProblemError(f"group_size must be in 1..{n}, got {group_size!r}")
    grids = [
        grid for row in weights for i in range(0, n, size)
        for grid in [_grid(row[i : i + size], bits)] * len(row[i : i + size])
    ]  # fmt: skip
    return QuantizedLinear(weights, inputs, read_levels(grids, weights.size), bits, group_size, name)


def _grid(w: Floats, bits: int) -> Floats:
    """2^bits levels from min to max; one level where all weights are equal."""
    return np.linspace(w.min(), w.max(), 2**bits) if w.max() > w.min() else w[:1]


def quantize_model(
    model: Any,
    inputs: Any,
    bits: int,
    method: Method = "gptq",
    *,
    group_size: int | None = None,
    metric: Callable[[Any], float] | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Quantize every `torch.nn.Linear` of a model, first to last, each on what the quantized ones before it give.

    Args:
        model: a `torch.nn.Module`; left as it is, a copy is returned.
        inputs: calibration inputs of the model, a tensor.
        bits, group_size: as in `quantize_linear`.
        method: "rtn", "gptq", or a function from the layer's problem to its weights (k, n).
        metric: the model's own measure, such as its accuracy; taken before and after.

    Returns:
        The quantized copy, and a report: `layers`, a list with name, rtn, gptq and ours (largest output errors), and
        `before`, `after`, the metric.

    Raises:
        OptionError: an unknown method.
    """
    torch = require("torch", extra="bayes")
    if not callable(method) and method not in ("rtn", "gptq"):
        raise OptionError(f"method must be 'rtn', 'gptq' or a function, got {method!r}")
    quantized, layers = copy.deepcopy(model).eval(), []
    for name, layer in quantized.named_modules():
        if not isinstance(layer, torch.nn.Linear):
            continue
        W = layer.weight.detach().double().numpy()
        problem = quantize_linear(W, _inputs_of(quantized, layer, inputs), bits, group_size, name=name)
        baselines = {"rtn": problem.nearest(), "gptq": problem.gptq()}
        Q = np.asarray(method(problem)) if callable(method) else baselines[method]
        with torch.no_grad():
            layer.weight.copy_(torch.as_tensor(Q.reshape(W.shape), dtype=layer.weight.dtype))
        errors = {word: float(problem.worst_errors(q).max()) for word, q in baselines.items()}
        layers.append({"name": name, **errors, "ours": float(problem.worst_errors(Q.reshape(W.shape)).max())})
    report: dict[str, Any] = {"layers": layers}
    if metric is not None:
        with torch.no_grad():
            report |= {"before": metric(model), "after": metric(quantized)}
    return quantized, report


def _inputs_of(model: Any, layer: Any, inputs: Any) -> Floats:
    """What `layer` gets when the model sees `inputs`, (m, n)."""
    import torch

    seen: list[Any] = []
    hook = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    try:
        with torch.no_grad():
            model(inputs)
    finally:
        hook.remove()
    return np.asarray(torch.cat([s.reshape(-1, s.shape[-1]) for s in seen]).double().numpy())
