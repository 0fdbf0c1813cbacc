"""BLAS on one thread while matrices are small, and as before afterwards."""

from __future__ import annotations

import numpy as np
import pytest

from optengine.kernels.blas import LARGE, threads_for

threadpoolctl = pytest.importorskip("threadpoolctl")


def counts() -> set[int]:
    np.linalg.cholesky(np.eye(2))  # loaded by now
    return {pool["num_threads"] for pool in threadpoolctl.threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads() -> object:
    with threadpoolctl.threadpool_limits(2):
        yield


def test_small_matrices_take_one_thread() -> None:
    before = counts()
    with threads_for(LARGE - 1):
        assert counts() == {1}
        with threads_for(3):
            assert counts() == {1}
        assert counts() == {1}
    assert counts() == before


def test_large_matrices_take_what_there_is() -> None:
    before = counts()
    with threads_for(LARGE):
        assert counts() == before


def test_an_error_inside_gives_them_back_too() -> None:
    before = counts()
    with pytest.raises(ValueError, match="inside"), threads_for(5):
        raise ValueError("inside")
    assert counts() == before
