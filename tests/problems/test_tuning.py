"""The tuning problem: deterministic, conditional, informative, and sendable to workers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from optengine.core.errors import ProblemError
from optengine.problems.tuning import DATASETS, sklearn_tuning

pytest.importorskip("sklearn")


@pytest.mark.parametrize("dataset", DATASETS)
def test_values_are_reproducible_and_differ(dataset: str) -> None:
    problem = sklearn_tuning(dataset)
    X = problem.space.sample(8, np.random.default_rng(0))
    F = problem.evaluate(X).F[:, 0]
    assert (F >= 0).all()
    assert len(np.unique(F)) >= 6
    worker = pickle.loads(pickle.dumps(problem))
    assert (worker.evaluate(X[:3]).F[:, 0] == F[:3]).all()


def test_the_space_is_conditional_and_every_kind_runs() -> None:
    problem = sklearn_tuning("wine")
    for kind in ("svm", "forest", "knn", "ridge"):
        X = problem.space.sample(200, np.random.default_rng(1))
        rows = [x for x in problem.space.decode(X) if x["kind"] == kind][:2]
        for x in rows:
            assert {name.split("_")[0] for name in x} == {"scaling", "kind", kind}
            assert ("svm_degree" in x) == (x.get("svm_kernel") == "poly")
        assert not problem.evaluate(problem.space.encode(rows)).failed.any()


def test_a_good_point_beats_a_bad_one() -> None:
    problem = sklearn_tuning("digits")
    svm = {"scaling": "minmax", "kind": "svm", "svm_kernel": "rbf"}
    good, bad = svm | {"svm_c": 10.0, "svm_gamma": 0.1}, svm | {"svm_c": 0.01, "svm_gamma": 10.0}
    F = problem.evaluate(problem.space.encode([good, bad])).F[:, 0]
    assert F[0] < 0.05
    assert F[1] > 0.8


def test_the_seed_is_part_of_the_problem() -> None:
    one, same, other = (sklearn_tuning("wine", seed=seed) for seed in (0, 0, 1))
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()
    X = one.space.sample(4, np.random.default_rng(2))
    assert (one.evaluate(X).F == same.evaluate(X).F).all()
    assert (one.evaluate(X).F != other.evaluate(X).F).any()


def test_what_is_refused() -> None:
    with pytest.raises(ProblemError, match="did you mean 'digits'"):
        sklearn_tuning("digit")
    with pytest.raises(ProblemError, match="seed must be an integer >= 0, got -1"):
        sklearn_tuning(seed=-1)
