"""What the benchmark of predicted binaries prints: gaps and integrals by class and method, and their differences."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Row, interval

from optengine.report.primal import primal_gap, primal_integral
from optengine.solvers.milp.predictor import ranked

CLASSES = {"SC": "set_cover", "CA": "auction", "IP": "item_placement", "WA": "workload"}
BARE = ("highs", "scip", "cpsat")
BEHIND = ("highs", "scip")  # backends behind predictions
PAIRS = (
    ("coco", "ps"),
    ("coco-whole", "ps-whole"),
    ("coco-whole", "default"),
    ("coco-no-competition", "coco"),
    ("coco-no-contrast", "coco"),
)
SHARES = (0.3, 0.5, 0.7, 0.9)
LATE = 0.1  # seconds before the limit: what is shown then may have been found long before


def show(rows: list[Row]) -> None:
    best, n_wrong, n_bounds = {}, 0, 0
    for row in rows:
        if row["value"] is not None:
            pick = min if row["minimise"] else max
            best[row["problem"]] = pick(best.get(row["problem"], row["value"]), row["value"])
    for row in rows:
        known, bound = best.get(row["problem"]), row["bound"]
        if known is None or bound is None:
            continue
        n_bounds += 1
        beyond = (bound - known) if row["minimise"] else (known - bound)
        n_wrong += beyond > 1e-6 * max(1.0, abs(known))
    for name in CLASSES:
        for limit in sorted({row["budget"] for row in rows}):
            mine = [r for r in rows if r["problem"].startswith(f"{name}-") and r["budget"] == limit]
            if mine:
                _show_class(name, limit, mine, best)
    print(f"\n{len(rows)} runs, every objective evaluated anew; {n_wrong} of {n_bounds} bounds invalid")


def _show_class(name: str, limit: float, rows: list[Row], best: dict[str, float]) -> None:
    table = {method: measure(rows, method, best, limit) for method in {row["method"] for row in rows}}
    backends = {row["method"]: row["backend"] for row in rows}
    print(
        f"\n{name}, {limit:g} s{'':13}instances   gap %   integral s   at best s   gap / bare   90 % of gap - bare, %"
    )
    for method, found in sorted(table.items(), key=lambda item: np.mean([v[1] for v in item[1].values()])):
        gap, integral, least = (float(np.mean([v[i] for v in found.values()])) for i in range(3))
        line = f"    {method:22}{len(found):5}{100 * gap:10.3f}{integral:12.3f}{least:12.3f}"
        shared = [p for p in found if p in table.get(backends[method], {})]
        if method not in BARE and shared:
            own, bare = (np.array([t[p][0] for p in shared]) for t in (found, table[backends[method]]))
            low, high = interval(100 * (own - bare))
            ratio = own.mean() / bare.mean() if bare.mean() > 0 else np.nan
            line += f"{ratio:12.2f}   [{low:.2f}, {high:.2f}]"
        print(line)
    for one, other in PAIRS:
        both = [p for p in table.get(one, {}) if p in table.get(other, {})]
        if both:
            low, high = interval(np.array([100 * (table[one][p][0] - table[other][p][0]) for p in both]))
            print(
                f"    gap of {one} less that of {other}: 90 % interval [{low:.2f}, {high:.2f}] % ({len(both)})"
            )
    everywhere = [p for p in table.get("default", {}) if all(p in table.get(b, {}) for b in BEHIND)]
    if everywhere:
        rival = min(BEHIND, key=lambda b: np.mean([table[b][p][2] for p in everywhere]))
        low, high = interval(np.array([table["default"][p][1] - table[rival][p][2] for p in everywhere]))
        print(
            f"    integral of the default less that of {rival} at best: 90 % interval [{low:.3f}, {high:.3f}] s"
        )


def show_wrong(name: str, wrong: dict[str, list[float]]) -> None:
    """Print how many of the ones of the nearest known solution lie among the lowest scores, by kind of predictor."""
    print(
        f"\n{name}, % of the ones among the lowest{''.join(f'{100 * k:8.0f} %' for k in SHARES)} of the scores"
    )
    for kind, shares in wrong.items():
        print(f"    {kind:29}" + "".join(f"{100 * share:10.1f}" for share in shares))


def wrong_zeros(predictor: Any, pools: list[tuple[Any, Any]]) -> list[float]:
    """Share of a solution's ones among the lowest `SHARES` of the scores, of the nearest in the pool; mean of pools."""
    found = []
    for problem, pool in pools:
        order = ranked(predictor.scores(problem)[problem.binaries])
        X = pool.X.astype(np.int64)
        lost = [X[:, order[: round(k * len(order))]].sum(axis=1) / X.sum(axis=1) for k in SHARES]
        found.append([float(shares.min()) for shares in lost])
    return [float(share) for share in np.mean(found, axis=0)]


def measure(
    rows: list[Row], method: str, best: dict[str, float], limit: float
) -> dict[str, tuple[float, float, float]]:
    """Primal gap, integral, and integral at best of a method at a limit, by instance.

    At best: backends show some incumbents only when they end; such a one counts from the incumbent before it on.
    """
    found = {}
    for row in rows:
        known = best.get(row["problem"])
        if row["method"] == method and known is not None:
            t, v = (np.array([p[i] for p in row["trace"]], dtype=float) for i in (0, 1))
            gap = float(primal_gap(v[-1], known)) if len(v) else 1.0
            late = len(t) > 1 and t[-1] > limit - LATE
            integrals = (
                primal_integral(t, v, known, limit),
                primal_integral(
                    np.append(t[:-2], t[-2]) if late else t,
                    np.append(v[:-2], v[-1]) if late else v,
                    known,
                    limit,
                ),
            )
            found[row["problem"]] = gap, *integrals
    return found
