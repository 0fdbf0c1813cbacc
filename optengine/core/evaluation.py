"""What a batch of evaluations gave: arrays, one row a candidate, everything minimised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(slots=True, eq=False)
class Evaluation:
    """Outcome of a batch, struct of arrays.

    Attributes:
        F: (n, objectives), minimising; NaN where failed.
        G: (n, constraints), feasible where <= 0; NaN where failed.
        failed: (n,) whether the evaluation raised, returned NaN or timed out.
        noise: (n, objectives) standard error of F, where the objective reports it.
        cost: (n,) cost of each evaluation in the user's unit, where it is known.
        seconds: (n,) wall time of each evaluation.
        ids: (n,) number of the row among all rows asked in its run; -1 for rows that were never asked.
        notes: (n,) objects: what else an evaluation gave, a JSON-able dict or None; with the key "stopped" (the last
            step) the evaluation was stopped before its end, and its value is that of the part that ran.
    """

    F: Floats
    G: Floats
    failed: NDArray[np.bool_]
    noise: Floats | None = None
    cost: Floats | None = None
    seconds: Floats | None = None
    ids: NDArray[np.int64] | None = None
    notes: NDArray[np.object_] | None = None

    def __len__(self) -> int:
        return len(self.F)

    @property
    def violation(self) -> Floats:
        """(n,) sum of max(G, 0); infinite where failed."""
        if not self.G.shape[1]:
            return np.where(self.failed, np.inf, 0.0)
        total = np.maximum(self.G, 0.0).sum(axis=1)
        return np.where(self.failed, np.inf, total)

    @property
    def whole(self) -> NDArray[np.bool_] | None:
        """(n,) whether each evaluation ran to its end; None where all did."""
        if self.notes is None:
            return None
        return np.array([note is None or "stopped" not in note for note in self.notes], dtype=bool)

    def feasible(self, tol: float = 0.0) -> NDArray[np.bool_]:
        """(n,) whether the row succeeded and its violation is at most `tol`."""
        return np.asarray(~self.failed & (self.violation <= tol))

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Evaluation:
        """Return the rows `index`."""
        return Evaluation(
            self.F[index],
            self.G[index],
            self.failed[index],
            None if self.noise is None else self.noise[index],
            None if self.cost is None else self.cost[index],
            None if self.seconds is None else self.seconds[index],
            None if self.ids is None else self.ids[index],
            None if self.notes is None else self.notes[index],
        )

    @staticmethod
    def concatenate(parts: Sequence[Evaluation]) -> Evaluation:
        """Stack batches; an optional field survives where any part has it (NaN, or -1 for ids, elsewhere)."""
        if len(parts) == 1:
            return parts[0]

        def optional(name: str, fill: float, wide: bool) -> NDArray[np.float64] | None:
            if all(getattr(p, name) is None for p in parts):
                return None
            blanks = [p.F.shape if wide else (len(p),) for p in parts]
            pairs = zip(parts, blanks, strict=True)
            return np.concatenate(
                [np.full(shape, fill) if getattr(p, name) is None else getattr(p, name) for p, shape in pairs]
            )

        ids = optional("ids", -1, wide=False)
        return Evaluation(
            np.concatenate([p.F for p in parts]),
            np.concatenate([p.G for p in parts]),
            np.concatenate([p.failed for p in parts]),
            optional("noise", np.nan, wide=True),
            optional("cost", np.nan, wide=False),
            optional("seconds", np.nan, wide=False),
            None if ids is None else ids.astype(np.int64),
            None
            if all(p.notes is None for p in parts)
            else np.concatenate(
                [np.full(len(p), None, dtype=object) if p.notes is None else p.notes for p in parts]
            ),
        )

    @staticmethod
    def of(F: Floats, G: Floats | None = None) -> Evaluation:
        """Return the evaluation of plain arrays; rows with NaN count as failed."""
        F = np.asarray(F, dtype=np.float64)
        F = F[:, None] if F.ndim == 1 else F
        G = np.empty((len(F), 0)) if G is None else np.asarray(G, dtype=np.float64)
        failed = np.asarray(np.isnan(F).any(axis=1) | np.isnan(G).any(axis=1))
        if failed.any():
            F, G = np.where(failed[:, None], np.nan, F), np.where(failed[:, None], np.nan, G)
        return Evaluation(F, G, failed)


def best_first(evaluation: Evaluation, tol: float = 0.0) -> NDArray[np.int64]:
    """Return the order (n,): feasible rows by their objective, then by violation, failed rows last.

    Feasibility first as in Deb (2000), doi:10.1016/S0045-7825(99)00389-8; ties keep their order. Several objectives
    are ordered by Pareto rank and, within a rank, by crowding distance (Deb et al. 2002, doi:10.1109/4235.996017).
    """
    value = evaluation.F[:, 0] if evaluation.F.shape[1] == 1 else _pareto_order(evaluation, tol)
    if not evaluation.G.shape[1] and not evaluation.failed.any():
        return np.argsort(value, kind="stable")
    violation = evaluation.violation
    feasible = violation <= tol
    return np.lexsort((np.where(feasible, value, 0.0), np.where(feasible, 0.0, violation), evaluation.failed))


def _pareto_order(evaluation: Evaluation, tol: float) -> Floats:
    """Return (n,) a number that sorts feasible rows by Pareto rank, then by falling crowding distance."""
    import moocore

    place = np.full(len(evaluation), np.inf)
    feasible = np.flatnonzero(evaluation.feasible(tol))
    if not len(feasible):
        return place
    F = evaluation.F[feasible]
    rank = moocore.pareto_rank(F)
    crowding = np.zeros(len(F))
    for level in np.unique(rank):
        members = np.flatnonzero(rank == level)
        crowding[members] = _crowding(F[members])
    place[feasible[np.lexsort((-crowding, rank))]] = np.arange(len(F))
    return place


def _crowding(F: Floats) -> Floats:
    """Return (n,) the crowding distance of each point of one front; infinite at its ends."""
    distance = np.zeros(len(F))
    for column in F.T:
        order = np.argsort(column, kind="stable")
        extent = column[order[-1]] - column[order[0]]
        distance[order[[0, -1]]] = np.inf
        if len(F) > 2 and extent > 0:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / extent
    return distance
