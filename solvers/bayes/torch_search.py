"""Where an acquisition function is largest: points spread over the space, neighbours of the best, gradients for reals.

One search serves every space. It looks at many points at once, keeps a few starts, moves their discrete parts to better
neighbours and their reals by L-BFGS, all starts together; where known constraints bind, gradients are projected by the
shared repair (Birgin, Martinez and Raydan, SIAM J. Optim. 10, 2000, doi:10.1137/S1052623497330963). Small discrete
spaces are enumerated.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.repair import Repair
from optengine.core.space import REAL, Batch, Space
from optengine.solvers.bayes.torch_features import Features

Floats = NDArray[np.float64]
Acquisition = Callable[[torch.Tensor], torch.Tensor]  # features (b, d) -> (b,), to be maximised

CHUNK = 256  # points looked at in one call
ENUMERATED = 4000  # points of a discrete space that are all looked at
SCALES = (0.01, 0.05, 0.2)  # steps of neighbours, in the unit cube
NEAR = 0.4  # share of the first points that are neighbours of the best known
NEIGHBOURS = 24  # of each start in a round over its discrete columns
ROUNDS = 3  # of neighbours and gradients in turn
PROJECTED_STEPS = 25  # of projected gradients
APART = 1e-6  # distance in the unit cube below which two points are the same


@dataclass
class Search:
    """How to search.

    Attributes:
        space, features, repair: the space. rng: of the run.
        n_raw, n_starts, maxiter: points looked at first; starts; L-BFGS steps.
        deadline: value of time.monotonic() after which the best so far is taken.
        levels: columns that are fidelities -> the values they may take; others stand at their target.
    """

    space: Space
    features: Features
    repair: Repair
    rng: Generator
    n_raw: int
    n_starts: int
    maxiter: int
    deadline: float = np.inf
    levels: dict[int, Floats] | None = None

    def __post_init__(self) -> None:
        self.all_points = enumerate_space(self.space, self.repair, self.levels is None)

    def maximize(self, value: Acquisition, best: Batch, taken: Callable[[Batch], NDArray[np.bool_]]) -> Any:
        """Return the best point found (1, width) that is not `taken`, or None where every point is.

        Args:
            value: the acquisition function.
            best: (k, width) points whose neighbourhoods are searched too.
            taken: (n, width) -> (n,) whether a point must not be asked again.
        """
        if self.all_points is not None:
            left = self.all_points[~taken(self.all_points)]
            if not len(left):
                return None
            return left[[int(np.argmax(self.values(value, left)))]]
        X = self.first(best)
        scores = self.values(value, X)
        X, scores = self._starts(X, scores)
        for round_ in range(ROUNDS if self.features.discrete else 1):
            before = scores.max()
            if self.features.discrete or self.space.blocks:
                X, scores = self._neighbours(value, X, scores)
            X, scores = self._gradients(value, X, scores)
            if time.monotonic() > self.deadline or (round_ and scores.max() <= before + 1e-6 * abs(before)):
                break
        return self._untaken(value, X, scores, best, taken)

    # -- points ------------------------------------------------------------------------------------------------

    def first(self, best: Batch) -> Batch:
        """Points to look at first: spread over the space, and neighbours of the best known."""
        near = int(NEAR * self.n_raw) if len(best) else 0
        X = self.repair.feasible_sample(self.n_raw - near, self.rng)
        if near:
            rows = best[self.rng.integers(0, len(best), near)]
            parts = np.array_split(rows, len(SCALES))
            X = np.concatenate(
                [X, *(self._near(part, scale) for part, scale in zip(parts, SCALES, strict=True))]
            )
        return self.settled(X)

    def _near(self, X: Batch, scale: float) -> Batch:
        """A few columns of each row changed: reals by a normal step, the rest to a neighbour."""
        Y = self.space.neighbours(X, self.rng, scale) if self.features.discrete else X.copy()
        free = self.features.free
        if free and len(Y):
            V = self.space.to_unit(Y)[:, free]
            chosen = self.rng.random(V.shape) < max(0.3, min(1.0, 20.0 / len(free)))
            V = V + chosen * self.rng.normal(0.0, scale, V.shape)
            Y = self.features.moved(Y, np.clip(V, 0.0, 1.0))
        return Y

    def settled(self, X: Batch) -> Batch:
        """Fidelities at a value they may take, and the known constraints kept."""
        X = np.array(X)
        for column, target in self.space.fidelity.values():
            X[:, column] = target
            if self.levels is not None:
                X[:, column] = self.rng.choice(self.levels[column], len(X))
        return self.kept(X)

    def kept(self, X: Batch) -> Batch:
        return X if self.repair.trivial else self.repair.repair(X, self.rng)

    # -- values ------------------------------------------------------------------------------------------------

    def values(self, value: Acquisition, X: Batch) -> Floats:
        """Return the acquisition (n,) of a batch; what is not a number counts as the worst."""
        Z = torch.from_numpy(self.features(X))
        with torch.no_grad():
            parts = [value(Z[i : i + CHUNK]).numpy() for i in range(0, len(Z), CHUNK)]
        found = np.concatenate(parts)
        return np.asarray(np.nan_to_num(found, nan=-1e300, posinf=-1e300, neginf=-1e300))

    def _starts(self, X: Batch, scores: Floats) -> tuple[Batch, Floats]:
        """The best point, and others drawn by their rank-weighted scores (as BoTorch's initialize_q_batch)."""
        k = min(self.n_starts, len(X))
        best = int(np.argmax(scores))
        usable = scores > -1e299
        spread = scores[usable].std() if usable.any() else 0.0
        if k == 1 or spread <= 0:
            chosen = np.argsort(-scores, kind="stable")[:k]
        else:
            weight = (
                np.where(usable, np.exp(np.clip(2.0 * (scores - scores[best]) / spread, -40.0, 0.0)), 0.0)
                + 1e-12
            )
            weight[best] = 0.0
            others = self.rng.choice(len(X), k - 1, replace=False, p=weight / weight.sum())
            chosen = np.concatenate([[best], others])
        return X[chosen], scores[chosen]

    # -- moves -------------------------------------------------------------------------------------------------

    def _neighbours(self, value: Acquisition, X: Batch, scores: Floats) -> tuple[Batch, Floats]:
        """Hill climbing over single changes of the discrete columns, all starts together."""
        for _ in range(ROUNDS):
            Y = self._single_changes(X)
            found = self.values(value, Y).reshape(len(X), -1)
            j = found.argmax(axis=1)
            better = found[np.arange(len(X)), j] > scores
            if not better.any():
                break
            Y = Y.reshape(len(X), -1, X.shape[1])
            X = np.where(better[:, None], Y[np.arange(len(X)), j], X)
            scores = np.where(better, found[np.arange(len(X)), j], scores)
            if time.monotonic() > self.deadline:
                break
        return X, scores

    def _single_changes(self, X: Batch) -> Batch:
        """NEIGHBOURS changed copies of each row, row after row."""
        Y = np.repeat(X, NEIGHBOURS, axis=0)
        Z = self.space.neighbours(Y, self.rng, 0.1)
        reals = np.flatnonzero(self.space.kind == REAL)
        same = (np.delete(Z, reals, axis=1) == np.delete(Y, reals, axis=1)).all(axis=1)
        if same.any():  # a real was moved, which gradients do better
            Z[same] = self.space.neighbours(Y[same], self.rng, 0.02)
        for column, _ in self.space.fidelity.values():
            Z[:, column] = Y[:, column]
            if self.levels is not None:
                change = self.rng.random(len(Z)) < 0.3
                Z[change, column] = self.rng.choice(self.levels[column], int(change.sum()))
        return self.kept(Z)

    def _gradients(self, value: Acquisition, X: Batch, scores: Floats) -> tuple[Batch, Floats]:
        """Move the free columns of all starts uphill; what does not improve stays."""
        if not self.features.free:
            return X, scores
        moved = self._climb(value, X) if self.repair.trivial else self._project(value, X)
        moved = self.kept(moved)
        found = self.values(value, moved)
        better = found > scores
        return np.where(better[:, None], moved, X), np.where(better, found, scores)

    def _climb(self, value: Acquisition, X: Batch) -> Batch:
        """Batched L-BFGS-B in the unit cube of the free columns."""
        at, mask = self.features.free_at, self.features.movable(X)
        Z = torch.from_numpy(self.features(X))

        def negative(V: Floats, batch_indices: Any = None) -> tuple[Floats, Floats]:
            rows = slice(None) if batch_indices is None else list(batch_indices)
            f, g = self._slope(value, Z[rows], V, at)
            g[~mask[rows]] = 0.0
            if time.monotonic() > self.deadline:
                g[:] = 0.0
            return -f, -g

        start = np.where(mask, self.space.to_unit(X)[:, self.features.free], 0.5)
        return self.features.moved(X, batched_lbfgs(negative, start, self.maxiter))

    @staticmethod
    def _slope(value: Acquisition, Z: torch.Tensor, V: Floats, at: list[int]) -> tuple[Floats, Floats]:
        """Value (k,) and gradient (k, free) where the free features stand at V."""
        v = torch.from_numpy(np.ascontiguousarray(V)).requires_grad_(True)
        full = Z.clone()
        full[:, at] = v
        f = value(full)
        (g,) = torch.autograd.grad(f.sum(), v)
        out, slope = f.detach().numpy().copy(), g.numpy().copy()
        bad = ~np.isfinite(out) | ~np.isfinite(slope).all(axis=1)
        out[bad], slope[bad] = -1e10, 0.0
        return out, slope

    def _project(self, value: Acquisition, X: Batch) -> Batch:
        """Spectral projected gradients: each step is repaired, and taken where it improves."""
        at, free = self.features.free_at, self.features.free
        X = X.copy()
        V = self.space.to_unit(X)[:, free]
        f, g = self._slope(value, torch.from_numpy(self.features(X)), V, at)
        step = 0.1 / np.maximum(np.abs(g).max(axis=1), 1e-12)
        for _ in range(min(self.maxiter, PROJECTED_STEPS)):
            g[~self.features.movable(X)] = 0.0
            Y = self.kept(self.features.moved(X, np.clip(V + step[:, None] * g, 0.0, 1.0)))
            W = self.space.to_unit(Y)[:, free]
            h, slope = self._slope(value, torch.from_numpy(self.features(Y)), W, at)
            better = h > f + 1e-10 * np.abs(f)
            s, y = W - V, g - slope
            curved = (s * y).sum(axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                spectral = np.where(curved > 1e-14, (s * s).sum(axis=1) / curved, step * 3.0)
            limit = 1.0 / np.maximum(np.abs(g).max(axis=1), 1e-12)
            step = np.where(better, np.minimum(spectral, limit), step * 0.2)
            X, V = np.where(better[:, None], Y, X), np.where(better[:, None], W, V)
            f, g = np.where(better, h, f), np.where(better[:, None], slope, g)
            if (~better & (step < 1e-8 * limit)).all() or time.monotonic() > self.deadline:
                break
        return X

    def _untaken(
        self,
        value: Acquisition,
        X: Batch,
        scores: Floats,
        best: Batch,
        taken: Callable[[Batch], NDArray[np.bool_]],
    ) -> Batch:
        """The best of X that is not taken; else the best untaken neighbour; else a sample."""
        order = np.argsort(-scores, kind="stable")
        good = order[~taken(X[order])]
        if len(good):
            return X[good[:1]]
        for _ in range(4):
            Y = np.concatenate([self.kept(self._single_changes(X[order])), self.first(best)])
            Y = Y[~taken(Y)]
            if len(Y):
                return Y[[int(np.argmax(self.values(value, Y)))]]
        return X[order[:1]]


def batched_lbfgs(function: Callable[..., tuple[Floats, Floats]], start: Floats, maxiter: int) -> Floats:
    """Minimise independent functions together from start (k, d) in the unit cube; return the points (k, d).

    BoTorch's batched L-BFGS-B steps every row on its own.
    """
    from botorch.optim.batched_lbfgs_b import fmin_l_bfgs_b_batched

    box = [(0.0, 1.0)] * start.shape[1]
    x, _, _ = fmin_l_bfgs_b_batched(  # type: ignore[no-untyped-call]
        function, start, bounds=box, maxiter=maxiter, pass_batch_indices=True, factr=1e9
    )
    return np.asarray(x, dtype=np.float64)


def enumerate_space(space: Space, repair: Repair, at_target: bool) -> Batch | None:
    """All points (n, width) of a small discrete space that keep its known constraints, or None."""
    size = space.cardinality()
    if size is None or size > ENUMERATED or space.blocks:
        return None
    grids = [np.arange(low, high + 1) for low, high in zip(space.lower, space.upper, strict=True)]
    X = np.array(list(itertools.product(*grids)), dtype=np.float64).reshape(-1, space.width)
    X = np.unique(space.canonical(X), axis=0)
    if at_target and space.fidelity:
        X = X[space.at_target(X)]
    return X[space.satisfies(X)] if space.constrained else X
