"""Mixed-integer programs to proved optimality: a backend chosen by the model's class and size, or several at once."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.random import Generator

from optengine.backends.clash import find_clash
from optengine.backends.linear import solve_linear
from optengine.backends.running import in_process, prepare
from optengine.backends.terms import BACKENDS, LinearResult, LinearStatus, installed, refusal
from optengine.core.errors import OptEngineError
from optengine.core.linear import LinearModel
from optengine.core.solver import Control
from optengine.problems.milp import MILP
from optengine.solvers.milp.options import check_backend_option, check_count, check_share
from optengine.solvers.milp.reporting import Desk

if TYPE_CHECKING:
    from optengine.core.problem import Problem

RACERS = ("scip", "highs", "cpsat")  # in this order while there are threads for them
SHOWN = 5  # names of rows in a message
FEWEST_THREADS = 8  # from which CP-SAT has the mix of strategies it is made for


@dataclass(frozen=True, slots=True, kw_only=True)
class MILPExact:
    """Branch and bound by HiGHS, SCIP or CP-SAT; every incumbent is evaluated anew, bounds come from proofs alone.

    The budget counts branch-and-bound nodes (CP-SAT: branches). Incumbents and bounds are told as the backend finds
    them; Ctrl-C, callbacks and limits end the run within a second.

    Attributes:
        backend: "highs" (comes with SciPy), "scip" or "cpsat" (OR-Tools, extra "exact"; CP-SAT for whole variables
            only), "glop" or "pdlp" (models without whole variables), "race" (those that take the model, side by side on
            the run's threads, until one has a proof), or "auto" (see `backend_for`).
        gap: relative gap at which a solution counts as optimal.
        threads: None: those of the run. seed: of the backend; None: from the run's seed.
        explain: seconds for finding out which rows of an infeasible model clash, >= 0, within the run's time limit;
            `details["clash"]` then holds the names of some that no point keeps together (`row3` where they have none),
            and whether that set is proved `irreducible`.

    Raises:
        OptionError: a value outside its range.
    """

    replayable: ClassVar[bool] = False
    needs_limit: ClassVar[bool] = False

    backend: str = "auto"
    gap: float = 0.0
    threads: int | None = None
    seed: int | None = None
    explain: float = 5.0

    def __post_init__(self) -> None:
        check_backend_option(self.backend, ("auto", "race"))
        check_share(self.gap, "gap", np.inf)
        check_share(self.explain, "explain", np.inf)
        check_count(self.threads, "threads")
        check_count(self.seed, "seed", 0)

    def refuses(self, problem: Problem) -> str | None:
        """Anything but a MILP, and models that the backend does not take."""
        if not isinstance(problem, MILP):
            return "it reads the rows of a MILP"
        if self.backend in BACKENDS:
            return refusal(problem.model, self.backend)
        return None

    def start(self, problem: Problem, rng: Generator) -> MILPExactRun:
        """Return a new run."""
        assert isinstance(problem, MILP)
        return MILPExactRun(self, problem, rng)


class MILPExactRun:
    """One model handed to one backend, or to several."""

    def __init__(self, options: MILPExact, problem: MILP, rng: Generator) -> None:
        self._options, self._problem = options, problem
        drawn = int(rng.integers(2**31))
        self._seed = drawn if options.seed is None else options.seed
        self.details: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Start the processes that are needed, and load libraries, before the clock starts."""
        for name in racers(self._problem.model) if self._options.backend == "race" else [self._backend(1)]:
            ready(name, self._problem.model)

    def _backend(self, threads: int) -> str:
        chosen = self._options.backend
        return backend_for(self._problem.model, threads) if chosen == "auto" else chosen

    def search(self, control: Control) -> None:
        """Solve and report; see the class."""
        desk = Desk(self._problem, control)
        if desk.stop():
            return
        threads = self._options.threads or control.threads
        if self._options.backend == "race":
            result = self._race(desk, racers(self._problem.model)[: max(1, threads)])
        else:
            result = self._solve(desk, self._backend(threads), threads)
        self.details |= {"backend": result.backend, "nodes": result.nodes}
        desk.take(result)
        why = self._explained(desk) if result.status is LinearStatus.INFEASIBLE and desk.best is None else ""
        decided = desk.conclude(result, self._options.gap, why)
        left = desk.nodes_left
        stopped = result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN) and not decided
        desk.spend(left if stopped and left is not None and desk.seconds_left > 0 else result.nodes)
        if not decided:
            desk.close()

    def _explained(self, desk: Desk) -> str:
        """Find rows that clash, and say so."""
        clash = find_clash(self._problem.model, min(self._options.explain, desk.seconds_left), desk.stop)
        if clash is None:
            return ""
        names = self._problem.row_names
        rows = [f"row{i}" if names is None else names[i] for i in clash.rows.tolist()]
        self.details["clash"] = {"rows": rows, "irreducible": clash.irreducible}
        if not rows:
            return "; bounds and whole numbers clash by themselves"
        kind = "and none of them can be spared" if clash.irreducible else "and perhaps fewer of them"
        shown = ", ".join(rows[:SHOWN]) + (f" and {len(rows) - SHOWN} more" if len(rows) > SHOWN else "")
        return f"; these rows clash, {kind}: {shown}"

    def _solve(self, desk: Desk, backend: str, threads: int, **more: Any) -> LinearResult:
        limits: dict[str, Any] = {"gap": self._options.gap, "seed": self._seed, "threads": threads}
        if np.isfinite(desk.seconds_left):
            limits["time_limit"] = max(desk.seconds_left, 1e-3)
        if desk.nodes_left is not None and BACKENDS[backend].nodes:
            limits["nodes"] = desk.nodes_left
        heard: dict[str, Any] = {"incumbent": desk.incumbent, "bound": desk.prove, "stop": desk.stop} | more
        return solve_linear(self._problem.model, backend=backend, hint=desk.best, **limits, **heard)

    def _race(self, desk: Desk, names: list[str]) -> LinearResult:
        """Run several backends, one thread each, until the first has a proof or the run must end."""
        race = _Race()
        for name in names:
            race.enter(name, lambda name=name, **heard: self._solve(desk, name, 1, **heard))
        self.details["raced"] = names
        return race.watch(desk)


