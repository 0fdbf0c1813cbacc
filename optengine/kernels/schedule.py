"""Starts of the operations of a job shop from lists of jobs: the definition and its Numba form."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def starts_reference(machines: Integers, durations: Floats, X: Integers) -> Floats:
    """Starts (r, n, m) of the operations (n jobs, m machines) in the schedules of X (r, n m); the definition.

    The k-th time that a job comes up (item // m) it is its k-th operation, which starts when job and machine are free.
    """
    n, m = machines.shape
    begun = np.empty((len(X), n, m))
    for r, row in enumerate(X):
        job_free, machine_free, done = np.zeros(n), np.zeros(m), np.zeros(n, dtype=int)
        for job in row // m:
            k = done[job]
            machine = machines[job, k]
            begun[r, job, k] = max(job_free[job], machine_free[machine])
            job_free[job] = machine_free[machine] = begun[r, job, k] + durations[job, k]
            done[job] += 1
    return begun


@numba.njit(cache=True, nogil=True)
def starts(machines: Integers, durations: Floats, X: Integers) -> Floats:
    """`starts_reference`, compiled; O(n m) a row."""
    n, m = machines.shape
    begun = np.empty((len(X), n, m))
    job_free, machine_free, done = np.empty(n), np.empty(m), np.empty(n, np.int64)
    for r in range(len(X)):
        job_free[:], machine_free[:], done[:] = 0.0, 0.0, 0
        for item in X[r]:
            job = item // m
            k = done[job]
            machine = machines[job, k]
            begin = max(job_free[job], machine_free[machine])
            begun[r, job, k] = begin
            job_free[job] = begin + durations[job, k]
            machine_free[machine] = job_free[job]
            done[job] += 1
    return begun
