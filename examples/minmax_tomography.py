"""A black-and-white image from its shadows in 16 directions, measured with noise.

4096 pixels, 1316 measurements, each off by up to half a pixel's area. An image that explains every measurement to
within the noise is found, and it is the truth.
"""

import matplotlib.pyplot as plt
import numpy as np

import optengine as oe
from optengine.problems.applications.tomography import phantom, tomography
from optengine.solvers.minmax import DMMV

if __name__ == "__main__":
    rng = np.random.default_rng(1)
    problem = tomography(phantom(64, 2, rng), angles=16, noise=0.5, rng=rng)
    result = oe.solve(problem, solver=DMMV(), time_limit=60, target=0.5, seed=0)
    print(result)
    print(f"\npixels that differ from the truth: {result.details['wrong_pixels']:.2%}")

    figure = problem.draw(result.x)
    figure.savefig("minmax_tomography.png", dpi=120)
    plt.close(figure)
    print("drawn: minmax_tomography.png")
