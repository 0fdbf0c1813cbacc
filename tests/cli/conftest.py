"""The command in this process: exit code, standard output, standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from optengine.cli import main

Command = Callable[..., tuple[int, str, str]]

OBJECTIVES = """
def bowl(lr, kind="a"):
    return (lr - 0.3) ** 2 + (kind == "a")

def leaks(lr):
    if lr > 0.5:
        raise ValueError("leak")
    return lr

def always(lr):
    raise ValueError("leak")

def both(a, b):
    return {"cost": a, "gain": a * b}

def impatient(lr, calls=[]):
    calls.append(lr)
    if len(calls) == 25:
        raise KeyboardInterrupt
    return lr
"""

JOB = """
callable = "objectives_of_command:bowl"
solver = "cem"
budget = 60
seed = 1
[space]
lr = {kind = "real", low = 0.0, high = 1.0}
kind = {kind = "categorical", choices = ["a", "b"]}
[options]
population = 20
"""


@pytest.fixture
def optengine(capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with objectives and a job file; it is the current one."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "objectives_of_command", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "objectives_of_command.py").write_text(OBJECTIVES)
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path
