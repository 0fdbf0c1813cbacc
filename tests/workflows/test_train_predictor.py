"""`train_predictor` from instances to a file that solves, its resume, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import optengine as oe
from optengine.cli import main
from optengine.core.errors import MissingDependency, OptionError, ProblemError
from optengine.problems.generators import combinatorial_auction, generate
from optengine.report.primal import incumbents, primal_gap, primal_integral

pytest.importorskip("torch")

import torch

from optengine.solvers.milp.learning.batches import batch_graphs
from optengine.solvers.milp.learning.features import bipartite_graph
from optengine.solvers.milp.learning.network import Network, NetworkOptions
from optengine.solvers.milp.learning.predictor import Predictor
from optengine.workflows.tune_predictor import WHOLE, candidates, tune_predictor

SMALL = {"width": 8, "depth": 1, "epochs": 3}
QUICK = {"pool_seconds": 0.3, "pool_size": 4, "pool_backend": "highs"}


@pytest.fixture(scope="module")
def family() -> list[oe.problems.MILP]:
    return [combinatorial_auction(seed, 12, 30) for seed in range(5)]


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pools")


def test_from_instances_to_a_predictor(
    family: list[oe.problems.MILP], pools: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ca.pt"
    predictor = oe.train_predictor(
        family,
        out=out,
        pools=pools,
        progress=True,
        options=SMALL,
        seed=1,
        tune_seconds=2.5,
        tune_limit=0.3,
        **QUICK,
    )
    told = capsys.readouterr().err
    assert "pools: 5/5" in told
    assert "epoch 3/3" in told
    assert "tuning on" in told
    assert predictor.details["n_train"] == 4
    assert (
        {"k0", "k1", "radius"}
        <= set(predictor.settings)
        <= {"k0", "k1", "radius", "jump", "first", "backend"}
    )
    unseen = combinatorial_auction(77, 12, 30)
    result = oe.solve(
        unseen, "predict_and_search", time_limit=20, options={"model": str(out), "backend": "highs"}
    )
    exact = oe.solve(unseen, "milp", time_limit=20, options={"backend": "highs"})
    assert result.fun == pytest.approx(exact.fun)


def test_pools_are_kept_and_training_repeats(
    family: list[oe.problems.MILP], pools: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same pools and seed give the same validation loss; nothing is collected twice."""
    with ThreadPoolExecutor(2) as executor:
        one = oe.train_predictor(family, pools=pools, options=SMALL, executor=executor, **QUICK)
    files = {path: path.stat().st_mtime_ns for path in pools.iterdir()}
    two = oe.train_predictor(family, pools=pools, options=SMALL, progress=True, **QUICK)
    assert {path: path.stat().st_mtime_ns for path in pools.iterdir()} == files
    assert "pools:" not in capsys.readouterr().err
    assert one.details["validation_loss"] == two.details["validation_loss"]
    assert np.array_equal(one.scores(family[0]), two.scores(family[0]))


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"instances": []}, ProblemError, "instances must be 2 problems at least, got 0"),
        ({"instances": ["a.mps"]}, ProblemError, "instances must be MILP problems, got str"),
        ({"instances": "nowhere"}, ProblemError, "must be problems or a folder of files, got 'nowhere'"),
        ({"options": {"epoch": 3}}, OptionError, "did you mean 'epochs'"),
        ({"options": {"loss": "bce"}}, OptionError, "loss must be one of"),
        ({"workers": 0}, OptionError, "workers must be an integer >= 1"),
        ({"pool_seconds": 0}, OptionError, "pool_seconds must be a number of seconds > 0"),
        ({"tune_seconds": -1}, OptionError, "tune_seconds must be a number of seconds >= 0"),
        ({"seed": -1}, OptionError, "seed must be an integer >= 0"),
        ({"validation": []}, ProblemError, "must hold one problem each at least"),
        ({"edges": "twos"}, OptionError, "edges must be one of"),
    ],
)
def test_wrong_arguments_are_told(
    family: list[oe.problems.MILP], pools: Path, arguments: dict[str, object], error: type, words: str
) -> None:
    given = {"instances": family, "pools": pools, "options": SMALL} | QUICK | arguments
    with pytest.raises(error, match=words):
        oe.train_predictor(**given)  # type: ignore[arg-type]