class _Race:
    """Several backends at once; what they tell is handed on in the caller's thread."""

    def __init__(self) -> None:
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def enter(self, name: str, solve: Any) -> None:
        """Start one backend; `solve` takes the callbacks."""
        inbox = self._inbox

        def go() -> None:
            try:
                result = solve(
                    incumbent=lambda x, value: inbox.put(("incumbent", x)),
                    bound=lambda value: inbox.put(("bound", value)),
                    stop=self._over.is_set,
                )
                inbox.put(("result", result))
            except OptEngineError as error:
                inbox.put(("error", error))

        self._threads.append(threading.Thread(target=go, name=f"optengine-race-{name}", daemon=True))

    def watch(self, desk: Desk) -> LinearResult:
        """Start all, hand on what they tell, and return the answer that decides, or the best."""
        for thread in self._threads:
            thread.start()
        open_, errors = len(self._threads), []
        best: LinearResult | None = None
        try:
            while open_ and not (best is not None and _decides(best)):
                if desk.stop():
                    self._over.set()
                try:
                    kind, payload = self._inbox.get(timeout=0.02)
                except queue.Empty:
                    continue
                if kind == "incumbent":
                    desk.incumbent(payload)
                elif kind == "bound":
                    desk.prove(payload)
                else:
                    open_ -= 1
                    if kind == "error":
                        errors.append(payload)
                    elif best is None or _decides(payload) or payload.bound > best.bound:
                        best = payload
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()
        if best is None:
            raise errors[0]
        return best


def _decides(result: LinearResult) -> bool:
    return result.status in (LinearStatus.OPTIMAL, LinearStatus.INFEASIBLE, LinearStatus.UNBOUNDED)


def racers(model: LinearModel) -> list[str]:
    """The backends that can race on a model."""
    names = [name for name in RACERS if installed(name) and refusal(model, name) is None]
    return names if model.integrality.any() else ["highs"] + [n for n in ("glop",) if installed(n)]


def backend_for(model: LinearModel, threads: int) -> str:
    """The backend that "auto" takes.

    Models without whole variables: HiGHS. Whole variables only, and threads enough for its mix of strategies: CP-SAT.
    Everything else: HiGHS.
    """
    if not model.integrality.any():
        return "highs"
    if threads >= FEWEST_THREADS and installed("cpsat") and refusal(model, "cpsat") is None:
        return "cpsat"
    return "highs"


def ready(backend: str, model: LinearModel) -> None:
    """Start a backend's process, or import its library here."""
    import importlib

    if not installed(backend):
        return  # said when it is called
    if in_process(backend, model):
        prepare(backend)
        return
    load = getattr(importlib.import_module(BACKENDS[backend].place.split(":")[0]), "load", None)
    if load is not None:
        load()
