"""Iterated local search over permutations, bits, subsets and other discrete variables: the options.

Lourenço, Martin and Stützle, Iterated local search, Handbook of Metaheuristics, 2003, doi:10.1007/0-306-48056-5_11:
from a point take random moves and keep those that do not make it worse; where none helps any more, change several
things at once (a kick) and go on from there.

What differs from the textbook: no point is evaluated twice; kinds of moves and of kicks are drawn by how often each
helped lately; and what the evaluations say about the structure of the objective is used: `linkage` for bits, `learned`
for permutations. If the problem tells the change of a move by itself, `delta` searches on those changes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from numpy.random import Generator

from optengine.core.errors import OptionError, did_you_mean
from optengine.solvers.local_search.common import refuses_discrete
from optengine.solvers.local_search.moves import KINDS

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.local_search.delta import DeltaRun
    from optengine.solvers.local_search.walk import Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class ILS:
    """Iterated local search for spaces without reals and simplexes.

    Update: y = a random move of x; x <- y if y is feasible and x is not, or is no worse (feasibility first, equals
    accepted). After `patience` evaluations without a better x, home <- x if x is no worse than home, and x <- a kick of
    home, whatever its value. The kick changes `strength` things; one more each time a kick led back to the value of
    home.

    One candidate costs O(d) and about 15 microseconds at d = 50. With `learn` it costs some 15 microseconds more over
    bits (O(d^2) memory), and over permutations 0.1 to 0.5 milliseconds on average: regressions at geometric intervals,
    and searches on the model that take as many steps as evaluations can pay for. Switch it off if the objective takes
    less.

    If `problem.moves` is not empty the run searches by itself on `problem.delta`; each delta counts as one evaluation.

    Attributes:
        moves: kinds of moves, of "swap", "insertion", "reversal" (permutations), "flip" (one bit, member, category or
            number), "exchange" (of a chosen with a free bit or member), "jump" (a heavy-tailed number of flips),
            "cluster" (such a number of bits found to interact) and "slide" (of bits whose flips cost little). None: all
            that the space allows.
        patience: evaluations without improvement before a kick, >= 1. None: n(n-1)/2 for each permutation of n, and 4
            for each neighbour by a flip.
        stretch: wait at least so many times as long as the longest wait for an improvement so far, >= 0.
        strength: changes made by a kick, >= 1; grows to at most a quarter of the columns.
        restart_after: kicks without a better home before one of them is a new random start, >= 1. None: never.
        learn: whether to learn the structure of the objective: interacting bits, additive models of permutations.
            Needs a problem without observed constraints; for bits also one without noise.
        delta: whether to use `problem.delta` where the problem offers it.
        chunk: moves evaluated by one call of `problem.delta`, of which the best is taken, >= 1.
        memory: whether to remember what was evaluated and not to propose it again; never for noisy problems.

    Raises:
        OptionError: a value outside its range, an unknown kind of move.
    """

    replayable: ClassVar[bool] = True

    moves: tuple[str, ...] | None = None
    patience: int | None = None
    stretch: float = 1.0
    strength: int = 3
    restart_after: int | None = 50
    learn: bool = True
    delta: bool = True
    chunk: int = 32
    memory: bool = True

    def __post_init__(self) -> None:
        for name in ("patience", "strength", "restart_after", "chunk"):
            value = getattr(self, name)
            optional = name in ("patience", "restart_after")
            if not (value is None and optional) and not (
                isinstance(value, int) and not isinstance(value, bool) and value >= 1
            ):
                raise OptionError(
                    f"{name} must be an integer >= 1{' or None' if optional else ''}, got {value!r}"
                )
        if (
            isinstance(self.stretch, bool)
            or not isinstance(self.stretch, (int, float))
            or not 0 <= self.stretch < math.inf
        ):
            raise OptionError(f"stretch must be >= 0 and finite, got {self.stretch!r}")
        for name in ("learn", "delta", "memory"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if self.moves is None:
            return
        if isinstance(self.moves, str) or not self.moves:
            raise OptionError(f"moves must be a tuple of kinds or None, got {self.moves!r}")
        for kind in self.moves:
            if kind not in KINDS:
                near = did_you_mean(str(kind), KINDS)
                raise OptionError(f"moves must be among {list(KINDS)}, got {kind!r}{near}")
        object.__setattr__(self, "moves", tuple(self.moves))

    def refuses(self, problem: Problem) -> str | None:
        """Several objectives, reals, simplexes; spaces in which none of `moves` is possible."""
        reason = refuses_discrete(problem)
        if reason is None and self.moves is not None:
            from optengine.solvers.local_search.moves import possible_kinds

            if not set(self.moves) & set(possible_kinds(problem.space)):
                return f"none of the moves {list(self.moves)} is possible in its space"
        return reason

    def start(self, problem: Problem, rng: Generator) -> Walk | DeltaRun:
        """Return a new run: one that searches if the problem offers moves, else one that is asked and told."""
        if self.delta and problem.moves:
            from optengine.solvers.local_search.delta import DeltaRun, offered

            if offered(self, problem):
                return DeltaRun(self, problem)
        from optengine.solvers.local_search.walk import Walk

        return Walk(self, problem, rng)
