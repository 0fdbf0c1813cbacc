"""The moves of a local search over any discrete space.

A move is a kind and two numbers, so that a problem's `delta` can be asked about it:

* swap, insertion, reversal of the items at columns a and b of one permutation;
* flip of column a: a bit or a member to its opposite, a category to another one, a number or level to b;
* exchange of a chosen column a with one, b, that is not chosen (bits, members of a subset);
* jump: flips of a >= 2 columns at once, their number drawn from a power law.

Clusters, flips of bits found to interact, and slides, flips of bits that cost little, are drawn by `linkage`.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.space import BINARY, CATEGORICAL, PERMUTATION, REAL, SIMPLEX, SUBSET, Batch, Block, Space

KINDS = ("swap", "insertion", "reversal", "flip", "exchange", "jump", "cluster", "slide")
SWAP, INSERTION, REVERSAL, FLIP, EXCHANGE, JUMP, CLUSTERS, SLIDE = range(8)
POOL = 1024  # uniform numbers drawn at a time: one by one they would cost a microsecond each
FORGET = 0.97  # what remains of the credits at each success: some thirty successes are remembered
LEAST_SHARE = 0.1  # of the moves is drawn from all kinds alike
BETA = 1.5  # exponent of the power law of jumps (Doerr et al. 2017, doi:10.1145/3071178.3071301)
MOST_STEPS = 4  # neighbours that a number counts for, however many levels it has
FRESH = 64  # samples among which to find values for columns that became active
ROUNDS = 4  # of all flips without improvement before a kick

Integers = NDArray[np.int64]


class Draws:
    """Uniform numbers one at a time, drawn from `rng` by the thousand."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self._pool: list[float] = []

    def unit(self) -> float:
        """A number in [0, 1)."""
        if not self._pool:
            self._pool = self.rng.random(POOL).tolist()
        return self._pool.pop()

    def below(self, n: int) -> int:
        """One of 0, ..., n - 1."""
        return int(self.unit() * n)

    def pair(self, n: int) -> tuple[int, int]:
        """Two different ones of 0, ..., n - 1."""
        i, j = int(self.unit() * n), int(self.unit() * (n - 1))
        return i, j + 1 if j >= i else j


class PowerLaw:
    """Numbers k in 1..largest with probability proportional to k^-beta."""

    def __init__(self, largest: int, beta: float) -> None:
        weights = np.arange(1, largest + 1, dtype=np.float64) ** -beta
        self._reached: list[float] = np.cumsum(weights / weights.sum()).tolist()

    def draw(self, u: float, least: int = 1) -> int:
        """The number that belongs to a uniform u, given that it is `least` or more."""
        if least > 1:
            below = self._reached[least - 2]
            u = below + u * (1.0 - below)
        for k, reached in enumerate(self._reached, start=1):  # a few steps on average
            if u < reached:
                return k
        return len(self._reached)


class Credits:
    """Chooses among n kinds by how often each improved lately: n gains and n tries, discounted at each gain."""

    def __init__(self, n: int) -> None:
        self._tries, self._gains = [1.0] * n, [1.0] * n
        self.shares = [1.0 / max(1, n)] * n

    def choose(self, u: float) -> int:
        """The kind that belongs to a uniform u."""
        for k, share in enumerate(self.shares):
            if u < share:
                return k
            u -= share
        return len(self.shares) - 1

    def learn(self, kind: int, improved: bool) -> None:
        """Take note of a try."""
        self._tries[kind] += 1.0
        if not improved:
            return
        self._gains[kind] += 1.0
        # one gain and one try always stay in hand, so that a kind that was out of luck comes back
        self._gains = [1.0 + FORGET * (g - 1.0) for g in self._gains]
        self._tries = [1.0 + FORGET * (t - 1.0) for t in self._tries]
        rates = [g / t for g, t in zip(self._gains, self._tries, strict=True)]
        total, n = sum(rates), len(rates)
        self.shares = [LEAST_SHARE / n + (1.0 - LEAST_SHARE) * rate / total for rate in rates]


def _parts(space: Space) -> tuple[list[Block], list[Block], Integers]:
    """Permutations and subsets that can change, and the free columns of all other discrete variables."""
    free = space.lower < space.upper
    free[[column for column, _ in space.fidelity.values()]] = False
    permutations = [b for b in space.blocks if b.kind == PERMUTATION and b.stop - b.start > 1]
    subsets = [
        b for b in space.blocks if b.kind == SUBSET and 0 < b.size_high and b.size_low < b.stop - b.start
    ]
    scalars = np.flatnonzero(free & ~np.isin(space.kind, (PERMUTATION, SUBSET, SIMPLEX, REAL)))
    return permutations, subsets, scalars


