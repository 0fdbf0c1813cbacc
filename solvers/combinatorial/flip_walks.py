"""One walk of a search by single flips on a quadratic function of bits: dense tabu, sparse tabu, annealing.

All share one form: `begin(x)`, `advance(steps) -> steps taken`, and the best point of the walk, `best` and `value`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from optengine.kernels import flips, flips_sparse
from optengine.problems.qubo import QUBO

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

WIDEST = 2**12  # distinct gains up to which bits stand in buckets
ROOM = 2**25  # bucket entries, 128 MB
HOT, COLD = (
    0.75,
    0.2,
)  # first and last temperature, in units of a bit's typical and of a coupling's typical strength


class FlipForm:
    """A QUBO as the kernels want it: minimised, couplings dense or in compressed rows.

    Attributes:
        n, linear, constant: of the minimised function. indptr, indices, weights: couplings.
        unit: the weights are whole multiples of it where `buckets` holds.
        buckets: whether all gains are whole and few enough. dense: whether steps go through dense rows.
        exact: whether float32 holds every gain exactly.
    """

    def __init__(self, problem: QUBO) -> None:
        sign = float(problem.signs[0])
        coupling = problem.coupling
        self.n = problem.n_bits
        self.linear: Floats = sign * problem.linear
        self.constant = sign * problem.constant
        self.coupling = coupling * sign
        self.indptr: Integers = coupling.indptr.astype(np.int64)
        self.indices = coupling.indices.astype(np.int32)
        self.weights: Floats = np.ascontiguousarray(self.coupling.data)
        strength: Floats = np.asarray(abs(coupling).sum(axis=1), dtype=np.float64).ravel()
        self.largest = float((np.abs(self.linear) + strength).max(initial=1.0))
        whole = bool(
            (self.linear == np.rint(self.linear)).all() and (self.weights == np.rint(self.weights)).all()
        )
        self.exact = whole and self.largest < flips.EXACT_32
        wide = 2 * int(self.largest) + 1 if whole and self.largest < WIDEST else 0
        self.buckets = bool(wide) and wide * self.n <= ROOM
        self.n_buckets = wide
        degree = len(self.weights) / self.n
        self.dense = self.n <= 64 or degree * 16 > self.n
        self.step_seconds = (0.15e-6 + self.n * 0.3e-9) if self.dense else (0.1e-6 + degree * 1e-8)
        self.rms = float(np.sqrt(np.mean(np.asarray((coupling**2).sum(axis=1)).ravel()) / 4.0 + 1e-300))
        self.typical = float(np.abs(self.weights).mean() / 2.0) if len(self.weights) else 1.0

    def value(self, x: Integers) -> float:
        """The minimised value of x (n,)."""
        bits = x.astype(np.float64)
        return float(self.constant + self.linear @ bits + 0.5 * (bits @ (self.coupling @ bits)))

    def gains(self, x: Integers) -> Floats:
        """How much f falls by each flip, (n,)."""
        bits = x.astype(np.float64)
        return np.asarray((2.0 * bits - 1.0) * (self.linear + self.coupling @ bits))


class Walk:
    """What the three walks share: where they began, how far f has fallen since, and the best point."""

    def __init__(self, form: FlipForm, seed: int) -> None:
        self.form, self._seed, self._walk = form, seed, -1
        self._start_value = 0.0
        self._signs: Any = np.ones(form.n)
        self.fallen = np.zeros(2)

    @property
    def value(self) -> float:
        """Minimised value of `best`."""
        return self._start_value - float(self.fallen[1])

    @property
    def present(self) -> tuple[Integers, float]:
        """Where the walk stands, and its minimised value."""
        bits = np.asarray(self._signs[: self.form.n] > 0, dtype=np.int64)
        return bits, self._start_value - float(self.fallen[0])

    def _begin(self, x: Integers) -> int:
        """Forget the last walk; returns the seed of the new one."""
        self._walk += 1
        self._start_value = self.form.value(x)
        self.fallen[:] = 0.0
        return (self._seed + 0x9E3779B1 * self._walk) % 2**31


class Tabu(Walk):
    """Tabu search; `over` once `patience` steps have brought nothing."""

    def __init__(self, form: FlipForm, seed: int, tenure: int, spread: int, patience: int) -> None:
        super().__init__(form, seed)
        self._low, self._spread, self._patience = min(tenure, max(1, form.n // 4)), spread, patience
        self._state = np.zeros(flips.STATE, dtype=np.int64)
        self._ring = np.empty(self._low + spread + 1, dtype=np.int64)
        self._chain = np.empty(form.n, dtype=np.int64)
        self.over = True

    def _reset(self, x: Integers) -> None:
        self._ring[:], self._chain[:] = -1, -1
        self._state[:] = 0
        self._state[flips.SEED] = self._begin(x)
        self.over = False

    def _ended(self, taken: int, steps: int) -> int:
        self.over = bool(self._state[flips.IDLE] >= self._patience)
        return taken or steps  # never 0, so that budgets end


class DenseTabu(Tabu):
    """Tabu search through dense rows."""

    def __init__(self, form: FlipForm, seed: int, tenure: int, spread: int, patience: int) -> None:
        super().__init__(form, seed, tenure, spread, patience)
        self._dtype: Any = np.float32 if form.exact else np.float64
        m = flips.padded(form.n)
        self._rows = np.zeros((form.n, m), dtype=self._dtype)
        self._rows[:, : form.n] = form.coupling.toarray()
        self._minus = flips.penalty(form.largest)
        self._gains, self._signs = np.ones(m, dtype=self._dtype), np.ones(m, dtype=self._dtype)
        self._best: Any = self._signs.copy()

    def begin(self, x: Integers) -> None:
        """Start at x (n,)."""
        self._reset(x)
        n = self.form.n
        self._gains[:n], self._gains[n:] = self.form.gains(x), -4 * self._minus
        self._signs[:n] = 2 * x - 1
        self._best[:] = self._signs

    def advance(self, steps: int) -> int:
        """Walk on; returns the steps taken."""
        taken = flips.tabu_dense(
            self._rows, self._gains, self._signs, self._ring, self._chain, self._low, self._spread, self._minus,
            self._state, self.fallen, self._best, steps, self._patience,
        )  # fmt: skip
        return self._ended(taken, steps)

    @property
    def best(self) -> Integers:
        """(n,) bits."""
        return np.asarray(self._best[: self.form.n] > 0, dtype=np.int64)


class SparseTabu(Tabu):
    """Tabu search on buckets of gains."""

    def __init__(self, form: FlipForm, seed: int, tenure: int, spread: int, patience: int) -> None:
        super().__init__(form, seed, tenure, spread, patience)
        self._room = np.zeros((form.n_buckets, form.n), dtype=np.int32)
        self._sizes, self._place = np.zeros(form.n_buckets, np.int64), np.zeros(form.n, np.int64)
        self._weights = form.weights.astype(np.int64)
        self._signs = self._best = self._gains = np.zeros(form.n, dtype=np.int64)

    def begin(self, x: Integers) -> None:
        """Start at x (n,)."""
        self._reset(x)
        self._gains = self.form.gains(x).astype(np.int64)
        self._signs = 2 * x - 1
        self._best = self._signs.copy()

    def advance(self, steps: int) -> int:
        """Walk on; returns the steps taken."""
        form = self.form
        taken = flips_sparse.tabu_sparse(
            form.indptr, form.indices, self._weights, self._gains, self._signs, self._ring, self._chain, self._room,
            self._sizes, self._place, self._low, self._spread, self._state, self.fallen, self._best, steps,
            self._patience,
        )  # fmt: skip
        return self._ended(taken, steps)

    @property
    def best(self) -> Integers:
        """(n,) bits."""
        return (self._best + 1) // 2


class Annealing(Walk):
    """Simulated annealing from hot to cold; `over` after the last sweep."""

    def __init__(self, form: FlipForm, seed: int) -> None:
        super().__init__(form, seed)
        self.over, self._sweep, self._n_sweeps, self._heat = True, 0, 1, 1.0
        self._gains = self._signs = self._best = np.zeros(form.n)

    def heat(self, factor: float, n_sweeps: int) -> None:
        """What the next walk does: the first temperature in units of the usual one, and its sweeps."""
        self._heat, self._n_sweeps = factor, n_sweeps

    def begin(self, x: Integers) -> None:
        """Start at x (n,)."""
        self._walk_seed = self._begin(x)
        self._gains, self._signs = self.form.gains(x), 2.0 * x - 1.0
        self._best = self._signs.copy()
        self._sweep, self.over = 0, False

    def advance(self, steps: int) -> int:
        """Sweep on; returns the sweeps done."""
        form = self.form
        cold = COLD * form.typical
        hot = max(cold, self._heat * HOT * form.rms)
        done = min(steps, self._n_sweeps - self._sweep)
        flips_sparse.anneal_sparse(
            form.indptr, form.indices, form.weights, self._gains, self._signs, hot, cold, self._sweep, self._n_sweeps,
            done, self._walk_seed, self.fallen, self._best,
        )  # fmt: skip
        self._sweep += done
        self.over = self._sweep >= self._n_sweeps
        return done

    @property
    def best(self) -> Integers:
        """(n,) bits."""
        return np.asarray(self._best > 0, dtype=np.int64)
