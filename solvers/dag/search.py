"""Order search: exact insertion and swap neighbourhoods from one factorization, kicks and restarts.

After TOPO (Deng, Bello, Aragam, Ravikumar, Optimizing NOTEARS objectives via topological swaps, 2023,
arXiv:2305.17277), which refits regressions for some hundred candidate swaps; here every insertion and every swap is
evaluated exactly by the formulas of `kernels.order_search`, O(1) an insertion and O(d) a swap, and the search goes on
from local optima.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptionError
from optengine.core.solver import Control
from optengine.problems.dag import DAGProblem
from optengine.problems.dag.terms import SparseTerms
from optengine.solvers.dag.device import ORDERS, DeviceDescents, settle
from optengine.solvers.dag.state import FREE
from optengine.solvers.dag.state_chosen import AnyState, state_of

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Integers = NDArray[np.int64]

PICKY = 500  # rounds of kicks, at least, where paths of picks choose the parents


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSearch:
    """Iterated local search over orders of a DAGProblem by insertions and swaps.

    Descent: each node in turn, in random order, goes to its best place, until no insertion helps; then the best swap,
    if one helps. The first descents start from x0, the nodes sorted by variance, and random orders; the best goes on by
    rounds of a kick (`strength` random nodes carried some way) and a descent by insertions, kept if the score is no
    worse. After `patience` rounds without a better score a new random order is tried. Each place or pair looked at
    counts as one evaluation. A sweep of insertions costs O(d^2), a node that moves r places O(r d), all swaps
    O(d^3 / 6), factors O(d^3).

    With `device="cuda"` (or "auto", a GPU and a large least-squares problem) the first descents and those of a restart
    are 512 at a time on the device; kicks stay on the CPU. `details["device"]` says where.

    All this is for least squares on all predecessors. Other losses and penalties are searched by insertions alone, with
    the parents that a table or a path of picks gives (`kernels.order_table`, `kernels.order_sparse`), or with fits to
    the data, each remembered by node and set of predecessors.

    Attributes:
        starts: descents before the best of them is kicked, >= 1.
        swaps: look at swaps as well where no insertion helps.
        strength: nodes that a kick carries away, >= 1.
        reach: how far at most, as a share of the order, in (0, 1].
        patience: rounds without a better score before a restart, >= 1. None: 20 a node, and 500 at least where a path
            of picks chooses the parents.
        restarts: random orders that the search goes on from after it stalled the first time, each until it stalls
            again, before it ends as converged, >= 0. None: it goes on until a limit.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = True

    starts: int = 4
    swaps: bool = True
    strength: int = 3
    reach: float = 0.3
    patience: int | None = None
    restarts: int | None = None

    def __post_init__(self) -> None:
        for name, low in (("starts", 1), ("strength", 1), ("patience", 1), ("restarts", 0)):
            value = getattr(self, name)
            if value is None and name in ("patience", "restarts"):
                continue
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                raise OptionError(f"{name} must be an integer >= {low}, got {value!r}")
        if not isinstance(self.swaps, bool):
            raise OptionError(f"swaps must be True or False, got {self.swaps!r}")
        if (
            isinstance(self.reach, bool)
            or not isinstance(self.reach, (int, float))
            or not 0 < self.reach <= 1
        ):
            raise OptionError(f"reach must be in (0, 1], got {self.reach!r}")

    @property
    def needs_limit(self) -> bool:
        """Whether it goes on until a limit."""
        return self.restarts is None

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a DAGProblem."""
        return None if isinstance(problem, DAGProblem) else "it reads the Gram matrix of a DAGProblem"

    def start(self, problem: Problem, rng: Generator) -> OrderSearchRun:
        """Return a new run."""
        assert isinstance(problem, DAGProblem)
        return OrderSearchRun(self, problem, rng)


class OrderSearchRun:
    """State of one run: the order that is kicked, and the best value offered."""

    def __init__(self, options: OrderSearch, problem: DAGProblem, rng: Generator) -> None:
        self._options, self._problem, self._rng = options, problem, rng
        self._offered = np.inf
        self._counts = {"descents": 0, "rounds": 0, "restarts": 0}
        self._device: DeviceDescents | None = None
        self._told = "cpu"

    @property
    def details(self) -> dict[str, Any]:
        """Descents from scratch, rounds of kicks, restarts, and where the descents were made."""
        return {**self._counts, "device": self._told}

    def warm_up(self) -> None:
        """Compile or load the kernels, before the clock starts."""
        rng = np.random.default_rng(0)
        tiny = tiny_like(self._problem)
        state = state_of(tiny, np.arange(4))
        state.descend(FREE, rng, True)
        state.kick(FREE, rng, 1, 1.0, 50)
        tiny.evaluate(np.arange(4.0)[None, :])

    def search(self, control: Control) -> None:
        """Descend from several starts, then kick the best; again from random orders, until told to stop."""
        on_device, self._told = settle(control.device, self._problem)
        if on_device:
            self._device = DeviceDescents(self._problem)
        home = self._first(control)
        if one_order(self._problem):  # there is no move to spend the budget on
            control.conclude("converged", "what is known allows one order")  # type: ignore[attr-defined]
            return
        patience = self._options.patience or usual_patience(self._problem)
        while not control.stop():
            quiet = 0
            while quiet < patience and not control.stop():
                strength, reach = self._options.strength, self._options.reach
                made, better = home.kick(control, self._rng, strength, reach, patience - quiet)
                self._counts["rounds"] += made
                quiet = 0 if better else quiet + made
                if better:
                    self._offer(home, control)
            if self._options.swaps and not control.stop():
                value = home.value
                home.descend(control, self._rng, True)
                self._offer(home, control)
                if home.value < value:
                    continue
            if not control.stop():
                if self._counts["restarts"] == self._options.restarts:
                    message = f"no better score in {patience} rounds after the last restart"
                    control.conclude("converged", message)  # type: ignore[attr-defined]
                    return
                self._counts["restarts"] += 1
                home = self._descended(control, self._fresh(control, []))

    def _first(self, control: Control) -> AnyState:
        """The best of the first descents."""
        d = self._problem.n_nodes
        orders = [] if control.x0 is None else list(control.x0.astype(np.int64))
        orders.append(np.argsort(self._problem.gram.diagonal(), kind="stable"))
        if self._device is not None:
            return self._descended(control, self._fresh(control, orders))
        while len(orders) < self._options.starts:
            orders.append(self._rng.permutation(d))
        best = self._descended(control, orders[0])
        for order in orders[1:]:
            if control.stop():
                break
            state = self._descended(control, order)
            best = state if state.value < best.value else best
        return best

    def _fresh(self, control: Control, orders: list[Integers]) -> Integers:
        """A random order; on the device the best end of descents from `orders` and many random ones."""
        d = self._problem.n_nodes
        if self._device is None:
            return self._rng.permutation(d)
        more, nodes = (self._rng.permuted(np.tile(np.arange(d), (ORDERS, 1)), axis=1) for _ in range(2))
        for k, order in enumerate(orders[:ORDERS]):
            more[k] = order
        self._counts["descents"] += ORDERS
        return self._device.best(more, nodes, self._options.swaps, control)

    def _descended(self, control: Control, order: Integers) -> AnyState:
        state = state_of(self._problem, order)
        self._counts["descents"] += 1
        state.descend(control, self._rng, self._options.swaps)
        self._offer(state, control)
        return state

    def _offer(self, state: AnyState, control: Control) -> None:
        if state.value < self._offered:
            self._offered = state.value
            control.incumbent(state.order.astype(np.float64))


def usual_patience(problem: DAGProblem) -> int:
    """Rounds without a better score before a restart; paths of picks have more local optima, and cheap rounds."""
    least = PICKY if isinstance(problem.local, SparseTerms) else 1
    return max(20 * problem.n_nodes, least)


def one_order(problem: DAGProblem) -> bool:
    """Whether tiers and required edges put every two nodes in order."""
    d = problem.n_nodes
    return int(problem.before.sum()) == d * (d - 1) // 2


def tiny_like(problem: DAGProblem) -> DAGProblem:
    """A problem of four nodes that needs the same kernels."""
    X = np.random.default_rng(0).standard_normal((40, 4))
    grown = isinstance(problem.local, SparseTerms) and problem.penalty in ("bic", "l0")
    return DAGProblem(
        X > 0.0 if problem.loss == "logistic" else X,
        loss=problem.loss,
        penalty=problem.penalty,
        weight=None if problem.weight is None else 0.1,
        selection="grow-shrink" if grown else None,
        hidden=2,
    )
