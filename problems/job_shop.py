"""The job shop: jobs that visit machines in given orders, each machine does one job at a time.

X is a permutation of all operations, numbered job by job, job * m + k. It is read as a list of jobs: the k-th time
that a job comes is its k-th operation, which starts as soon as its job and its machine are free (Bierwirth, A
generalized permutation approach to job shop scheduling with genetic algorithms, OR Spektrum 17 (1995),
doi:10.1007/BF01719250). Every permutation is a schedule, and some permutation is an optimal one. Minimised: the end
of the last operation.
"""

from __future__ import annotations

import hashlib
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.core.space import Permutation, Space

if TYPE_CHECKING:
    from optengine.problems.milp import MILP

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LONGEST = 99  # durations of random instances are 1..99, as Taillard's


class JobShop(Problem):
    """Job shop scheduling; the makespan is minimised, in the unit of the durations.

    Args:
        machines: (n_jobs, m), the machine of each job's k-th operation, from 0: every row a permutation of 0..m-1.
        durations: (n_jobs, m), of these operations, not negative.
        name: name of the instance.

    Raises:
        ProblemError: shapes that disagree, rows that are no permutations, durations that are negative or not finite.
    """

    def __init__(self, machines: ArrayLike, durations: ArrayLike, *, name: str | None = None) -> None:
        self.machines, self.durations = np.asarray(machines, np.int64), np.asarray(durations, np.float64)
        if self.machines.ndim != 2 or self.machines.shape != self.durations.shape or not self.machines.size:
            raise ProblemError(
                "machines and durations must have one shape (jobs, machines), got "
                f"{self.machines.shape} and {self.durations.shape}"
            )
        self.n_jobs, self.n_machines = self.machines.shape
        wrong = np.flatnonzero((np.sort(self.machines, axis=1) != np.arange(self.n_machines)).any(axis=1))
        if len(wrong):
            raise ProblemError(
                f"job {int(wrong[0])} must visit each machine 0..{self.n_machines - 1} once, "
                f"got {self.machines[wrong[0]].tolist()}"
            )
        if not (np.isfinite(self.durations).all() and (self.durations >= 0).all()):
            raise ProblemError("durations must be finite and not negative")
        super().__init__(
            self._makespans, Space(Permutation(self.machines.size)), call="encoded", vectorized=True,
            name=name or "job shop",
        )  # fmt: skip

    @classmethod
    def random(cls, rng: Generator, n: int = 6, m: int = 4) -> JobShop:
        """n jobs on m machines in random orders, durations uniform on 1..99 (Taillard 1993)."""
        machines = np.array([rng.permutation(m) for _ in range(n)])
        return cls(machines, rng.integers(1, LONGEST + 1, (n, m)), name=f"random{n}x{m}")

    @classmethod
    def load(cls, path: str | PathLike[str]) -> JobShop:
        """Read a file (JSPLIB). Raises ProblemError if it holds another kind of problem."""
        from optengine.problems.formats import read

        problem = read(path)
        if not isinstance(problem, cls):
            raise ProblemError(f"{path} holds a {type(problem).__name__}, not a {cls.__name__}")
        return problem

    def _makespans(self, X: Floats) -> Floats:
        from optengine.kernels.schedule import starts

        begun = starts(self.machines, self.durations, X.astype(np.int64))
        return np.asarray((begun + self.durations).max(axis=(1, 2)))

    def starts(self, x: ArrayLike) -> Floats:
        """Start (n_jobs, m) of each operation in the schedule that x stands for."""
        from optengine.kernels.schedule import starts

        return np.asarray(starts(self.machines, self.durations, np.asarray(x, dtype=np.int64)[None])[0])

    def order(self, begun: ArrayLike) -> Integers:
        """The permutation of a schedule with these starts (n_jobs, m); it ends no later."""
        times = np.asarray(begun, dtype=np.float64)
        job, step = np.divmod(np.arange(times.size), self.n_machines)
        return np.lexsort((job, step, (times + self.durations).ravel(), times.ravel())).astype(np.int64)

    def milp(self) -> MILP:
        """The disjunctive model (Manne, 1960): starts, the makespan, and a bit for two jobs on one machine."""
        from optengine.problems.milp import MILP

        n, m = self.machines.shape
        horizon, start = float(self.durations.sum()), np.arange(n * m).reshape(n, m)
        end, where = n * m, np.argsort(self.machines, axis=1)
        rows: list[tuple[list[int], list[float], float]] = []
        for j in range(n):
            rows += [
                ([start[j, k + 1], start[j, k]], [1.0, -1.0], self.durations[j, k]) for k in range(m - 1)
            ]
            rows.append(([end, start[j, m - 1]], [1.0, -1.0], self.durations[j, m - 1]))
        bit = end + 1
        for machine in range(m):
            for i in range(n):
                for j in range(i + 1, n):
                    a, b = where[i, machine], where[j, machine]
                    first, second = start[i, a], start[j, b]
                    rows.append(([second, first, bit], [1.0, -1.0, -horizon], self.durations[i, a] - horizon))
                    rows.append(([first, second, bit], [1.0, -1.0, horizon], self.durations[j, b]))
                    bit += 1
        indices, values = (np.concatenate([row[part] for row in rows]) for part in (0, 1))
        at = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
        A = sp.csr_array((values, (at, indices)), shape=(len(rows), bit))
        whole = np.arange(bit) > end
        c = (np.arange(bit) == end).astype(np.float64)
        upper = np.where(whole, 1.0, horizon)
        return MILP(c, A, [row[2] for row in rows], bounds=(0.0, upper), integrality=whole, name=self.name)

    def describe(self, x: ArrayLike) -> dict[str, Any]:
        """`starts` (n_jobs, m) of the operations, and `sequences`: the jobs on each machine in their order."""
        begun = self.starts(x)
        on = [np.argwhere(self.machines == machine) for machine in range(self.n_machines)]
        sequences = [jobs[np.argsort(begun[jobs[:, 0], jobs[:, 1]], kind="stable"), 0] for jobs in on]
        return {"starts": begun, "sequences": sequences}

    def fingerprint(self) -> dict[str, Any]:
        """What a journal recognises the instance by: its size and a hash of its data."""
        digest = hashlib.sha256(self.machines.tobytes() + self.durations.tobytes()).hexdigest()
        return super().fingerprint() | {"jobs": self.n_jobs, "data": digest}
