"""Thin wrappers of exact solvers, and the shared repair of constraints known beforehand."""

from __future__ import annotations

from optengine.backends.linear import solve_linear
from optengine.backends.terms import BACKENDS, LinearResult, LinearStatus

__all__ = ["BACKENDS", "LinearResult", "LinearStatus", "solve_linear"]
