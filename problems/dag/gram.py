"""The Gram matrix that a DAGProblem works on, from data or from a covariance, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError

Floats = NDArray[np.float64]

SINGULAR = 1e-11  # least eigenvalue of the correlations that is taken for more than rounding


def checked_data(data: Any) -> Floats:
    """Data as an array (n, d).

    Raises:
        ProblemError: no matrix of finite numbers, too few rows or columns, or a constant column.
    """
    try:
        X = np.array(data, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(f"data must be a matrix of numbers, got {type(data).__name__}") from None
    if X.ndim != 2 or X.shape[1] < 2:
        raise ProblemError(f"data must have shape (n, d) with d >= 2, got {X.shape}")
    if not np.isfinite(X).all():
        row, column = np.argwhere(~np.isfinite(X))[0]
        raise ProblemError(
            f"data must be finite, got {X[row, column]} at [{row}, {column}]; drop or impute such rows first"
        )
    spread = np.ptp(X, axis=0)
    if (spread == 0).any():
        raise ProblemError(
            f"data must vary in every column, got constant columns {np.flatnonzero(spread == 0).tolist()}"
        )
    return X


def gram_of_data(X: Floats, center: bool) -> Floats:
    """Gram matrix (d, d) of data (n, d), divided by n."""
    if center:
        X = X - X.mean(axis=0)
    return np.asarray(X.T @ X / len(X))


def gram_of_covariance(covariance: Any) -> Floats:
    """A covariance (d, d), made exactly symmetric.

    Raises:
        ProblemError: not square, finite and symmetric, or a variance that is not > 0.
    """
    try:
        C = np.array(covariance, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProblemError(
            f"covariance must be a matrix of numbers, got {type(covariance).__name__}"
        ) from None
    if C.ndim != 2 or C.shape[0] != C.shape[1] or len(C) < 2:
        raise ProblemError(f"covariance must be a square matrix of at least two nodes, got shape {C.shape}")
    if not np.isfinite(C).all():
        row, column = np.argwhere(~np.isfinite(C))[0]
        raise ProblemError(f"covariance must be finite, got {C[row, column]} at [{row}, {column}]")
    off = np.abs(C - C.T)
    if off.max() > 1e-8 * np.abs(C).max():
        row, column = np.unravel_index(np.argmax(off), C.shape)
        raise ProblemError(
            f"covariance must be symmetric, got {C[row, column]} at [{row}, {column}] and {C[column, row]} across"
        )
    if not (C.diagonal() > 0).all():
        node = int(np.argmin(C.diagonal()))
        raise ProblemError(f"covariance must have variances > 0, got {C[node, node]} at [{node}, {node}]")
    return (C + C.T) / 2.0


def check_definite(G: Floats, name: str, n_samples: int | None) -> None:
    """Refuse a singular or indefinite Gram matrix, naming the columns that depend on each other.

    Raises:
        ProblemError: with `name`, "data" or "covariance", and what would be right.
    """
    d = len(G)
    scale = np.sqrt(G.diagonal())
    values, vectors = np.linalg.eigh(G / np.outer(scale, scale))
    if values[0] >= SINGULAR:
        return
    if name == "data" and n_samples is not None and n_samples <= d:
        raise ProblemError(
            f"data must have more rows than columns, got {n_samples} rows of {d}; or give ridge > 0"
        )
    if name == "covariance" and values[0] < -1e-8:
        raise ProblemError(
            f"covariance must be positive definite, got an eigenvalue of {values[0]:.3g} (scaled to correlations)"
        )
    weight = np.abs(vectors[:, 0])
    columns = np.flatnonzero(weight > 0.05 * weight.max()).tolist()
    raise ProblemError(
        f"{name} must have linearly independent columns, got columns {columns} that depend on each other; "
        "drop one of them or give ridge > 0"
    )
