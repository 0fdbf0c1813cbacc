"""Public conformance checks that every solver and problem passes, third-party ones too."""

from optengine.testing.cases import small_problems as small_problems
from optengine.testing.examples import Climber as Climber
from optengine.testing.failure import CheckFailed as CheckFailed
from optengine.testing.problem_checks import check_problem as check_problem
from optengine.testing.solver_checks import check_solver as check_solver

__all__ = ["CheckFailed", "Climber", "check_problem", "check_solver", "small_problems"]
