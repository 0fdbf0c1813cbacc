"""The shared repair of constraints known beforehand, and the feasible sampler.

Whatever a solver proposes, what is evaluated satisfies rows, cardinalities and predicates of the space: `repair` moves
each row of a batch that does not to a near-nearest point that does (distance in the unit cube), and leaves the others
as they are, bit for bit.

* Reals only: exact projection (`kernels.projection`), with a pull towards a point inside as the safety net.
* Whole numbers, subsets, cardinalities: the better of rounding the projection and keeping the whole numbers, with the
  reals projected again; then a dive; what still fails goes to the exact backend.
* Columns that others depend on keep their values; if that leaves no point, the row is replaced by a sample.
* Predicates: their own `repair`, else the neighbourhood of the row, else samples.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.backends.layout import Layout
from optengine.core.errors import SpaceError
from optengine.core.space import Space

if TYPE_CHECKING:
    from optengine.backends.parts import Part
    from optengine.backends.sampler import Sampler

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

PARTS = 256  # choices of the columns that others depend on whose parts are kept
ROUNDS = 5  # of a predicate's own repair, each followed by the repair of rows
SCALES = (0.02, 0.05, 0.15, 0.4, 1.0)  # steps in the unit cube around a row that breaks a predicate
NEIGHBOURS = 12  # points tried at each scale
DRAWS = 20_000  # samples tried before a predicate counts as one that cannot be met


class Repair:
    """Repair and feasible samples of one space.

    Args:
        space: the space whose known constraints are to hold.

    Attributes:
        trivial: True if the space has no known constraint: there is nothing to repair.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.trivial = not space.constrained
        self._linear = space.without_functions()  # the same space; its `satisfies` does not call predicates
        self._layout: Layout = Layout(space)
        self._parts: OrderedDict[bytes, Part] = OrderedDict()
        self._sampler_: Sampler | None = None

    # -- the two verbs -----------------------------------------------------------------------------------------

    def repair(self, X: Floats, rng: Generator) -> Floats:
        """Return X (n, width) with every row satisfying the space; rows that already do stay as they are.

        X itself comes back where all of it is feasible. Deterministic given X and the state of `rng`. Cost at 20 real
        columns and 3 rows: a few microseconds a row.

        Raises:
            SpaceError: X has the wrong shape or holds NaN; the rows have no feasible point; a predicate was met by
                none of the points tried.
        """
        X = self._checked(X)
        good = self._linear.satisfies(X)
        predicates = self.space.predicates
        if good.all() and not predicates:
            return X
        out = X.copy()
        bad = np.flatnonzero(~good)
        if len(bad):
            out[bad] = self.rows(X[bad], rng)
        if predicates:
            broken = np.array([i for i in range(len(out)) if not self._keeps(out[i])], dtype=np.int64)
            if len(broken):
                out[broken] = self._towards_predicates(out[broken], rng)
        return out

    def feasible_sample(self, n: int, rng: Generator) -> Floats:
        """Draw n feasible points (n, width), spread over the feasible set; see `sampler.Sampler` for how.

        Raises:
            SpaceError: the rows have no feasible point, or no point that meets the predicates was found.
        """
        if self.trivial or n == 0:
            return self.space.sample(n, rng)
        if not self.space.predicates:
            return self._sampler.draw(n, rng)
        out, drawn = np.empty((n, self.space.width)), 0
        found = 0
        while found < n:
            X = self._sampler.draw(int(np.clip(2 * (n - found), 16, 1024)), rng)
            for row in X:
                drawn += 1
                if found < n and self._keeps(row):
                    out[found], found, drawn = row, found + 1, 0
            if drawn >= DRAWS:
                self._give_up()
        return out

    # -- rows and cardinalities --------------------------------------------------------------------------------

    @property
    def _sampler(self) -> Sampler:
        if self._sampler_ is None:
            from optengine.backends.sampler import Sampler

            self._sampler_ = Sampler(self)
        return self._sampler_

    def part(self, row: Floats) -> Part:
        """The part to which a row (width,) belongs, by its active columns and those that others depend on."""
        key = self._layout.key(row)
        if key in self._parts:
            self._parts.move_to_end(key)
            return self._parts[key]
        part = self._parts[key] = self._layout.part(row)
        if len(self._parts) > PARTS:
            self._parts.popitem(last=False)
        return part

    def rows(self, X: Floats, rng: Generator) -> Floats:
        """Return X (n, width) with box, structure, rows and cardinalities satisfied; predicates are not looked at."""
        X = self._layout.tidy(X)
        for members in self._layout.groups(X, np.arange(len(X))):
            part, columns = self.part(X[members[0]]), self._layout.columns(X[members[0]])
            if not len(columns):
                continue
            Y, found = part.repair(np.clip(X[np.ix_(members, columns)], part.lb, part.ub))
            done = members[found]
            X[np.ix_(done, columns)] = Y[found]
        left = np.flatnonzero(~self._linear.satisfies(X))
        if len(left):
            X[left] = self._sampler.draw(len(left), rng)
        return X

    def linear_ok(self, X: Floats) -> Mask:
        """Return (n,) whether each row satisfies everything but the predicates."""
        return self._linear.satisfies(X)

    @property
    def layout(self) -> Layout:
        return self._layout

    # -- predicates --------------------------------------------------------------------------------------------

    def _keeps(self, row: Floats) -> bool:
        return self._broken(row) is None

    def _broken(self, row: Floats) -> Any:
        """The first predicate that the row breaks, or None."""
        x = self.space.decode_one(row)
        return next((p for p in self.space.predicates if not p.function(x)), None)

    def _towards_predicates(self, X: Floats, rng: Generator) -> Floats:
        """Return points near to the rows of X (n, width), all of which break a predicate, that break none."""
        out = np.array([self._by_their_repair(row, rng) for row in X])
        left = np.array([i for i in range(len(X)) if not self._keeps(out[i])], dtype=np.int64)
        for steps, scale in enumerate(SCALES, start=1):
            if not len(left):
                break
            Y = np.repeat(X[left], NEIGHBOURS, axis=0)
            for _ in range(steps):
                Y = self.space.neighbours(Y, rng, scale)
            bad = ~self._linear.satisfies(Y)
            if bad.any():
                Y[bad] = self.rows(Y[bad], rng)
            found = np.zeros(len(left), dtype=bool)
            for i, group in enumerate(np.split(Y, len(left))):
                for row in group:
                    if self._keeps(row):
                        out[left[i]], found[i] = row, True
                        break
            left = left[~found]
        for i in left:
            out[i] = self._nearest_sample(X[i], rng)
        return out

    def _by_their_repair(self, row: Floats, rng: Generator) -> Floats:
        """What the predicates' own repairs make of a row, each followed by the repair of rows."""
        for _ in range(ROUNDS):
            broken = self._broken(row)
            if broken is None or broken.repair is None:
                break
            repaired = self._asked(broken, row)[None, :]
            row = (repaired if self._linear.satisfies(repaired)[0] else self.rows(repaired, rng))[0]
        return row

    def _asked(self, predicate: Any, row: Floats) -> Floats:
        """What the predicate's own repair makes of a row."""
        repaired = predicate.repair(self.space.decode_one(row))
        try:
            return np.asarray(self.space.encode(repaired)[0])
        except SpaceError as error:
            raise SpaceError(
                f"repair of predicate {predicate.name!r} must return a point of the space: {error}"
            ) from error

    def _nearest_sample(self, row: Floats, rng: Generator) -> Floats:
        """The nearest of a few feasible samples."""
        X = self.feasible_sample(8, rng)
        away = self.space.to_unit(X) - self.space.to_unit(row[None, :])
        return np.asarray(X[int(np.argmin((away**2).sum(axis=1)))])

    def _give_up(self) -> None:
        X = self._sampler.draw(256, np.random.default_rng(0))
        counts = [
            sum(bool(p.function(self.space.decode_one(row))) for row in X) for p in self.space.predicates
        ]
        name = self.space.predicates[int(np.argmin(counts))].name
        raise SpaceError(
            f"predicate {name!r} of space was met by none of {DRAWS} feasible samples; give it a repair or widen it"
        )

    def _checked(self, X: Floats) -> Floats:
        X = np.ascontiguousarray(X, dtype=np.float64)
        if X.ndim != 2 or X.shape[1] != self.space.width:
            raise SpaceError(f"X must have shape (n, {self.space.width}), got {X.shape}")
        if not np.isfinite(X).all():
            raise SpaceError("X must be finite, got NaN or an infinite entry")
        return X


def feasible_sample(space: Space, n: int, rng: Generator) -> Floats:
    """Draw n feasible points (n, width) of `space`; keep a `Repair` and use its method to draw more than once."""
    return Repair(space).feasible_sample(n, rng)
