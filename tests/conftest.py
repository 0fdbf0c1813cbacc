"""What all tests share: one Hypothesis profile, no windows, and the device or the reason why there is none,
and a PostgreSQL server where its programs are installed.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("MPLBACKEND", "Agg")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")  # tests run side by side, and BLAS threads spin while they wait

# Compiling a kernel breaks any deadline; the same examples every time, so that a red test is the change's fault.
settings.register_profile("house", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


@functools.cache
def missing_device() -> str:
    """Why tests marked `gpu` cannot run here; empty where they can."""
    if importlib.util.find_spec("cupy") is None:
        return "cupy is not installed"
    import cupy

    return "" if cupy.cuda.is_available() else "cupy finds no CUDA device"


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and missing_device():
        pytest.skip(missing_device())


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """Background jobs of a shell ignore Ctrl-C, and so would the processes that the tests start and interrupt."""
    if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a server started for this session, without the database's name."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    binaries = _postgresql_programs()
    if binaries is None:
        pytest.skip("PostgreSQL's initdb is not installed")
    as_server: list[str] = []
    if hasattr(os, "getuid") and os.getuid() == 0:  # initdb and pg_ctl refuse root
        if (
            shutil.which("runuser") is None
            or subprocess.run(["id", "postgres"], capture_output=True).returncode
        ):
            pytest.skip("PostgreSQL refuses to run as root, and there is no user postgres or no runuser")
        as_server = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(prefix="optengine-pg-"))
    if as_server:
        shutil.chown(folder, "postgres")
    port = _free_port()

    def call(program: str, *arguments: str) -> None:
        command = [*as_server, str(binaries / program), "-D", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    settings = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off -c max_connections=60"
    try:
        call("initdb", "-A", "trust", "-U", "optengine", "-E", "UTF8", "--locale=C", "--no-sync")
        call("pg_ctl", "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield f"postgresql://optengine@127.0.0.1:{port}"
        finally:
            call("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)


def _postgresql_programs() -> Path | None:
    found = shutil.which("initdb")
    places = [Path(found).parent] if found else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next(
        (place for place in places if (place / "pg_ctl").exists() and (place / "initdb").exists()), None
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
