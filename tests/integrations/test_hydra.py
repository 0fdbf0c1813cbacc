"""The Hydra sweeper, as Hydra finds and runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hydra", reason="hydra-core is not installed")

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import optengine as oe
from optengine.core.errors import OptionError
from optengine.integrations.hydra import SweeperOfJobs, variable
from optengine.store import Journal

PLUGINS = Path(oe.__file__).parent / "integrations" / "hydra_plugins"

APP = """
import os, sys
import hydra

@hydra.main(version_base=None, config_path=None, config_name="config")
def job(config):
    number = hydra.core.hydra_config.HydraConfig.get().job.num
    with open(os.environ["SEEN"], "a") as file:
        file.write(f"{number} {config.x:.12g} {config.depth} {config.kind} {config.fixed}\\n")
    if os.environ.get("DIES") == str(number):
        os._exit(9)
    if os.environ.get("FAILS") and config.kind == "b":
        raise MemoryError("too large")
    if os.environ.get("NAMED"):
        return {"loss": config.x**2, "heat": 1.0 - config.depth}
    return config.x**2 + config.depth + (config.kind == "b")

from hydra.core.config_store import ConfigStore
ConfigStore.instance().store(name="config", node={"x": 0.0, "depth": 1, "kind": "a", "fixed": 0})
job()
"""

SWEEP = ["-m", "hydra/sweeper=optengine", "hydra.sweeper.seed=0", "hydra.sweep.dir=out", "fixed=7",
         "x=interval(-1,1)", "depth=range(1,5)", "kind=choice(a,b)"]  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Any:
    """Run the application with arguments, in a folder where Hydra finds the plugin as a wheel installs it."""
    (tmp_path / "site" / "hydra_plugins").mkdir(parents=True)
    for file in PLUGINS.glob("*.py"):
        (tmp_path / "site" / "hydra_plugins" / file.name).symlink_to(file)
    (tmp_path / "app.py").write_text(APP)

    def call(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        paths = [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]
        known = {"SEEN": str(tmp_path / "seen"), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        return subprocess.run(
            [sys.executable, "app.py", *SWEEP, *arguments],
            cwd=tmp_path,
            env={**os.environ, **known, **environment},
            capture_output=True,
            text=True,
        )

    return call


def seen(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "seen").read_text().splitlines()]


def test_a_sweep(run: Any, tmp_path: Path) -> None:
    process = run("hydra.sweeper.budget=15", "hydra.sweeper.batch_size=3", "hydra.sweeper.solver=tpe")
    assert process.returncode == 0, process.stderr
    jobs = seen(tmp_path)
    assert [int(job[0]) for job in jobs] == list(range(15))
    assert {job[4] for job in jobs} == {"7"}
    values = [float(x) ** 2 + int(depth) + (kind == "b") for _, x, depth, kind, _ in jobs]
    summary: Any = OmegaConf.to_container(OmegaConf.load(tmp_path / "out" / "optimization_results.yaml"))
    assert summary["best_value"] == pytest.approx(min(values))
    assert summary["best_params"]["kind"] in ("a", "b")
    assert summary["n_evaluations"] == 15
    assert (tmp_path / "out" / "14").is_dir()


def test_a_killed_sweep_goes_on(run: Any, tmp_path: Path) -> None:
    """No job that returned runs again; those that ran when the sweep was killed do."""
    arguments = [
        "hydra.sweeper.budget=8",
        "hydra.sweeper.solver=random",
        "hydra.sweeper.storage=sqlite:///sweep.db",
    ]
    assert run(*arguments, DIES="4").returncode == 9
    assert len(seen(tmp_path)) == 5
    process = run(*arguments)
    assert process.returncode == 0, process.stderr
    jobs = seen(tmp_path)
    assert [int(job[0]) for job in jobs] == [0, 1, 2, 3, 4, 4, 5, 6, 7]
    assert jobs[4] == jobs[5]
    with Journal(tmp_path / "sweep.db", readonly=True) as journal:
        assert journal.read("app").evaluations.numbers.tolist() == list(range(8))


@pytest.mark.slow
@pytest.mark.slow
def test_failing_jobs_end_the_sweep_or_are_learnt(run: Any, tmp_path: Path) -> None:
    arguments = ["hydra.sweeper.budget=8", "hydra.sweeper.solver=random"]
    process = run(*arguments, FAILS="1")
    assert process.returncode != 0
    assert "too large" in process.stderr
    (tmp_path / "seen").unlink()
    process = run(*arguments, "hydra.sweeper.max_failure_rate=1", FAILS="1")
    assert process.returncode == 0, process.stderr
    assert len(seen(tmp_path)) == 8
    summary: Any = OmegaConf.to_container(OmegaConf.load(tmp_path / "out" / "optimization_results.yaml"))
    assert summary["best_params"]["kind"] == "a"


@pytest.mark.slow
@pytest.mark.slow
def test_jobs_that_return_names(run: Any, tmp_path: Path) -> None:
    named = [
        "hydra.sweeper.objectives=[loss]",
        "hydra.sweeper.constraints=[heat]",
        "hydra.sweeper.solver=sobol",
    ]
    process = run("hydra.sweeper.budget=6", *named, NAMED="1")
    assert process.returncode == 0, process.stderr
    summary: Any = OmegaConf.to_container(OmegaConf.load(tmp_path / "out" / "optimization_results.yaml"))
    assert summary["feasible"]
    assert summary["best_value"] == pytest.approx(min(float(job[1]) ** 2 for job in seen(tmp_path)))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lr=interval(0.1,2)", oe.Real(0.1, 2)),
        ("lr=tag(log,interval(1e-5,1e-1))", oe.Real(1e-5, 1e-1, log=True)),
        ("n=tag(int,log,interval(1,64))", oe.Integer(1, 64, log=True)),
        ("n=range(1,9)", oe.Integer(1, 8)),
        ("n=range(1,9,2)", oe.Ordinal([1, 3, 5, 7])),
        ("n=range(0,1,0.25)", oe.Ordinal([0.0, 0.25, 0.5, 0.75])),
        ("k=choice(adam,sgd)", oe.Categorical(["adam", "sgd"])),
        ("k=adam,sgd", oe.Categorical(["adam", "sgd"])),
        ("k=tag(ordered,choice(1,2,8))", oe.Ordinal(["1", "2", "8"])),
        ("+k=choice([1,2],{a:1})", oe.Categorical(["[1,2]", "{a:1}"])),
    ],
)
def test_overrides_as_variables(line: str, expected: oe.core.space.Variable) -> None:
    assert variable(OverridesParser.create().parse_override(line)) == expected


@pytest.mark.parametrize("line", ["x=interval(2,2)", "n=range(3,3)"])
def test_empty_ranges_are_refused(line: str) -> None:
    with pytest.raises(OptionError, match=line[0]):
        variable(OverridesParser.create().parse_override(line))


def test_refusals(run: Any) -> None:
    with pytest.raises(OptionError, match="max_failure_rate"):
        SweeperOfJobs("auto", None, 5, 1, "minimize", None, (), 0, None, None, 1.5, None)
    process = run("hydra.sweeper.solver=tpee")
    assert process.returncode != 0
    assert "did you mean 'tpe'" in process.stderr
