"""How workers in other processes of this machine report their steps: a socket to the process that runs the search.

The parent listens on a local port; a worker connects when its objective first reports, and asks for each value whether
to go on: about 0.1 ms a report. The connection carries pickles, and takes only those who know the run's secret.
"""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import dataclass
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from optengine.core.errors import EvaluationFailed, OptEngineError
from optengine.core.returned import Measured
from optengine.engine.stopper import Stopper

_OPEN: dict[tuple[str, int], Connection] = {}  # in a worker: connections by address


class Channel:
    """The parent's end: answers workers from a `Stopper`.

    Attributes:
        line: what a worker needs to report; it pickles.
    """

    def __init__(self, stopper: Stopper) -> None:
        self._stopper, self._closed = stopper, False
        secret = os.urandom(16)
        self._listener = Listener(("127.0.0.1", 0), authkey=secret)
        address: Any = self._listener.address
        self.line = Line((str(address[0]), int(address[1])), secret)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection = self._listener.accept()
            except Exception:  # noqa: BLE001  (a stranger without the secret, a worker that died, or our own end)
                continue
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Any) -> None:
        with contextlib.suppress(EOFError, OSError), connection:
            while True:
                verb, *arguments = connection.recv()
                try:
                    answer: Any = getattr(self._stopper, verb)(*arguments)
                except OptEngineError as error:
                    answer = error
                connection.send(answer)

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        with contextlib.suppress(OSError, EOFError):  # wakes `accept`
            Client(self.line.address, authkey=self.line.secret).close()
        self._listener.close()


@dataclass(frozen=True)
class Line:
    """A worker's end: makes a reporter for each evaluation."""

    address: tuple[str, int]
    secret: bytes

    def trial(self) -> Remote:
        """Return the reporter of a new evaluation."""
        return Remote(self)

    def ask(self, *message: Any) -> Any:
        """Send a message and return the answer; errors of the parent are raised here."""
        try:
            if self.address not in _OPEN:
                _OPEN[self.address] = Client(self.address, authkey=self.secret)
            _OPEN[self.address].send(message)
            answer = _OPEN[self.address].recv()
        except (OSError, EOFError) as error:
            _OPEN.pop(self.address, None)
            raise EvaluationFailed(
                f"early_stopping needs workers on the machine of the run, and this one cannot reach it ({error})"
            ) from error
        if isinstance(answer, OptEngineError):
            raise answer
        return answer


class Remote:
    """The reporter of one evaluation in a worker."""

    def __init__(self, line: Line) -> None:
        self._line, self._key = line, -1
        self.stopped, self.step = False, None

    def report(self, step: float, value: float) -> bool:
        if self._key < 0:
            self._key = self._line.ask("begin")
        self.step = float(step)  # type: ignore[assignment]
        self.stopped = bool(self._line.ask("report", self._key, float(step), float(value)))
        return self.stopped

    def finish(self, measured: Measured) -> Measured:
        """Note the end; return what the solver is told."""
        if self._key < 0:
            return measured
        finished: Measured = self._line.ask("finish", self._key, measured)
        return finished
