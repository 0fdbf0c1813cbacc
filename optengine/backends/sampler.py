"""Feasible samples of a space with known rows and cardinalities.

Which distribution:

* Where at least one in `RATE` uniform draws is feasible, feasible draws are kept: uniform on the feasible set (uniform
  in the unit cube, so log-uniform on logarithmic scales).
* Otherwise columns that no row couples are drawn as `Space.sample` draws them, and so are the columns that others
  depend on, over those values that leave a feasible point. Given these, coupled reals follow hit-and-run (near to
  uniform in the polytope); where whole numbers or cardinalities are coupled, the draw keeps its whole numbers if some
  reals fit them, is repaired otherwise, and then walks: close to uniform where the walk's lines reach everything. Every
  feasible assignment of whole numbers has positive probability, as a draw that has it keeps it.
"""

from __future__ import annotations

import itertools
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator, default_rng
from numpy.typing import NDArray

from optengine.backends.layout import Layout
from optengine.core.errors import SpaceError

if TYPE_CHECKING:
    from optengine.backends.chains import Chains
    from optengine.backends.parts import Part
    from optengine.backends.repair import Repair

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

RATE = 20  # uniform draws a feasible one may cost
PILOT = 1024  # draws from which the rate is told
ENTRIES = 4_000_000  # numbers in one batch of draws, at most
ENUMERATED = 1024  # choices of the columns that others depend on that are looked at one by one
RETRIES = 20  # redraws of rows whose conditions leave no feasible point, before they are looked at one by one
CONFLICT = 40  # rows and cardinalities among which a smallest conflict is searched


