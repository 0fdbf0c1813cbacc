"""LP: linear programs with integers, as formulas (`.lp`), in the form of CPLEX.

An objective, rows after `Subject To`, `Bounds`, `Generals`, `Binaries`, `End`. Conventions: a number without a variable
in the objective is its constant, in a row it goes to the other side; `3 x` and `3x` are 3 times x; columns are >= 0
unless a bound says otherwise; an upper bound below 0 needs a lower bound beside it; the right side of a row is a
number. Refused are semi-continuous columns, quadratic terms, special ordered sets, indicators, lazy constraints.

Reference: IBM ILOG CPLEX Optimization Studio, File formats reference manual, LP file format.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from optengine.core.errors import ProblemError
from optengine.core.problem import Problem
from optengine.problems.formats.base import CERTAIN, NO, Format
from optengine.problems.formats.draft import Draft
from optengine.problems.formats.source import QUOTED, Source
from optengine.problems.milp import SEMI

GOAL = r"max(?:imi[sz]e|imum)?|min(?:imi[sz]e|imum)?"
ROWS = r"subject\s+to|such\s+that|s\.t\.|st\.|st"
SIGNATURE = re.compile(rf"\A(?:\s|\\.*)*(?:{GOAL})\b(?s:.*?)^\s*(?:{ROWS})(?=[\s:]|$)", re.I | re.M)
COMMENT = re.compile(r"\\[^\n]*")
HEADS: dict[str, str] = {  # section -> its words
    "rows": ROWS,
    "bounds": r"bounds?",
    "general": r"generals?|gen|integers?|int",
    "binary": r"binar(?:y|ies)|bin",
    "semi": r"semi-continuous|semis?",
    "sos": r"sos\d?",
    "lazy": r"lazy\s+constraints|user\s+cuts",
    "general constraints": r"general\s+constraints",
    "end": r"end",
}
HEAD = re.compile(
    r"^[ \t]*(?:"
    + "|".join(f"(?P<{name.replace(' ', '_')}>{words})" for name, words in HEADS.items())
    + r")[ \t]*:?[ \t]*(?=\r?\n|\Z)",
    re.I | re.M,
)
FIRST = re.compile(rf"\A(?P<goal>{GOAL})\b", re.I)
NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
NAME = r"[A-Za-z!\"#$%&(),;?@_`'{}~\u0080-\uffff|/][A-Za-z0-9!\"#$%&(),.;?@_`'{}~\u0080-\uffff|/\[\]]*"
TOKEN = re.compile(
    rf"(?P<number>{NUMBER})|(?P<relation><=|>=|=<|=>|==|<|>|=)|(?P<sign>[+-])|(?P<name>{NAME})"
    r"|(?P<colon>:)|(?P<other>\S)"
)
RELATIONS = {"<": "<", "<=": "<", "=<": "<", ">": ">", ">=": ">", "=>": ">", "=": "=", "==": "="}
FLIPPED = str.maketrans("<>", "><")  # a relation read from the right
ENDLESS = ("inf", "infinity")
REFUSED = {
    "semi": SEMI,
    "sos": "special ordered sets are not supported; state them with binaries",
    "lazy": "lazy constraints and user cuts are not supported; state them as rows",
    "general_constraints": "general constraints are not supported; state them as rows",
}

Token = tuple[str, str]  # kind, text


class _Reader:
    """The sections of one file, taken apart into tokens."""

    def __init__(self, source: Source) -> None:
        self._source, self._draft = source, Draft(source)
        self._low_set: set[int] = set()

    def read(self) -> Problem:
        """The problem of the file.

        Raises:
            ProblemError: the file is damaged.
        """
        text = COMMENT.sub("", self._source.text).strip()
        goal = FIRST.match(text)
        assert goal is not None  # recognised before
        self._draft.sense = "max" if goal["goal"].lower().startswith("max") else "min"
        heads = list(HEAD.finditer(text))
        stops = [head.start() for head in heads] + [len(text)]
        self._objective(_tokens(text[goal.end() : stops[0]]))
        sections: dict[str, Callable[[list[Token]], None]] = {
            "rows": self._rows,
            "bounds": self._bounds,
            "general": self._generals,
            "binary": self._binaries,
        }
        for head, stop in zip(heads, stops[1:], strict=True):
            kind = str(head.lastgroup)
            if kind == "end":
                break
            if kind in REFUSED:
                raise self._source.error(REFUSED[kind])
            sections[kind](_tokens(text[head.end() : stop]))
        else:
            raise self._source.error("has no End (truncated?)")
        self._check()
        return self._draft.milp("")

    # -- expressions ---------------------------------------------------------------------------------------------

    def _objective(self, tokens: list[Token]) -> None:
        at = _label(tokens, 0)[1]
        at, terms, constant = self._expression(tokens, at)
        if at < len(tokens):
            raise self._unexpected(tokens, at, "a term of the objective")
        for name, value in terms:
            self._draft.costs[self._draft.column(name)] += value
        self._draft.constant = constant

    def _expression(self, tokens: list[Token], at: int) -> tuple[int, list[tuple[str, float]], float]:
        """Terms from a place on: where they end, (name, coefficient) of each, and the sum of the plain numbers."""
        terms: list[tuple[str, float]] = []
        constant, n, began = 0.0, len(tokens), at
        while at < n:
            start, sign, value = at, 1.0, None
            while at < n and tokens[at][0] == "sign":
                sign = -sign if tokens[at][1] == "-" else sign
                at += 1
            if at == start and at > began:  # no sign after a term: the expression ends
                break
            if at < n and tokens[at][0] == "number":
                value = self._draft.number(tokens[at][1], "a coefficient")
                at += 1
            if at < n and tokens[at][0] == "name" and not _label(tokens, at)[0]:
                terms.append((tokens[at][1], sign * (1.0 if value is None else value)))
                at += 1
            elif value is not None:
                constant += sign * value
            elif at > start:
                raise self._unexpected(tokens, at, "a term")
            else:
                break
        return at, terms, constant

    # -- sections ------------------------------------------------------------------------------------------------

    def _rows(self, tokens: list[Token]) -> None:
        """Rows `terms <= number` and `number <= terms <= number`, with or without a name."""
        at, n = 0, len(tokens)
        while at < n:
            label, at = _label(tokens, at)
            name = label or f"R{len(self._draft.rows) + 1}"
            ends = [-math.inf, math.inf]
            left = self._signed(tokens, at)
            if left is not None and left[0] < n and tokens[left[0]][0] == "relation":
                self._narrow(ends, RELATIONS[tokens[left[0]][1]].translate(FLIPPED), left[1])
                at = left[0] + 1
            at, terms, shift = self._expression(tokens, at)
            if at < n and tokens[at][0] == "relation":
                right = self._signed(tokens, at + 1)
                if right is None:
                    raise self._unexpected(tokens, at + 1, f"a number on the right of row {name!r}")
                self._narrow(ends, RELATIONS[tokens[at][1]], right[1])
                at = right[0]
            elif ends == [-math.inf, math.inf]:
                raise self._unexpected(tokens, at, f"a relation in row {name!r}")
            self._fill(name, terms, ends[0] - shift, ends[1] - shift)

    @staticmethod
    def _narrow(ends: list[float], relation: str, number: float) -> None:
        if relation in (">", "="):
            ends[0] = max(ends[0], number)
        if relation in ("<", "="):
            ends[1] = min(ends[1], number)

    def _signed(self, tokens: list[Token], at: int) -> tuple[int, float] | None:
        """Where a number with its sign, or infinity, ends, and what it is; None if none is there."""
        sign = 1.0
        while at < len(tokens) and tokens[at][0] == "sign":
            sign = -sign if tokens[at][1] == "-" else sign
            at += 1
        if at < len(tokens) and tokens[at][0] == "number":
            return at + 1, sign * self._draft.number(tokens[at][1], "a bound", infinite=True)
        if at < len(tokens) and tokens[at][0] == "name" and tokens[at][1].lower() in ENDLESS:
            return at + 1, sign * math.inf
        return None

    def _fill(self, name: str, terms: list[tuple[str, float]], lower: float, upper: float) -> None:
        draft = self._draft
        i = draft.row(name, lower, upper)
        merged: dict[int, float] = {}
        for column, value in terms:
            j = draft.column(column)
            merged[j] = merged.get(j, 0.0) + value
        draft.entry_rows += [i] * len(merged)
        draft.entry_columns += merged.keys()
        draft.entry_values += merged.values()

    def _bounds(self, tokens: list[Token]) -> None:
        at, n, draft = 0, len(tokens), self._draft
        while at < n:
            number = self._signed(tokens, at)
            if number is not None and number[0] < n and tokens[number[0]][0] == "relation":
                at = number[0] + 1
                if at >= n or tokens[at][0] != "name":
                    raise self._unexpected(tokens, at, "a column")
                j = draft.column(tokens[at][1])
                self._bound(j, RELATIONS[tokens[at - 1][1]].translate(FLIPPED), number[1])
                at += 1
            elif tokens[at][0] == "name":
                j = draft.column(tokens[at][1])
                at += 1
                if at < n and tokens[at][0] == "name" and tokens[at][1].lower() == "free":
                    self._bound(j, ">", -math.inf)
                    self._bound(j, "<", math.inf)
                    at += 1
                    continue
                if at >= n or tokens[at][0] != "relation":
                    raise self._unexpected(tokens, at, "a relation or 'free'")
            else:
                raise self._unexpected(tokens, at, "a bound")
            if at < n and tokens[at][0] == "relation":
                relation = RELATIONS[tokens[at][1]]
                number = self._signed(tokens, at + 1)
                if number is None:
                    raise self._unexpected(tokens, at + 1, "a number")
                at = number[0]
                self._bound(j, relation, number[1])

    def _bound(self, j: int, relation: str, number: float) -> None:
        if relation in (">", "="):
            self._draft.low[j] = number
            self._low_set.add(j)
        if relation in ("<", "="):
            self._draft.high[j] = number

    def _generals(self, tokens: list[Token]) -> None:
        for j in self._listed(tokens):
            self._draft.whole[j] = True

    def _binaries(self, tokens: list[Token]) -> None:
        for j in self._listed(tokens):
            self._draft.whole[j] = True
            self._draft.low[j], self._draft.high[j] = 0.0, 1.0

    def _listed(self, tokens: list[Token]) -> list[int]:
        for at, (kind, _) in enumerate(tokens):
            if kind != "name":
                raise self._unexpected(tokens, at, "a column")
        return [self._draft.column(text) for _, text in tokens]

    # -- trouble -------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        for name, j in self._draft.columns.items():
            if self._draft.high[j] < 0 and j not in self._low_set:
                raise self._source.error(
                    f"column {name!r} must have a lower bound beside its upper bound {self._draft.high[j]:.12g}, "
                    "got none, which is 0"
                )

    def _unexpected(self, tokens: list[Token], at: int, expected: str) -> ProblemError:
        if at >= len(tokens):
            return self._source.error(f"expected {expected}, got the end of a section")
        around = " ".join(text for _, text in tokens[max(0, at - 3) : at + 3])
        if tokens[at][1] in ("[", "^", "*"):
            return self._source.error(f"quadratic terms are not supported, got {around[:QUOTED]!r}")
        return self._source.error(f"expected {expected}, got {tokens[at][1]!r} in {around[:QUOTED]!r}")


def _label(tokens: list[Token], at: int) -> tuple[str | None, int]:
    """The name before a colon, if there is one, and where what it names begins."""
    if at + 1 < len(tokens) and tokens[at][0] == "name" and tokens[at + 1][0] == "colon":
        return tokens[at][1], at + 2
    return None, at


def _tokens(text: str) -> list[Token]:
    return [(str(match.lastgroup), match.group()) for match in TOKEN.finditer(text)]


def _recognise(source: Source) -> float:
    return CERTAIN if SIGNATURE.match(source.text) else NO


def _parse(source: Source) -> list[Problem]:
    return [_Reader(source).read()]


LP = Format("LP", "Minimize or Maximize, then Subject To", _recognise, _parse)
