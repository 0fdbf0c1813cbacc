"""Text files of Tetrad: graphs (`Graph Nodes:`, `Graph Edges:`) and knowledge (`/knowledge`).

Reference: Ramsey et al., TETRAD - a toolbox for causal discovery, 2018, and its manual.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import did_you_mean
from optengine.problems.formats.source import Source

Bools = NDArray[np.bool_]

EDGE = re.compile(r"(?:\d+\.\s*)?(\S+)\s+(\S+)\s+(\S+)(?:\s.*)?")
SECTIONS = ("addtemporal", "forbiddirect", "requiredirect", "forbiddengroup", "requiredgroup")


def read_graph(path: str | PathLike[str]) -> tuple[list[str], Bools]:
    """Read a directed graph of Tetrad: names of the d nodes, and (d, d) booleans, [i, j] for the edge from i to j.

    Raises:
        ProblemError: the file is missing or damaged, names unknown nodes, or holds edges that are not directed.
    """
    source = Source.open(path)
    heads = [line.strip().rstrip(":").lower() for line in source.lines]
    if "graph nodes" not in heads or "graph edges" not in heads:
        raise source.error("expected 'Graph Nodes:' and 'Graph Edges:', got neither or one of them")
    first = heads.index("graph nodes")
    start = heads.index("graph edges")
    names = [word for word in re.split(r"[;,\s]+", " ".join(source.lines[first + 1 : start])) if word]
    edges = np.zeros((len(names), len(names)), dtype=bool)
    for i in range(start + 1, len(source.lines)):
        text = source.lines[i].strip()
        if not text:
            if edges.any():
                break  # attributes of the graph may follow
            continue
        match = EDGE.fullmatch(text)
        if match is None or match[2] not in ("-->", "<--"):
            raise source.error(f"expected a directed edge 'a --> b', got {source.quote(i)}", i)
        ends = [_node(source, name, names, i) for name in (match[1], match[3])]
        edges[tuple(ends if match[2] == "-->" else ends[::-1])] = True
    return names, edges


def read_knowledge(path: str | PathLike[str], names: Sequence[str]) -> dict[str, Any]:
    """Read what Tetrad calls knowledge: arguments of a `DAGProblem` with these columns.

    Args:
        path: a file that begins with `/knowledge`.
        names: of the columns of the data.

    Returns:
        `tiers`, lists of numbers of nodes, or None where no tier names one; `forbidden` and `required`, pairs (from,
        to). Where some nodes are in no tier, which leaves them free, or a tier forbids edges inside it (`2*`), that is
        said by `forbidden`.

    Raises:
        ProblemError: the file is missing or damaged, or names a node that is not among `names`.
    """
    source, names = Source.open(path), list(names)
    if source.lines[source.first_line].strip() != "/knowledge":
        raise source.error(f"expected '/knowledge', got {source.quote(source.first_line)}", source.first_line)
    section, tiers, pairs = "", {}, {"forbiddirect": [], "requiredirect": []}  # type: ignore[var-annotated]
    forbidden: list[tuple[int, int]] = pairs["forbiddirect"]
    for i in range(source.first_line + 1, len(source.lines)):
        words = source.lines[i].split()
        if not words:
            continue
        if words[0] in SECTIONS:
            section = words[0]
        elif section == "addtemporal":
            number = words[0].rstrip("*")
            if not number.isdecimal():
                raise source.error(f"expected the number of a tier, got {words[0]!r}", i)
            tiers[int(number)] = [_node(source, word, names, i) for word in words[1:]]
            if words[0].endswith("*"):
                forbidden += [(a, b) for a in tiers[int(number)] for b in tiers[int(number)] if a != b]
        elif section in pairs and len(words) == 2:
            pairs[section].append(tuple(_node(source, word, names, i) for word in words))
        else:
            raise source.error(
                f"expected a section of {SECTIONS[:3]} or pairs of nodes, got {source.quote(i)}", i
            )
    levels = [tiers[number] for number in sorted(tiers) if tiers[number]]
    if levels and sum(map(len, levels)) < len(names):
        forbidden += [
            (late, early)
            for k, level in enumerate(levels)
            for late in level
            for before in levels[:k]
            for early in before
        ]
        levels = []
    return {"tiers": levels or None, "forbidden": sorted(set(forbidden)), "required": pairs["requiredirect"]}


def _node(source: Source, name: str, names: Sequence[str], line: int) -> int:
    if name not in names:
        raise source.error(f"no node is named {name!r}{did_you_mean(name, names)}", line)
    return names.index(name)
