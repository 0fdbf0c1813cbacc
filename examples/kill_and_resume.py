"""A run that is killed goes on where it stood when the same line is run again.

This script starts itself as a second process, kills that process without warning, and then runs the same line: what
was journaled is not evaluated again, and the result is the one that the uninterrupted run gives.
"""

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import optengine as oe

space = oe.Space(x=oe.Real(-3, 3), y=oe.Real(-3, 3), k=oe.Integer(1, 5))
CALLS = 0


def slow(x: float, y: float, k: int) -> float:
    """An evaluation of 5 ms."""
    global CALLS
    CALLS += 1
    time.sleep(0.005)
    return (x - 1) ** 2 + (y + x * k / 3) ** 2 + abs(k - 3)


def line(storage: str | None) -> oe.Result:
    """The line that is run again and again."""
    name = None if storage is None else "plant-7"
    return oe.minimize(slow, space, solver="cem", budget=400, seed=3, storage=storage, name=name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        line(sys.argv[1])
        sys.exit()
    with tempfile.TemporaryDirectory() as folder:
        storage = f"sqlite:///{Path(folder, 'plant.db')}"
        process = subprocess.Popen([sys.executable, __file__, storage])
        time.sleep(3.0)
        process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        process.wait()
        result = line(storage)
    print(result)
    print(f"\nevaluated after the kill: {CALLS} of {result.n_evaluations}")
    print(f"the same as the uninterrupted run: {result.fun == line(None).fun}")
