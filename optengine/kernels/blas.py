"""BLAS on one thread, for matrices so small that handing them to a second one costs more than the product."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

LARGE = 1000  # rows from which a second thread pays


def threads_for(n: int) -> AbstractContextManager[Any]:
    """A `with` in which BLAS factorises n x n matrices as fast as it can: on one thread below LARGE rows.

    Its threads spin while they wait for each other. On a machine that was busy otherwise, a search over 15 points took
    2.7 CPU seconds with two of them and 0.1 with one. Entering costs some 0.1 ms. Where several threads of a process
    enter, the first one decides until it leaves.
    """
    return _controller().limit(limits=1, user_api="blas") if n < LARGE else nullcontext()


@cache
def _controller() -> Any:
    """What knows the BLAS libraries that are loaded; finding them takes milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
