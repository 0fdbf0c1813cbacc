"""Market splits to the end: four lists of sums, joined by their remainders.

Schroeppel, Shamir, A T = O(2^(n/2)), S = O(2^(n/4)) algorithm for certain NP-complete problems, SIAM Journal on
Computing 10 (1981), doi:10.1137/0210033, with remainders in place of heaps (Howgrave-Graham, Joux, EUROCRYPT 2010,
doi:10.1007/978-3-642-13190-5_12). All rows at once: a row vector is hashed to one number, a sum to the sum of
numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Keys = NDArray[np.uint64]

WIDEST = 64  # columns: 2^16 sums a list
SCATTERED = 256  # random points looked at first, for an incumbent


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketSplitExact:
    """Schroeppel and Shamir's enumeration for MarketSplit: a point of value 0, or the proof that there is none.

    Time O(2^(n/2)), memory O(2^(n/4)): 0.1 s at 40 columns, some 3 s at 50. One sum of two lists counts as one
    evaluation. Where there is no point of value 0 the bound is 1, and the incumbent the best of what was seen.

    Attributes:
        most_columns: refuse wider problems, from 1 to 64.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True
    needs_limit: ClassVar[bool] = False

    most_columns: int = WIDEST

    def __post_init__(self) -> None:
        given = self.most_columns
        if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= WIDEST:
            raise OptionError(f"most_columns must be an integer in 1..{WIDEST}, got {given!r}")

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MarketSplit of few enough columns."""
        from optengine.problems.market_split import MarketSplit

        if not isinstance(problem, MarketSplit):
            return "it reads the rows of a MarketSplit"
        if problem.n_bits > self.most_columns:
            return f"it lists 2^(n/4) sums for at most {self.most_columns} columns, and there are {problem.n_bits}"
        return None

    def start(self, problem: Problem, rng: Generator) -> MarketSplitRun:
        """Return a new run."""
        return MarketSplitRun(problem, rng)


class MarketSplitRun:
    """State of one run: four lists of hashed sums."""

    def __init__(self, problem: Any, rng: Generator) -> None:
        self._problem, self._rng = problem, rng
        self.details: dict[str, Any] = {}

    def search(self, control: Control) -> None:
        """Join the lists remainder by remainder."""
        problem, n = self._problem, self._problem.n_bits
        X = self._rng.integers(0, 2, (SCATTERED, n)).astype(np.float64)
        left: int | None = getattr(control, "remaining", None)
        X = X if left is None else X[: max(0, left)]
        if not len(X):
            return
        control.spend(len(X))
        control.incumbent(X[int(np.argmin(problem.evaluate(X).F[:, 0]))])
        weights = self._rng.integers(0, 2**63, len(problem.b), dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        hashed = (problem.A.astype(np.int64).astype(np.uint64) * weights[:, None]).sum(
            axis=0, dtype=np.uint64
        )
        target = (problem.b.astype(np.int64).astype(np.uint64) * weights).sum(dtype=np.uint64)
        cuts = np.array_split(np.arange(n), 4)
        lists = [_sums(hashed[cut]) for cut in cuts]
        bits = max(0, max(len(cut) for cut in cuts) - 1)
        modulus = np.uint64(1 << bits)
        orders = [np.argsort(part % modulus, kind="stable") for part in (lists[1], lists[3])]
        remainders = [
            (part % modulus)[order] for part, order in zip((lists[1], lists[3]), orders, strict=True)
        ]
        for remainder in range(1 << bits):
            if control.stop():
                return
            one = _join(lists[0], lists[1], orders[0], remainders[0], np.uint64(remainder), modulus)
            two = _join(lists[2], lists[3], orders[1], remainders[1], target - np.uint64(remainder), modulus)
            wanted = len(one[0]) + len(two[0])
            left = getattr(control, "remaining", None)
            control.spend(wanted if left is None else min(wanted, left))
            if left is not None and wanted > left:
                return
            for x in self._matches(one, two, target, cuts):
                control.incumbent(x)
                control.bound(0.0)
                self.details = {"remainders": remainder + 1}
                return
        self.details = {"remainders": 1 << bits}
        control.bound(1.0)
        control.conclude("converged", "all points were listed, and none has value 0")  # type: ignore[attr-defined]

    def _matches(
        self, one: Any, two: Any, target: np.uint64, cuts: list[NDArray[np.int64]]
    ) -> list[NDArray[np.float64]]:
        """The points whose hashed sums meet the target and whose true sums do."""
        order = np.argsort(one[0], kind="stable")
        keys, wanted = one[0][order], target - two[0]
        first, last = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
        found = []
        for j in np.flatnonzero(last > first):
            for i in order[first[j] : last[j]]:
                x = np.zeros(self._problem.n_bits)
                picks = (one[1][i], one[2][i], two[1][j], two[2][j])
                for cut, pick in zip(cuts, picks, strict=True):
                    x[cut] = (int(pick) >> np.arange(len(cut))) & 1
                if self._problem.evaluate(x[None]).F[0, 0] == 0.0:
                    found.append(x)
        return found


def _sums(values: Keys) -> Keys:
    """Sums of all subsets; subset i holds element k where bit k of i is set."""
    sums = np.zeros(1, dtype=np.uint64)
    for value in values:
        sums = np.concatenate([sums, sums + value])
    return sums


def _join(
    a: Keys, b: Keys, order: NDArray[np.int64], remainders: Keys, remainder: np.uint64, modulus: np.uint64
) -> tuple[Keys, NDArray[np.int64], NDArray[np.int64]]:
    """Sums a[i] + b[j] with that remainder, and i and j."""
    wanted = (remainder - a) % modulus
    first, last = np.searchsorted(remainders, wanted, "left"), np.searchsorted(remainders, wanted, "right")
    counts = last - first
    i = np.repeat(np.arange(len(a)), counts)
    offset = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
    j = order[np.repeat(first, counts) + offset]
    return a[i] + b[j], i, j
