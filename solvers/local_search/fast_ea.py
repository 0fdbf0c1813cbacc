"""The (1 + lambda) evolutionary algorithm with heavy-tailed mutation.

Doerr, Le, Makhmara and Nguyen, Fast genetic algorithms, GECCO 2017, doi:10.1145/3071178.3071301: the strength of each
mutation is drawn anew from a power law, so that single flips stay frequent and large jumps possible, without a rate to
tune. `rate="adaptive"` instead follows the success of the last mutations (Doerr and Wagner, Simple on-the-fly parameter
selection mechanisms, GECCO 2018, doi:10.1145/3205455.3205560).

What differs from the papers: an offspring equal to a point proposed before is drawn again; subsets keep within their
sizes; numbers, categories and permutations mutate too, the latter by as many moves as the strength says (as in Doerr,
Ghannane and Ibn Brahim, GECCO 2022, doi:10.1145/3512290.3528823).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.core.errors import OptionError
from optengine.core.evaluation import Evaluation
from optengine.core.space import Batch
from optengine.solvers.local_search.common import WORST, Memory, Starts, keys_of, refuses_discrete
from optengine.solvers.local_search.moves import Draws, Neighbourhood, PowerLaw

if TYPE_CHECKING:
    from optengine.core.problem import Problem

RATES = ("fast", "adaptive", "static")
TRIES = 30  # draws of an offspring until it is new and keeps the known constraints
UP, DOWN = 2.0, 2.0**-0.25  # of the adaptive rate after a success and a failure: one in five keeps it level


@dataclass(frozen=True, slots=True, kw_only=True)
class FastEA:
    """(1 + lambda) evolutionary algorithm with heavy-tailed mutation (Doerr et al., 2017), for discrete spaces.

    Update: y = x with k sites changed, k ~ Binomial(n, r / n) given k >= 1, r from a power law on 1 ... n/2; x <- the
    best of `offspring` such y if it is no worse (feasibility first). Sites are bits, members, categories, numbers, and
    positions of permutations. One candidate costs O(d), some 20 microseconds.

    Attributes:
        offspring: lambda, candidates of a generation, >= 1.
        rate: "fast" (drawn from the power law each time), "adaptive" (doubled after an improvement, lowered after a
            failure by the fourth root of that), or "static" (one change on average).
        beta: exponent of the power law, > 1.
        memory: whether to remember what was evaluated and not to propose it again; never for noisy problems.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    offspring: int = 1
    rate: str = "fast"
    beta: float = 1.5
    memory: bool = True

    def __post_init__(self) -> None:
        if isinstance(self.offspring, bool) or not isinstance(self.offspring, int) or self.offspring < 1:
            raise OptionError(f"offspring must be an integer >= 1, got {self.offspring!r}")
        if self.rate not in RATES:
            raise OptionError(f"rate must be one of {list(RATES)}, got {self.rate!r}")
        number = isinstance(self.beta, (int, float)) and not isinstance(self.beta, bool)
        if not number or not 1 < self.beta < math.inf:
            raise OptionError(f"beta must be > 1 and finite, got {self.beta!r}")
        if not isinstance(self.memory, bool):
            raise OptionError(f"memory must be True or False, got {self.memory!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, reals and simplexes."""
        return refuses_discrete(problem)

    def start(self, problem: Problem, rng: Generator) -> FastEARun:
        """Return a new run."""
        return FastEARun(self, problem, rng)


class FastEARun:
    """State of one run: the parent, and the rate where it adapts."""

    def __init__(self, options: FastEA, problem: Problem, rng: Generator) -> None:
        space = problem.space
        self.batch = options.offspring
        self._options, self._rng = options, rng
        self._draws = Draws(rng)
        self._starts = Starts(space, rng)
        self._moves = Neighbourhood(space, self._draws)
        self._memory = Memory(space, keeps=options.memory and not problem.noisy)
        self._n = max(1, self._moves.n_sites)
        self._most = max(1, self._n // 2)
        self._power = PowerLaw(self._most, options.beta)
        self._rate = 1.0
        self._parent: Batch | None = None
        self._key = WORST

    @property
    def details(self) -> dict[str, Any]:
        """The rate at the end, where it adapts."""
        return {"rate": self._rate} if self._options.rate == "adaptive" else {}

    def ask(self, n: int | None = None) -> Batch:
        """Return n offspring of the parent (n, width); random points before there is one.

        Raises:
            StopAsking: every point of the space has been proposed.
        """
        self._memory.check()
        return np.array([self._offspring() for _ in range(self.batch if n is None else n)])

    def _offspring(self) -> Batch:
        parent, attempt = self._parent, 0
        while True:
            if parent is None or attempt >= TRIES:  # all near neighbours are known: look elsewhere
                y = self._starts.draw()
            else:
                y = self._moves.perturbed(parent, self._strength())
            attempt += 1
            if attempt == 2 * TRIES or (y.tobytes() not in self._memory and self._starts.allows(y)):
                self._memory.add(y.tobytes())
                return y

    def _strength(self) -> int:
        """How many sites change."""
        rate = self._rate
        if self._options.rate == "fast":
            rate = self._power.draw(self._draws.unit())
        elif self._options.rate == "static":
            rate = 1.0
        for _ in range(TRIES):
            k = int(self._rng.binomial(self._n, rate / self._n))
            if k:
                return k
        return 1

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Keep the best of parent and offspring; of equal ones the last."""
        for x, key in zip(X, keys_of(evaluation), strict=True):
            self._memory.add(x.tobytes())
            if self._options.rate == "adaptive" and self._parent is not None:
                self._rate = min(max(self._rate * (UP if key < self._key else DOWN), 1.0), float(self._most))
            if key <= self._key and key != WORST:
                self._parent, self._key = x.copy(), key