def test_instances_of_two_classes_are_refused(family: list[oe.problems.MILP]) -> None:
    with pytest.raises(ProblemError, match="instances must be of one class"):
        oe.train_predictor([*family, generate("set_cover", "tiny", 0)], **QUICK)
    with pytest.raises(ProblemError, match="must have binary variables to predict"):
        oe.train_predictor([*family, oe.problems.MILP([1.0, 1.0])], **QUICK)


def test_instances_without_solutions_are_told() -> None:
    none = oe.problems.MILP([1.0, 1.0], [[1.0, 1.0]], lower=3.0, bounds=(0, 1), integrality=1)
    with pytest.raises(ProblemError, match="must have solutions that the backend finds"):
        oe.train_predictor([none, none], options=SMALL, **QUICK)


def test_torch_is_an_extra() -> None:
    """Without torch one sentence names what to install."""
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import optengine as oe\n"
        "problem = oe.problems.MILP([1.0, 2.0], bounds=(0, 1), integrality=1)\n"
        "for call in (lambda: oe.train_predictor([]),\n"
        "             lambda: oe.solve(problem, 'predict_and_search', options={'model': 'x.pt'})):\n"
        "    try:\n        call()\n"
        "    except oe.MissingDependency as error:\n        print(error)"
    )
    process = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout.count("optengine[learn]") == 2
    assert issubclass(MissingDependency, ImportError)


