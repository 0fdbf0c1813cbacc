"""A trained predictor: scores for the binaries of instances of one class, and a file that carries all it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from optengine.core.errors import OptionError, ProblemError, StorageError
from optengine.problems.milp import MILP
from optengine.solvers.milp.learning.batches import batch_graphs
from optengine.solvers.milp.learning.features import (
    CONSTRAINT_FEATURES,
    VARIABLE_FEATURES,
    bipartite_graph,
)
from optengine.solvers.milp.learning.network import Network, NetworkOptions
from optengine.solvers.milp.learning.signature import Signature, difference
from optengine.solvers.milp.learning.training import load_plain, save_whole, torch_threads

Floats = NDArray[np.float64]

FORMAT, VERSION = "optengine predictor", 1
FEATURES = {  # what the features of a file mean; another version must not be fed to its network
    "variables": list(VARIABLE_FEATURES),
    "constraints": list(CONSTRAINT_FEATURES),
    "normalisation": "instance: cost by largest size, the others by range to [1e-5, 1]",
}


class Predictor:
    """Scores the binaries of a mixed-integer program.

    Attributes:
        settings: how the search stage uses the scores: shares `k0`, `k1` and `radius`; empty where nothing was tuned.
        signature: ranges of shares that tell the class of instances; see `signature`.
        details: how it was trained, plain values.
    """

    def __init__(
        self,
        network: NetworkOptions,
        state: Mapping[str, torch.Tensor],
        *,
        edges: str,
        signature: Signature,
        settings: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self._options, self._edges = network, edges
        self._network = Network(network)
        self._network.load_state_dict(dict(state))
        self._network.eval()
        self.signature = dict(signature)
        self.settings: dict[str, Any] = dict(settings or {})
        self.details: dict[str, Any] = dict(details or {})

    def refuses(self, problem: MILP) -> str | None:
        """Why this predictor cannot score the problem, or None."""
        if not len(problem.binaries):
            return f"problem must have binary variables to predict, got none in {problem.name!r}"
        other = difference(self.signature, problem)
        if other is None:
            return None
        return f"predictor must be one for the class of {problem.name!r}, got one trained on another class: {other}"

    def scores(self, problem: MILP, threads: int = 1) -> Floats:
        """Scores (n,) in (0, 1), one a column, NaN where it is not binary.

        Only their order is meant. One pass through the network: milliseconds a thousand columns.

        Args:
            problem: of the class trained on, of any size.
            threads: of torch.

        Raises:
            ProblemError: no binaries, or a problem of another class.
        """
        reason = self.refuses(problem)
        if reason is not None:
            raise ProblemError(reason)
        with torch_threads(threads), torch.inference_mode():
            batch = batch_graphs([bipartite_graph(problem, self._edges)])
            logits = self._network(batch).double()
        scores = np.full(problem.n_variables, np.nan)
        scores[problem.binaries] = torch.sigmoid(logits).numpy()
        return scores

    def tuned(self, settings: Mapping[str, Any], **details: Any) -> Predictor:
        """Return the same predictor with other settings, and details added."""
        return Predictor(
            self._options,
            self._network.state_dict(),
            edges=self._edges,
            signature=self.signature,
            settings=settings,
            details=self.details | details,
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file of tensors and plain values, whole or not at all.

        Raises:
            StorageError: the file cannot be written.
        """
        save_whole(
            {
                "format": FORMAT,
                "version": VERSION,
                "features": FEATURES,
                "edges": self._edges,
                "network": asdict(self._options),
                "state": self._network.state_dict(),
                "signature": self.signature,
                "settings": self.settings,
                "details": self.details,
            },
            Path(path),
        )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Predictor:
        """Read a file that `save` wrote; nothing in it is run.

        Raises:
            StorageError: no such file, or a file that is no predictor, broken, or of another version.
        """
        content = load_plain(Path(path), "predictor")
        if content.get("format") != FORMAT:
            raise StorageError(f"{str(path)!r} is not a predictor file: write one with train_predictor")
        if content.get("version") != VERSION or content.get("features") != FEATURES:
            raise StorageError(
                f"predictor file {str(path)!r} must be of version {VERSION} with this version's features, got "
                f"version {content.get('version')!r}; train it again"
            )
        try:
            return cls(
                NetworkOptions(**content["network"]),
                content["state"],
                edges=content["edges"],
                signature=content["signature"],
                settings=content["settings"],
                details=content["details"],
            )
        except (KeyError, TypeError, AttributeError, RuntimeError, OptionError) as error:
            raise StorageError(f"predictor file {str(path)!r} is broken ({type(error).__name__})") from error

    def __repr__(self) -> str:
        trained = ", ".join(f"{key}={value!r}" for key, value in self.details.items() if key != "history")
        return f"Predictor({trained}, settings={self.settings})"
