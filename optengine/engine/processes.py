"""Ending a pool of loky's processes."""

from __future__ import annotations

import queue
from typing import Any


def shut_down(pool: Any, *, kill: bool = True) -> None:
    """End a pool and wait for it; `kill`: without waiting for what runs in it.

    Loky drops the items that wait, and then looks them up by the numbers left in its queue: a KeyError in a thread of
    its own. So the queue is emptied first.
    """
    numbers = getattr(pool, "_work_ids", None)
    while kill and numbers is not None:
        try:
            numbers.get_nowait()
        except queue.Empty:
            break
    pool.shutdown(wait=True, kill_workers=kill)
