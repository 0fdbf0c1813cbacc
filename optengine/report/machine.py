"""Where something was measured: machine, interpreter and the versions that results depend on."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "optengine", "numpy", "scipy", "numba", "torch", "botorch", "gpytorch", "pymoo", "ortools", "cma", "cmaes",
    "optuna", "scikit-learn", "cupy-cuda12x", "cupy-cuda13x",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """Return plain facts: python, platform, processor, cores, and versions of the packages that are installed."""
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "processor": _processor(),
        "cores": _cores(),
        "packages": versions,
    }


def _processor() -> str:
    if sys.platform == "linux":
        try:
            with Path("/proc/cpuinfo").open(encoding="utf-8") as file:
                for line in file:
                    if line.startswith("model name"):
                        return line.partition(":")[2].strip()
        except OSError:
            pass
    return platform.processor() or platform.machine()


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)  # what this process may use, where the system says so
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
