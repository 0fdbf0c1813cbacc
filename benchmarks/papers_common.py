"""What the benchmarks of published methods share: runs spread over processes, summaries, claims."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from rows import verdict


def spread(function: Callable[..., Any], cases: Iterable[tuple[Any, ...]], workers: int) -> list[Any]:
    """Return the value of each case, in order; more than one worker: in processes of their own."""
    cases = list(cases)
    if workers == 1:
        return [function(*case) for case in cases]
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(function, *zip(*cases, strict=True)))


def quartiles(values: Any) -> str:
    low, middle, high = np.quantile(np.asarray(values, dtype=float), [0.25, 0.5, 0.75])
    return f"{middle:9.4g} ({low:.3g} .. {high:.3g})"


def compare(label: str, ours: Any, other: Any) -> str:
    """Print and return how `ours` stands to `other`, both minimised: better, level or worse."""
    word, low, high = verdict(np.asarray(ours, dtype=float) - np.asarray(other, dtype=float))
    print(f"  {label}: {word} [{low:+.4g}, {high:+.4g}]")
    return word


def claim(text: str, holds: Any) -> None:
    print(f"CLAIM {'holds' if holds else 'FAILS'}: {text}")
