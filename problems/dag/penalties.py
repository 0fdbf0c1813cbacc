"""Which losses and penalties of a DAGProblem go together, and the terms that they make."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.problems.dag.terms import SparseTerms, TableTerms

Floats = NDArray[np.float64]

LOSSES = ("ls", "gaussian", "logistic", "mlp")
PENALTIES = (None, "l1", "mcp", "bic", "l0")
FIT = {  # which penalties a loss takes
    "ls": (None, "l1", "mcp", "l0"),
    "gaussian": ("bic", "l0"),
    "logistic": (None, "l1"),
    "mlp": (None,),
}
SELECTIONS = (None, "exact", "grow-shrink")
AHEAD = 5  # picks of grow-shrink that do not pay by themselves: parents that pay together are found
LARGEST = 16  # nodes of a table of all sets of parents, which takes 12 MB


def check_options(loss: Any, penalty: Any, weight: Any, gamma: Any, selection: Any, hidden: Any) -> None:
    """Refuse what is none of the known words, or a number outside its range.

    Raises:
        ProblemError: one sentence.
    """
    for name, value, known in (
        ("loss", loss, LOSSES),
        ("penalty", penalty, PENALTIES),
        ("selection", selection, SELECTIONS),
    ):
        if value not in known:
            words = [word for word in known if word is not None]
            raise ProblemError(
                f"{name} must be one of {list(known)}, got {value!r}{did_you_mean(str(value), words)}"
            )
    if penalty not in FIT[loss]:
        if loss == "gaussian" and penalty is None:
            raise ProblemError(
                "penalty must be 'bic' or 'l0' with loss='gaussian', got None: all orders are equal"
            )
        if penalty == "bic":
            raise ProblemError(f"penalty='bic' needs loss='gaussian' and n_samples, got loss={loss!r}")
        raise ProblemError(f"penalty must be one of {list(FIT[loss])} with loss={loss!r}, got {penalty!r}")
    if isinstance(gamma, bool) or not isinstance(gamma, (int, float)) or not 1 < gamma < np.inf:
        raise ProblemError(f"gamma must be a number > 1, got {gamma!r}")
    if isinstance(hidden, bool) or not isinstance(hidden, (int, np.integer)) or hidden < 1:
        raise ProblemError(f"hidden must be an integer >= 1, got {hidden!r}")
    if selection is not None and penalty not in ("bic", "l0"):
        raise ProblemError(f"selection must be None but for penalty='bic' or 'l0', got {selection!r}")
    needed = penalty in ("l1", "mcp", "l0")
    if (needed or weight is not None) and (
        isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < np.inf
    ):
        raise ProblemError(f"weight must be a number > 0 with penalty={penalty!r}, got {weight!r}")


def check_edges(
    required: list[tuple[int, int]], forbidden: list[tuple[int, int]], penalty: str | None, loss: str
) -> None:
    """Refuse edges that are required and forbidden, and forbidden ones where every node before is a parent.

    Raises:
        ProblemError: one sentence.
    """
    if forbidden and penalty is None and loss == "ls":
        raise ProblemError(
            "penalty must be one of ['l1', 'mcp', 'bic', 'l0'] where edges are forbidden, got None"
        )
    both = sorted(set(required) & set(forbidden))
    if both:
        raise ProblemError(f"forbidden must not hold required edges, got {both[0]} in both")


def gram_terms(
    gram: Floats,
    loss: str,
    penalty: str,
    weight: float | None,
    gamma: float,
    selection: str | None,
    n_samples: int | None,
    must: NDArray[np.bool_],
    never: NDArray[np.bool_],
) -> TableTerms | SparseTerms:
    """Terms of a penalised loss that the Gram matrix (d, d) alone tells.

    Raises:
        ProblemError: BIC without a number of samples, too many nodes for a table.
    """
    from optengine.kernels.order_sparse import COORDINATE, GROW, Rules

    d = len(gram)
    if penalty == "bic":
        if n_samples is None:
            raise ProblemError("penalty='bic' needs loss='gaussian' and n_samples, got n_samples=None")
        weight = float(np.log(n_samples) / (2 * n_samples))
    assert weight is not None
    if penalty in ("l1", "mcp"):
        return SparseTerms(
            gram,
            Rules(COORDINATE, float(weight), gamma if penalty == "mcp" else 0.0, False, AHEAD, must, never),
        )
    rules = Rules(GROW, float(weight), 0.0, loss == "gaussian", AHEAD, must, never)
    if selection == "exact" and d > LARGEST:
        raise ProblemError(f"selection must be 'grow-shrink' beyond {LARGEST} nodes, got 'exact' for {d}")
    exact = d <= LARGEST and selection != "grow-shrink"
    return TableTerms(gram, rules) if exact else SparseTerms(gram, rules)


def known_edges(
    d: int, required: list[tuple[int, int]], forbidden: list[tuple[int, int]]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """must[v, u] and never[v, u] (d, d) of the edges u -> v."""
    must, never = np.zeros((2, d, d), dtype=bool)
    for known, edges in ((must, required), (never, forbidden)):
        for u, v in edges:
            known[v, u] = True
    return must, never
