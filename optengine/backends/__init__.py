"""Thin wrappers of exact solvers, and the shared repair of constraints known beforehand."""

from __future__ import annotations

from optengine.backends.linear import BACKENDS, LinearResult, LinearStatus, solve_linear

__all__ = ["BACKENDS", "LinearResult", "LinearStatus", "solve_linear"]
