"""The process in which a backend runs that cannot share ours: it solves one model after the other, told by its input.

Messages are pickles on standard input and output; whatever a library prints goes nowhere. It ends with its caller.
"""

from __future__ import annotations

import os
import pickle
import queue
import sys
import threading
from typing import Any, BinaryIO

from optengine.backends.running import Events, perform
from optengine.backends.terms import BACKENDS


class _Pipe:
    """The way back to the caller."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._lock = stream, threading.Lock()

    def send(self, kind: str, payload: Any) -> None:
        with self._lock:
            pickle.dump((kind, payload), self._stream, protocol=pickle.HIGHEST_PROTOCOL)
            self._stream.flush()


def main() -> None:
    """Serve until the input ends."""
    pipe = _Pipe(os.fdopen(os.dup(1), "wb"))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)  # libraries print to where the messages would go
    os.dup2(nowhere, 2)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(tasks, pipe), daemon=True).start()
    while True:
        kind, payload, events = tasks.get()
        if kind == "load":
            _load(payload)
            pipe.send("loaded", payload)
        else:
            backend, model, task = payload
            pipe.send(*perform(backend, model, task, events))


def _listen(tasks: queue.SimpleQueue[Any], pipe: _Pipe) -> None:
    """Read what the caller says; end with it, whatever the solver is doing."""
    events = Events(pipe.send)
    while True:
        try:
            kind, payload = pickle.load(sys.stdin.buffer)
        except Exception:  # noqa: BLE001  (the caller is gone, perhaps in the middle of a message)
            os._exit(0)
        if kind == "stop":
            events.stop()  # of the last task: the caller sends the next one when it has ended
        else:
            events = Events(pipe.send)
            tasks.put((kind, payload, events))


def _load(backend: str) -> None:
    import importlib

    module = importlib.import_module(BACKENDS[backend].place.split(":")[0])
    load = getattr(module, "load", None)
    if load is not None:
        load()
