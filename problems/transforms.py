"""Problems seen through a subspace: few coefficients of a basis stand for many numbers.

Hard-label attacks search the lowest frequencies of an image's change and not its pixels (Shukla et al., Simple and
efficient hard label black-box adversarial attacks in low query budget regimes, KDD 2021, arXiv:2007.07210); random
subspaces are Wang et al.'s (REMBO, JAIR 2016, arXiv:1301.1942). The transform is a problem: every solver takes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.evaluation import Evaluation
from optengine.core.problem import Problem
from optengine.core.returned import Measurement
from optengine.core.space import REAL, Batch, Space

Floats = NDArray[np.float64]

BASES = ("dct", "fft", "haar", "pixels", "random")
NORMS = (None, "2", "inf")


def dct_basis(n: int, k: int) -> Floats:
    """Return the k lowest cosines of n points (n, k), orthonormal: the DCT-II."""
    waves = np.cos(np.pi * np.outer(np.arange(n) + 0.5, np.arange(k)) / n) * math.sqrt(2.0 / n)
    waves[:, 0] = math.sqrt(1.0 / n)
    return np.asarray(waves)


def fft_basis(n: int, k: int) -> Floats:
    """Return the k lowest real waves of period n (n, k), orthonormal: constant, cosine, sine, ..."""
    angles = 2.0 * np.pi * np.arange(n) / n
    waves = np.empty((n, k))
    for j in range(k):
        periods = (j + 1) // 2
        wave = np.cos(periods * angles) if j % 2 or j == 0 else np.sin(periods * angles)
        waves[:, j] = wave / np.sqrt((wave**2).sum())
    return waves


def haar_basis(n: int, k: int) -> Floats:
    """Return the k coarsest Haar wavelets of n = 2^m points (n, k), orthonormal.

    Raises:
        ProblemError: n is no power of two.
    """
    if n & (n - 1):
        raise ProblemError(f"basis 'haar' needs lengths that are powers of two, got {n}")
    waves = np.full((n, k), math.sqrt(1.0 / n))
    for j in range(1, k):
        level = j.bit_length() - 1
        width = n >> level
        start = (j - (1 << level)) * width
        waves[:, j] = 0.0
        waves[start : start + width // 2, j] = 1.0 / math.sqrt(width)
        waves[start + width // 2 : start + width, j] = -1.0 / math.sqrt(width)
    return waves


WAVES: dict[str, Callable[[int, int], Floats]] = {
    "dct": dct_basis,
    "fft": fft_basis,
    "haar": haar_basis,
    "pixels": lambda n, k: np.eye(n, k),
}


class SubspaceEmbedding(Problem):
    """A problem of many numbers, searched over the coefficients of a few directions.

    Coefficients z in [-1, 1]^m give the change B z sqrt(d / m), whose root mean square is that of z, times `radius`,
    around `centre`; the outcome is cut at the bounds. With a norm, the change lies on the sphere of that norm:
    radius * B z / |B z|, or radius * sign(B z).

    Args:
        problem: over real numbers only, without conditions and known constraints.
        k: number of directions along each axis of `shape` (one for all, or one each); of "random", their number.
        basis: "dct", "fft", "haar" (lengths 2^m), lowest frequencies first; "random" (orthonormal); "pixels" (the
            first k of the numbers themselves along each axis: with all of them the full space, on a norm's sphere).
        shape: how the numbers are arranged, as (height, width); None: as the problem's one array has them, else (d,).
        centre: (d,) point in the problem's unit; None: the middle of the box.
        radius: size of the change; without a norm as a share of half the range, with one in the problem's unit. None:
            1 without a norm.
        norm: None, "2" or "inf". seed: of the random basis.

    Attributes:
        inner: the problem. B: (d, m) orthonormal directions.

    Raises:
        ProblemError: a space that has no subspaces, or an argument that does not fit it.
    """

    def __init__(
        self,
        problem: Problem,
        k: int | Sequence[int],
        *,
        basis: str = "dct",
        shape: Sequence[int] | None = None,
        centre: Any = None,
        radius: float | None = None,
        norm: str | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(problem, Problem):
            raise ProblemError(f"problem must be a Problem, got {problem!r}")
        space = problem.space
        if (space.kind != REAL).any() or space.conditional or space.constrained or space.fidelity:
            raise ProblemError(
                f"an embedding needs a space of real numbers without conditions and constraints, got {space!r}"
            )
        if basis not in BASES:
            raise ProblemError(
                f"basis must be one of {list(BASES)}, got {basis!r}{did_you_mean(str(basis), BASES)}"
            )
        if norm not in NORMS:
            raise ProblemError(f"norm must be one of {list(NORMS)}, got {norm!r}")
        if norm is not None and radius is None:
            raise ProblemError(f"radius must be a number > 0 with norm={norm!r}, got None")
        if radius is not None and not (isinstance(radius, (int, float)) and 0 < radius < math.inf):
            raise ProblemError(f"radius must be a number > 0 or None, got {radius!r}")
        self.inner, self.basis, self.norm = problem, basis, norm
        self.B = _directions(basis, _arranged(problem, shape), k, space.width, seed)
        self._radius = 1.0 if radius is None else float(radius)
        self._centre = self._centred(centre)
        super().__init__(
            self._never,
            Space([(-1.0, 1.0)] * self.B.shape[1]),
            objectives=problem.objectives,
            constraints=problem.constraints,
            vectorized=problem.vectorized,
            noisy=problem.noisy,
            name=f"{problem.name} in {self.B.shape[1]} {basis} directions",
        )
        self.best_known = None

    @staticmethod
    def _never(z: Any) -> float:
        raise AssertionError("the inner problem evaluates")

    def _centred(self, centre: Any) -> Floats:
        space = self.inner.space
        if centre is None:
            return np.asarray(space.from_unit(np.full((1, space.width), 0.5))[0])
        found = np.asarray(centre, dtype=np.float64).ravel()
        if found.shape != (space.width,) or not space.contains(found[None, :]).all():
            raise ProblemError(f"centre must be a point of {space!r}, got shape {np.shape(centre)}")
        return found

    def expand(self, Z: Floats) -> Batch:
        """Return the inner problem's batch (n, d) for coefficients Z (n, m)."""
        space = self.inner.space
        change = np.atleast_2d(Z) @ self.B.T
        if self.norm == "inf":
            change = self._radius * np.sign(change)
        elif self.norm == "2":
            change *= self._radius / np.maximum(np.sqrt((change**2).sum(axis=1, keepdims=True)), 1e-300)
        else:
            d, m = self.B.shape
            change *= self._radius * math.sqrt(d / m)
            if not space.log.any():
                change *= 0.5 * (space.upper - space.lower)
            else:  # logarithms move in the unit cube
                unit = space.to_unit(self._centre[None, :]) + 0.5 * change
                return np.asarray(space.from_unit(np.clip(unit, 0.0, 1.0)))
        return np.asarray(np.clip(self._centre + change, space.lower, space.upper))

    def evaluate(self, X: Batch) -> Evaluation:
        """Evaluate the inner problem at the points behind X (n, m)."""
        return self.inner.evaluate(self.expand(X))

    def measure(self, row: Batch) -> Measurement:
        """Evaluate one row (m,)."""
        return self.inner.measure(self.expand(row[None, :])[0])

    def measure_batch(self, X: Batch) -> Evaluation:
        """Evaluate a batch of a vectorised problem."""
        return self.inner.measure_batch(self.expand(X))

    def describe(self, x: Any) -> dict[str, Any]:
        """Return the inner problem's x as `embedded`, beside what that problem says of it."""
        row = self.expand(self.space.encode(x))[0]
        inner = self.inner.space.decode_one(row)
        return {"embedded": inner} | self.inner.describe(inner)

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the problem by: the inner one, directions, centre, radius and norm."""
        import hashlib

        digest = hashlib.sha256(self.B.tobytes() + self._centre.tobytes()).hexdigest()
        own = {"directions": digest, "radius": self._radius, "norm": self.norm}
        return super().fingerprint() | {"inner": self.inner.fingerprint()} | own


def _arranged(problem: Problem, shape: Sequence[int] | None) -> tuple[int, ...]:
    """The shape of the problem's numbers."""
    space, d = problem.space, problem.space.width
    if shape is None:
        only = next(iter(space.variables.values()))
        return tuple(only.dims) if len(space.variables) == 1 and only.dims else (d,)
    found = tuple(int(n) for n in shape)
    if math.prod(found) != d or min(found) < 1:
        raise ProblemError(f"shape must hold the space's {d} numbers, got {tuple(shape)}")
    return found


def _directions(basis: str, shape: tuple[int, ...], k: int | Sequence[int], d: int, seed: int) -> Floats:
    """Orthonormal directions (d, m)."""
    each = (k,) if isinstance(k, (int, np.integer)) else tuple(k)
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in each):
        raise ProblemError(f"k must be an integer >= 1, or one for each of the {len(shape)} axes, got {k!r}")
    if basis == "random":
        m = math.prod(int(n) for n in each)
        if m > d:
            raise ProblemError(f"k must be at most {d}, the number of columns, got {m}")
        return np.asarray(np.linalg.qr(np.random.default_rng(seed).normal(size=(d, m)))[0])
    each = each * len(shape) if len(each) == 1 else each
    if len(each) != len(shape) or any(n > size for n, size in zip(each, shape, strict=False)):
        raise ProblemError(f"k must be at most {shape}, one for each axis, got {k!r}")
    waves = [WAVES[basis](size, int(n)) for size, n in zip(shape, each, strict=True)]
    B = np.ones((1, 1))
    for wave in waves:
        B = np.asarray(np.kron(B, wave), dtype=np.float64)
    return B
