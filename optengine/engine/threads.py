"""How many threads a run may use, and holding the libraries to it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_limit: ContextVar[int | None] = ContextVar("optengine_threads", default=None)


def available() -> int:
    """Return the limit that is set, or the number of cores that this process may use."""
    limit = _limit.get()
    if limit is not None:
        return limit
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)


@contextmanager
def at_most(threads: int | None) -> Iterator[None]:
    """Hold BLAS, OpenMP, torch and our own backends to so many threads; None changes nothing.

    Libraries that are loaded inside the block take their number from the environment, those before it from here. Our
    Numba kernels use one thread each.
    """
    if threads is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    added = [name for name in names if name not in os.environ]
    os.environ.update(dict.fromkeys(added, str(threads)))
    token = _limit.set(threads)
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch is not None else 0
    try:
        if torch is not None:
            torch.set_num_threads(threads)
        with threadpool_limits(threads):
            yield
    finally:
        _limit.reset(token)
        if torch is not None:
            torch.set_num_threads(before)
        for name in added:
            os.environ.pop(name, None)
