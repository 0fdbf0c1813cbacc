"""The solver `portfolio`: its members, and which of the two ways they share a problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.random import Generator

from optengine import registry
from optengine.core.errors import OptionError
from optengine.solvers.portfolio.members import FEWEST, made, numbered, suited
from optengine.solvers.portfolio.sharing import SharingRun
from optengine.solvers.portfolio.side_by_side import SideBySideRun

if TYPE_CHECKING:
    from optengine.core.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """Several solvers in one run, for problems of which one does not know which suits.

    Members that are asked and told share the evaluations: EXP3 (Auer, Cesa-Bianchi, Freund, Schapire, SIAM J. Comput.
    32, 2002, doi:10.1137/S0097539701398375) chooses whose batch is next, and every new incumbent is told to all of
    them. Members that search by themselves (exact backends, local search of structured problems) run side by side in
    threads: the incumbents of all are one, and so are their proved bounds.

    Attributes:
        members: names, solvers, or tables {"name": ..., option: value}, at least two; None: by the problem's kind,
            those that suit it.
        exploration: of EXP3, share of batches given out evenly, in (0, 1].
        share: whether incumbents of one member are told to the others.

    Raises:
        OptionError: a value outside its range, an unknown member, members of both ways together.
    """

    replayable: ClassVar[bool] = True  # where all members are, see `SharingRun.replayable`

    members: Iterable[Any] | None = None
    exploration: float = 0.1
    share: bool = True

    def __post_init__(self) -> None:
        if self.members is not None:
            if isinstance(self.members, (str, Mapping)) or not isinstance(self.members, Iterable):
                raise OptionError(f"members must be a list of solvers, got {self.members!r}")
            members = tuple(self.members)
            if len(members) < FEWEST:
                raise OptionError(f"members must hold at least {FEWEST} solvers, got {len(members)}")
            object.__setattr__(self, "members", tuple(made(member)[1] for member in members))
        value = self.exploration
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
            raise OptionError(f"exploration must be a number in (0, 1], got {value!r}")
        if not isinstance(self.share, bool):
            raise OptionError(f"share must be True or False, got {self.share!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Problems that one of the named members refuses, or that fewer than two of ours suit."""
        if self.members is None:
            found = suited(problem)
            return (
                None
                if len(found) >= FEWEST
                else f"of its members only {[n for n, _ in found]} suit the problem"
            )
        for member in self.members:
            reason = member.refuses(problem)
            if reason is not None:
                return f"its member {registry.name_of(member)!r}: {reason}"
        return None

    def start(self, problem: Problem, rng: Generator) -> SharingRun | SideBySideRun:
        """Return a new run.

        Raises:
            OptionError: some members search by themselves and others are asked and told.
        """
        named = suited(problem) if self.members is None else [(registry.name_of(m), m) for m in self.members]
        streams = rng.spawn(len(named) + 1)
        runs = {
            label: solver.start(problem, stream)
            for (label, solver), stream in zip(numbered(named), streams[1:], strict=True)
        }
        searching = [name for name, run in runs.items() if hasattr(run, "search")]
        if not searching:
            replayable = all(member.replayable for _, member in named)
            return SharingRun(runs, float(self.exploration), self.share, streams[0], replayable)
        if len(searching) < len(runs):
            asked = [name for name in runs if name not in searching]
            raise OptionError(
                f"members must all search by themselves or all be asked and told, got {searching} and {asked}"
            )
        return SideBySideRun(problem, runs, streams[0])
