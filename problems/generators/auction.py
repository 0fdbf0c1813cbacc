"""Combinatorial auctions with arbitrary relationships (Leyton-Brown, Pearson, Shoham, 2000, CATS), as Ecole draws them.

Bidders ask for bundles of items whose values they partly share; of each item one bid at most is accepted, and so of the
substitutes that one bidder offers. Maximise the accepted prices.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from optengine.problems.generators.checks import count, generator, share
from optengine.problems.milp import MILP

Floats = NDArray[np.float64]
Bundle = frozenset[int]


def combinatorial_auction(
    rng: Generator | int,
    n_items: int = 100,
    n_bids: int = 500,
    *,
    min_value: float = 1.0,
    max_value: float = 100.0,
    value_deviation: float = 0.5,
    add_item_prob: float = 0.65,
    max_n_sub_bids: int = 5,
    additivity: float = 0.2,
    budget_factor: float = 1.5,
    resale_factor: float = 0.5,
    name: str | None = None,
) -> MILP:
    """A random auction; one binary a bid, one row an item or a bidder with more than two bids; maximised.

    Args:
        rng: random numbers, or a seed.
        n_items, n_bids: size. Items that nobody asks for have no row.
        min_value, max_value: range of the values that items have for everybody.
        value_deviation: how far a bidder's own values are from these, in units of max_value.
        add_item_prob: that a bundle grows by one item more; 0.65 in Ecole, 0.7 in the first code of Gasse et al.
        max_n_sub_bids: substitutes a bidder offers at most, beside the first bundle.
        additivity: a bundle of k items is worth k^(1 + additivity) more than its items.
        budget_factor, resale_factor: a substitute costs at most that much of the first bundle's price, and its items
            are worth at least that much of the first ones', to everybody.
        name: of the instance.

    Raises:
        ProblemError: a value outside its range.
    """
    rng, n_items, n_bids = generator(rng), count(n_items, "n_items", 2), count(n_bids, "n_bids")
    grow = share(add_item_prob, "add_item_prob", 1.0)
    values = min_value + (max_value - min_value) * rng.random(n_items)
    compatible = np.triu(rng.random((n_items, n_items)), k=1)
    compatible += compatible.T
    compatible /= compatible.sum(axis=1)
    bids: list[tuple[list[int], float]] = []
    n_dummies = 0
    while len(bids) < n_bids:
        interests = rng.random(n_items)
        own = values + max_value * value_deviation * (2.0 * interests - 1.0)

        def price_of(bundle: Bundle, own: Floats = own) -> float:
            return float(own[sorted(bundle)].sum()) + float(len(bundle) ** (1.0 + additivity))

        first = _bundle(rng, interests, compatible, grow)
        price = price_of(first)
        if price < 0:
            continue
        offers = {first: price}
        substitutes = [_substitute(rng, item, len(first), interests, compatible) for item in sorted(first)]
        least = resale_factor * values[sorted(first)].sum()
        for bundle in sorted(substitutes, key=price_of, reverse=True):
            if len(offers) > max_n_sub_bids or len(bids) + len(offers) >= n_bids:
                break
            if 0 <= price_of(bundle) <= budget_factor * price and values[sorted(bundle)].sum() >= least:
                offers.setdefault(bundle, price_of(bundle))
        dummy = (
            [n_items + n_dummies] if len(offers) > 2 else []
        )  # an item of the bidder's own: one bid at most
        n_dummies += len(dummy)
        bids += [(sorted(bundle) + dummy, price) for bundle, price in offers.items()]
    return _model(bids, n_items + n_dummies, name or f"auction-{n_items}x{n_bids}")


def _bundle(rng: Generator, interests: Floats, compatible: Floats, grow: float) -> Bundle:
    """The bundle a bidder wants first."""
    chosen = [_draw(rng, interests)]
    while rng.random() < grow and len(chosen) < len(interests):
        chosen.append(_next(rng, chosen, interests, compatible))
    return frozenset(chosen)


def _substitute(rng: Generator, item: int, size: int, interests: Floats, compatible: Floats) -> Bundle:
    """A bundle of the same size that shares one item."""
    chosen = [item]
    while len(chosen) < size:
        chosen.append(_next(rng, chosen, interests, compatible))
    return frozenset(chosen)


def _next(rng: Generator, chosen: list[int], interests: Floats, compatible: Floats) -> int:
    weight = interests * compatible[chosen].mean(axis=0)
    weight[chosen] = 0.0
    return _draw(rng, weight)


def _draw(rng: Generator, weight: Floats) -> int:
    total = np.cumsum(weight)
    return int(np.searchsorted(total, rng.random() * total[-1], side="right"))


def _model(bids: list[tuple[list[int], float]], n_items: int, name: str) -> MILP:
    from scipy.sparse import coo_array

    items = np.array([item for bundle, _ in bids for item in bundle])
    columns = np.repeat(np.arange(len(bids)), [len(bundle) for bundle, _ in bids])
    wanted, rows = np.unique(items, return_inverse=True)
    A = coo_array((np.ones(len(items)), (rows, columns)), shape=(len(wanted), len(bids))).tocsr()
    prices = np.array([price for _, price in bids])
    return MILP(
        prices,
        A,
        upper=np.ones(len(wanted)),
        bounds=(0, 1),
        integrality=1,
        sense="max",
        name=name,
    )