def test_the_command_trains_and_solves(
    family: list[oe.problems.MILP], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from optengine.problems.formats.linear_writer import save_milp

    for i, problem in enumerate(family[:3]):
        save_milp(problem, tmp_path / f"{i}.mps")
    out = str(tmp_path / "ca.pt")
    line = ["train-predictor", str(tmp_path), "--out", out, "--pool-seconds", "0.5", "--epochs", "1"]
    assert main([*line, "--no-progress"]) == 0
    assert "--model" in capsys.readouterr().out
    solve = ["solve", str(tmp_path / "0.mps"), "--solver", "predict_and_search", "--model", out]
    assert main([*solve, "--time-limit", "10", "--no-progress"]) == 0
    assert "predict_and_search" in capsys.readouterr().out
    assert main([*solve[:-1], str(tmp_path / "0.mps"), "--time-limit", "5"]) == 2
    assert "is not a predictor file" in capsys.readouterr().err


# -- tuning and measures ---------------------------------------------------------------------------------------------


class Oracle(Predictor):
    """Scores by a known solution."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self.settings, self.details = x, {}, {}

    def refuses(self, problem: oe.problems.MILP) -> str | None:
        return None

    def scores(self, problem: oe.problems.MILP, threads: int = 1) -> np.ndarray:
        return np.asarray(self.x, dtype=float)

    def tuned(self, settings: object, **details: object) -> Predictor:
        other = Oracle(self.x)
        other.settings, other.details = dict(settings), dict(details)  # type: ignore[call-overload]
        return other


def test_radii_are_what_validation_needs(family: list[oe.problems.MILP]) -> None:
    """Perfect scores need no radius; scores upside down need too much and leave the bare solver."""
    from optengine.solvers.milp.learning.pools import Pool

    x = np.zeros(30)
    x[:5] = 1.0
    pool = Pool(x[None].astype(np.uint8), np.zeros(1), True, "scip", 1.0)
    found = candidates(Oracle(x), [(family[0], pool)])
    assert found[0] == WHOLE
    assert len(found) > 3
    assert {row["radius"] for row in found if row["k0"] <= 25 / 30} == {0.0}
    assert all(row["k0"] + row["k1"] <= 1 for row in found)
    assert candidates(Oracle(-x[::-1]), [(family[0], pool)])[-1]["radius"] <= 0.3


def test_tuning_keeps_to_its_budget(family: list[oe.problems.MILP]) -> None:
    oracle = Oracle(np.zeros(30))
    tuned = tune_predictor(oracle, family[:2], seconds=1.0, time_limit=0.2, backend="highs")
    assert tuned.details["tune_runs"] <= 5
    assert {"k0", "k1", "radius"} <= set(tuned.settings) <= {"k0", "k1", "radius", "jump", "first"}
    with pytest.raises(OptionError, match="must last for two runs"):
        tune_predictor(oracle, family[:1], seconds=1.0, time_limit=1.0)
    with pytest.raises(ProblemError, match="one at least"):
        tune_predictor(oracle, [], seconds=10.0)


def test_tuning_chooses_phases_and_backend_too(family: list[oe.problems.MILP]) -> None:
    """What the settings say is what the search does."""
    from optengine.workflows import tune_predictor as module

    seen: list[dict[str, object]] = []
    oracle = Oracle(np.zeros(30))
    tuned = tune_predictor(
        oracle, family[:1], seconds=6.0, time_limit=0.2, say=lambda text: seen.append({text: 0})
    )
    ways = [str(row) for row in seen]
    for way in module.WAYS:
        assert any(str(way)[1:-1] in text for text in ways)
    result = oe.solve(family[1], "predict_and_search", time_limit=2, seed=0, options={"predictor": tuned})
    assert ("start" in result.details) == (tuned.settings.get("jump", 0.05) > 0)
    given = tune_predictor(oracle, family[:1], seconds=2.0, time_limit=0.2, jump=0.0, backend="highs")
    assert not {"jump", "backend"} & set(given.settings)


def test_interchangeable_columns_get_one_score() -> None:
    """The bins of item placement can be exchanged: the network cannot tell them apart, in whatever order they stand."""
    from optengine.problems.generators import item_placement

    bins, items = 4, 7
    problem = item_placement(0, bins, 5, 2, 2)
    torch.manual_seed(0)
    network = Network(NetworkOptions(width=16)).eval()

    def logits(one: oe.problems.MILP) -> np.ndarray:
        with torch.inference_mode():
            return network(batch_graphs([bipartite_graph(one)])).numpy()

    found = logits(problem).reshape(items, bins)
    assert np.ptp(found, axis=1).max() < 1e-5
    assert np.ptp(found, axis=0).min() > 1e-4  # items differ
    order = np.random.default_rng(0).permutation(problem.n_variables)
    moved = oe.problems.MILP(
        problem.c[order], problem.A[:, order], problem.lower, problem.upper,
        (problem.lb[order], problem.ub[order]), problem.integrality[order],
    )  # fmt: skip
    whole = order[problem.integrality[order]]  # columns in their new order
    assert logits(moved) == pytest.approx(found.ravel()[whole], abs=1e-5)


def test_primal_measures_by_hand(family: list[oe.problems.MILP]) -> None:
    assert primal_gap([10.0, 20.0, np.nan, -10.0], 10.0).tolist() == [0.0, 0.5, 1.0, 1.0]
    assert primal_gap(0.0, 0.0) == 0.0
    # No incumbent for 1 s, gap 0.5 for 2 s, gap 0 from then on.
    assert primal_integral([1.0, 3.0], [20.0, 10.0], 10.0, 5.0) == pytest.approx(2.0)
    assert primal_integral([], [], 10.0, 5.0) == 5.0
    result = oe.solve(family[0], "milp", time_limit=5, options={"backend": "highs"})
    seconds, values = incumbents(result)
    assert values[-1] == result.fun
    assert (np.diff(values) > 0).all()
    assert (np.diff(seconds) >= 0).all()
