"""Training: reproducible, resumable to the same weights, stopped early; predictors and their files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine.core.errors import DeviceError, OptionError, ProblemError, StorageError
from optengine.problems.generators import generate

torch = pytest.importorskip("torch")

from optengine.solvers.milp.learning import training  # noqa: E402
from optengine.solvers.milp.learning.features import bipartite_graph  # noqa: E402
from optengine.solvers.milp.learning.network import NetworkOptions  # noqa: E402
from optengine.solvers.milp.learning.predictor import Predictor  # noqa: E402
from optengine.solvers.milp.learning.signature import signature  # noqa: E402
from optengine.solvers.milp.learning.training import Example, Fit, TrainingOptions, fit  # noqa: E402
from optengine.solvers.milp.predictor import Predictor as Protocol, checked_scores  # noqa: E402

NETWORK = NetworkOptions(width=8, depth=1)
Solutions = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def examples(auctions: list[oe.problems.MILP], solutions: Solutions) -> list[Example]:
    return [
        Example(bipartite_graph(problem), X, values)
        for problem, (X, values) in zip(auctions, solutions, strict=True)
    ]


@pytest.fixture(scope="module")
def predictor(auctions: list[oe.problems.MILP], examples: list[Example]) -> Predictor:
    state = fit(examples[:4], examples[4:], NETWORK, TrainingOptions(epochs=10, batch=2)).state
    return Predictor(
        NETWORK, state, edges="scaled", signature=signature(auctions[:4]), settings={"k0": 0.6, "radius": 0.1}
    )


def same(one: Fit, other: Fit) -> bool:
    equal = all(torch.equal(one.state[name], other.state[name]) for name in one.state)
    return equal and one.validation_loss == other.validation_loss and one.history == other.history


@pytest.mark.parametrize("loss", ["contrastive", "cross_entropy", "info_nce"])
def test_a_seed_is_a_training(examples: list[Example], loss: str) -> None:
    options = TrainingOptions(loss=loss, epochs=3, batch=2, seed=5)
    before = torch.random.get_rng_state()
    one = fit(examples[:4], examples[4:], NETWORK, options)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(99)
    assert same(one, fit(examples[:4], examples[4:], NETWORK, options))
    other = fit(examples[:4], examples[4:], NETWORK, TrainingOptions(loss=loss, epochs=3, batch=2, seed=6))
    assert not same(one, other)
    assert one.history[-1][0] < one.history[0][0]


@pytest.mark.parametrize("loss", ["contrastive", "info_nce"])
def test_killed_and_resumed_training_ends_with_the_same_weights(
    examples: list[Example], tmp_path: Path, loss: str
) -> None:
    """Bit for bit: the network, Adam's moments, the best state and the random numbers all come back."""
    options = TrainingOptions(loss=loss, epochs=6, batch=2)
    whole = fit(examples[:4], examples[4:], NETWORK, options)
    path = tmp_path / "checkpoint.pt"

    class Killed(Exception):
        pass

    def kill(epoch: int, _: list[float]) -> None:
        if epoch in (2, 4):
            raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            fit(examples[:4], examples[4:], NETWORK, options, checkpoint=path, report=kill)
    assert same(whole, fit(examples[:4], examples[4:], NETWORK, options, checkpoint=path))
    assert not list(tmp_path.glob("*.part"))


def test_a_checkpoint_of_another_training_is_refused(examples: list[Example], tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    fit(examples[:4], examples[4:], NETWORK, TrainingOptions(epochs=1), checkpoint=path)
    with pytest.raises(StorageError, match="belongs to another training"):
        fit(examples[:4], examples[4:], NETWORK, TrainingOptions(epochs=1, seed=1), checkpoint=path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StorageError, match="is not a checkpoint file, or is broken"):
        fit(examples[:4], examples[4:], NETWORK, TrainingOptions(epochs=1), checkpoint=path)


def test_training_stops_when_validation_does_not_improve(examples: list[Example]) -> None:
    options = TrainingOptions(epochs=60, patience=2, learning_rate=0.1, batch=1)
    result = fit(examples[:2], examples[4:], NETWORK, options)
    losses = [row[1] for row in result.history]
    assert len(losses) < 60
    assert result.validation_loss == min(losses) == losses[-3]


def test_training_keeps_to_its_seconds_and_threads(examples: list[Example]) -> None:
    before = torch.get_num_threads()
    result = fit(examples[:2], examples[4:], NETWORK, TrainingOptions(epochs=1000), seconds=1e-9, threads=2)
    assert len(result.history) == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"loss": "hinge"}, "loss must be one of"),
        ({"epochs": 0}, "epochs must be an integer >= 1"),
        ({"learning_rate": 0.0}, "learning_rate must be a number > 0"),
        ({"margin": 2.0}, "margin must be in"),
        ({"seed": -1}, "seed must be an integer >= 0"),
    ],
)
def test_wrong_options_are_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        TrainingOptions(**options)  # type: ignore[arg-type]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_told() -> None:
    with pytest.raises(DeviceError, match="torch sees no CUDA device"):
        training.pick_device("cuda")
    assert training.pick_device("auto") == "cpu"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("convolution", ["edge", "node"])
