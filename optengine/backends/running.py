"""Where a backend runs: in a thread, or in a process of its own, while the caller's thread looks after it.

The caller's thread hands on incumbents and bounds, looks at `stop` and at the clock, and gets Ctrl-C; a backend that
does not obey within `GRACE` seconds is given up, its process killed.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optengine.backends.terms import BACKENDS, LinearResult, LinearStatus, Task, settled
from optengine.core.errors import OptEngineError, require
from optengine.core.linear import LinearModel

Floats = NDArray[np.float64]

POLL = 0.02  # seconds between two looks at `stop` and at the clock
GRACE = 0.6  # seconds that a backend has to obey
OVERRUN = 0.3  # seconds past its own time limit after which a backend is told to stop


class Events:
    """What a running backend tells, and how it learns that it must stop.

    Args:
        send: takes ("incumbent", (x, value)) and ("bound", value).
    """

    def __init__(self, send: Callable[[str, Any], None]) -> None:
        self._send = send
        self._stopping = threading.Event()
        self._interrupts: list[Callable[[], Any]] = []
        self._value, self._bound = np.inf, -np.inf

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def incumbent(self, x: Floats, value: float) -> None:
        """Tell of a point if it is better than those before."""
        if value < self._value:
            self._value = value
            self._send("incumbent", (np.array(x, dtype=np.float64), float(value)))

    def bound(self, value: float) -> None:
        """Tell of a proved bound if it is better than those before."""
        if value > self._bound and np.isfinite(value):
            self._bound = value
            self._send("bound", float(value))

    def on_stop(self, interrupt: Callable[[], Any]) -> None:
        """Have `interrupt` called, from another thread, when the backend must stop."""
        self._interrupts.append(interrupt)
        if self.stopping:
            interrupt()

    def stop(self) -> None:
        self._stopping.set()
        for interrupt in self._interrupts:
            interrupt()


class Runner(Protocol):
    """A backend at work."""

    def stop(self) -> None: ...

    def leave(self, obeyed: bool) -> None:
        """Take leave of it: it has ended, or is given up."""
        ...


def perform(backend: str, model: LinearModel, task: Task, events: Events) -> tuple[str, Any]:
    """Call the backend; returns ("result", LinearResult) or ("error", its words)."""
    module, function = BACKENDS[backend].place.split(":")
    try:
        solve = getattr(importlib.import_module(module), function)
        return "result", solve(model, task, events)
    except OptEngineError as error:
        return "error", error
    except Exception as error:  # noqa: BLE001  (a library may raise anything: it becomes one of ours)
        text = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        size = f"{model.n_rows} rows and {model.n_variables} variables"
        return "error", OptEngineError(f"backend {backend!r} broke down on a model of {size}: {text}")


class InThread:
    """A backend in a thread of this process."""

    def __init__(self, backend: str, model: LinearModel, task: Task, inbox: queue.SimpleQueue[Any]) -> None:
        self._events = Events(lambda kind, payload: inbox.put((kind, payload)))
        events = self._events
        self._thread = threading.Thread(
            target=lambda: inbox.put(perform(backend, model, task, events)),
            name=f"optengine-{backend}",
            daemon=True,
        )
        self._thread.start()

    def stop(self) -> None:
        self._events.stop()

    def leave(self, obeyed: bool) -> None:
        if obeyed:
            self._thread.join()


class Child:
    """A process that solves one model after the other."""

    def __init__(self) -> None:
        code = f"import sys; sys.path[:] = {sys.path!r}; from optengine.backends.child import main; main()"  # as ours
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=quiet,
            start_new_session=os.name == "posix",  # Ctrl-C is for the caller, who tells the child
        )
        self._pid, self._lock = os.getpid(), threading.Lock()
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._read, name="optengine-child", daemon=True).start()

    @property
    def alive(self) -> bool:
        return self._pid == os.getpid() and self.process.poll() is None

    def send(self, message: Any) -> None:
        """Send a message; a child that is gone is noticed by the reader."""
        assert self.process.stdin is not None
        with self._lock, contextlib.suppress(OSError, ValueError):
            pickle.dump(message, self.process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
            self.process.stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            try:
                message = pickle.load(stream)
            except Exception:  # noqa: BLE001  (the process is gone, perhaps in the middle of a message)
                self.inbox.put(("gone", self.process.wait()))
                return
            self.inbox.put(message)

    def kill(self) -> None:
        if self._pid == os.getpid():
            self.process.kill()
            self.process.wait()
            for stream in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError, ValueError):
                    stream.close()  # type: ignore[union-attr]  # both are pipes


_idle: list[Child] = []
_idle_lock = threading.Lock()


@atexit.register
def _dismiss() -> None:
    with _idle_lock:
        for child in _idle:
            child.kill()
        _idle.clear()


def take_child() -> Child:
    """An idle process, or a new one."""
    with _idle_lock:
        while _idle:
            child = _idle.pop()
            if child.alive:
                return child
    return Child()


def give_child(child: Child) -> None:
    """Keep a process for the next model."""
    with _idle_lock:
        _idle.append(child)


def prepare(backend: str, n: int = 1) -> None:
    """Start the processes that a backend will need, and load its library there, before any clock runs."""
    children = [take_child() for _ in range(n)]
    for child in children:
        child.send(("load", backend))
    for child in children:
        if child.inbox.get()[0] == "gone":
            child.kill()
        else:
            give_child(child)


class InProcess:
    """A backend in a child process."""

    def __init__(self, backend: str, model: LinearModel, task: Task, inbox: queue.SimpleQueue[Any]) -> None:
        self._child = take_child()
        self._child.inbox = inbox
        self._child.send(("solve", (backend, model, task)))

    def stop(self) -> None:
        self._child.send(("stop", None))

    def leave(self, obeyed: bool) -> None:
        if obeyed:
            self._child.inbox = queue.SimpleQueue()
            give_child(self._child)
        else:
            self._child.kill()


def in_process(backend: str, model: LinearModel) -> bool:
    """Whether a backend gets a process of its own for this model."""
    can = BACKENDS[backend]
    size = model.A.nnz if model.sparse else model.A.size
    return can.process or size >= can.process_from


def run(
    backend: str,
    model: LinearModel,
    task: Task,
    incumbent: Callable[[Floats, float], Any] | None,
    bound: Callable[[float], Any] | None,
    stop: Callable[[], bool] | None,
) -> LinearResult:
    """Run a backend and look after it; see `solve_linear`."""
    can = BACKENDS[backend]
    require(can.module, can.extra)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    runner: Runner = (InProcess if in_process(backend, model) else InThread)(backend, model, task, inbox)
    watch = _Watch(backend, model, task, incumbent, bound, stop)
    obeyed = False
    try:
        while not watch.done:
            with contextlib.suppress(queue.Empty):
                watch.take(*inbox.get(timeout=POLL))
            if not watch.done and watch.must_stop():
                runner.stop()
            watch.give_up()
        obeyed = watch.answered
    except BaseException:
        runner.stop()
        obeyed = _waited(inbox)
        raise
    finally:
        runner.leave(obeyed)
    return watch.result()


def run_here(backend: str, model: LinearModel, task: Task) -> LinearResult:
    """Run a backend in this thread, unwatched."""
    can = BACKENDS[backend]
    require(can.module, can.extra)
    kind, answer = perform(backend, model, task, Events(lambda *_: None))
    if kind == "error":
        raise answer
    result: LinearResult = answer
    return result


def _waited(inbox: queue.SimpleQueue[Any]) -> bool:
    """Wait for a backend that was told to stop; whether it has."""
    until = time.perf_counter() + GRACE
    while (left := until - time.perf_counter()) > 0:
        with contextlib.suppress(queue.Empty):
            kind = inbox.get(timeout=left)[0]
            if kind in ("result", "error"):
                return True
            if kind == "gone":
                return False
    return False


class _Watch:
    """The caller's side of one run: what has come so far, and whether it must end."""

    def __init__(
        self,
        backend: str,
        model: LinearModel,
        task: Task,
        incumbent: Callable[[Floats, float], Any] | None,
        bound: Callable[[float], Any] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self._backend, self._model = backend, model
        self._incumbent, self._bound, self._stop = incumbent, bound, stop
        self._deadline = time.perf_counter() + task.limits.time_limit + OVERRUN
        self._asked_at: float | None = None
        self._best: tuple[Floats, float] | None = None
        self._best_bound = -np.inf
        self._final: LinearResult | None = None
        self.done = self.answered = False

    def take(self, kind: str, payload: Any) -> None:
        """Take in one message of the backend."""
        if kind == "incumbent":
            x = settled(self._model, payload[0])
            value = float(self._model.value(x))
            if self._best is None or value < self._best[1]:
                self._best = (x, value)
                if self._incumbent is not None:
                    self._incumbent(x, value)
        elif kind == "bound":
            self._best_bound = max(self._best_bound, payload)
            if self._bound is not None:
                self._bound(payload)
        elif kind == "result":
            self._final, self.done, self.answered = payload, True, True
        elif kind == "error":
            self.answered = self.done = True
            raise payload
        elif kind == "gone":
            self.done = True
            if self._asked_at is None:
                raise OptEngineError(
                    f"backend {self._backend!r} broke down: its process ended with code {payload}"
                )

    def must_stop(self) -> bool:
        """Whether to tell the backend now that it must stop."""
        if self._asked_at is not None:
            return False
        late = time.perf_counter() > self._deadline
        if late or (self._stop is not None and self._stop()):
            self._asked_at = time.perf_counter()
            return True
        return False

    def give_up(self) -> None:
        """End the watch over a backend that does not obey."""
        if self._asked_at is not None and time.perf_counter() > self._asked_at + GRACE:
            self.done = True

    def result(self) -> LinearResult:
        """The backend's answer, or what is known of one that was given up."""
        result = self._final
        if result is None:
            result = LinearResult(
                status=LinearStatus.UNKNOWN, bound=self._best_bound, message="stopped from outside"
            )
        unproved = result.status in (LinearStatus.FEASIBLE, LinearStatus.UNKNOWN)
        if unproved and self._best is not None and not result.value <= self._best[1]:
            x, value = self._best
            result = replace(result, status=LinearStatus.FEASIBLE, x=x, value=value)
        return result if result.x is None else replace(result, bound=min(result.bound, result.value))
