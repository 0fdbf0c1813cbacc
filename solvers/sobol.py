"""Sobol points: a scrambled low-discrepancy sequence, mapped from the unit cube to the space.

Sobol, USSR Comput. Math. Math. Phys. 7, 1967, doi:10.1016/0041-5553(67)90144-9, with the direction numbers of Joe and
Kuo, SIAM J. Sci. Comput. 30, 2008, doi:10.1137/070709359, and Owen's scrambling, as SciPy has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.solver import StopAsking
from optengine.core.space import Batch, Space

if TYPE_CHECKING:
    from optengine.core.problem import Problem

LARGEST_WIDTH = 21201  # dimensions that Joe and Kuo give direction numbers for
BITS = 30  # 2^30 points in all
BLOCK = 64  # points drawn at once: a power of two keeps the sequence balanced whatever is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Sobol:
    """Scrambled Sobol points; fidelities stand at their targets.

    Numbers are scaled, integers and levels own equal intervals, permutations and subsets are read from random keys (one
    dimension an item). Known constraints are left to the engine's repair, which moves points and so spoils some of the
    evenness. One point costs O(width).

    Attributes:
        population: rows of a batch; powers of two are the most even.
        scramble: Owen's scrambling, drawn from the seed; without it every run gives the same points, first the corner.

    Raises:
        OptionError: a population that is not an integer >= 1, a scramble that is not a bool.
    """

    replayable: ClassVar[bool] = True

    population: int = 64
    scramble: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.population, bool) or not isinstance(self.population, int) or self.population < 1:
            raise OptionError(f"population must be an integer >= 1, got {self.population!r}")
        if not isinstance(self.scramble, bool):
            raise OptionError(f"scramble must be True or False, got {self.scramble!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Spaces of more columns than there are direction numbers for."""
        width = problem.space.width
        return (
            f"it knows {LARGEST_WIDTH} dimensions, and the space has {width}"
            if width > LARGEST_WIDTH
            else None
        )

    def start(self, problem: Problem, rng: Generator) -> SobolRun:
        """Return a new run."""
        return SobolRun(self, problem.space, rng)


class SobolRun:
    """State of one run: the sequence, and the points drawn from it and not yet asked for."""

    def __init__(self, options: Sobol, space: Space, rng: Generator) -> None:
        from scipy.stats.qmc import Sobol as Sequence  # slow to import

        self.batch = options.population
        self._space = space
        self._sequence = Sequence(space.width, scramble=options.scramble, bits=BITS, rng=rng)
        self._left = 2**BITS
        self._drawn = np.empty((0, space.width))

    def ask(self, n: int | None = None) -> Batch:
        """Return the next n points (n, width); None: a batch.

        Raises:
            StopAsking: all 2^30 points have been asked for.
        """
        n = self.batch if n is None else n
        missing = min(-(-(n - len(self._drawn)) // BLOCK) * BLOCK, self._left)
        if missing > 0:
            blocks = [self._sequence.random(BLOCK) for _ in range(missing // BLOCK)]
            self._drawn = np.concatenate([self._drawn, *blocks])
            self._left -= missing
        U, self._drawn = self._drawn[:n], self._drawn[n:]
        if not len(U):
            raise StopAsking
        X = self._space.from_unit(U)
        for column, target in self._space.fidelity.values():
            X[:, column] = target
        return X

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn nothing."""
