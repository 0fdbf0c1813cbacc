"""Run one block of a CUDA source on the CPU: threads of C++ with a barrier, so that logic and barriers are tested.

Not the arithmetic of a device nor its memory model, but a wrong index or formula shows, and mostly a missed barrier.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import pytest

SHIM = r"""
#include <barrier>
#include <cmath>
#include <cstddef>
#include <thread>
#include <vector>
#define __device__ static
#define __global__
#define __shared__ static
#define __restrict__
struct Index { unsigned x; };
static thread_local Index threadIdx;
static Index blockIdx, blockDim;
static std::barrier<>* gate;
static double shared_words[1 << 20];
static void __syncthreads() { gate->arrive_and_wait(); }
using std::nan; using std::sqrt;
"""
CALL = r"""
extern "C" void run_block(int block, int threads, const double* G, const unsigned char* before, int* orders,
                          const int* nodes, int d, int swaps, double tolerance, long long limit, double* values,
                          long long* seen, unsigned char* ended, double* T, double* wide) {
    std::barrier<> here(threads);
    gate = &here;
    blockIdx.x = block;
    blockDim.x = threads;
    std::vector<std::thread> team;
    for (int t = 0; t < threads; t++)
        team.emplace_back([=] {
            threadIdx.x = t;
            descend_orders(G, before, orders, nodes, d, swaps, tolerance, limit, values, seen, ended, T, wide);
        });
    for (auto& member : team) member.join();
}
"""


def compiled(source: Path, folder: Path, call: str = CALL) -> ctypes.CDLL:
    """The source as a library of the host; skips the test where there is no compiler for it."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    text = source.read_text().replace("extern __shared__ double words[];", "double* words = shared_words;")
    file, library = folder / "host.cpp", folder / "host.so"
    file.write_text(SHIM + text + call)
    flags = ["-std=c++20", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-pthread", "-w"]
    built = subprocess.run([compiler, *flags, str(file), "-o", str(library)], capture_output=True, text=True)
    if built.returncode and "barrier" in built.stderr and "No such file" in built.stderr:
        pytest.skip("g++ is too old for <barrier>")
    assert built.returncode == 0, built.stderr
    return ctypes.CDLL(str(library))
