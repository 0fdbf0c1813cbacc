"""Samples a second of the diagonal cross-entropy method: NumPy objective, compiled objective on one and two threads.

    python benchmarks/throughput.py [--quick] [--gpu]

d = 100 reals, population 10 000, float32, objective sum (x - 1)^2; a sample is drawn, evaluated, ranked and refitted
to. Each row is the median over runs of samples per CPU second (`time.process_time`, mathematics libraries on one
thread) with the slowest and fastest run, and samples per second of wall time, median and best: what a second thread
adds where cores are idle. "numpy" is the tutorial's loop on float32 arrays in place, as a good programmer writes it;
"fused" is the run that "cem" starts for a problem with `array="numba"`, compiled; "solve" is the whole of
`solve(problem, "cem")`, compilation and engine included.

The last lines compare with the claims: numpy >= 0.5 M samples/s a core, fused >= 3 times numpy on one core, >= 5
times on two idle cores. `--gpu` adds `array="cupy"` at population 10^6 against the two-core figure, claim >= 50
times; it needs a CUDA device.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numba
import numpy as np

import optengine as oe

D, POPULATION, ELITES = 100, 10_000, 1_000
Run = Callable[[int], int]  # generations -> samples


@numba.njit(nogil=True, fastmath=True)
def sphere(x: np.ndarray) -> float:
    total = np.float32(0.0)
    for j in range(len(x)):
        total += (x[j] - np.float32(1.0)) * (x[j] - np.float32(1.0))
    return total


def numpy_loop(generations: int) -> int:
    """Sample, clip, evaluate, pick the elites, refit: float32, in place."""
    rng = np.random.default_rng(0)
    mean, sigma = np.full(D, 0.5, np.float32), np.full(D, 0.5, np.float32)
    X, Y = np.empty((POPULATION, D), np.float32), np.empty((POPULATION, D), np.float32)
    for _ in range(generations):
        rng.standard_normal(out=X, dtype=np.float32)
        np.multiply(X, sigma, out=X)
        np.add(X, mean, out=X)
        np.clip(X, 0, 1, out=X)
        np.multiply(X, np.float32(10), out=Y)
        np.subtract(Y, np.float32(6), out=Y)
        F = np.einsum("ij,ij->i", Y, Y)
        elites = X[np.argpartition(F, ELITES)[:ELITES]]
        mean, sigma = elites.mean(axis=0), np.maximum(elites.std(axis=0), np.float32(1e-3))
    return generations * POPULATION


def engine() -> Run:
    """`solve` on the compiled objective, on all cores; compilation is in the time."""
    problem = oe.Problem(sphere, [(-5, 5)] * D, array="numba")

    def run(generations: int) -> int:
        solver = oe.solvers.CEM(population=POPULATION, restarts="growing", stagnation=10**6, sigma_min=1e-3)
        oe.solve(problem, solver, budget=generations * POPULATION, seed=0)
        return generations * POPULATION

    return run


def fused_search(threads: int) -> Run:
    """The fused run alone, compiled once, under a control that only counts."""
    from optengine.solvers.cem import CEM

    problem = oe.Problem(sphere, [(-5, 5)] * D, array="numba")
    run = CEM(population=POPULATION, restarts="growing", stagnation=10**6).start(
        problem, np.random.default_rng(0)
    )
    run.warm_up()

    def search(generations: int) -> int:
        control = Counting(generations * POPULATION, threads)
        run.search(control)
        return control.spent

    return search


class Counting:
    """A control with a budget and nothing else."""

    x0 = None
    device = "cpu"

    def __init__(self, budget: int, threads: int) -> None:
        self.threads, self.spent, self._budget = threads, 0, budget
        self.rng = np.random.default_rng(0)

    @property
    def remaining(self) -> int:
        return self._budget - self.spent

    def spend(self, n: int) -> None:
        self.spent += n

    def stop(self) -> bool:
        return self.spent >= self._budget

    def incumbent(self, x: np.ndarray) -> float | None:
        return float(((x - 1.0) ** 2).sum())

    def bound(self, value: float) -> None:
        """No bounds here."""


def gpu(population: int) -> Run:
    problem = oe.Problem(lambda X: ((X - 1) ** 2).sum(axis=1), [(-5, 5)] * D, array="cupy")

    def run(generations: int) -> int:
        solver = oe.solvers.CEM(population=population, stagnation=10**6)
        oe.solve(problem, solver, budget=generations * population, seed=0)
        return generations * population

    return run


def measure(name: str, run: Run, generations: int, repeats: int) -> tuple[float, float]:
    """Print and return the medians of millions of samples per CPU second and per second of wall time."""
    run(2)
    cpu, wall = [], []
    for _ in range(repeats):
        begun, clock = time.process_time(), time.perf_counter()
        samples = run(generations)
        cpu.append(samples / (time.process_time() - begun) / 1e6)
        wall.append(samples / (time.perf_counter() - clock) / 1e6)
    spread = f"{min(cpu):.2f} .. {max(cpu):.2f}"
    print(
        f"{name:28s} {statistics.median(cpu):6.2f}  ({spread})  {statistics.median(wall):6.2f} {max(wall):6.2f}"
    )
    return statistics.median(cpu), max(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer generations and repeats")
    parser.add_argument("--gpu", action="store_true", help="also array='cupy' at population 10^6")
    arguments = parser.parse_args()
    generations, repeats = (20, 3) if arguments.quick else (100, 7)
    print(f"{'':28s} M samples per CPU second (range), wall: median, best; {os.cpu_count()} cores")
    plain, _ = measure("numpy, float32", numpy_loop, generations, repeats)
    one, _ = measure("fused, 1 thread", fused_search(1), generations, repeats)
    _, two = measure("fused, 2 threads", fused_search(2), generations, repeats)
    measure("solve(..., 'cem')", engine(), 10 * generations, max(1, repeats // 2))
    print(f"numpy >= 0.5 M samples a CPU second: {plain:.2f}  {'yes' if plain >= 0.5 else 'NO'}")
    print(f"fused >= 3 x numpy on one core: {one / plain:.1f}  {'yes' if one >= 3 * plain else 'NO'}")
    held = "yes" if two >= 5 * plain else "NO (are two cores idle?)"
    print(f"fused >= 5 x numpy on two idle cores, wall: {two / plain:.1f}  {held}")
    if arguments.gpu:
        _, wall = measure("cupy, population 10^6", gpu(10**6), generations, repeats)
        print(f"cupy >= 50 x fused on two cores: {wall / two:.0f}  {'yes' if wall >= 50 * two else 'NO'}")


if __name__ == "__main__":
    main()
