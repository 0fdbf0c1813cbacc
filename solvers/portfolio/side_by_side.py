"""Members that search by themselves, each in a thread: one incumbent, one bound, one end."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.core.errors import OptEngineError
from optengine.core.solver import Control

if TYPE_CHECKING:
    from optengine.core.problem import Problem

Floats = NDArray[np.float64]
Message = tuple[str, str, Any]  # member, what it is, content

WAIT = 0.02  # seconds between looks at the limits while no member speaks
DECIDED = ("optimal", "infeasible", "unbounded")


class SideBySideRun:
    """State of one run: the members' threads, and what they told."""

    def __init__(self, problem: Problem, runs: dict[str, Any], rng: Generator) -> None:
        self._problem, self._runs, self._rng = problem, runs, rng
        self.details: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Compile and load what the members need, before the clock starts."""
        for run in self._runs.values():
            if hasattr(run, "warm_up"):
                run.warm_up()

    def search(self, control: Control) -> None:
        """Run all members until one has a proof, all have ended, or the run must end."""
        inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        over = threading.Event()
        share, streams = max(1, control.threads // len(self._runs)), self._rng.spawn(len(self._runs))
        desks = {
            name: MemberControl(name, inbox, over, control, self._problem, stream, share)
            for name, stream in zip(self._runs, streams, strict=True)
        }
        threads = [
            threading.Thread(target=_go, args=(run, desks[name]), name=f"optengine-{name}", daemon=True)
            for name, run in self._runs.items()
        ]
        clerk = _Clerk(control, desks)
        for thread in threads:
            thread.start()
        try:
            while clerk.open and not over.is_set():
                if control.stop():
                    over.set()
                try:
                    clerk.take(inbox.get(timeout=WAIT))
                except queue.Empty:
                    continue
                if clerk.concluded is not None:
                    over.set()
        finally:
            over.set()
            for thread in threads:
                thread.join()
        while not inbox.empty():  # what was told while the threads ended
            clerk.take(inbox.get_nowait())
        self._report(control, clerk)

    def _report(self, control: Control, clerk: _Clerk) -> None:
        """Say what each member found, and how the run ended where one has a proof."""
        members: dict[str, dict[str, Any]] = {}
        for name, run in self._runs.items():
            own = getattr(run, "details", None)
            members[name] = {"incumbents": clerk.found[name]} | ({"details": dict(own)} if own else {})
            if name in clerk.errors:
                members[name]["error"] = str(clerk.errors[name])
        self.details["members"] = members
        if len(clerk.errors) == len(self._runs):
            raise next(iter(clerk.errors.values()))
        if clerk.concluded is not None:
            who, status, message = clerk.concluded
            conclude: Any = getattr(control, "conclude", lambda *_: None)
            conclude(status, f"{message} ({who})" if message else f"by {who}")


class _Clerk:
    """Hands on, in the run's own thread, what members tell.

    Attributes:
        open: members that have not ended. found: member -> incumbents of the run that came from it.
        errors: member -> why it broke off. concluded: member, status and message of the first proof.
    """

    def __init__(self, control: Control, desks: dict[str, MemberControl]) -> None:
        self._control, self._desks = control, desks
        self.open, self.found = len(desks), dict.fromkeys(desks, 0)
        self.errors: dict[str, OptEngineError] = {}
        self.concluded: tuple[str, str, str] | None = None

    def take(self, message: Message) -> None:
        """Take one message."""
        name, kind, payload = message
        if kind == "incumbent":
            self._offer(name, payload)
        elif kind == "bound":
            self._control.bound(payload)
        elif kind == "spent":
            self._control.spend(payload)
        elif kind == "concluded":
            if payload[0] in DECIDED and self.concluded is None:
                self.concluded = (name, *payload)
        else:
            self._ended(name, payload)

    def _offer(self, name: str, x: Floats) -> None:
        """Offer a member's point; every member then knows the incumbent's value."""
        value = self._control.incumbent(x)
        if value is not None:
            self.found[name] += 1
            for desk in self._desks.values():
                desk.known = min(desk.known, value)

    def _ended(self, name: str, error: BaseException | None) -> None:
        """One member less; an error of ours is kept, as the others may go on; any other is a defect."""
        self.open -= 1
        if isinstance(error, OptEngineError):
            self.errors[name] = error
        elif error is not None:
            raise error


class MemberControl:
    """The `Control` of one member: what it reports goes to the run's own thread.

    Attributes:
        rng, device, threads, x0: as in `Control`. known: value of the incumbent of all members, minimising.
    """

    def __init__(
        self,
        name: str,
        inbox: Any,
        over: threading.Event,
        control: Control,
        problem: Problem,
        rng: Generator,
        threads: int,
    ) -> None:
        self._name, self._inbox, self._over, self._control, self._problem = (
            name,
            inbox,
            over,
            control,
            problem,
        )
        self.rng, self.device, self.threads, self.x0 = rng, control.device, threads, control.x0
        self.known = np.inf
        self._own = np.inf

    def incumbent(self, x: Floats) -> float | None:
        """Evaluate one point here; a member's own best is handed on where it beats what all know."""
        x = np.array(x, dtype=np.float64)
        evaluation = self._problem.evaluate(x[None])
        if evaluation.failed[0]:
            return None
        if evaluation.violation[0] > 0:
            self._inbox.put((self._name, "incumbent", x))
            return None
        value = float(evaluation.F[0, 0])
        if value >= self._own:
            return None
        self._own = value
        if value < self.known:
            self._inbox.put((self._name, "incumbent", x))
        return value

    def bound(self, value: float) -> None:
        """Hand a proved bound on."""
        self._inbox.put((self._name, "bound", float(value)))

    def spend(self, n: int) -> None:
        """Hand the count on."""
        self._inbox.put((self._name, "spent", int(n)))

    def conclude(self, status: str, message: str = "") -> None:
        """Hand on how the search ended by itself."""
        self._inbox.put((self._name, "concluded", (str(status), message)))

    def end(self, error: BaseException | None) -> None:
        """Say that the member is done, or why it broke off."""
        self._inbox.put((self._name, "ended", error))

    def stop(self) -> bool:
        """Whether the run must end now."""
        return self._over.is_set()

    @property
    def remaining(self) -> int | None:
        """Evaluations left in the budget of the whole run."""
        left: int | None = getattr(self._control, "remaining", None)
        return left

    @property
    def seconds_left(self) -> float | None:
        """Seconds left of the whole run."""
        left: float | None = getattr(self._control, "seconds_left", None)
        return left


def _go(run: Any, desk: MemberControl) -> None:
    """The body of a member's thread."""
    try:
        run.search(desk)
        desk.end(None)
    except Exception as error:  # noqa: BLE001  raised again in the run's own thread
        desk.end(error)
