"""A pressure vessel: two plate thicknesses in sixteenths of an inch, two lengths, three constraints.

The cheapest vessel known costs 6059.71 (Sandgren 1990, doi:10.1115/1.2912596, in the form of Kannan and Kramer 1994,
doi:10.1115/1.2919393). The two thickness rules are linear in the design, so the space itself keeps them: every design
that is evaluated satisfies them. The volume comes out of the evaluation, so it is a named constraint.
"""

import math

import optengine as oe

space = oe.Space(
    shell=oe.Integer(1, 99),  # plate thickness in 1/16 inch
    head=oe.Integer(1, 99),
    radius=oe.Real(10, 200),  # inches
    length=oe.Real(10, 200),
    rows=[
        oe.Row({"shell": -0.0625, "radius": 0.0193}, upper=0, name="shell thick enough"),
        oe.Row({"head": -0.0625, "radius": 0.00954}, upper=0, name="head thick enough"),
    ],
)


def vessel(shell: int, head: int, radius: float, length: float) -> dict[str, float]:
    """Return the cost in dollars and the volume in cubic inches."""
    t_shell, t_head = 0.0625 * shell, 0.0625 * head
    cost = 0.6224 * t_shell * radius * length + 1.7781 * t_head * radius**2
    cost += 3.1661 * t_shell**2 * length + 19.84 * t_shell**2 * radius
    return {"dollars": cost, "volume": math.pi * radius**2 * length + 4 / 3 * math.pi * radius**3}


if __name__ == "__main__":
    result = oe.minimize(
        vessel,
        space,
        objectives="dollars",
        constraints=[oe.Constraint("volume", lower=1_296_000, upper=math.inf)],
        solver="cem",
        budget=20_000,
        seed=0,
    )
    print(result)
    print(f"\n{result.fun / 6059.714335 - 1:+.2%} from the best vessel known")
