"""Filters over sequences: the same answer at every place, taken where that ranks better, and found words."""

from __future__ import annotations

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import SolverNotSuitable
from optengine.problems import Offline
from optengine.solvers.offline.choosing import by_turns
from optengine.surrogates.features import Features

torch = pytest.importorskip("torch")

from optengine.surrogates.mlp import Training  # noqa: E402  (after the check)
from optengine.surrogates.mlp_sequences import SequenceNetwork, better_network, letters_of  # noqa: E402


def sequences(kind: str) -> tuple[oe.Space, np.ndarray, np.ndarray]:
    """Sequences of 24 letters; the value is the best fit of a word anywhere, or a sum over places."""
    space = oe.Space(oe.Categorical(list("ACGT"), shape=24))
    rng = np.random.default_rng(0)
    X = space.sample(600, rng)
    if kind == "places":
        return space, X, rng.normal(size=(24, 4))[np.arange(24), X.astype(int)].sum(axis=1)
    word = np.array([0, 2, 3, 1, 1])
    y = np.max([(X[:, i : i + 5] == word).mean(axis=1) for i in range(20)], axis=0)
    return space, X, y + 1e-3 * rng.normal(size=600)


@pytest.mark.parametrize(("kind", "letters"), [("word", 4), ("places", 0)])
def test_filters_are_taken_where_a_word_counts_anywhere(kind: str, letters: int) -> None:
    space, X, y = sequences(kind)
    t = (y - y.mean()) / y.std()
    training = Training(members=2, hidden=32, batch=32)
    rest = letters_of(space), np.random.default_rng(0), lambda: False, "cpu"
    found = better_network(Features(space).of(X), t, training, *rest)
    assert found.letters == letters
    assert (found == training) == (letters == 0)


def test_filters_see_every_place_alike() -> None:
    """A word inside padding: the same answer wherever it stands, the edges apart."""
    training = Training(members=3, letters=4, hidden=8)
    network = SequenceNetwork(160, training, np.random.default_rng(0))
    X = np.zeros((3, 40), dtype=int)
    for row, place in enumerate((15, 16, 20)):
        X[row, place : place + 3] = (1, 2, 3)
    inputs = torch.tensor(np.eye(4, dtype=np.float32)[X].reshape(3, 160)).expand(3, 3, 160)
    f = network(inputs).detach().numpy()
    np.testing.assert_allclose(f[:, 1:], f[:, :-1], rtol=1e-5)
    assert not np.allclose(f[0], f[1])


def test_only_long_arrays_of_the_same_letters_are_sequences() -> None:
    letter = oe.Categorical(list("ACGT"))
    assert letters_of(oe.Space(oe.Categorical(list("ACGT"), shape=17))) == 4
    assert letters_of(oe.Space(oe.Categorical(list("ACGT"), shape=16))) == 0
    assert letters_of(oe.Space({f"v{i}": letter for i in range(20)})) == 0
    assert letters_of(oe.Space([(0, 1)] * 20)) == 0


def test_a_word_is_found_by_filters_through_the_solver() -> None:
    space, X, y = sequences("word")
    low = y < 0.7
    table = Offline(space, X[low], y[low], 8, direction="maximize", encoded=True)
    options = {"members": 2, "hidden": 32, "training_steps": 150, "network": "filters"}
    result = oe.solve(table, "gradient_ascent", seed=0, options=options)
    assert result.details["network"] == "filters"
    word = np.array([0, 2, 3, 1, 1])
    found = result.details["candidates"]
    best = np.max([(found[:, i : i + 5] == word).mean(axis=1) for i in range(20)], axis=0)
    assert np.median(best) >= 0.8
    few = Offline([(0, 1)] * 2, np.random.default_rng(0).random((20, 2)), np.arange(20.0), 4)
    with pytest.raises(SolverNotSuitable, match="one array of more than 16 categories"):
        oe.solve(few, "gradient_ascent", options={"network": "filters"})


def test_members_take_turns() -> None:
    assert by_turns(["a", "a", "b", "a", "b"]).tolist() == [0.0, -1.0, 0.0, -2.0, -1.0]