def test_a_device_trains_as_the_cpu_does(examples: list[Example], convolution: str) -> None:
    network = NetworkOptions(width=8, depth=1, convolution=convolution)
    options = TrainingOptions(epochs=2, batch=2)
    cpu, cuda = (fit(examples[:4], examples[4:], network, options, device=d) for d in ("cpu", "cuda"))
    assert cuda.validation_loss == pytest.approx(cpu.validation_loss, rel=1e-3)
    assert all(value.device.type == "cpu" for value in cuda.state.values())


# -- predictors ------------------------------------------------------------------------------------------------------


def test_a_predictor_ranks_unseen_instances(
    predictor: Predictor, auctions: list[oe.problems.MILP], solutions: Solutions
) -> None:
    """Ones of good solutions score above zeros: the area under the curve is far above one half."""
    problem, (X, _) = auctions[5], solutions[5]
    scores = checked_scores(predictor, problem)
    assert isinstance(predictor, Protocol)
    assert ((scores > 0) & (scores < 1)).all()
    ones, zeros = scores[X[0] == 1], scores[X[0] == 0]
    assert (ones[:, None] > zeros[None]).mean() > 0.6


def test_a_file_carries_everything(
    predictor: Predictor, auctions: list[oe.problems.MILP], tmp_path: Path
) -> None:
    predictor.save(tmp_path / "ca.pt")
    loaded = Predictor.load(tmp_path / "ca.pt")
    assert np.array_equal(loaded.scores(auctions[0]), predictor.scores(auctions[0]))
    assert loaded.settings == predictor.settings
    assert loaded.signature == predictor.signature
    copied = pickle.loads(pickle.dumps(predictor))
    assert np.array_equal(copied.scores(auctions[0]), predictor.scores(auctions[0]))
    tuned = loaded.tuned({"k0": 0.9}, runs=3)
    assert (tuned.settings, tuned.details["runs"]) == ({"k0": 0.9}, 3)
    assert list(tmp_path.iterdir()) == [tmp_path / "ca.pt"]


def test_only_binaries_have_scores(predictor: Predictor) -> None:
    mixed = generate("item_placement", "tiny", 0)
    general = Predictor(
        NETWORK, predictor._network.state_dict(), edges="scaled", signature=signature([mixed])
    )
    assert np.flatnonzero(~np.isnan(general.scores(mixed))).tolist() == mixed.binaries.tolist()


def test_another_class_is_refused_in_one_sentence(predictor: Predictor) -> None:
    other = generate("set_cover", "tiny", 0)
    with pytest.raises(ProblemError, match="one trained on another class: the share of <= rows is 0%"):
        predictor.scores(other)
    with pytest.raises(oe.SolverNotSuitable, match="another class"):
        oe.solve(other, "predict_and_search", time_limit=1, options={"predictor": predictor})
    with pytest.raises(ProblemError, match="must have binary variables"):
        predictor.scores(oe.problems.MILP([1.0]))


class Planted:
    """Must never be unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return print, ("planted code ran",)


def test_broken_and_foreign_files_are_refused(
    predictor: Predictor, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.pt"
    with pytest.raises(StorageError, match="there is no predictor file"):
        Predictor.load(path)
    for content in (b"", b"not a predictor", pickle.dumps(Planted())):
        path.write_bytes(content)
        with pytest.raises(StorageError, match="is not a predictor file"):
            Predictor.load(path)
    torch.save({"format": "optengine predictor", "code": Planted()}, path)
    with pytest.raises(StorageError, match="is not a predictor file"):
        Predictor.load(path)
    torch.save({"weights": torch.zeros(3)}, path)
    with pytest.raises(StorageError, match="write one with train_predictor"):
        Predictor.load(path)
    assert "planted" not in capsys.readouterr().out
    predictor.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StorageError, match="is not a predictor file, or is broken"):
        Predictor.load(path)
    predictor.save(path)
    content = torch.load(path, weights_only=True)
    for key, value in (("version", 9), ("features", {}), ("state", {}), ("network", {"depth": "two"})):
        torch.save(content | {key: value}, path)
        with pytest.raises(StorageError, match="predictor file"):
            Predictor.load(path)
    with pytest.raises(StorageError, match="cannot be written"):
        predictor.save(tmp_path / "x.pt" / "y.pt")