class Sampler:
    """Draws feasible points of one space; `Repair` owns it."""

    def __init__(self, repair: Repair) -> None:
        self._repair = repair
        self._space = repair.space
        self._chains: dict[int, tuple[Part, Chains]] = {}

    @cached_property
    def _rejecting(self) -> bool:
        """Whether uniform draws are feasible often enough; told from a fixed stream."""
        pilot = max(RATE, min(PILOT, ENTRIES // self._space.width))
        good = self._repair.linear_ok(self._space.sample(pilot, default_rng(0)))
        return bool(RATE * good.sum() >= pilot)

    def draw(self, n: int, rng: Generator) -> Floats:
        """Return n points (n, width) that satisfy everything but the predicates.

        Raises:
            SpaceError: there is none.
        """
        out, found = np.empty((n, self._space.width)), 0
        if self._rejecting:
            while found < n:
                X = self._space.sample(
                    max(1, min(max(32, 2 * (n - found)), ENTRIES // self._space.width)), rng
                )
                X = X[self._repair.linear_ok(X)][: n - found]
                out[found : found + len(X)], found = X, found + len(X)
            return out
        for attempt in itertools.count():
            X = self._space.sample(n - found, rng)
            if attempt >= RETRIES:
                self._choose_parents(X, rng)
            X = self._walked(X, rng)
            X = X[self._repair.linear_ok(X)]
            out[found : found + len(X)], found = X, found + len(X)
            if found == n:
                return out
            if attempt > 2 * RETRIES:
                raise SpaceError(
                    f"rows {self._repair.layout.names} of space have no feasible point that could be found within "
                    "1e-9; widen the tightest of them"
                )
        raise AssertionError("unreachable")

    def _walked(self, X: Floats, rng: Generator) -> Floats:
        """Make the rows of X (n, width) feasible by walks; rows whose conditions leave no point stay infeasible."""
        layout = self._repair.layout
        X = np.ascontiguousarray(X)
        for members in layout.groups(X, np.arange(len(X))):
            part, columns = self._repair.part(X[members[0]]), layout.columns(X[members[0]])
            if not part.feasible:
                if not self._space.conditional:
                    self.refuse()
                continue
            if not len(columns):
                continue
            chains = self._chains_of(part)
            if part.continuous:
                X[np.ix_(members, columns)] = chains.reals(len(members), rng)
                continue
            start = X[np.ix_(members, columns)]
            Y, found = _starts(part, start)
            Y[found] = chains.spread(Y[found], rng)
            X[np.ix_(members[found], columns)] = Y[found]
        return X

    def _chains_of(self, part: Part) -> Chains:
        known = self._chains.get(id(part))
        if known is None or known[0] is not part:
            from optengine.backends.chains import Chains

            if len(self._chains) >= 256:
                self._chains.clear()
            known = self._chains[id(part)] = (part, Chains(part))
        return known[1]

    # -- conditions that leave no point ------------------------------------------------------------------------

    @cached_property
    def _choices(self) -> Floats:
        """Values of the columns that others depend on which leave a feasible point, (c, parents)."""
        space = self._space
        values = [self._telling(int(parent)) for parent in space.parents]
        total = int(np.prod([len(v) for v in values], dtype=object))
        if total <= ENUMERATED:
            choices = np.array(list(itertools.product(*values))).reshape(-1, len(values))
        else:
            rng = default_rng(0)
            choices = np.unique(np.stack([rng.choice(v, ENUMERATED) for v in values], axis=1), axis=0)
        X = np.tile(space.sample(1, default_rng(0)), (len(choices), 1))
        X[:, space.parents] = choices
        good: Mask = np.array([self._repair.part(row).feasible for row in space.canonical(X)], dtype=bool)
        if not good.any():
            self.refuse(proved=total <= ENUMERATED)
        return np.asarray(choices[good])

    def _telling(self, parent: int) -> Floats:
        """Values of one such column that stand for all: those that conditions name and one other.

        All of them where rows or cardinalities count the column itself.
        """
        space = self._space
        every = np.arange(space.lower[parent], space.upper[parent] + 1)
        if self._repair.layout.counts(parent):
            return every
        named = np.unique(
            np.concatenate([codes for _, column, codes in space._conditions if column == parent])
        )
        others = every[: len(named) + 1]
        return np.concatenate([named, others[~np.isin(others, named)][:1]])

    def _choose_parents(self, X: Floats, rng: Generator) -> None:
        """Give each row of X, in place, values of the columns that others depend on that leave a feasible point."""
        if self._space.conditional:
            X[:, self._space.parents] = self._choices[rng.integers(0, len(self._choices), len(X))]
            X[:] = self._space.canonical(X)

    def refuse(self, proved: bool = True) -> None:
        """Raise the error that says which rows contradict each other."""
        names = self._conflict() if not self._space.conditional else self._repair.layout.names
        if not proved:
            raise SpaceError(
                f"rows {names} of space have no feasible point in any of {ENUMERATED} conditions drawn"
            )
        raise SpaceError(
            f"rows {names} of space have no feasible point within the bounds of their variables; relax one of them"
        )

    def _conflict(self) -> list[str]:
        """A smallest set of rows and cardinalities without a feasible point (deletion filter), of few rows only."""
        space, names = self._space, self._repair.layout.names
        m = len(space.row_lower)
        keep = np.ones(len(names), dtype=bool)
        row = space.sample(1, default_rng(0))[0]
        if len(names) <= CONFLICT:
            for i in range(len(names)):
                keep[i] = False
                keep[i] = Layout(space, keep[:m], keep[m:]).part(row).feasible
        return [name for name, used in zip(names, keep, strict=True) if used]


def _starts(part: Part, X: Floats) -> tuple[Floats, Mask]:
    """Feasible points (n, k) near to X: with its whole numbers where some reals fit them, else repaired."""
    lb, ub = part.supports(X)
    Y, _ = part.project(np.clip(X, lb, ub), lb, ub, part.whole)
    found = part.holds(Y)
    left = np.flatnonzero(~found)
    if len(left):
        Y[left], found[left] = part.repair(X[left])
    return Y, found
