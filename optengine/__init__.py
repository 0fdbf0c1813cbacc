"""State a problem once and solve it with what fits: one `Problem`, one `Result`, one `solve()`.

Importing this package loads none of its modules and no third-party library: names resolve on first use.
"""

from pathlib import Path
from typing import TYPE_CHECKING

_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "problems" / "__init__.py").is_file():
    __path__.append(str(_root))  # a source checkout keeps `problems` and `solvers` beside this folder
del Path, _root

if TYPE_CHECKING:
    from optengine import (
        integrations as integrations,
        problems as problems,
        report as report,
        solvers as solvers,
        testing as testing,
        workflows as workflows,
    )
    from optengine.batch import run_batch as run_batch
    from optengine.core.errors import (
        DeviceError as DeviceError,
        EvaluationFailed as EvaluationFailed,
        MissingDependency as MissingDependency,
        OptEngineError as OptEngineError,
        OptionError as OptionError,
        ProblemError as ProblemError,
        SolverNotSuitable as SolverNotSuitable,
        SpaceError as SpaceError,
        StorageError as StorageError,
    )
    from optengine.core.evaluation import Evaluation as Evaluation
    from optengine.core.history import History as History
    from optengine.core.problem import (
        Constraint as Constraint,
        Failed as Failed,
        Objective as Objective,
        Partial as Partial,
        Problem as Problem,
    )
    from optengine.core.result import Result as Result, Status as Status
    from optengine.core.space import (
        Binary as Binary,
        Cardinality as Cardinality,
        Categorical as Categorical,
        Integer as Integer,
        Ordinal as Ordinal,
        Permutation as Permutation,
        Predicate as Predicate,
        Real as Real,
        Row as Row,
        Simplex as Simplex,
        Space as Space,
        Subset as Subset,
        as_space as as_space,
    )
    from optengine.core.steps import (
        EvaluationStopped as EvaluationStopped,
        intermediate as intermediate,
    )
    from optengine.engine import (
        Candidate as Candidate,
        Optimizer as Optimizer,
        maximize as maximize,
        minimize as minimize,
        solve as solve,
    )
    from optengine.engine.stopping import (
        CurveRule as CurveRule,
        HalvingRule as HalvingRule,
        MedianRule as MedianRule,
    )
    from optengine.warming import warmup as warmup
    from optengine.workflows.train_predictor import train_predictor as train_predictor

    __version__: str
else:
    from optengine.core.lazy import attach

    _resolve, __dir__, __all__ = attach(
        __name__,
        {
            "optengine.batch": ["run_batch"],
            "optengine.core.errors": [
                "DeviceError",
                "EvaluationFailed",
                "MissingDependency",
                "OptEngineError",
                "OptionError",
                "ProblemError",
                "SolverNotSuitable",
                "SpaceError",
                "StorageError",
            ],
            "optengine.core.evaluation": ["Evaluation"],
            "optengine.core.history": ["History"],
            "optengine.core.problem": ["Constraint", "Failed", "Objective", "Partial", "Problem"],
            "optengine.core.result": ["Result", "Status"],
            "optengine.core.space": [
                "Binary",
                "Cardinality",
                "Categorical",
                "Integer",
                "Ordinal",
                "Permutation",
                "Predicate",
                "Real",
                "Row",
                "Simplex",
                "Space",
                "Subset",
                "as_space",
            ],
            "optengine.core.steps": ["EvaluationStopped", "intermediate"],
            "optengine.engine": ["Candidate", "Optimizer", "maximize", "minimize", "solve"],
            "optengine.engine.stopping": ["CurveRule", "HalvingRule", "MedianRule"],
            "optengine.warming": ["warmup"],
            "optengine.workflows.train_predictor": ["train_predictor"],
        },
        subpackages=["integrations", "problems", "report", "solvers", "testing", "workflows"],
    )
    del attach

    def __getattr__(name):
        if name == "__version__":
            from importlib.metadata import version

            return version("optengine")
        return _resolve(name)
