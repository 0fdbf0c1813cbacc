"""Training a network on pools of solutions: Adam, the best state by validation loss, a checkpoint after each epoch.

Everything random is drawn from (seed, epoch), so that a training that was killed goes on from its checkpoint to the
same weights. On a CPU the same seed and number of threads give the same weights.
"""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from optengine.core.errors import DeviceError, OptionError, StorageError
from optengine.solvers.milp.learning import losses
from optengine.solvers.milp.learning.batches import GraphBatch, batch_graphs
from optengine.solvers.milp.learning.features import BipartiteGraph
from optengine.solvers.milp.learning.network import Network, NetworkOptions

State = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions:
    """How a network is trained. The published rates, 1e-4 for thousands of epochs, are for days; these for minutes."""

    loss: str = "contrastive"  # or "cross_entropy", "info_nce"
    learning_rate: float = 1e-3  # of Adam
    batch: int = 4  # instances a step
    epochs: int = 60  # at most
    patience: int = 15  # epochs without a better validation loss until it stops
    tau_rel: float = 0.05  # temperature of the pool's weights, relative to the best value
    # The contrastive loss. The published 0.1 and 0.01 rank badly after minutes: one high score of a one satisfies the
    # soft term at 0.1, and little is left of the ranking.
    temperature: float = 1.0  # of its soft term
    margin: float = losses.MARGIN  # of its ranking term
    alpha: float = 10.0  # weight of its ranking term
    seed: int = 0

    def __post_init__(self) -> None:
        if self.loss not in losses.LOSSES:
            raise OptionError(f"loss must be one of {list(losses.LOSSES)}, got {self.loss!r}")
        for name in ("batch", "epochs", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise OptionError(f"{name} must be an integer >= 1, got {value!r}")
        for name in ("learning_rate", "tau_rel", "temperature"):
            if not 0 < getattr(self, name) < np.inf:
                raise OptionError(f"{name} must be a number > 0, got {getattr(self, name)!r}")
        if not 0 <= self.margin <= 1 or not 0 <= self.alpha < np.inf:
            raise OptionError(
                f"margin must be in [0, 1] and alpha >= 0, got {self.margin!r} and {self.alpha!r}"
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or self.seed < 0:
            raise OptionError(f"seed must be an integer >= 0, got {self.seed!r}")


@dataclass(frozen=True, eq=False)
class Example:
    """A graph and its pool: solutions X (q, k), q >= 1, and their values (q,), minimised."""

    graph: BipartiteGraph
    X: NDArray[np.uint8]
    values: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fit:
    """Weights of the least validation loss, that loss, and the losses [training, validation] of every epoch."""

    state: dict[str, Tensor]
    validation_loss: float
    history: list[list[float]] = field(default_factory=list)


@contextmanager
def torch_threads(number: int) -> Iterator[None]:
    """Let torch use so many threads, and as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def pick_device(device: str) -> str:
    """Return "cpu" or "cuda"; "auto" takes the GPU where there is one.

    Raises:
        DeviceError: "cuda" without one.
    """
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise DeviceError("device must be 'cpu' or 'auto' here, got 'cuda', and torch sees no CUDA device")
    return "cuda" if there and device != "cpu" else "cpu"


class Trainer:
    """State of one training."""

    def __init__(
        self,
        train: Sequence[Example],
        validation: Sequence[Example],
        network: NetworkOptions,
        options: TrainingOptions,
        device: str = "cpu",
    ) -> None:
        self._train, self._validation, self._options = list(train), list(validation), options
        self._device = pick_device(device)
        with torch.random.fork_rng(devices=[]):  # the user's own random state stays as it is
            torch.manual_seed(options.seed)
            self._network = Network(network).to(self._device)
        self._adam = torch.optim.Adam(self._network.parameters(), lr=options.learning_rate)
        self._best: dict[str, Tensor] = copy.deepcopy(self._network.state_dict())
        self.history: list[list[float]] = []  # [training, validation] of each epoch
        self.best_loss, self.best_epoch = np.inf, -1
        self._task = _task(train, validation, network, options)

    @property
    def done(self) -> bool:
        epoch = len(self.history)
        return epoch >= self._options.epochs or epoch - 1 - self.best_epoch >= self._options.patience

    def epoch(self) -> list[float]:
        """Train on every example once; return the losses [training, validation]."""
        number, size = len(self.history), self._options.batch
        rng = np.random.default_rng([self._options.seed, 1, number])
        order = rng.permutation(len(self._train))
        self._network.train()
        total = 0.0
        for first in range(0, len(order), size):
            examples = [self._train[i] for i in order[first : first + size]]
            self._adam.zero_grad()
            loss = self._loss(examples, rng)
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
            self._adam.step()
            total += float(loss.detach()) * len(examples)
        losses_now = [total / len(order), self.validate()]
        self.history.append(losses_now)
        if losses_now[1] < self.best_loss:
            self.best_loss, self.best_epoch = losses_now[1], number
            self._best = copy.deepcopy(self._network.state_dict())
        return losses_now

    def validate(self) -> float:
        """Mean loss of the validation examples, on the same bad solutions every time."""
        rng = np.random.default_rng([self._options.seed, 2])
        self._network.eval()
        size, total = self._options.batch, 0.0
        with torch.no_grad():
            for first in range(0, len(self._validation), size):
                examples = self._validation[first : first + size]
                total += float(self._loss(examples, rng)) * len(examples)
        return total / len(self._validation)

    def _loss(self, examples: Sequence[Example], rng: np.random.Generator) -> Tensor:
        batch: GraphBatch = batch_graphs([example.graph for example in examples], self._device)
        parts = batch.split(self._network(batch))
        each = [self._one(z, example, rng) for z, example in zip(parts, examples, strict=True)]
        return torch.stack(each).mean()

    def _one(self, logits: Tensor, example: Example, rng: np.random.Generator) -> Tensor:
        options = self._options
        X = torch.from_numpy(example.X.astype(np.float32)).to(self._device)
        weights = torch.from_numpy(
            losses.pool_weights(example.values, options.tau_rel).astype(np.float32)
        ).to(self._device)
        if options.loss == "cross_entropy":
            return losses.cross_entropy(logits, X, weights)
        if options.loss == "info_nce":
            bad = torch.from_numpy(losses.altered(example.X, rng).astype(np.float32)).to(self._device)
            return losses.info_nce(logits, X, weights, bad)
        return losses.contrastive(
            logits,
            X,
            weights,
            temperature=options.temperature,
            margin=options.margin,
            alpha=options.alpha,
        )

    def result(self) -> Fit:
        """The best weights so far, on the CPU."""
        state = {name: value.detach().cpu().clone() for name, value in self._best.items()}
        return Fit(state, float(self.best_loss), [list(row) for row in self.history])

    # -- checkpoints -------------------------------------------------------------------------------------------------

    def save(self, path: Path) -> None:
        """Write a checkpoint, whole or not at all."""
        save_whole(
            {
                "task": self._task,
                "network": self._network.state_dict(),
                "adam": self._adam.state_dict(),
                "best": self._best,
                "best_loss": float(self.best_loss),
                "best_epoch": int(self.best_epoch),
                "history": self.history,
            },
            path,
        )

    def load(self, path: Path) -> bool:
        """Go on from a checkpoint; False where there is none.

        Raises:
            StorageError: a file that is none, or the checkpoint of another training.
        """
        if not path.exists():
            return False
        state = load_plain(path, "checkpoint")
        if state.get("task") != self._task:
            raise StorageError(
                f"checkpoint {path} belongs to another training (other instances, options or seed); "
                "remove it or name another file"
            )
        self._network.load_state_dict(state["network"])
        self._adam.load_state_dict(state["adam"])
        self._best, self.history = state["best"], state["history"]
        self.best_loss, self.best_epoch = state["best_loss"], state["best_epoch"]
        return True


def fit(
    train: Sequence[Example],
    validation: Sequence[Example],
    network: NetworkOptions,
    options: TrainingOptions,
    *,
    device: str = "cpu",
    threads: int = 1,
    checkpoint: Path | None = None,
    seconds: float | None = None,
    report: Callable[[int, list[float]], None] | None = None,
) -> Fit:
    """Train until the epochs or the patience are over.

    Args:
        train, validation: examples, one at least of each.
        network, options: what is trained, and how.
        device: "cpu", "cuda" or "auto".
        threads: of torch.
        checkpoint: file that is written after each epoch, and gone on from.
        seconds: train no longer (then the result depends on the machine's speed); None is no limit.
        report: called after each epoch with its number and its losses [training, validation].
    """
    end = None if seconds is None else time.perf_counter() + seconds
    with torch_threads(threads):
        trainer = Trainer(train, validation, network, options, device)
        if checkpoint is not None:
            trainer.load(checkpoint)
        while not trainer.done and (end is None or time.perf_counter() < end or not trainer.history):
            now = trainer.epoch()
            if checkpoint is not None:
                trainer.save(checkpoint)
            if report is not None:
                report(len(trainer.history), now)
        return trainer.result()


def save_whole(content: State, path: Path) -> None:
    """torch.save such that a reader sees all of the file or nothing.

    Raises:
        StorageError: the file cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, part)
        part.replace(path)
    except (OSError, RuntimeError) as error:  # torch wraps some of the first in the second
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise StorageError(f"{str(path)!r} cannot be written: {error}") from error


def load_plain(path: Path, what: str) -> State:
    """Read a file of tensors and plain values; nothing in it is ever run.

    Raises:
        StorageError: no such file, or not one of ours.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise StorageError(f"there is no {what} file {str(path)!r}") from None
    except Exception as error:  # a broken archive raises whatever its part of torch does
        raise StorageError(
            f"{str(path)!r} is not a {what} file, or is broken ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict):
        raise StorageError(f"{str(path)!r} is not a {what} file: it holds a {type(content).__name__}")
    return content


def _task(
    train: Sequence[Example], validation: Sequence[Example], network: NetworkOptions, options: TrainingOptions
) -> str:
    """What a checkpoint belongs to. More epochs or patience go on with the same training."""
    import hashlib

    digest = hashlib.sha256()
    for example in (*train, *validation):
        for array in (example.graph.variables, example.graph.row, example.graph.column, example.X):
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(example.values.tobytes())
    stated = asdict(options)
    del stated["epochs"], stated["patience"]
    return json.dumps([asdict(network), stated, len(train), digest.hexdigest()], sort_keys=True)
