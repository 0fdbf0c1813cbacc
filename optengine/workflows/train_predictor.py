"""From instances of one class to a predictor of their binaries: pools, training, settings of the search."""

from __future__ import annotations

import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor, as_completed
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from optengine.core.errors import OptionError, ProblemError, StorageError, did_you_mean, require
from optengine.problems.milp import MILP

if TYPE_CHECKING:
    from optengine.solvers.milp.learning.pools import Pool
    from optengine.solvers.milp.learning.predictor import Predictor
    from optengine.solvers.milp.learning.training import Example

VALIDATION_SHARE = 0.2  # of the instances, where none are given for validation
LEAST = 2  # instances: one to train on, one to validate


def train_predictor(
    instances: str | PathLike[str] | Iterable[MILP],
    *,
    out: str | PathLike[str] | None = None,
    validation: Iterable[MILP] | None = None,
    pools: str | PathLike[str] | None = None,
    pool_seconds: float = 20.0,
    pool_size: int = 20,
    pool_backend: str = "scip",
    edges: str = "scaled",
    checkpoint: str | PathLike[str] | None = None,
    time_limit: float | None = None,
    tune_seconds: float = 0.0,
    tune_limit: float = 10.0,
    tune_instances: Iterable[MILP] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
    threads: int = 1,
    device: str = "cpu",
    seed: int = 0,
    progress: bool = False,
    options: dict[str, Any] | None = None,
) -> Predictor:
    """Train a predictor on instances of one class.

    Three steps: an exact backend collects a pool of good solutions of each instance, `pool_seconds` apiece; a graph
    network learns from the pools, and keeps the weights of the least validation loss; `tune_seconds` of our own solver
    then choose k0, k1 and the radius. With `pools` and `checkpoint` a call that was killed goes on where it was, and
    ends with the same weights.

    Args:
        instances: problems, or a folder of files that `optengine.problems.read` knows; instances without a solution
            in their pool are left out.
        out: file that the predictor is written to.
        validation: problems to validate on; None takes a fifth of the instances, by seed.
        pools: folder that keeps the pools; None collects them anew each time.
        pool_seconds: wall time of each instance. pool_size: solutions kept of each.
        pool_backend: that finds them; "scip" or another of `solve_linear`, or "neighbourhoods" for our own search.
        edges: what an edge of the graph carries: "scaled" coefficients, or "ones" as in the published code.
        checkpoint: file written after each epoch.
        time_limit: seconds of training; None is by epochs and patience only. The result then depends on the machine.
        tune_seconds: solver seconds spent on choosing the settings; 0 leaves the solver's defaults.
        tune_limit: time limit of each of these runs: the one that the predictor is meant for.
        tune_instances: problems for them, of the size to be solved; None takes those of validation.
        workers: processes that collect pools, or give an `executor` of your own.
        threads: of torch, and of the backend in each worker.
        device: "cpu", "cuda" or "auto".
        seed: of the split, the weights and the order. On a CPU the same pools, seed and threads give the same weights.
        progress: tell on standard error how far it has come.
        options: of the network (`width`, `depth`, `convolution`, `competition`, `graph_norm`, `concatenate`) and of the
            training (`loss`, `learning_rate`, `batch`, `epochs`, `patience`, `tau_rel`, `temperature`, `margin`,
            `alpha`).

    Returns:
        A predictor: `optengine.solve(problem, "predict_and_search", options={"predictor": predictor})`.

    Raises:
        MissingDependency: torch is not installed.
        ProblemError: fewer than two instances, one without binaries, or instances of different classes.
        OptionError, StorageError, DeviceError: one sentence each.
    """
    require("torch", "learn")
    _check(pool_seconds, pool_size, tune_seconds, tune_limit, time_limit, workers, threads, seed)
    network, training = _options(options, seed)
    say = _say if progress else _hush
    train, held = _split(_problems(instances, "instances"), validation, seed)
    _one_class([*train, *held])
    began = time.perf_counter()
    with ExitStack() as stack:
        folder = (
            Path(pools) if pools is not None else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        wanted = {"seconds": pool_seconds, "size": pool_size, "backend": pool_backend, "threads": threads}
        found = collect_pools([*train, *held], folder, wanted, workers=workers, executor=executor, say=say)
    collected = time.perf_counter() - began
    ours = found[: len(train)], found[len(train) :]
    predictor = _fitted(
        _examples(train, ours[0], edges),
        _examples(held, ours[1], edges),
        network,
        training,
        {"edges": edges, "signature": _signature(train)},
        say,
        device=device,
        threads=threads,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        seconds=time_limit,
    )
    predictor.details["pool_seconds"] = round(collected, 1)
    if tune_seconds > 0:
        from optengine.workflows.tune_predictor import tune_predictor

        predictor = tune_predictor(
            predictor,
            held if tune_instances is None else _problems(tune_instances, "tune_instances"),
            seconds=tune_seconds,
            time_limit=tune_limit,
            pools=list(zip(held, ours[1], strict=True)),
            seed=seed,
            say=say,
        )
    if out is not None:
        predictor.save(out)
        say(f"predictor in {os.fspath(out)!r}")
    return predictor


def _one_class(problems: Sequence[MILP]) -> None:
    """Refuse instances that a predictor of the first one's class would refuse."""
    from optengine.solvers.milp.learning.signature import difference

    first = _signature(problems[:1])
    for problem in problems:
        other = difference(first, problem)
        if other is not None:
            raise ProblemError(
                f"instances must be of one class, got {problems[0].name!r} and {problem.name!r}: {other}"
            )


def _signature(problems: Sequence[MILP]) -> dict[str, list[float]]:
    """What tells the class of some instances; see `optengine.solvers.milp.learning.signature`."""
    from optengine.solvers.milp.learning.signature import signature

    return signature(problems)


def _fitted(
    examples: Sequence[Example],
    held: Sequence[Example],
    network: Any,
    training: Any,
    kept: dict[str, Any],
    say: Any,
    **how: Any,
) -> Predictor:
    """Train, and tell how it went."""
    from optengine.solvers.milp.learning.predictor import Predictor
    from optengine.solvers.milp.learning.training import fit

    def report(epoch: int, now: list[float]) -> None:
        say(f"epoch {epoch}/{training.epochs}: loss {now[0]:.6g}, validation {now[1]:.6g}")

    began = time.perf_counter()
    result = fit(examples, held, network, training, report=report, **how)
    details = {
        "loss": training.loss,
        "validation_loss": result.validation_loss,
        "epochs": len(result.history),
        "n_train": len(examples),
        "n_validation": len(held),
        "seed": training.seed,
        "train_seconds": round(time.perf_counter() - began, 1),
    }
    return Predictor(network, result.state, **kept, details=details)


def collect_pools(
    problems: Sequence[MILP],
    folder: Path,
    options: dict[str, Any],
    *,
    workers: int = 1,
    executor: Executor | None = None,
    say: Any = None,
) -> list[Pool]:
    """Return the pools of problems, from files in `folder` or collected now.

    Raises:
        StorageError: a pool cannot be kept. OptEngineError: a backend broke down.
    """
    from optengine.solvers.milp.learning.pools import collect_into, load_pool, pool_key

    key = {name: options[name] for name in ("seconds", "size", "backend")}
    paths = [folder / f"{pool_key(problem, **key)}.npz" for problem in problems]
    missing = [
        (problem, path)
        for problem, path in zip(problems, paths, strict=True)
        if load_pool(path, len(problem.binaries)) is None
    ]
    n_done = len(problems) - len(missing)
    with ExitStack() as stack:
        pool: Any = executor
        if pool is None and workers > 1 and missing:
            from optengine.batch.running import new_pool
            from optengine.engine.processes import shut_down

            pool = new_pool(workers)
            stack.callback(shut_down, pool)
        if pool is None:
            outcomes: Iterable[tuple[str, str]] = (
                collect_into(problem, path, options) for problem, path in missing
            )
        else:
            futures = [pool.submit(collect_into, problem, path, options) for problem, path in missing]
            outcomes = (future.result() for future in as_completed(futures))
        for name, reason in outcomes:
            if reason:
                raise StorageError(f"the pool of {name!r} could not be collected: {reason}")
            n_done += 1
            if say is not None:
                say(f"pools: {n_done}/{len(problems)}")
    pools = [load_pool(path, len(problem.binaries)) for problem, path in zip(problems, paths, strict=True)]
    for path, one in zip(paths, pools, strict=True):
        if one is None:
            raise StorageError(f"the pool {str(path)!r} vanished while pools were collected")
    return [one for one in pools if one is not None]


def _examples(problems: Sequence[MILP], pools: Sequence[Pool], edges: str) -> list[Example]:
    from optengine.solvers.milp.learning.features import bipartite_graph
    from optengine.solvers.milp.learning.training import Example

    found = [
        Example(bipartite_graph(problem, edges), pool.X, pool.values)
        for problem, pool in zip(problems, pools, strict=True)
        if len(pool)
    ]
    if not found:
        raise ProblemError(
            f"instances must have solutions that the backend finds in pool_seconds, got none of {len(problems)}; "
            "give it more seconds"
        )
    return found


def _problems(given: str | PathLike[str] | Iterable[MILP], name: str) -> list[MILP]:
    if isinstance(given, str | PathLike):
        given = _read_folder(Path(given), name)
    problems = list(given)
    for problem in problems:
        if not isinstance(problem, MILP):
            raise ProblemError(f"{name} must be MILP problems, got {type(problem).__name__}")
        if not len(problem.binaries):
            raise ProblemError(f"{name} must have binary variables to predict, got none in {problem.name!r}")
    return problems


def _read_folder(folder: Path, name: str) -> list[MILP]:
    from optengine.problems.formats import read

    if not folder.is_dir():
        raise ProblemError(f"{name} must be problems or a folder of files, got {str(folder)!r}")
    endings = (".mps", ".mps.gz", ".lp", ".lp.gz")
    files = sorted(path for path in folder.iterdir() if path.name.lower().endswith(endings))
    if not files:
        raise ProblemError(
            f"{name} must hold files ending in {', '.join(endings)}, got none in {str(folder)!r}"
        )
    read_now: Any = [read(path) for path in files]
    return list(read_now)


def _split(
    problems: list[MILP], validation: Iterable[MILP] | None, seed: int
) -> tuple[list[MILP], list[MILP]]:
    if validation is not None:
        held = _problems(validation, "validation")
        if not problems or not held:
            raise ProblemError(
                f"instances and validation must hold one problem each at least, got {len(problems)} and {len(held)}"
            )
        return problems, held
    if len(problems) < LEAST:
        raise ProblemError(f"instances must be {LEAST} problems at least, got {len(problems)}")
    order = np.random.default_rng([seed, 0]).permutation(len(problems))
    n_held = max(1, round(VALIDATION_SHARE * len(problems)))
    kept, held_now = np.sort(order[n_held:]), np.sort(order[:n_held])
    return [problems[i] for i in kept], [problems[i] for i in held_now]


def _options(options: dict[str, Any] | None, seed: int) -> tuple[Any, Any]:
    from optengine.solvers.milp.learning.network import NetworkOptions
    from optengine.solvers.milp.learning.training import TrainingOptions

    given = dict(options or {})
    fields = {
        kind: [field.name for field in dataclasses.fields(kind) if field.name != "seed"]
        for kind in (NetworkOptions, TrainingOptions)
    }
    known = [name for names in fields.values() for name in names]
    for name in given:
        if name not in known:
            raise OptionError(
                f"there is no option {name!r}, only {', '.join(known)}{did_you_mean(name, known)}"
            )
    network, training = ({name: given[name] for name in names if name in given} for names in fields.values())
    return NetworkOptions(**network), TrainingOptions(**training, seed=seed)


def _check(
    pool_seconds: float,
    pool_size: int,
    tune_seconds: float,
    tune_limit: float,
    time_limit: float | None,
    workers: int,
    threads: int,
    seed: int,
) -> None:
    whole = {"pool_size": (pool_size, 1), "workers": (workers, 1), "threads": (threads, 1), "seed": (seed, 0)}
    for name, (count, least) in whole.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < least:
            raise OptionError(f"{name} must be an integer >= {least}, got {count!r}")
    positive = {"pool_seconds": pool_seconds, "tune_limit": tune_limit}
    if time_limit is not None:
        positive["time_limit"] = time_limit
    for name, value in positive.items():
        if not 0 < value < np.inf:
            raise OptionError(f"{name} must be a number of seconds > 0, got {value!r}")
    if not 0 <= tune_seconds < np.inf:
        raise OptionError(f"tune_seconds must be a number of seconds >= 0, got {tune_seconds!r}")


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _hush(text: str) -> None:
    pass
