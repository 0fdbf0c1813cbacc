"""Where an iterated local search stands, where its home is, and when it leaves.

Lourenço, Martin and Stützle, Iterated local search, Handbook of Metaheuristics, 2003, doi:10.1007/0-306-48056-5_11.
The strength of a kick grows while kicks lead back home, as in breakout local search (Benlic and Hao, Engineering
Applications of Artificial Intelligence 26, 2013, doi:10.1016/j.engappai.2012.10.003).
"""

from __future__ import annotations

from optengine.core.space import Batch
from optengine.solvers.local_search.common import WORST, Key, level
from optengine.solvers.local_search.moves import Credits

SHAKE, CLUSTER, RESTART = 0, 1, 2  # kinds of kicks: random changes, changes of linked bits, a new start


class Climber:
    """The accepted point, the best local optimum, and the counters between them.

    Args:
        patience: evaluations without improvement after which the current point counts as a local optimum.
        stretch: it waits at least so many times as long as any improvement has taken.
        strength, strongest: changes of the first and of the strongest kick.
        restart_after: kicks without a better home after which one kick is a new start; None: never.
        kicks: kinds of kicks that may be chosen at any time.

    Attributes:
        x, key: the current point; None and `WORST` while a start or a kick is being evaluated.
        home, home_key: where kicks start from.
        best_key: of all points offered.
        idle: evaluations since the current point last improved.
        epoch: how often the search has jumped; points of another epoch count only if they are the best so far.
        strength: changes of the next kick.
        n_kicks, n_restarts: so far.
    """

    def __init__(
        self,
        *,
        patience: int,
        stretch: float,
        strength: int,
        strongest: int,
        restart_after: int | None,
        kicks: tuple[int, ...],
    ) -> None:
        self._patience, self._stretch = patience, stretch
        self._first, self._strongest = strength, max(strength, strongest)
        self._restart_after = restart_after
        self._kicks, self._credits = kicks, Credits(len(kicks))
        self.x: Batch | None = None
        self.key = WORST
        self.home: Batch | None = None
        self.home_key = self.best_key = WORST
        self.idle = self.epoch = self.n_kicks = self.n_restarts = 0
        self.strength = strength
        self._longest = 0  # idle time after which the search still improved
        self._barren = 0  # kicks since home improved
        self._kick = -1  # the kind of the last one, as an index into `kicks`

    @property
    def settled(self) -> bool:
        """Whether the current point counts as a local optimum."""
        return self.x is not None and self.idle >= max(self._patience, self._stretch * self._longest)

    def offer(self, y: Batch, key: Key, epoch: int) -> bool:
        """Take an evaluated point if it is no worse; returns whether it is better than the current one."""
        if epoch != self.epoch and not key < min(self.key, self.best_key):
            self.idle += 1
            return False
        alike = level(key, self.key)
        better = key < self.key and not alike
        self.best_key = min(key, self.best_key)
        if better or (alike and key < WORST):
            self.x, self.key = y, key
        if better:
            self._longest = max(self._longest, self.idle)
        self.idle = 0 if better else self.idle + 1
        return better

    def leave(self, u: float) -> int:
        """Make the local optimum home if it is no worse than home, and forget it; returns the kind of kick to take.

        The next point evaluated takes its place.
        """
        back = level(self.key, self.home_key)
        better = self.key < self.home_key and not back
        if self._kick >= 0:
            self._credits.learn(self._kick, better)
        if better or back:
            self.home, self.home_key = self.x, self.key
        self._barren = 0 if better else self._barren + 1
        self.strength = min(self.strength + 1, self._strongest) if back else self._first
        self.x, self.key, self.idle = None, WORST, 0
        self.epoch += 1
        self.n_kicks += 1
        self._kick = self._credits.choose(u)
        kind = self._kicks[self._kick]
        if self._restart_after is not None and self._barren and self._barren % self._restart_after == 0:
            self._kick, kind = -1, RESTART
        self.n_restarts += kind == RESTART
        return kind
