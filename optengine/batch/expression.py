"""Budgets that depend on the problem, as `"1000 * d"`."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from optengine.core.errors import OptionError
from optengine.core.problem import Problem

OPERATORS: dict[type[ast.AST], Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
FUNCTIONS: dict[str, Callable[..., float]] = {"min": min, "max": max, "sqrt": math.sqrt, "log": math.log}
LARGEST = 1e15  # evaluations; also keeps powers small while they are computed


def budget_of(value: Any, problem: Problem) -> Any:
    """Return a budget for `problem`: a text is computed, anything else is returned as it is.

    The text may hold numbers, + - * / **, brackets, min, max, sqrt, log (natural), `d` (columns of the space that are
    not fixed) and `n` (all columns). The result is rounded, and at least 1.

    Raises:
        OptionError: anything else in the text, or no finite number.
    """
    if not isinstance(value, str):
        return value
    space = problem.space
    names = {"d": float(np.count_nonzero(space.lower < space.upper)), "n": float(space.width)}
    try:
        number = _number(ast.parse(value.strip(), mode="eval").body, names)
        if not math.isfinite(number) or abs(number) > LARGEST:
            raise ValueError("no number of evaluations")
    except (SyntaxError, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise OptionError(
            f"budget must be an integer or a formula of d and n such as '1000*d', got {value!r} ({reason})"
        ) from None
    return max(1, round(number))


def _number(node: ast.AST, names: dict[str, float]) -> float:
    if (
        isinstance(node, ast.Constant)
        and isinstance(node.value, (int, float))
        and not isinstance(node.value, bool)
    ):
        return float(node.value)
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, (ast.BinOp, ast.UnaryOp)) and type(node.op) in OPERATORS:
        parts = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.operand]
        return float(OPERATORS[type(node.op)](*(_number(part, names) for part in parts)))
    if isinstance(node, ast.Call) and not node.keywords and ast.unparse(node.func) in FUNCTIONS:
        function = FUNCTIONS[ast.unparse(node.func)]
        return float(function(*(_number(part, names) for part in node.args)))
    raise ValueError(f"{ast.unparse(node)!r} is not known")
