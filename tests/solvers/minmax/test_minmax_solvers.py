"""Min-max solvers: proofs against exhaustion, claims kept, starts honoured, time kept, sparse and batched problems."""

from __future__ import annotations

import importlib
import itertools
import time

import numpy as np
import pytest
from scipy.sparse import csr_array

import optengine as oe
from optengine import registry
from optengine.core.errors import DeviceError, OptionError, SolverNotSuitable
from optengine.problems.applications.fir_filter import fir_filter
from optengine.problems.applications.quantize_linear import quantize_linear
from optengine.problems.applications.tomography import phantom, tomography
from optengine.problems.minmax import MinMaxViolation
from optengine.solvers.minmax import DMMV, DMMVReference, MinMaxExact, device
from optengine.solvers.minmax.branch import Branch
from optengine.solvers.minmax.form import forms
from optengine.solvers.minmax.relaxation import chebyshev
from optengine.solvers.minmax.rounding import sequential

ONE = DMMV(threads=1)


def exhausted(problem: MinMaxViolation) -> float:
    counts = [range(int(k)) for k in problem.sets.count]
    X = np.array(list(itertools.product(*counts)), dtype=np.float64)
    return float(problem.evaluate(X).F.min())


def small(seed: int, **change: object) -> MinMaxViolation:
    """Five variables of 3 to 5 levels, every third problem with uneven ones; one- and two-sided rows."""
    rng = np.random.default_rng(seed)
    m, n = 9, 5
    A = rng.standard_normal((m, n))
    b = rng.normal(0, 2, m)
    low, high = np.where(rng.random(m) < 0.2, -np.inf, b), b + rng.exponential(0.2, m)
    levels = [np.arange(k) / 2.0 for k in rng.integers(3, 6, n)]
    if seed % 3 == 0:
        levels = [np.sort(rng.choice(10, 4, replace=False)) / 4.0 for _ in range(n)]
    given = {
        "A": A,
        "lower": low,
        "upper": high,
        "levels": levels,
        "weights": rng.uniform(0.5, 2, m),
    } | change
    return MinMaxViolation(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_proofs_agree_with_exhaustion(seed: int) -> None:
    problem = small(seed)
    optimum = exhausted(problem)
    for method in ("auto", "branch", "milp"):
        result = oe.solve(problem, MinMaxExact(method=method, search=0.3), time_limit=20, seed=0)
        assert result.status == "optimal"
        assert result.fun == pytest.approx(optimum, rel=1e-5)
        assert optimum * (1 - 1e-4) <= result.bound <= result.fun


@pytest.mark.parametrize("seed", range(3))
def test_lattice_proofs_hold_where_columns_repeat(seed: int) -> None:
    """No ellipsoid is bounded then but for the box."""
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((20, 3))
    A[:, 2] = (A[:, 1], -2 * A[:, 0], 0.0 * A[:, 1])[seed]
    problem = MinMaxViolation.equality(A, rng.normal(0, 20, 20), np.arange(40.0) - 20)
    result = oe.solve(problem, MinMaxExact(method="lattice", search=0.0), time_limit=20, seed=0)
    assert result.status == "optimal"
    assert result.fun == pytest.approx(exhausted(problem))


@pytest.mark.parametrize("seed", range(3))
def test_searches_find_small_optima_and_claim_no_more(seed: int) -> None:
    problem = small(seed)
    optimum = exhausted(problem)
    for solver in (ONE, DMMV(threads=1, lattice=False), DMMVReference(epsilon=0.0, share=0.4)):
        result = oe.solve(problem, solver, time_limit=0.5, seed=0, target=optimum + 1e-12)
        assert result.fun == pytest.approx(optimum)
        assert result.bound is None or result.bound <= optimum


def test_sparse_problems_are_solved_alike() -> None:
    problem = small(1, A=np.round(small(1).A, 0))
    sparse = MinMaxViolation(
        csr_array(problem.A), problem.lower, problem.upper, problem.sets, problem.weights
    )
    result = oe.solve(sparse, ONE, time_limit=0.5, seed=0, target=exhausted(problem) + 1e-12)
    assert result.status == "target_reached"


def test_fixed_variables_and_free_rows() -> None:
    problem = small(2, fixed={0: 0.5, 3: 1.0}, upper=np.inf)
    result = oe.solve(problem, ONE, time_limit=0.5, seed=0, target=exhausted(problem) + 1e-12)
    assert result.x[0] == 0.5
    assert result.x[3] == 1.0
    assert result.fun == pytest.approx(exhausted(problem))
    whole = small(2, fixed=dict.fromkeys(range(5), 0.5))
    assert oe.solve(whole, ONE, time_limit=1, seed=0).status == "optimal"


def test_a_problem_without_violation_ends_at_once() -> None:
    problem = MinMaxViolation(np.eye(3), -1.0, 1.0, np.arange(-3.0, 4.0))
    result = oe.solve(problem, ONE, time_limit=5, seed=0)
    assert (result.status, result.fun) == ("optimal", 0)


def test_several_sides_are_searched_each() -> None:
    rng = np.random.default_rng(0)
    problem = quantize_linear(rng.standard_normal((3, 6)), rng.standard_normal((30, 6)), 2)
    result = oe.solve(problem, ONE, time_limit=1.5, seed=0)
    singles = [exhausted(quantize_linear(row, problem.X, 2)) for row in problem.W]
    np.testing.assert_allclose(result.details["side_values"], singles, rtol=1e-9)
    assert result.fun == pytest.approx(max(singles))
    assert result.details["sides"].shape == (3, 6)
    np.testing.assert_allclose(problem.worst_errors(result.details["sides"]), singles, rtol=1e-9)


def test_starts_are_honoured_and_time_is_kept() -> None:
    problem = MinMaxViolation.random(np.random.default_rng(0), 60, 40)
    good = oe.solve(problem, ONE, time_limit=0.5, seed=0)
    for solver in (ONE, DMMVReference(), DMMV(threads=2)):
        began = time.perf_counter()
        result = oe.solve(problem, solver, time_limit=0.3, seed=1, x0=good.x)
        assert result.fun <= good.fun
        assert time.perf_counter() - began < 20
    assert oe.solve(problem, ONE, budget=50_000, seed=0).n_evaluations >= 50_000


def test_options_and_problems_are_checked() -> None:
    for options in ({"threads": 0}, {"lattice": 1}, {"lattice": False, "walk": False}):
        with pytest.raises(OptionError):
            DMMV(**options)
    with pytest.raises(OptionError):
        MinMaxExact(method="guess")
    with pytest.raises(OptionError):
        DMMVReference(share=0)
    uneven = small(0)
    with pytest.raises(SolverNotSuitable, match="equally spaced"):
        oe.solve(uneven, MinMaxExact(method="lattice"), time_limit=1)
    sparse = MinMaxViolation.random(np.random.default_rng(0), 9, 5, density=0.5)
    with pytest.raises(SolverNotSuitable, match="dense A of at most 64"):
        oe.solve(sparse, MinMaxExact(method="branch"), time_limit=1)
    with pytest.raises(SolverNotSuitable, match="MinMaxViolation"):
        oe.solve(oe.Problem(lambda x: 0.0, [(0, 1)]), ONE, time_limit=1)


def test_a_device_is_taken_refused_or_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    form = forms(small(1))[0]
    monkeypatch.setattr(device.cuda, "available", lambda: False)
    assert device.settle("cpu", form, False) == device.settle("auto", form, False) == (False, "cpu")
    with pytest.raises(DeviceError, match="got 'cuda': there is no cupy"):
        oe.solve(small(1), ONE, time_limit=1, device="cuda")
    monkeypatch.setattr(device.cuda, "available", lambda: True)
    monkeypatch.setattr(device.cuda, "free_bytes", lambda: 10**9)
    assert device.settle("cuda", form, False) == (True, "cuda")
    monkeypatch.setattr(device, "WORTHWHILE", 1)
    assert device.settle("auto", form, False) == (True, "cuda")
    monkeypatch.setattr(device.cuda, "free_bytes", lambda: 100)
    taken, told = device.settle("auto", form, True)
    assert not taken
    assert "0.00 GB free" in told
    assert oe.solve(small(1), ONE, time_limit=0.1, seed=0).details["device"] == told.replace(
        f"{device.bytes_needed(form, True) / 1e9:.2f}", f"{device.bytes_needed(form, False) / 1e9:.2f}"
    )
    with pytest.raises(DeviceError, match="GB"):
        device.settle("cuda", form, False)
    with pytest.raises(DeviceError, match="sparse"):
        device.settle(
            "cuda", forms(MinMaxViolation.random(np.random.default_rng(0), 9, 5, density=0.5))[0], False
        )


def test_descents_of_the_device_by_their_definition(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine on the definition of the kernels: never worse, what it says of its best is true, and solve uses it."""
    problem = MinMaxViolation.random(np.random.default_rng(1), 30, 12)
    form = forms(problem)[0]
    ends = []
    for double in (True, False):
        start = np.zeros(12, dtype=np.int64)
        walk = device.DeviceWalk(form, start, np.random.default_rng(0), double, device.cuda.OnHost)
        for _ in range(3):
            before = walk.value
            walk.turn()
            assert walk.value <= before
            assert walk.value == pytest.approx(form.value(walk.best))
        assert walk.spent > 0
        ends.append(walk.value)
    assert max(ends) < 0.5 * form.value(np.zeros(12, dtype=np.int64))
    monkeypatch.setattr(device.cuda, "available", lambda: True)
    monkeypatch.setattr(device.cuda, "free_bytes", lambda: 10**9)
    monkeypatch.setattr(device.DeviceWalk.__init__, "__defaults__", (device.cuda.OnHost,))
    result = oe.solve(problem, DMMV(threads=1, lattice=False), time_limit=1.0, seed=0, device="cuda")
    assert result.details["device"] == "cuda"
    assert result.fun <= min(ends) + 1e-9


def test_bounds_are_those_of_the_relaxation() -> None:
    """Weak duality: the bound never passes the relaxation's value at any point."""
    for seed in range(5):
        form = forms(small(seed))[0]
        relaxed = chebyshev(form, 1.0, 10.0)
        assert relaxed.x is not None
        value = float(np.maximum(np.abs(form.A @ relaxed.x - form.centre) - form.half, 0).max())
        assert relaxed.bound <= value + 1e-9
        assert relaxed.bound == pytest.approx(value, abs=1e-6)


def test_sequential_rounding_is_gptq() -> None:
    rng = np.random.default_rng(0)
    w, X = rng.standard_normal(12), rng.standard_normal((40, 12))
    problem = quantize_linear(w, X, 3)
    form = forms(problem)[0]
    np.testing.assert_allclose(form.levels(sequential(form, w)), problem.gptq()[0])


@pytest.mark.parametrize(("bands", "taps", "bits", "value"), [("A", 35, 8, 0.02998), ("C", 45, 8, 0.0162)])
def test_literature_filters(bands: str, taps: int, bits: int, value: float) -> None:
    result = oe.solve(fir_filter(taps, bands, bits), ONE, time_limit=20, seed=0, target=value)
    assert result.status == "target_reached"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bands", "taps", "bits", "value"),
    [("B", 35, 9, 0.0772), ("D", 45, 9, 0.0262), ("E", 45, 8, 0.02888), ("A", 125, 21, 1.07e-5)],
)
def test_more_literature_filters(bands: str, taps: int, bits: int, value: float) -> None:
    result = oe.solve(fir_filter(taps, bands, bits), ONE, time_limit=60, seed=0, target=value)
    assert result.status == "target_reached"


@pytest.mark.slow
def test_signed_powers_of_two() -> None:
    problem = fir_filter(35, "A", 10, powers_of_two=2)
    assert oe.solve(problem, ONE, time_limit=20, seed=0, target=0.0270).status == "target_reached"
    proof = oe.solve(problem, MinMaxExact(), time_limit=300, seed=0)
    assert proof.status == "optimal"
    assert proof.fun == pytest.approx(0.0269349, abs=1e-7)


@pytest.mark.parametrize(("bands", "taps", "bits"), [("A", 21, 7), ("C", 25, 8), ("E", 29, 7)])
def test_proofs_of_filters_agree(bands: str, taps: int, bits: int) -> None:
    """Branch and bound from a poor incumbent, in small turns, ends where the lattice's sweep ends."""
    problem = fir_filter(taps, bands, bits)
    form = forms(problem)[0]
    middle = form.nearest((form.lowest + form.highest) / 2)
    tree = Branch(form, middle, form.value(middle))
    while not tree.proved:
        tree.run(37)
    assert tree.value == pytest.approx(form.value(tree.best), rel=1e-12)
    lattice = oe.solve(problem, MinMaxExact(method="lattice"), time_limit=60, seed=0)
    assert lattice.status == "optimal"
    assert tree.value == pytest.approx(lattice.fun, rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("bands", "taps"), [("A", 35), ("A", 45), ("C", 45), ("E", 45)])
def test_literature_filters_are_proved(bands: str, taps: int) -> None:
    result = oe.solve(fir_filter(taps, bands, 8), MinMaxExact(), time_limit=120, seed=0)
    assert result.status == "optimal"


@pytest.mark.slow
def test_binary_tomography_is_proved_and_is_the_truth() -> None:
    rng = np.random.default_rng(1)
    problem = tomography(phantom(32, 2, rng), 8, noise=0.5, rng=rng)
    result = oe.solve(problem, MinMaxExact(), time_limit=120, seed=0)
    assert result.status == "optimal"
    assert result.details["wrong_pixels"] == 0


def test_auto_takes_dmmv_and_says_why() -> None:
    for problem in (small(1), quantize_linear(np.ones((1, 3)) * [0.0, 0.4, 1.0], np.eye(3), 1)):
        result = oe.solve(problem, time_limit=0.2, seed=0)
        assert result.solver == "dmmv"
        assert result.reason.startswith("rule 0: a min-max violation")
    for place, (solver, _) in registry.STRUCTURED.items():
        module, name = place.split(":")
        assert isinstance(getattr(importlib.import_module(module), name), type)
        assert solver in registry.SOLVERS


@pytest.mark.parametrize("solver", ["cem", "random", "sobol"])
def test_black_box_solvers_run_on_it_too(solver: str) -> None:
    problem = small(1)
    result = oe.solve(problem, solver, budget=400, seed=0)
    assert result.fun >= exhausted(problem)
    assert result.n_evaluations == 400
