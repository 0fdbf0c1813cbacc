"""What every use of BoTorch here shares: it loads late, runs on few threads, and keeps its warnings to itself."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optengine.core.errors import require

EXTRA = "bayes"


def require_torch() -> None:
    """Load torch, GPyTorch and BoTorch.

    Raises:
        MissingDependency: one of them is not installed; the message names the extra.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit's deprecation, raised while linear_operator is imported
        for module in ("torch", "gpytorch", "botorch"):
            require(module, EXTRA)


@contextmanager
def calm(threads: int = 1, seed: int | None = None) -> Iterator[None]:
    """Run a block of torch code on `threads` threads, from a seed of its own, without warnings.

    Double precision inside; thread count, default type and torch's random state are put back afterwards, so that the
    user's own torch code sees nothing of it.
    """
    import botorch
    import gpytorch
    import torch

    before, kind = torch.get_num_threads(), torch.get_default_dtype()
    state: Any = torch.get_rng_state() if seed is not None else None
    checks = botorch.settings.validate_input_scaling(False)
    with (
        warnings.catch_warnings(),
        checks,
        gpytorch.settings.debug(False),
        gpytorch.settings.cholesky_max_tries(6),
        gpytorch.settings.fast_computations(False, False, False),  # exact Cholesky at every size
        gpytorch.settings.max_cholesky_size(10_000),
    ):
        warnings.simplefilter("ignore")
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float64)
        if seed is not None:
            torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            torch.set_default_dtype(kind)
            if state is not None:
                torch.set_rng_state(state)
