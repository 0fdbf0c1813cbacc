"""A learned graph for other programs: networkx and GraphML."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from optengine.core.errors import ProblemError, require

if TYPE_CHECKING:
    from networkx import DiGraph


def to_networkx(
    graph: ArrayLike,
    *,
    names: Sequence[str] | None = None,
    weights: ArrayLike | None = None,
    frequency: ArrayLike | None = None,
) -> DiGraph:
    """A graph as a `networkx.DiGraph`; its nodes are the names, or the numbers 0, 1, ... without them.

    Args:
        graph: (d, d), graph[i, j] != 0 for the edge from i to j. Weights become the edges' attribute `weight`.
        names: of the d nodes, each once.
        weights: (d, d), the attribute `weight` where `graph` holds booleans.
        frequency: (d, d), the edges' attribute `frequency`, as `bootstrap_edges` counts them.

    Raises:
        ProblemError: matrices that are not square or of other sizes, names that are not d different ones.
        MissingDependency: networkx is not installed.
    """
    networkx = require("networkx", extra="graph")
    values = np.asarray(graph)
    if values.ndim != 2 or values.shape[0] != values.shape[1]:
        raise ProblemError(f"graph must be a square matrix, got shape {values.shape}")
    d = len(values)
    attributes: dict[str, Any] = {} if values.dtype == np.bool_ else {"weight": values}
    for name, given in (("weight", weights), ("frequency", frequency)):
        if given is not None:
            attributes[name] = np.asarray(given, dtype=np.float64)
            if attributes[name].shape != values.shape:
                raise ProblemError(
                    f"{name} must have the graph's shape {values.shape}, got {attributes[name].shape}"
                )
    labels = list(range(d)) if names is None else [str(name) for name in names]
    if len(set(labels)) != d or len(labels) != d:
        raise ProblemError(f"names must be {d} different ones, got {names!r}")
    result = networkx.DiGraph()
    result.add_nodes_from(labels)
    for i, j in np.argwhere(values != 0).tolist():
        known = {name: float(matrix[i, j]) for name, matrix in attributes.items()}
        result.add_edge(labels[i], labels[j], **known)
    return result


def write_graphml(path: str | PathLike[str], graph: ArrayLike, **options: Any) -> None:
    """Write a graph as GraphML, with the arguments and errors of `to_networkx`."""
    networkx = require("networkx", extra="graph")
    networkx.write_graphml_xml(to_networkx(graph, **options), path)
