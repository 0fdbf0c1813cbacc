"""The families at named sizes.

"small" is trainable in minutes, "mid" is still open for free solvers after a minute, "published" is the size of the
papers on learned solvers (Han et al., 2023, and those after it).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

from optengine.core.errors import ProblemError, did_you_mean
from optengine.problems.generators.assignment import generalized_assignment
from optengine.problems.generators.auction import combinatorial_auction
from optengine.problems.generators.location import capacitated_facility_location, p_median
from optengine.problems.generators.placement import item_placement
from optengine.problems.generators.set_cover import set_cover
from optengine.problems.generators.workload import workload_apportionment
from optengine.problems.milp import MILP

SIZES = ("tiny", "small", "mid", "published")
# Arguments of each family at the sizes; "tiny" is for tests.
FAMILIES: dict[str, tuple[Callable[..., MILP], tuple[tuple[Any, ...], ...]]] = {
    "set_cover": (set_cover, ((60, 120), (300, 600), (1000, 2000), (3000, 5000))),
    "auction": (combinatorial_auction, ((30, 100), (150, 750), (600, 3000), (300, 1500))),
    "item_placement": (item_placement, ((3, 12, 2, 2), (5, 40, 3, 2), (10, 100, 5, 3), (10, 100, 5, 3))),
    "workload": (
        workload_apportionment,
        (((5, 1), (25, 25)), ((15, 3), (80, 80)), ((30, 6), (200, 200)), ((50, 10), (500, 500))),
    ),
    "p_median": (p_median, ((15, 3), (40, 5), (100, 10), (200, 20))),
    "facilities": (capacitated_facility_location, ((12, 10), (35, 35), (100, 100), (200, 100))),
    "assignment": (generalized_assignment, ((3, 12), (5, 50), (10, 200), (20, 400))),
}


def generate(family: str, size: str = "small", seed: int = 0) -> MILP:
    """One random instance; the same seed, family and size give the same one.

    Args:
        family: "set_cover", "auction", "item_placement", "workload", "p_median", "facilities" or "assignment".
        size: "tiny", "small", "mid" or "published". Auctions have more bids at "mid" than as published: at the
            published size free solvers prove optimality soon.
        seed: >= 0.

    Raises:
        ProblemError: an unknown family or size, or a negative seed.
    """
    if family not in FAMILIES:
        raise ProblemError(
            f"family must be one of {sorted(FAMILIES)}, got {family!r}{did_you_mean(family, FAMILIES)}"
        )
    if size not in SIZES:
        raise ProblemError(f"size must be one of {list(SIZES)}, got {size!r}{did_you_mean(size, SIZES)}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ProblemError(f"seed must be an integer >= 0, got {seed!r}")
    make, arguments = FAMILIES[family]
    rng = np.random.default_rng([int(seed), zlib.crc32(f"{family}/{size}".encode())])
    return make(rng, *arguments[SIZES.index(size)], name=f"{family}-{size}-{seed}")
