"""Two objectives: weight against sag of a welded beam of several materials, with the front drawn.

python two_objectives.py [front.png]
"""

import sys

import optengine as oe

DENSITY = {"steel": 7850.0, "aluminium": 2700.0, "oak": 700.0}  # kg/m3
MODULUS = {"steel": 200e9, "aluminium": 69e9, "oak": 12e9}  # Pa
STRENGTH = {"steel": 250e6, "aluminium": 180e6, "oak": 40e6}  # Pa

space = oe.Space(
    material=oe.Categorical(list(DENSITY)),
    width=oe.Real(0.02, 0.2),  # m
    height=oe.Real(0.02, 0.3),  # m
    rows=[oe.Row({"height": 1, "width": -4}, upper=0, name="no higher than four times its width")],
)


def beam(material: str, width: float, height: float) -> dict[str, float]:
    """A 2 m cantilever with 1 kN at its end."""
    length, force = 2.0, 1000.0
    inertia = width * height**3 / 12
    return {
        "kg": DENSITY[material] * width * height * length,
        "mm": 1000 * force * length**3 / (3 * MODULUS[material] * inertia),
        "stress": force * length * height / 2 / inertia / STRENGTH[material] - 1,
    }


if __name__ == "__main__":
    result = oe.minimize(beam, space, objectives=["kg", "mm"], constraints=["stress"], budget=4000, seed=0)
    print(result)
    for x, (kg, mm) in list(zip(result.front.x, result.front.F, strict=True))[
        :: max(1, len(result.front) // 6)
    ]:
        print(f"{kg:8.2f} kg {mm:8.2f} mm   {x['material']:9} {x['width']:.3f} x {x['height']:.3f} m")
    path = sys.argv[1] if len(sys.argv) > 1 else "front.png"
    result.plot("front", log=True).figure.savefig(path)
    print(f"front drawn in {path}")
