"""Every example runs, and prints what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
PROMISES = {
    "attack_digits.py": "drawn in",
    "beliefs.py": "drawn in",
    "exploring.py": "drawn in",
    "infeasible_or_not.py": "drawn in",
    "mixing_data.py": "drawn in",
    "quality_against_time.py": "drawn in",
    "ask_tell.py": "yield",
    "autotune.py": "drawn: autotune.png",
    "kill_and_resume.py": "the same as the uninterrupted run: True",
    "decay_of_each_weight.py": "drawn: decay_of_each_weight.png",
    "minmax_filter.py": "(optimal)",
    "minmax_quantization.py": "drawn: minmax_quantization.png",
    "minmax_tomography.py": "pixels that differ from the truth: 0.00%",
    "mpc_quadrotor.py": "flight drawn in",
    "mixed_constrained.py": "from the best vessel known",
    "graph_from_data.py": "optimal BIC",
    "graph_with_frequencies.py": "drawn in out/graph_with_frequencies.png",
    "offline_sequences.py": "proposals in truth",
    "optuna_study.py": "no worse: True",
    "order_of_jobs.py": "model: ",
    "predicted_auctions.py": "drawn: predicted_auctions.png",
    "self_tuning_network.py": "drawn: self_tuning_network.png",
    "two_objectives.py": "front drawn in",
    "what_matters.py": "model drawn in",
}
# Examples that take minutes as they stand.
SHORTER = {
    "predicted_auctions.py": [
        "--auctions",
        "4",
        "--seconds",
        "0.5",
        "--epochs",
        "2",
        "--limit",
        "1",
        "--size",
        "tiny",
        "--unseen",
        "tiny",
    ],
}


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(PROMISES)


# Five CPU seconds and more.
LONG = {
    "attack_digits.py", "beliefs.py", "exploring.py", "infeasible_or_not.py", "mixing_data.py",
    "quality_against_time.py",
    "autotune.py", "kill_and_resume.py", "minmax_quantization.py", "minmax_tomography.py", "offline_sequences.py",
    "predicted_auctions.py", "self_tuning_network.py", "two_objectives.py", "what_matters.py", "mpc_quadrotor.py",
}  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LONG else []) for name in sorted(PROMISES)],
)
def test_example(name: str, tmp_path: Path) -> None:
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *SHORTER.get(name, [])]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert PROMISES[name] in done.stdout