def possible_kinds(space: Space) -> list[str]:
    """The kinds of moves that change anything in `space`; clusters where there are bits to be linked."""
    permutations, subsets, scalars = _parts(space)
    longest = max((b.stop - b.start for b in permutations), default=0)
    n_bits = int((space.kind[scalars] == BINARY).sum())
    sized = any(b.size_low < b.size_high for b in subsets)
    n_sites = len(scalars) + sum(b.stop - b.start for b in subsets)
    possible = {
        "swap": longest > 1,
        "insertion": longest > 2,
        "reversal": longest > 3,
        "flip": len(scalars) > 0 or sized,
        "exchange": n_bits > 1 or bool(subsets),
        "jump": n_sites > 2,
        "cluster": n_sites > 2 and not permutations and n_bits == len(scalars),
        "slide": n_sites > 2 and not permutations and n_bits == len(scalars),
    }
    return [kind for kind, holds in possible.items() if holds]


class Neighbourhood:
    """Draws and applies moves in one space.

    Args:
        space: the space.
        draws: random numbers.
        allowed: kinds of moves to use; None: all that are possible.

    Attributes:
        kinds: indices into `KINDS` of the moves in use, clusters left out.
        sites: columns that can change by themselves. n_positions: columns of permutations. n_sites: both together.
        patience: evaluations after which a point without better neighbours counts as a local optimum.
    """

    def __init__(self, space: Space, draws: Draws, allowed: tuple[str, ...] | None = None) -> None:
        self._space, self._draws = space, draws
        permutations, subsets, scalars = _parts(space)
        self._permutations = [(b.start, b.stop - b.start) for b in permutations]
        self.n_positions = sum(n for _, n in self._permutations)
        self._bounds = {
            c: (b.start, b.stop, b.size_low, b.size_high) for b in subsets for c in range(b.start, b.stop)
        }
        self.sites = [*scalars.tolist(), *self._bounds]
        self.n_sites = len(self.sites) + self.n_positions
        bits = scalars[space.kind[scalars] == BINARY]
        self._groups = [np.arange(b.start, b.stop) for b in subsets] + ([bits] if len(bits) > 1 else [])
        self._power = PowerLaw(max(2, len(self.sites) // 2), BETA)
        self._queue: list[int] = []
        self._worse: set[int] = set()  # sites whose last flip made the point worse
        possible = possible_kinds(space)
        self.kinds = [
            k
            for k, kind in enumerate(KINDS)
            if kind in possible and k < CLUSTERS and (allowed is None or kind in allowed)
        ]
        if not self.kinds:
            self.kinds = [KINDS.index(kind) for kind in possible if KINDS.index(kind) < CLUSTERS]
        pairs = sum(n * (n - 1) // 2 for _, n in self._permutations)
        self.patience = pairs + ROUNDS * sum(self._levels(c) for c in self.sites)

    def _levels(self, column: int) -> int:
        """How many flips of a column count as neighbours."""
        if column in self._bounds:
            return 1
        levels = int(self._space.upper[column] - self._space.lower[column])
        return levels if self._space.kind[column] == CATEGORICAL else min(levels, MOST_STEPS)

    # -- drawing ---------------------------------------------------------------------------------------------------

    def draw(self, kind: int, x: Batch) -> tuple[int, int]:
        """The numbers a and b of a random move of `kind` at x (width,)."""
        if kind <= REVERSAL:
            start, n = self._permutation()
            i, j = self._draws.pair(n)
            return start + i, start + j
        if kind == FLIP:
            column = self._next_site()
            return column, self._other(column, x)
        if kind == EXCHANGE:
            return self._exchanged(x)
        return self.jump_size(), 0

    def apply(self, x: Batch, kind: int, a: int, b: int) -> Batch:
        """The point (width,) that a move makes of x."""
        if kind == JUMP:
            return self.flipped(x, self._some_sites(a))
        y = x.copy()
        if kind in (SWAP, EXCHANGE):
            y[a], y[b] = x[b], x[a]
        elif kind == INSERTION:
            if a < b:
                y[a:b] = x[a + 1 : b + 1]
            else:
                y[b + 1 : a + 1] = x[b:a]
            y[b] = x[a]
        elif kind == REVERSAL:
            low, high = (a, b) if a < b else (b, a)
            y[low : high + 1] = x[low : high + 1][::-1]
        else:
            y[a] = b
            self._keep_size(y, a)
        return self._tidy(x, y) if self._space.conditional else y

    def flipped(self, x: Batch, columns: list[int]) -> Batch:
        """The point that flips of several columns make of x; subsets keep within their sizes."""
        y = x.copy()
        for column in columns:
            y[column] = self._other(column, y)
        for column in columns:
            self._keep_size(y, column)
        return self._tidy(x, y) if self._space.conditional else y

    def perturbed(self, x: Batch, strength: int) -> Batch:
        """The point that `strength` random changes make of x, spread over permutations and sites by their number."""
        draws, y = self._draws, x
        n_flips = 0
        for _ in range(strength):
            if draws.below(self.n_sites) >= self.n_positions:
                n_flips += 1
            else:
                kinds = [k for k in self.kinds if k <= REVERSAL] or [SWAP]
                kind = kinds[draws.below(len(kinds))]
                y = self.apply(y, kind, *self.draw(kind, y))
        return self.flipped(y, self._some_sites(n_flips)) if n_flips else y

    def may_flip(self, x: Batch, column: int) -> bool:
        """Whether the flip of a bit or member leaves its subset within its sizes, so that nothing else must change."""
        if column not in self._bounds:
            return True
        start, stop, low, high = self._bounds[column]
        return low <= int(x[start:stop].sum()) + (1 if x[column] < 0.5 else -1) <= high

    def jump_size(self) -> int:
        """How many columns a jump flips: 2 or more, from the power law."""
        return self._power.draw(self._draws.unit(), 2)

    def learn(self, column: int, worse: bool) -> None:
        """Remember whether the flip of a column made the point worse: such columns wait for the end of a round."""
        if worse:
            self._worse.add(column)
        else:
            self._worse.discard(column)

    def _permutation(self) -> tuple[int, int]:
        """Start and length of a permutation, drawn by length."""
        at = 0 if len(self._permutations) == 1 else self._draws.below(self.n_positions)
        for start, n in self._permutations:
            if at < n:
                return start, n
            at -= n
        return self._permutations[-1]

    def _some_sites(self, k: int) -> list[int]:
        """At most k different sites."""
        chosen: dict[int, None] = {}
        k = min(k, len(self.sites))
        while len(chosen) < k:
            chosen[self.sites[self._draws.below(len(self.sites))]] = None
        return list(chosen)

    def _next_site(self) -> int:
        """Each site once a round, in random order: those first that were not worse when last flipped."""
        if not self._queue:
            order = self._draws.rng.permutation(len(self.sites)).tolist()
            sites = [self.sites[i] for i in order]
            self._queue = [c for c in sites if c in self._worse] + [c for c in sites if c not in self._worse]
        return self._queue.pop()

    def _other(self, column: int, x: Batch) -> int:
        """Another value for a column."""
        space, draws, now = self._space, self._draws, int(x[column])
        if column in self._bounds or space.kind[column] == BINARY:
            return 1 - now
        low, high = int(space.lower[column]), int(space.upper[column])
        if space.kind[column] == CATEGORICAL:
            return (now + 1 + draws.below(high)) % (high + 1)
        # steps of every scale, from one level to the whole range, as often as each other
        step = max(1, int((high - low) ** draws.unit()))
        up, down = now + step <= high, now - step >= low
        if not up and not down:
            step, up, down = 1, now < high, now > low
        return now + step if up and (not down or draws.unit() < 0.5) else now - step

    def _exchanged(self, x: Batch) -> tuple[int, int]:
        """A chosen and a free column of one group; the same column twice where there is no such pair."""
        group = self._groups[0]
        if len(self._groups) > 1:
            at = self._draws.below(sum(len(g) for g in self._groups))
            for group in self._groups:
                if at < len(group):
                    break
                at -= len(group)
        chosen = x[group] > 0.5
        ones, zeros = group[chosen], group[~chosen]
        if not len(ones) or not len(zeros):
            return int(group[0]), int(group[0])
        return int(ones[self._draws.below(len(ones))]), int(zeros[self._draws.below(len(zeros))])

    # -- keeping in the space --------------------------------------------------------------------------------------

    def _keep_size(self, y: Batch, column: int) -> None:
        """Bring the subset of `column` back between its bounds by random flips of its other members, in place."""
        if column not in self._bounds:
            return
        start, stop, low, high = self._bounds[column]
        while True:
            size = int(y[start:stop].sum())
            if low <= size <= high:
                return
            value = 1.0 if size > high else 0.0
            others = np.flatnonzero(y[start:stop] == value) + start
            others = others[others != column] if len(others) > 1 else others
            y[others[self._draws.below(len(others))]] = 1.0 - value

    def _tidy(self, x: Batch, y: Batch) -> Batch:
        """Give columns that became active random values, and columns that became inactive their canonical ones."""
        space = self._space
        before = space.active(x[np.newaxis, :])[0]
        for _ in range(len(space.parents)):
            new = space.active(y[np.newaxis, :])[0] & ~before
            if not new.any():
                break
            fresh = space.sample(FRESH, self._draws.rng)
            active = space.active(fresh)
            for column in np.flatnonzero(new & active.any(axis=0)):
                y[column] = fresh[int(np.argmax(active[:, column])), column]
            before |= new
        return np.ascontiguousarray(space.canonical(y[np.newaxis, :])[0])
