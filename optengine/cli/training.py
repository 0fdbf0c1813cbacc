"""`optengine train-predictor`: from a folder of instances to a predictor."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from optengine.cli.output import say, wants_progress
from optengine.workflows.train_predictor import train_predictor as train

FLAGS = ("pools", "pool_seconds", "tune_seconds", "tune_limit", "workers", "seed")


def train_predictor(options: argparse.Namespace) -> int:
    """Train, write and describe a predictor; with --pools the same call goes on where it was killed."""
    arguments: dict[str, Any] = {
        flag: getattr(options, flag) for flag in FLAGS if getattr(options, flag) is not None
    }
    if options.pools is not None:
        arguments["checkpoint"] = Path(options.pools) / "checkpoint.pt"
    chosen = {
        name: getattr(options, name) for name in ("epochs", "loss") if getattr(options, name) is not None
    }
    predictor = train(
        options.instances, out=options.out, progress=wants_progress(options), options=chosen, **arguments
    )
    say(repr(predictor))
    say(f"solve with: optengine solve FILE --solver predict_and_search --model {options.out}")
    return 0
