"""The asked and told run of the iterated local search."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.random import Generator

from optengine.core.evaluation import Evaluation
from optengine.core.space import BINARY, PERMUTATION, SUBSET, Batch
from optengine.solvers.local_search.climber import CLUSTER, RESTART, SHAKE, Climber
from optengine.solvers.local_search.common import WORST, Key, Memory, Starts, keys_of
from optengine.solvers.local_search.linkage import LARGEST as MOST_BITS, Linkage
from optengine.solvers.local_search.moves import CLUSTERS, FLIP, KINDS, SLIDE, Credits, Draws, Neighbourhood

if TYPE_CHECKING:
    from optengine.core.problem import Problem
    from optengine.solvers.local_search.ils import ILS
    from optengine.solvers.local_search.learned import Learned

TRIES = 30  # draws of a move until it leads to a point that is new and keeps the known constraints
ROUND_SHARE = 0.9  # of the first round of moves after an improvement goes to single flips
LEVEL_SHARE = 0.9  # of the flips beyond goes to bits known to change nothing
DUE = 0.5  # of the moves are flips that are due, where bits are known; the others are drawn by their success
FREE = 7  # extra idleness of an evaluation that no flip was waiting for: the point is a local optimum already
MOST_PENDING = 1 << 16  # proposals waiting for their values; repaired ones never come back

MODEL, LEAP, REPAIRED, FOREIGN = -1, -2, -3, -4  # in place of the kind of a move: what else a point may be


class Proposal(NamedTuple):
    """How a point came to be proposed."""

    epoch: int
    which: int  # index of the kind of move among the run's kinds, or one of `MODEL` ... `FOREIGN`
    column: int = -1  # the column flipped
    version: int = 0  # of the current point, as linkage counts
    screened: int = -1  # whether the model chose the move (1) or chance (0)


class Walk:
    """State of one run: the current point, home, and what was learnt about moves and the objective."""

    batch = 1

    def __init__(self, options: ILS, problem: Problem, rng: Generator) -> None:
        space = problem.space
        self._space, self._rng = space, rng
        self._draws = Draws(rng)
        self._starts = Starts(space, rng)
        self._moves = Neighbourhood(space, self._draws, options.moves)
        self._memory = Memory(space, keeps=options.memory and not problem.noisy)
        self._pending: dict[bytes, Proposal] = {}
        self._linkage = self._make_linkage(options, problem)
        self._model = self._make_model(options, problem)
        self._kinds = self._moves.kinds
        self._flip = self._kinds.index(FLIP) if FLIP in self._kinds else -1
        self._credits, self._screens = Credits(len(self._kinds)), Credits(2)
        kicks = (SHAKE,) if self._moves.n_positions else (SHAKE, RESTART)
        self.climber = Climber(
            patience=options.patience or self._moves.patience,
            stretch=options.stretch,
            strength=options.strength,
            strongest=self._moves.n_sites // 4,
            restart_after=options.restart_after,
            kicks=(*kicks, CLUSTER) if self._linkage is not None else kicks,
        )
        self._kick = SHAKE

    def _make_linkage(self, options: ILS, problem: Problem) -> Linkage | None:
        """Linkage is learnt where all that moves is single bits of a deterministic function."""
        moves, space = self._moves, problem.space
        plain = not (problem.n_constraints or problem.noisy or space.conditional or space.constrained)
        bits = all(space.kind[c] in (BINARY, SUBSET) for c in moves.sites)
        if not (
            options.learn and plain and bits and FLIP in moves.kinds and 2 < len(moves.sites) <= MOST_BITS
        ):
            return None
        if moves.n_positions:
            return None
        if options.moves is None or "cluster" in options.moves:
            moves.kinds.append(CLUSTERS)
        if options.moves is None or "slide" in options.moves:
            moves.kinds.append(SLIDE)
        return Linkage(np.array(moves.sites), self._draws)

    def _make_model(self, options: ILS, problem: Problem) -> Learned | None:
        """A model is learnt where a point is one permutation."""
        blocks = problem.space.blocks
        whole = len(blocks) == 1 and blocks[0].kind == PERMUTATION and blocks[0].stop == problem.space.width
        if not (options.learn and whole and not problem.n_constraints):
            return None
        from optengine.solvers.local_search.learned import LARGEST, SMALLEST, Learned

        return Learned(problem.space.width, self._rng) if SMALLEST <= problem.space.width <= LARGEST else None

    def warm_up(self) -> None:
        """Compile what will be needed."""
        if self._model is not None:
            self._model.warm_up()

    @property
    def details(self) -> dict[str, Any]:
        """Kicks and restarts, the shares of the kinds of moves, and what was learnt of the objective."""
        shares = {KINDS[k]: round(s, 3) for k, s in zip(self._kinds, self._credits.shares, strict=True)}
        details: dict[str, Any] = {
            "moves": shares,
            "n_kicks": self.climber.n_kicks,
            "n_restarts": self.climber.n_restarts,
        }
        if self._linkage is not None:
            details["interacting"] = round(self._linkage.density, 4)
        if self._model is not None:
            details |= self._model.description
        return details

    # -- ask -------------------------------------------------------------------------------------------------------

    def ask(self, n: int | None = None) -> Batch:
        """Return n points (n, width): neighbours of the current point, kicks of home, or starts.

        Raises:
            StopAsking: every point of the space has been proposed.
        """
        self._memory.check()
        if n is None or n == 1:
            return self._next()[np.newaxis, :]
        return np.array([self._next() for _ in range(n)])

    def _next(self) -> Batch:
        climber = self.climber
        if climber.settled:
            self._kick = climber.leave(self._draws.unit())
        if self._model is not None and self._model.trusted and not self._space.constrained:
            y = self._best_of_model(self._model)
            if y is not None:
                return y
        if climber.x is not None:
            y = self._neighbour(climber.x)
            if y is not None:
                return y
            self._kick = climber.leave(self._draws.unit())  # every neighbour was evaluated
        return self._leap()

    def _new(self, y: Batch, proposal: Proposal, *, force: bool = False) -> bool:
        """Take y as the next proposal if it is new and keeps the known constraints."""
        code = y.tobytes()
        if not force and (code in self._memory or not self._starts.allows(y)):
            return False
        self._memory.add(code)
        self._pending[code] = proposal
        if len(self._pending) > MOST_PENDING:
            del self._pending[next(iter(self._pending))]
        return True

    def _leap(self) -> Batch:
        """A start, or a kick of home."""
        climber, proposal = self.climber, Proposal(self.climber.epoch, LEAP)
        attempt = 0
        while True:
            if climber.home is None or attempt >= TRIES:
                y = self._starts.draw()
            else:
                y = self._kicked(climber.home)
            attempt += 1
            if attempt == TRIES:
                y = self._starts.near(y)
            if self._new(y, proposal, force=attempt == 2 * TRIES):
                return y

    def _kicked(self, home: Batch) -> Batch:
        strength = self.climber.strength
        if self._kick == RESTART:
            return self._starts.draw()
        if self._kick == CLUSTER and self._linkage is not None:
            columns = self._linkage.cluster(strength + self._draws.below(strength))
            if len(columns) > 1:
                return self._moves.flipped(home, columns)
        return self._moves.perturbed(home, strength)

    def _neighbour(self, x: Batch) -> Batch | None:
        """A neighbour of the current point that was not evaluated, or None if none is found."""
        climber = self.climber
        if self._model is not None and self._model.trusted and self._screens.choose(self._draws.unit()):
            y = self._screened(self._model, x)
            if y is not None:
                return y
        for _ in range(TRIES if self._kinds else 0):
            which, column, y = self._move(x)
            version = 0 if self._linkage is None else self._linkage.version
            if self._new(y, Proposal(climber.epoch, which, column, version, 0)):
                return y
            climber.idle += 1
        return None

    def _move(self, x: Batch) -> tuple[int, int, Batch]:
        """A random move: the index of its kind, the column flipped or -1, and the point."""
        moves, draws, linkage = self._moves, self._draws, self._linkage
        if linkage is not None:
            if draws.unit() < DUE:
                column = linkage.due()
                if column >= 0:
                    return self._flip, column, moves.apply(x, FLIP, column, int(1 - x[column]))
                self.climber.idle += FREE
        elif self._flip >= 0 and self.climber.idle < len(moves.sites) and draws.unit() < ROUND_SHARE:
            column, value = moves.draw(FLIP, x)
            return self._flip, column, moves.apply(x, FLIP, column, value)
        which = self._credits.choose(draws.unit())
        kind = self._kinds[which]
        if kind == CLUSTERS and linkage is not None:
            columns = linkage.cluster(moves.jump_size())
            return which, -1, moves.flipped(x, columns)
        if kind == SLIDE and linkage is not None:
            return which, -1, moves.flipped(x, linkage.slide(moves.jump_size()))
        if kind == FLIP and linkage is not None and draws.unit() < LEVEL_SHARE:
            column = linkage.level()
            if column >= 0:
                return which, column, moves.apply(x, FLIP, column, int(1 - x[column]))
        a, b = moves.draw(kind, x)
        return which, a if kind == FLIP else -1, moves.apply(x, kind, a, b)

    def _screened(self, model: Learned, x: Batch) -> Batch | None:
        """The best new one of some random moves, as the model sees it."""
        shares = np.zeros(3)
        for kind, share in zip(self._kinds, self._credits.shares, strict=True):
            shares[kind] = share
        for kind, a, b in model.screen(x, shares / shares.sum()).tolist():
            y = self._moves.apply(x, kind, a, b)
            if self._new(y, Proposal(self.climber.epoch, self._kinds.index(kind), -1, 0, 1)):
                return y
        return None

    def _best_of_model(self, model: Learned) -> Batch | None:
        """What the model holds better than the best of the current point and home."""
        climber = self.climber
        base = climber.home if climber.x is None or climber.home_key < climber.key else climber.x
        y = None if base is None else model.propose(base)
        if y is None or self._new(y, Proposal(climber.epoch, MODEL)):
            return y
        model.wait()
        return None

    # -- tell ------------------------------------------------------------------------------------------------------

    def tell(self, X: Batch, evaluation: Evaluation) -> None:
        """Learn the values of X (n, width), in the order of the rows."""
        ids = evaluation.ids
        for i, key in enumerate(keys_of(evaluation)):
            x = X[i]
            proposal = self._pending.pop(x.tobytes(), None)
            if proposal is None:  # moved by the repair, or never ours
                ours = ids is not None and ids[i] >= 0
                proposal = Proposal(self.climber.epoch, REPAIRED) if ours else Proposal(-1, FOREIGN)
                self._memory.add(x.tobytes())
            self._learn(x.copy(), key, proposal)

    def _learn(self, x: Batch, key: Key, proposal: Proposal) -> None:
        climber, before = self.climber, self.climber.key
        fresh = proposal.epoch == climber.epoch
        flip = proposal.which == self._flip and fresh and proposal.column >= 0
        change = key[1] - before[1]
        comparable = flip and math.isfinite(change)
        if self._linkage is not None and comparable and proposal.version == self._linkage.version:
            self._linkage.measured(proposal.column, change, abs(key[1]) + abs(before[1]))
        better = climber.offer(x, key, proposal.epoch)
        if self._linkage is not None and climber.x is x:
            self._linkage.stand(x)
            if comparable:
                self._linkage.flipped(proposal.column, change)
        if self._model is not None and key < WORST:
            self._model.add(x, key[1])
        if proposal.which == MODEL and self._model is not None:
            self._model.judge(x, key[1], better)
        if proposal.which >= 0 and fresh:
            self._credits.learn(proposal.which, better)
            if flip:
                self._moves.learn(proposal.column, key > before)
            if self._model is not None and self._model.trusted:
                self._screens.learn(proposal.screened, better)
