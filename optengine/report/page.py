"""A comparison of solvers as one HTML file that needs nothing else: no script, no network, pictures as SVG inside."""

from __future__ import annotations

import html
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any

from optengine.core.errors import require
from optengine.report.comparison import LEVEL, Comparison, Gap
from optengine.report.comparison_plots import (
    plot_convergence_of,
    plot_data,
    plot_performance,
    plot_ranks,
    plot_runtimes,
)
from optengine.report.tables import duration, number

STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1c1c1c; background: #fff; margin: 0 auto; max-width: 76rem;
  padding: 1rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; margin: .6rem 0; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
nav a { margin-right: 1rem; } a { color: #0072b2; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem .7rem; text-align: left; border-bottom: 1px solid #e4e4e4; vertical-align: top; }
th { border-bottom: 2px solid #bbb; } .n { text-align: right; } tr.best td { font-weight: 600; }
.scroll { overflow-x: auto; } figure { margin: 0; } figure svg { max-width: 100%; height: auto; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(25rem, 1fr)); gap: 1rem 1.5rem; }
code, pre { font-family: ui-monospace, monospace; font-size: .88em; } pre { background: #f5f5f5; padding: .6rem .8rem;
  overflow-x: auto; } .dim { color: #666; } .failed { color: #b23c00; }
"""


def page(comparison: Comparison, facts: dict[str, Any]) -> str:
    """Return the text of the page.

    Args:
        comparison: the runs.
        facts: `name`, `command` (to reproduce), `machine` (see `machine.machine`), `runs` (planned), `made` (a date),
            `failures` (pairs of run and message), `interrupted`; all optional.
    """
    parts = [
        ("Summary", "summary", _summary(comparison, facts)),
        ("Ranks", "ranks", _figure(plot_ranks(comparison), "ranks") + _rank_note(comparison)),
        ("Runtimes", "runtimes", _grid(_runtime_figures(comparison))),
        ("Gaps", "gaps", _gap_table(comparison)),
        ("Convergence", "convergence", _grid(_convergences(comparison))),
        ("Failures", "failures", _failures(comparison, facts)),
        ("How it was made", "made", _made(facts)),
    ]
    title = html.escape(str(facts.get("name") or "comparison"))
    links = " ".join(f'<a href="#{anchor}">{heading}</a>' for heading, anchor, _ in parts)
    body = "\n".join(
        f'<section id="{anchor}"><h2>{heading}</h2>\n{text}\n</section>' for heading, anchor, text in parts
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,"><title>{title}</title><style>{STYLE}</style></head>\n'
        f"<body><h1>{title}</h1>\n<nav>{links}</nav>\n{body}\n</body></html>\n"
    )


# -- sections ----------------------------------------------------------------------------------------------------------


def _summary(comparison: Comparison, facts: dict[str, Any]) -> str:
    traces = comparison.traces
    n, planned = len(traces), int(facts.get("runs") or len(traces))
    seeds = len({t.seed for t in traces})
    spent = sum(t.total for t in traces)
    lines = [
        f"{len(comparison.solvers)} solvers on {len(comparison.problems)} problems, {seeds} seeds: {n} runs"
        + (f" of {planned}" if planned > n else "")
        + f", {sum(t.n_evaluations for t in traces)} evaluations, {duration(spent)} of runs in all."
    ]
    ranks = comparison.ranks()
    if ranks.problems and len(ranks.solvers) > 1:
        lead, second = ranks.solvers[0], ranks.solvers[1]
        told = math.isfinite(ranks.difference) and ranks.mean[1] - ranks.mean[0] > ranks.difference
        says = "tells them apart" if told else "does not tell them apart"
        lines.append(
            f"Best mean rank: <b>{html.escape(lead)}</b> ({ranks.mean[0]:.2f}), then {html.escape(second)} "
            f"({ranks.mean[1]:.2f}); the critical difference {says}."
        )
    if facts.get("interrupted"):
        lines.append("The batch was interrupted: unfinished runs count as far as they came.")
    if comparison.left_out:
        lines.append(f"Left out, having several objectives: {html.escape(', '.join(comparison.left_out))}.")
    return "".join(f"<p>{line}</p>" for line in lines)


def _rank_note(comparison: Comparison) -> str:
    ranks = comparison.ranks()
    if not ranks.problems:
        return '<p class="dim">No problem was run by every solver: there is nothing to rank.</p>'
    p = f" Friedman's test that all are equal: p = {ranks.p:.2g}." if math.isfinite(ranks.p) else ""
    return f'<p class="dim">Ranks of the median value over seeds, on problems that every solver was run on.{p}</p>'


def _runtime_figures(comparison: Comparison) -> list[str]:
    pictures = (("runtimes", plot_runtimes), ("performance", plot_performance), ("data", plot_data))
    return [_figure(draw(comparison), name) for name, draw in pictures]


def _convergences(comparison: Comparison) -> list[str]:
    return [
        _figure(plot_convergence_of(comparison, problem), f"convergence {i}")
        for i, problem in enumerate(comparison.problems)
    ]


def _gap_table(comparison: Comparison) -> str:
    heads = ("problem", "reference", "solver", "runs", "best", "median", "gap %", f"{LEVEL:.0%} interval")
    rows, best = [], _least(comparison)
    for gap in comparison.gaps():
        reference = comparison.references[gap.problem]
        known = "" if gap.problem in comparison.best_known else " (best of all runs)"
        count = str(gap.runs) if gap.valued == gap.runs else f"{gap.valued} of {gap.runs}"
        cells = [
            gap.problem, number(reference) + known, gap.solver, count, number(gap.best), number(gap.median),
            percent(gap.gap), f"{percent(gap.low)} .. {percent(gap.high)}",
        ]  # fmt: skip
        rows.append((cells, gap.gap <= best[gap.problem]))
    note = (
        '<p class="dim">Median over seeds of |value - reference| / |reference| (over the first gap where the reference '
        "is nearly 0), with a bootstrap interval; bold: least of its problem.</p>"
    )
    return _table(heads, rows, right=(1, 3, 4, 5, 6, 7)) + note


def _least(comparison: Comparison) -> dict[str, float]:
    best: dict[str, float] = {}
    for gap in comparison.gaps():
        best[gap.problem] = min(best.get(gap.problem, math.inf), gap.gap)
    return {problem: value if math.isfinite(value) else -1.0 for problem, value in best.items()}


def _failures(comparison: Comparison, facts: dict[str, Any]) -> str:
    failed = list(facts.get("failures") or [])
    failed += [
        ("/".join((t.problem, t.solver, str(t.seed))), "no feasible value was found")
        for t in comparison.traces
        if t.value is None and t.status != "failed"
    ]
    if not failed:
        return "<p>None: every run ended with a feasible value.</p>"
    rows = [([run, message], False) for run, message in failed]
    return _table(("run", "what it said"), rows)


def _made(facts: dict[str, Any]) -> str:
    lines = []
    if facts.get("command"):
        lines.append(f"<p>To make the runs again:</p><pre>{html.escape(str(facts['command']))}</pre>")
    machine = facts.get("machine") or {}
    if machine:
        text = ", ".join(str(machine[k]) for k in ("processor", "platform") if machine.get(k))
        text += f", {machine.get('cores', '?')} cores, Python {machine.get('python', '?')}"
        packages = ", ".join(f"{k} {v}" for k, v in (machine.get("packages") or {}).items())
        lines.append(f"<p>{html.escape(text)}</p><p>{html.escape(packages)}</p>")
    if facts.get("made"):
        lines.append(f'<p class="dim">{html.escape(str(facts["made"]))}</p>')
    return "".join(lines) or "<p>Nothing is recorded.</p>"


# -- parts -------------------------------------------------------------------------------------------------------------


def _table(heads: Sequence[str], rows: Iterable[tuple[list[str], bool]], right: Sequence[int] = ()) -> str:
    def cells(texts: Sequence[str], tag: str) -> str:
        side = ['class="n"' if i in right else "" for i in range(len(texts))]
        return "".join(
            f"<{tag} {mark}>{html.escape(text)}</{tag}>" for text, mark in zip(texts, side, strict=True)
        )

    lines = [f"<thead><tr>{cells(heads, 'th')}</tr></thead><tbody>"]
    marks = {True: ' class="best"', False: ""}
    lines += [f"<tr{marks[best]}>{cells(texts, 'td')}</tr>" for texts, best in rows]
    return f'<div class="scroll"><table>{"".join(lines)}</tbody></table></div>'


def _grid(figures: list[str]) -> str:
    return f'<div class="grid">{"".join(figures)}</div>'


def _figure(axes: Any, name: str) -> str:
    return f'<figure aria-label="{html.escape(name)}">{svg(axes, name)}</figure>'


def svg(axes: Any, name: str) -> str:
    """Return the picture as an SVG element whose ids are its own, the same at every call."""
    matplotlib = require("matplotlib", extra="plot")
    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        axes.figure.savefig(text, format="svg", metadata={"Date": None})
    content = text.getvalue()
    return _own_ids(content[content.index("<svg") :], name)


def _own_ids(text: str, name: str) -> str:
    """Give ids a prefix: several pictures stand in one page."""
    import re

    prefix = re.sub(r"\W+", "-", name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'(xlink:href|href)="#', rf'\1="#{prefix}-', text)
    return re.sub(r"url\(#", f"url(#{prefix}-", text)


def percent(share: float) -> str:
    """Return e.g. `0.31`, `12`, `inf`: a share in per cent."""
    return "inf" if math.isinf(share) else f"{100 * share:.3g}"


def gap_rows(gaps: Iterable[Gap]) -> list[dict[str, Any]]:
    """Return the gap table as plain rows, for files."""
    return [{name: getattr(gap, name) for name in Gap.__dataclass_fields__} for gap in gaps]
