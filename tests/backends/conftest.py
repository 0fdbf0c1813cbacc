"""Random spaces with known constraints that have a feasible point by construction."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from numpy.random import Generator

from optengine.core.space import (
    Binary,
    Cardinality,
    Categorical,
    Integer,
    Permutation,
    Predicate,
    Real,
    Row,
    Simplex,
    Space,
    Subset,
)

Maker = Callable[[Generator], Space]


def around(rng: Generator, space: Space, names: list[str], n_rows: int, equal: float = 0.3) -> list[Row]:
    """Rows over `names` that a random point of `space` keeps; some equalities, some ranges, some scaled."""
    point = space.sample(1, rng)
    rows = []
    for _ in range(n_rows):
        coefficients, total = {}, 0.0
        for name in names:
            values = point[0, space.slices[name]]
            whole = not (space.kind[space.slices[name]] == 0).any()
            a = rng.integers(-3, 6, len(values)).astype(float) if whole else rng.normal(size=len(values))
            a *= rng.random(len(values)) < 0.8
            total += float(a @ values)
            shape = space.variables[name].shape
            block = space.variables[name].columns_each
            coefficients[name] = a if block > 1 else a.reshape(shape) if shape else float(a[0])
        kind = rng.random()
        slack = abs(total) * 0.05 * rng.random()
        if kind < equal:
            rows.append(Row(coefficients, total, total))
        elif kind < 0.6:
            rows.append(Row(coefficients, upper=total + slack))
        elif kind < 0.8:
            rows.append(Row(coefficients, lower=total - slack))
        else:
            rows.append(Row(coefficients, total - slack, total + slack))
    return rows


def real_space(rng: Generator) -> Space:
    d = int(rng.integers(1, 9))
    low = rng.normal(size=d) * 10.0 ** rng.integers(-2, 3)
    high = low + 10.0 ** rng.uniform(-2, 3, d)
    variables = {"x": Real(low, high)}
    if rng.random() < 0.3:
        variables["y"] = Real(1e-4, 1e2, log=True)
    space = Space(variables)
    return Space(variables, rows=around(rng, space, list(variables), int(rng.integers(1, 5))))


def simplex_space(rng: Generator) -> Space:
    variables = {"w": Simplex(int(rng.integers(2, 9))), "v": Simplex(3, shape=2), "t": Real(0, 5)}
    space = Space(variables)
    return Space(variables, rows=around(rng, space, ["w", "t"] if rng.random() < 0.5 else ["w", "v"], 2, 0.2))


def integer_space(rng: Generator) -> Space:
    variables = {
        "b": Binary(shape=int(rng.integers(1, 9))),
        "k": Integer(-3, int(rng.integers(0, 30)), shape=int(rng.integers(1, 5))),
        "free": Categorical(["u", "v"]),
    }
    space = Space(variables)
    return Space(variables, rows=around(rng, space, ["b", "k"], int(rng.integers(1, 4))))


def subset_space(rng: Generator) -> Space:
    n = int(rng.integers(2, 12))
    size = sorted(rng.integers(0, n + 1, 2).tolist())
    variables = {"s": Subset(n, size=tuple(size)), "p": Permutation(4)}
    space = Space(variables)
    return Space(variables, rows=around(rng, space, ["s"], int(rng.integers(1, 3)), 0.1))


def mixed_space(rng: Generator) -> Space:
    variables = {
        "x": Real(-2, 5, shape=int(rng.integers(1, 5))),
        "k": Integer(0, 12, shape=int(rng.integers(1, 4))),
        "b": Binary(shape=3),
        "w": Simplex(3),
        "c": Categorical(["u", "v", "w"]),
    }
    space = Space(variables)
    return Space(variables, rows=around(rng, space, ["x", "k", "b", "w"], int(rng.integers(1, 4))))


def conditional_space(rng: Generator) -> Space:
    variables = {
        "kind": Categorical(["u", "v", "w"]),
        "on": Binary(),
        "a": Real(1, 4, when=("kind", "u")),
        "b": Integer(2, 9, when=("kind", ["u", "v"])),
        "c": Real(0, 10, shape=2),
        "s": Subset(4, size=2, when=("on", True)),
        "deep": Real(1, 2, when=[("on", True), ("kind", "w")]),
    }
    rows = [
        Row(
            {"a": 1, "b": 1, "c": [1.0, 0.5], "deep": 2, "on": 3},
            float(rng.uniform(5, 8)),
            float(rng.uniform(8, 12)),
        ),
        Row({"s": [1, 2, 3, 4], "c": [-1.0, 0.0]}, upper=float(rng.uniform(1, 4))),
    ]
    return Space(variables, rows=rows)


def cardinality_space(rng: Generator) -> Space:
    n = int(rng.integers(3, 9))
    most = int(rng.integers(1, n + 1))
    least = int(rng.integers(0, most + 1))
    variables = {"w": Simplex(n), "k": Integer(-4, 6, shape=3), "x": Real([-1, 0, 0.5], [1, 2, 3])}
    rows: list[Row | Cardinality] = [
        Cardinality(["w"], max(least, 1), most),
        Cardinality(["k", ("x", 0), ("x", 1), ("x", 2)], 1, int(rng.integers(2, 5))),
        Row({"w": rng.normal(size=n), "k": [1, 1, 1], "x": 1}, upper=float(rng.uniform(2, 6))),
    ]
    return Space(variables, rows=rows)


def predicate_space(rng: Generator) -> Space:
    def apart(x: dict) -> bool:
        return abs(x["a"] - x["b"]) >= 0.2

    def pushed(x: dict) -> dict:
        return x | {"a": min(1.0, x["b"] + 0.25)} if x["b"] < 0.7 else x | {"a": x["b"] - 0.25}

    where = [Predicate(apart, pushed if rng.random() < 0.5 else None), Predicate(lambda x: x["p"][0] != 0)]
    rows = [Row({"a": 1, "b": 1, "k": 0.1}, upper=float(rng.uniform(0.8, 2)))]
    variables = {"a": Real(0, 1), "b": Real(0, 1), "k": Integer(0, 9), "p": Permutation(4)}
    return Space(variables, rows=rows if rng.random() < 0.7 else [], where=where)


MAKERS: dict[str, Maker] = {
    "real": real_space,
    "simplex": simplex_space,
    "integer": integer_space,
    "subset": subset_space,
    "mixed": mixed_space,
    "conditional": conditional_space,
    "cardinality": cardinality_space,
    "predicate": predicate_space,
}


@pytest.fixture(scope="session")
def makers() -> dict[str, Maker]:
    return MAKERS
