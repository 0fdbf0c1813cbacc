"""What an objective returned, read into numbers.

A float, a sequence, or a dict by name becomes one row of F and G. A missing name, a wrong length or a string breaks
the contract and is an error at once; NaN, None and `Failed` mean that this evaluation gave no value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from optengine.core.errors import ProblemError, did_you_mean
from optengine.core.evaluation import Evaluation

if TYPE_CHECKING:
    from optengine.core.problem import Constraint, Objective

Floats: TypeAlias = NDArray[np.float64]


@dataclass(slots=True)
class Measured:
    """One evaluated row, minimising; `reason` says why there is no value."""

    f: tuple[float, ...]
    g: tuple[float, ...]
    noise: tuple[float, ...] | None = None
    cost: float | None = None
    seconds: float = float("nan")
    reason: str | None = None
    note: dict[str, Any] | None = None  # "stopped" in it: the evaluation did not run to its end


Measurement: TypeAlias = Any  # a Measured row, or an Evaluation of a vectorised batch


class Reader:
    """Turns returned values into rows of F and G.

    Args:
        objectives, constraints: in order.
        unnamed: the user named no objective; a dict then may hold it under any one free name.
        failed: the class whose instances mean "no value".
        partial: the class whose instances hold the value of an evaluation that was stopped before its end.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        constraints: Sequence[Constraint],
        unnamed: bool,
        failed: type[Any],
        partial: type[Any],
    ) -> None:
        self.objectives, self.constraints, self.unnamed = objectives, constraints, unnamed
        self.failed, self.partial = failed, partial
        self.signs = np.array([o.sign for o in objectives])
        self.lower = np.array([c.lower for c in constraints])
        self.upper = np.array([c.upper for c in constraints])
        self._taken = {o.name for o in objectives} | {c.name for c in constraints}
        self._simple = len(objectives) == 1 and not constraints

    # -- one row -----------------------------------------------------------------------------------------------

    def read(self, returned: Any, x: Any) -> Measured:
        """Read one row.

        Raises:
            ProblemError: the value is of a kind or length that cannot be read, or a name is missing.
        """
        if self._simple and type(returned) is float:  # the common case, kept short
            value = returned * float(self.signs[0])
            return Measured((value,), (), reason=None if value == value else "the objective returned NaN")
        if returned is None or isinstance(returned, self.failed):
            missing = (
                "the objective returned None" if returned is None else returned.reason or "told as failed"
            )
            failure = self.failure(missing)
            failure.note = None if returned is None else returned.note
            return failure
        if isinstance(returned, self.partial):
            measured = self.read(returned.value, x)
            measured.note = {**(measured.note or {}), "stopped": returned.step}
            return measured
        if isinstance(returned, Mapping):
            return self._read_names(returned, x)
        if isinstance(returned, float) and returned != returned:
            return self.failure("the objective returned NaN")
        if self.constraints:
            names = [o.name for o in self.objectives] + [c.name for c in self.constraints]
            raise ProblemError(
                f"the objective must return a dict with {names}, got {_short(returned)} at {x!r}"
            )
        values = self._numbers(returned, x)
        return self._row(values, [], None, None)

    def _read_names(self, returned: Mapping[Any, Any], x: Any) -> Measured:
        keys = self._objective_keys(returned)
        for key in [*keys, *(c.name for c in self.constraints)]:
            if key not in returned:
                near = did_you_mean(key, [str(k) for k in returned])
                raise ProblemError(
                    f"the objective returned no value for {key!r}, only {list(returned)}{near}, at {x!r}"
                )
        values = [self._number(returned[key], key, x) for key in keys]
        limits = [self._number(returned[c.name], c.name, x) for c in self.constraints]
        noise = returned.get("noise") if "noise" not in self._taken else None
        cost = returned.get("cost") if "cost" not in self._taken else None
        note = returned.get("note") if "note" not in self._taken else None
        if noise is not None:
            try:
                noise = tuple(float(v) for v in np.broadcast_to(noise, (len(keys),)))
            except (TypeError, ValueError):
                raise ProblemError(f"noise must be a number an objective, got {noise!r} at {x!r}") from None
        row = self._row(values, limits, noise, None if cost is None else self._number(cost, "cost", x))
        row.note = None if note is None else dict(note)
        return row

    def _objective_keys(self, returned: Mapping[Any, Any]) -> list[str]:
        keys = [o.name for o in self.objectives]
        if self.unnamed and keys[0] not in returned:
            free = [k for k in returned if k not in self._taken and k not in ("noise", "cost", "note")]
            if len(free) == 1:
                return free
        return keys

    def _row(self, values: list[float], limits: list[float], noise: Any, cost: float | None) -> Measured:
        f = tuple(float(v) for v in np.asarray(values) * self.signs)
        g = tuple(
            max(c.lower - v, v - c.upper) if v == v else v
            for c, v in zip(self.constraints, limits, strict=True)
        )
        bad = [o.name for o, v in zip(self.objectives, f, strict=True) if v != v]
        bad += [c.name for c, v in zip(self.constraints, g, strict=True) if v != v]
        return Measured(
            f, g, noise, cost, reason=f"the objective returned NaN for {', '.join(bad)}" if bad else None
        )

    def _numbers(self, returned: Any, x: Any) -> list[float]:
        wanted = len(self.objectives)
        shape = "a number" if wanted == 1 else f"a sequence of {wanted} numbers"
        try:
            array = _floats(returned)
        except (TypeError, ValueError):
            raise ProblemError(
                f"the objective must return {shape}, got {_short(returned)} at {x!r}"
            ) from None
        if array.shape not in ({(), (1,)} if wanted == 1 else {(wanted,)}):
            raise ProblemError(f"the objective must return {shape}, got shape {array.shape} at {x!r}")
        return [float(v) for v in array.ravel()]

    def _number(self, value: Any, name: str, x: Any) -> float:
        if value is None:
            return float("nan")
        try:
            return float(_floats(value).reshape(()))
        except (TypeError, ValueError):
            given = _short(value)
            raise ProblemError(
                f"the objective must return one number for {name!r}, got {given} at {x!r}"
            ) from None

    def failure(self, reason: str = "failed") -> Measured:
        nan = float("nan")
        return Measured((nan,) * len(self.objectives), (nan,) * len(self.constraints), reason=reason)

    def collect(self, rows: Sequence[Measurement]) -> Evaluation:
        """Stack single rows, `Measured` or one-row Evaluations."""
        if any(isinstance(row, Evaluation) for row in rows):
            return Evaluation.concatenate(
                [row if isinstance(row, Evaluation) else self.collect([row]) for row in rows]
            )
        n = len(rows)
        F = np.array([row.f for row in rows], dtype=np.float64).reshape(n, len(self.objectives))
        G = np.array([row.g for row in rows], dtype=np.float64).reshape(n, len(self.constraints))
        failed = np.array([row.reason is not None for row in rows], dtype=bool)
        F[failed], G[failed] = np.nan, np.nan
        nan = (np.nan,) * len(self.objectives)
        noisy, priced = any(r.noise is not None for r in rows), any(r.cost is not None for r in rows)
        noise = np.array([nan if r.noise is None else r.noise for r in rows]) if noisy else None
        cost = np.array([np.nan if r.cost is None else r.cost for r in rows]) if priced else None
        noted = [r.note for r in rows]
        notes = None if all(note is None for note in noted) else np.array([*noted, None], dtype=object)[:-1]
        return Evaluation(F, G, failed, noise, cost, np.array([r.seconds for r in rows]), notes=notes)

    # -- a batch -----------------------------------------------------------------------------------------------

    def read_batch(self, returned: Any, n: int) -> Evaluation:
        """Read what a vectorised function returned for n rows.

        Raises:
            ProblemError: a shape other than (n,) or (n, objectives), or a missing name.
        """
        noise = cost = None
        if isinstance(returned, Mapping):
            keys = self._objective_keys(returned)
            for key in [*keys, *(c.name for c in self.constraints)]:
                if key not in returned:
                    near = did_you_mean(key, [str(k) for k in returned])
                    raise ProblemError(
                        f"the vectorized objective returned no {key!r}, only {list(returned)}{near}"
                    )
            F = np.stack([self._column(returned[key], n, key) for key in keys], axis=1)
            V = [self._column(returned[c.name], n, c.name) for c in self.constraints]
            G = np.stack(V, axis=1) if V else np.empty((n, 0))
            if "cost" in returned and "cost" not in self._taken:
                cost = self._column(returned["cost"], n, "cost")
            if "noise" in returned and "noise" not in self._taken:
                noise = self._noise(returned["noise"], n)
        elif self.constraints:
            names = [o.name for o in self.objectives] + [c.name for c in self.constraints]
            raise ProblemError(
                f"the vectorized objective must return a dict with {names}, got {_short(returned)}"
            )
        else:
            F, G = self._matrix(returned, n), np.empty((n, 0))
        F = F * self.signs
        if G.shape[1]:
            G = np.maximum(self.lower - G, G - self.upper)
        failed = np.isnan(F).any(axis=1)
        if G.shape[1]:
            failed |= np.isnan(G).any(axis=1)
        if failed.any():
            F[failed], G[failed] = np.nan, np.nan
        return Evaluation(F, G, failed, noise, cost)

    def _matrix(self, returned: Any, n: int) -> Floats:
        k = len(self.objectives)
        try:
            F = _floats(returned)
        except (TypeError, ValueError):
            F = np.empty(0)
        if F.shape == (n,) and k == 1:
            return F[:, None]
        if F.shape == (n, k):
            return F
        shape = f"({n},)" if k == 1 else f"({n}, {k})"
        raise ProblemError(
            f"the vectorized objective must return an array of shape {shape}, got {_short(returned)}"
        )

    def _noise(self, values: Any, n: int) -> Floats:
        shape = (n, len(self.objectives))
        try:
            array = _floats(values)
            return np.array(np.broadcast_to(array[:, None] if array.shape == (n,) else array, shape))
        except (TypeError, ValueError):
            raise ProblemError(
                f"noise must be {n} numbers or of shape {shape}, got {_short(values)}"
            ) from None

    def _column(self, values: Any, n: int, name: str) -> Floats:
        try:
            array = _floats(values)
        except (TypeError, ValueError):
            array = np.empty((0, 0))
        if array.shape not in ((n,), (n, 1)):
            raise ProblemError(
                f"the vectorized objective must return {n} numbers for {name!r}, got {_short(values)}"
            )
        return array.reshape(n)


def _floats(values: Any) -> Floats:
    """Numbers as float64; TypeError for text and complex numbers, which NumPy would make real without a word."""
    array = np.asarray(values)
    if array.dtype.kind in "USc":
        raise TypeError
    return array.astype(np.float64, copy=False)


def _short(value: Any) -> str:
    """The value and its kind, at most a line."""
    shape = getattr(value, "shape", None)
    if shape is not None and np.size(value) > 8:
        return f"{type(value).__name__} of shape {tuple(shape)}"
    text = repr(value)
    return f"{text if len(text) <= 80 else text[:77] + '...'} ({type(value).__name__})"
