"""Covariances of Gaussian processes on scaled features, with what their gradients need.

Stationary covariances are functions of the squared distance r2 between rows of features divided by their
lengthscales; gradients come from matrix products instead of an (n, n, d) tensor: with M = W * dk/dr2,
sum_ik M_ik (z_i - z_k)^2 = 2 (sum_i (M 1)_i z_i^2 - z' M z). `gp_pairs` does the same in one pass.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def squared_distances(A: Floats, B: Floats) -> Floats:
    """Return (n, m) squared distances of the rows of A (n, d) and B (m, d); rounding never makes one negative."""
    R = A @ B.T
    R *= -2.0
    R += np.einsum("ij,ij->i", A, A)[:, None]
    R += np.einsum("ij,ij->i", B, B)[None, :]
    return np.maximum(R, 0.0, out=R)


def rbf(R: Floats) -> tuple[Floats, Floats]:
    """Return exp(-r2 / 2) and its derivative by r2, both of the shape of R."""
    K = np.exp(-0.5 * R)
    return K, -0.5 * K


def matern52(R: Floats) -> tuple[Floats, Floats]:
    """Return the Matern covariance of order 5/2 of the squared distances R and its derivative by them."""
    r = np.sqrt(5.0 * R)
    E = np.exp(-r)
    S = (1.0 + r) * E
    K = S + (5.0 / 3.0) * R * E
    S *= -5.0 / 6.0
    return K, S


COVARIANCES = {"rbf": rbf, "matern52": matern52}


def column_sums(M: Floats, Z: Floats) -> Floats:
    """Return (d,) sum_ik M_ik (z_i - z_k)^2 / 2 of each column z of Z (n, d), M (n, n) symmetric."""
    total = M.sum(axis=1)
    return np.einsum("i,ij,ij->j", total, Z, Z) - np.einsum("ij,ij->j", Z, M @ Z)


def pair_signs(rank: Floats) -> Floats:
    """Return (n, k (k - 1) / 2) signs of the differences of ranks (n, k), scaled so that opposite orders differ by 1.

    The squared distance of two rows is the share of discordant pairs, Kendall's distance; exp(-distance) is the
    Mallows kernel (Jiao and Vert, ICML 2015).
    """
    first, second = np.triu_indices(rank.shape[1], 1)
    pairs = max(len(first), 1)
    return np.sign(rank[:, second] - rank[:, first]) * (0.5 / np.sqrt(pairs))
