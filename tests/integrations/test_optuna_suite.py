"""Optuna's own tests of a sampler, on ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("optuna")
suites = pytest.importorskip("optuna.testing.pytest_samplers", reason="this Optuna keeps its suite to itself")

from optuna.samplers import BaseSampler

from optengine.integrations.optuna import OptEngineSampler

BasicSamplerTestCase = suites.BasicSamplerTestCase
RelativeSamplerTestCase = suites.RelativeSamplerTestCase
MultiObjectiveSamplerTestCase = suites.MultiObjectiveSamplerTestCase
SingleOnlySamplerTestCase = suites.SingleOnlySamplerTestCase
del suites


class _Ours:
    solver = ""

    @pytest.fixture
    def sampler(self) -> Callable[[], BaseSampler]:
        return lambda: OptEngineSampler(self.solver, seed=0)


class TestCEM(_Ours, BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    solver = "cem"


class TestTPE(_Ours, BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    solver = "tpe"


class TestCMAES(_Ours, BasicSamplerTestCase, RelativeSamplerTestCase, SingleOnlySamplerTestCase):
    solver = "cmaes"


class TestBO(_Ours, BasicSamplerTestCase, RelativeSamplerTestCase, MultiObjectiveSamplerTestCase):
    solver = "bo"
