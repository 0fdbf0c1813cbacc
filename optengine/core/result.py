"""What a run gave back, in the user's words and direction."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import StorageError, require
from optengine.core.history import History
from optengine.core.levels import lasting_name
from optengine.core.space import Space
from optengine.core.spaceio import space_from_dict, space_to_dict

if TYPE_CHECKING:
    from pandas import DataFrame

Floats = NDArray[np.float64]
FORMAT = "optengine.result.1"


class Status(StrEnum):
    """Why a run ended; members compare equal to their lower-case strings."""

    OPTIMAL = "optimal"
    TARGET_REACHED = "target_reached"
    BUDGET_EXHAUSTED = "budget_exhausted"
    TIME_LIMIT = "time_limit"
    CONVERGED = "converged"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    STOPPED = "stopped"
    FAILED = "failed"
    UNVERIFIED = "unverified"


@dataclass
class Front:
    """The feasible points that no other evaluated point dominates.

    Attributes:
        X: (k, width) encoded. F: (k, objectives) in the user's direction, sorted by the first objective.
    """

    X: Floats
    F: Floats
    space: Space = field(repr=False)

    @property
    def x(self) -> list[Any]:
        """The points as the user sees them."""
        return self.space.decode(self.X)

    def __len__(self) -> int:
        return len(self.X)


@dataclass
class Result:
    """Outcome of a run.

    Attributes:
        x, fun: best feasible point and its value (several objectives: None, see `front`); if nothing was feasible,
            the point of least violation; None if nothing was evaluated.
        feasible, violation: whether x satisfies all constraints; sum of its violations.
        status: a `Status`. message: one sentence about it.
        bound, gap: proved bound on the objective, relative distance to it |fun - bound| / |fun|; None without proof.
        front: `Front` of a problem with several objectives, else None.
        history: `History` of the evaluations.
        n_evaluations, seconds: what the run spent, over all its sessions.
        solver, options, reason: solver name, its options, and why `auto` chose it.
        seed: reproduces the run. details: diagnostics, and what the problem says about x.
    """

    x: Any
    fun: float | None
    feasible: bool
    violation: float
    status: Status
    history: History = field(repr=False)
    space: Space = field(repr=False)
    objectives: tuple[tuple[str, str], ...]  # (name, direction) of each
    constraints: tuple[str, ...] = ()
    bound: float | None = None
    gap: float | None = None
    front: Front | None = None
    n_evaluations: int = 0
    seconds: float = 0.0
    solver: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    seed: int | None = None
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    problem: str = ""

    def __str__(self) -> str:
        return "\n".join(f"{name:>13}  {text}" for name, text in self._lines())

    def _lines(self) -> list[tuple[str, str]]:
        lines = [
            ("problem", self.problem),
            ("solver", self.solver + (f"  ({self.reason})" if self.reason else "")),
        ]
        lines.append(("status", f"{self.status}" + (f": {self.message}" if self.message else "")))
        if self.front is not None:
            names = ", ".join(name for name, _ in self.objectives)
            lines.append(("front", f"{len(self.front)} points ({names})"))
            for column, (name, _) in enumerate(self.objectives):
                values = self.front.F[:, column]
                if len(values):
                    lines.append((name, f"{values.min():.6g} to {values.max():.6g}"))
        elif self.fun is not None:
            lines.append((self.objectives[0][0], f"{self.fun:.10g}"))
        if self.bound is not None:
            lines.append(
                ("bound", f"{self.bound:.10g}" + ("" if self.gap is None else f"  (gap {self.gap:.3%})"))
            )
        if self.x is not None and not self.feasible:
            lines.append(("violation", f"{self.violation:.6g}  (nothing feasible was found)"))
        if isinstance(self.x, dict):
            lines += [(f"x.{name}", _brief(value)) for name, value in self.x.items()]
        elif self.x is not None:
            lines.append(("x", _brief(self.x)))
        lines.append(("evaluations", f"{self.n_evaluations} in {self.seconds:.3g} s, seed {self.seed}"))
        return lines

    def to_frame(self) -> DataFrame:
        """Return the evaluations as a pandas DataFrame: number, seconds, variables, objectives, constraints, failed.

        A variable whose name is also that of another column becomes `x.name`.
        """
        pandas = require("pandas", extra="frame")
        history = self.history
        columns: dict[str, Any] = {"number": history.number, "seconds": history.seconds}
        decoded = self.space.columns(history.X)
        active = self.space.active(history.X)
        taken = {*columns, "failed", *(name for name, _ in self.objectives), *self.constraints}
        for name, values in (decoded if self.space.named else {"x": decoded}).items():
            start = self.space.slices[name].start
            name = f"x.{name}" if name in taken else name
            if values.ndim == 1:
                off = ~active[:, start]
                columns[name] = pandas.Series(values).mask(off) if off.any() else values
            else:
                flat = values.reshape(len(values), math.prod(values.shape[1:]))
                columns |= {f"{name}[{i}]": flat[:, i] for i in range(flat.shape[1])}
        for i, (name, _) in enumerate(self.objectives):
            columns[name] = history.F[:, i]
        for i, name in enumerate(self.constraints):
            columns[name] = history.G[:, i]
        columns["failed"] = history.failed
        frame: DataFrame = pandas.DataFrame(columns)
        return frame

    def plot(self, kind: str | None = None, **options: Any) -> Any:
        """Draw the run and return a matplotlib Axes.

        Kinds: "history" or "front" (default: what the run has), "convergence", "graph" (of a DAGProblem), and, of a
        model fitted to the evaluations, "importance", "slice", "contour", "cross_validation"; their options:
        `report.plots.plot_result`.
        """
        from optengine.report.plots import plot_result

        return plot_result(self, kind, **options)

    # -- JSON --------------------------------------------------------------------------------------------------

    def to_dict(self, history: bool = True) -> dict[str, Any]:
        """Return a JSON-able dict; arrays of the history are base64 of little-endian numbers, so nothing is rounded."""
        encoded = None if self.x is None else self.space.encode(self.x)[0].tolist()
        front = None if self.front is None else {k: jsonable(getattr(self.front, k).tolist()) for k in "XF"}
        return {
            "format": FORMAT,
            "problem": self.problem,
            "space": space_to_dict(self.space),
            "objectives": [list(o) for o in self.objectives],
            "constraints": list(self.constraints),
            "x": jsonable(self.x),
            "x_encoded": encoded,
            "front": front,
            "history": {k: _pack(v) for k, v in self.history.state().items()} if history else None,
            **{name: jsonable(getattr(self, name)) for name in _PLAIN},
        }

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the result as JSON text, and write it to `path` if given."""
        text = json.dumps(self.to_dict(), indent=1)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    @staticmethod
    def from_json(source: str | Path) -> Result:
        """Read a result from JSON text or from a file.

        Raises:
            StorageError: the text is not a stored result.
        """
        is_text = isinstance(source, str) and source.lstrip().startswith("{")
        try:
            data = json.loads(source if is_text else Path(source).read_text(encoding="utf-8"))  # type: ignore[arg-type]
        except (ValueError, UnicodeDecodeError) as error:
            raise StorageError(f"source must be JSON of a Result, got text that is not ({error})") from None
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise StorageError(f"source must be a Result stored as {FORMAT}, got something else")
        return Result.from_dict(data)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Result:
        """Rebuild the result that `to_dict` described."""
        space = space_from_dict(data["space"])
        objectives = tuple((name, direction) for name, direction in data["objectives"])
        signs = np.array([1.0 if direction == "minimize" else -1.0 for _, direction in objectives])
        if data["history"] is None:
            history = History(signs, space.width, len(data["constraints"]))
        else:
            history = History.restore({k: _unpack(v) for k, v in data["history"].items()})
        front = data["front"]
        values = {name: _from_json(data[name]) for name in _PLAIN}
        return Result(
            x=None if data["x_encoded"] is None else space.decode_one(np.array(data["x_encoded"])),
            history=history,
            space=space,
            objectives=objectives,
            constraints=tuple(data["constraints"]),
            front=None if front is None else _front(front, space, len(objectives)),
            problem=data["problem"],
            **values | {"status": Status(values["status"])},
        )


