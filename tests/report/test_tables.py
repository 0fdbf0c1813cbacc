"""Text tables and numbers."""

from __future__ import annotations

import io
import math

import pytest

from optengine.report.tables import Table, duration, number, plain, write


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


TABLE = Table(
    ["name", ">value", "=words"], [["a", "1", "one"], ["b[red]", "-22.5", "two"]], "title", ["a note [b]"]
)


def test_plain_tables_are_aligned() -> None:
    assert plain(TABLE).splitlines() == [
        "title",
        "name    value  words",
        "------  -----  -----",
        "a           1  one",
        "b[red]  -22.5  two",
        "a note [b]",
    ]
    assert str(Table(["x"])) == "x\n-"


def test_files_get_plain_text_and_terminals_a_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    file, terminal = io.StringIO(), Terminal()
    write(TABLE, file)
    assert file.getvalue() == plain(TABLE) + "\n"
    monkeypatch.setenv("COLUMNS", "60")
    write(TABLE, terminal)
    drawn = terminal.getvalue()
    assert "b[red]" in drawn
    assert "a note [b]" in drawn
    assert drawn != plain(TABLE) + "\n"


def test_a_narrow_terminal_gets_lines_that_it_breaks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    write(TABLE, terminal)
    assert terminal.getvalue() == plain(TABLE) + "\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [(23277.0, "23277"), (0.0212516309, "0.0212516"), (1.5e-8, "1.5e-08"), (None, "-"), (math.nan, "-"), (-3.0, "-3"),
     (math.inf, "inf"), (-math.inf, "-inf"), (1e20, "1e+20"), (0.0, "0"), (1234567.25, "1.23457e+06")],
)  # fmt: skip
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 ms"),
        (0.0834, "83 ms"),
        (12.41, "12.4 s"),
        (99.9, "99.9 s"),
        (200.4, "3 min 20 s"),
        (7500.0, "2 h 5 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
