"""The bipartite graph of a mixed-integer program: variables on one side, constraints and the objective on the other.

Features as in Predict-and-Search (Han et al., ICLR 2023) and CoCo-MILP (AAAI 2026), with two changes: the objective's
coefficients are scaled by the largest size, which keeps their sign (the published code clamps them to [0, 20000], wrong
for negative costs), and an edge carries its coefficient relative to the largest of its row, as the papers' tables have
it (the published code puts 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import OptionError, ProblemError
from optengine.core.linear import LinearModel
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]

VARIABLE_FEATURES = (
    "cost",
    "mean coefficient",
    "degree",
    "largest coefficient",
    "least coefficient",
    "binary",
)
CONSTRAINT_FEATURES = ("mean coefficient", "degree", "right-hand side", "sense")
EDGES = ("scaled", "ones")
LESS, GREATER, EQUAL = 0.0, 1.0, 2.0  # codes of the senses
FLOOR = 1e-5  # normalised features lie in [FLOOR, 1], the cost in [-1, 1]


@dataclass(frozen=True, eq=False)
class BipartiteGraph:
    """What a network sees of an instance.

    Attributes:
        variables: (n, 6) normalised features.
        constraints: (m + 1, 4) normalised features; the last node is the objective.
        row, column: (E,) ends of the edges: constraint and variable. Those of the objective come last.
        value: (E,) coefficients, scaled or ones.
        binaries: (k,) the variables to predict, ascending.
    """

    variables: Singles
    constraints: Singles
    row: Integers
    column: Integers
    value: Singles
    binaries: Integers

    @property
    def n_variables(self) -> int:
        return len(self.variables)

    @property
    def n_constraints(self) -> int:
        """With the objective."""
        return len(self.constraints)


def sided_rows(model: LinearModel) -> tuple[Any, Floats, Floats]:
    """Rows with one sense each: A (m, n) CSR, right-hand side (m,), sense (m,).

    A row with two different finite sides becomes two rows, one without sides goes.
    """
    from scipy.sparse import csr_array, vstack

    A = csr_array(model.A) if model.n_rows else csr_array((0, model.n_variables))
    below, above = np.isfinite(model.lower), np.isfinite(model.upper)
    equal = below & above & (model.lower == model.upper)
    parts = [
        (above & ~equal, model.upper, LESS),
        (below & ~equal, model.lower, GREATER),
        (equal, model.upper, EQUAL),
    ]
    first = np.concatenate([np.flatnonzero(mask) for mask, _, _ in parts])
    side = np.concatenate([side[mask] for mask, side, _ in parts])
    sense = np.concatenate([np.full(int(mask.sum()), code) for mask, _, code in parts])
    order = np.argsort(first, kind="stable")  # in the order of the model
    rows = vstack([A[np.flatnonzero(mask)] for mask, _, _ in parts], format="csr")[order]
    rows = csr_array(rows)
    rows.eliminate_zeros()
    rows.sort_indices()
    return rows, side[order], sense[order]


def raw_features(problem: MILP) -> tuple[Floats, Floats, Any]:
    """Features before they are normalised: variables (n, 6), constraints (m + 1, 4), and the rows (m, n) in CSR.

    The coefficients of a variable without rows, and of a row without variables, count as 0.
    """
    model = problem.model
    A, side, sense = sided_rows(model)
    m, n = A.shape
    binary = np.zeros(n)
    binary[problem.binaries] = 1.0
    C = A.tocsc()
    degree = np.diff(C.indptr).astype(np.float64)
    largest, least = np.full(n, -np.inf), np.full(n, np.inf)
    columns = np.repeat(np.arange(n), np.diff(C.indptr))
    np.maximum.at(largest, columns, C.data)
    np.minimum.at(least, columns, C.data)
    largest, least = (np.where(degree > 0, bound, 0.0) for bound in (largest, least))
    total = np.asarray(A.sum(axis=0), dtype=np.float64).ravel()
    variables = np.column_stack([model.c, total / max(1, m), degree, largest, least, binary])

    width = np.diff(A.indptr).astype(np.float64)
    mean = np.asarray(A.sum(axis=1), dtype=np.float64).ravel() / np.maximum(width, 1.0)
    used = model.c != 0
    objective = [model.c[used].mean() if used.any() else 0.0, float(used.sum()), 0.0, 0.0]
    constraints = np.vstack([np.column_stack([mean, width, side, sense]), objective])
    return variables, constraints, A


def bipartite_graph(problem: MILP, edges: str = "scaled") -> BipartiteGraph:
    """Return the graph of a problem, seen as minimised.

    Args:
        problem: with one binary at least.
        edges: "scaled", a coefficient over the largest size in its row; or "ones", as the published code has it.

    Raises:
        OptionError: unknown `edges`.
        ProblemError: no binaries.
    """
    if edges not in EDGES:
        raise OptionError(f"edges must be one of {list(EDGES)}, got {edges!r}")
    binaries = problem.binaries
    if not len(binaries):
        raise ProblemError(f"a problem to predict must have binary variables, got none in {problem.name!r}")
    variables, constraints, A = raw_features(problem)
    m, c = A.shape[0], problem.model.c
    used = np.flatnonzero(c)
    row = np.concatenate([np.repeat(np.arange(m), np.diff(A.indptr)), np.full(len(used), m)])
    column = np.concatenate([A.indices, used]).astype(np.int64)
    value = np.concatenate([A.data, c[used]])
    size = np.zeros(m + 1)
    np.maximum.at(size, row, np.abs(value))
    value = value / size[row] if edges == "scaled" else np.ones(len(value))
    return BipartiteGraph(
        normalise_variables(variables).astype(np.float32),
        normalise_constraints(constraints).astype(np.float32),
        row.astype(np.int64),
        column,
        value.astype(np.float32),
        binaries.astype(np.int64),
    )


def normalise_variables(raw: Floats) -> Floats:
    """Cost over its largest size; other columns to [FLOOR, 1] by their range, constant ones to FLOOR."""
    low, high = raw.min(axis=0), raw.max(axis=0)
    scaled = np.clip((raw - low) / np.where(high > low, high - low, 1.0), FLOOR, 1.0)
    scaled[:, 0] = raw[:, 0] / max(float(np.abs(raw[:, 0]).max()), np.finfo(float).tiny)
    return np.asarray(scaled)


def normalise_constraints(raw: Floats) -> Floats:
    """Columns to [FLOOR, 1] by their range, constant ones to 1."""
    low, high = raw.min(axis=0), raw.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return np.asarray(np.where(high > low, np.clip((raw - low) / span, FLOOR, 1.0), 1.0))