_PLAIN = (
    "fun", "feasible", "violation", "status", "bound", "gap", "n_evaluations", "seconds", "solver", "options",
    "reason", "seed", "message", "details",
)  # fmt: skip


def relative_gap(fun: float | None, bound: float | None) -> float | None:
    """Return |fun - bound| / |fun|, 0 when they are equal, inf at fun = 0; None when either is missing."""
    if fun is None or bound is None:
        return None
    if fun == bound:
        return 0.0
    return abs(fun - bound) / abs(fun) if fun else math.inf


def jsonable(value: Any) -> Any:
    """Return a JSON value for scalars, containers, arrays and non-finite floats; others become a name."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufU":
            return jsonable(value.tolist())
        plain = value.dtype.kind != "f" or np.isfinite(value).all()
        return {"array": value.tolist() if plain else jsonable(value.tolist()), "dtype": str(value.dtype)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, dict):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(v) for v in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return lasting_name(value)


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"float"}:
            return float(value["float"])
        if set(value) == {"array", "dtype"}:
            return np.array(_from_json(value["array"]), dtype=value["dtype"])
        return {k: _from_json(v) for k, v in value.items()}
    return [_from_json(v) for v in value] if isinstance(value, list) else value


def _front(stored: dict[str, Any], space: Space, n_objectives: int) -> Front:
    X, F = (np.array(_from_json(stored[k]), dtype=np.float64) for k in "XF")
    return Front(X.reshape(-1, space.width), F.reshape(-1, n_objectives), space)


def _pack(array: NDArray[Any]) -> dict[str, Any]:
    little = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"))
    return {
        "dtype": little.dtype.str,
        "shape": list(array.shape),
        "data": base64.b64encode(little.tobytes()).decode(),
    }


def _unpack(packed: dict[str, Any]) -> NDArray[Any]:
    flat = np.frombuffer(base64.b64decode(packed["data"]), dtype=packed["dtype"])
    return flat.reshape(packed["shape"]).astype(flat.dtype.newbyteorder("="))


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray):
        with np.printoptions(threshold=12, edgeitems=4, precision=6):
            return str(value).replace("\n", " ")
    return f"{value:.10g}" if isinstance(value, float) else repr(value)
