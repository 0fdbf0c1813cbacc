"""A trained network with weights of 2, 3 and 4 bits: rounding to nearest, GPTQ, and the least worst-case error.

A perceptron for scikit-learn's digits is trained in a second; then each layer is quantized on 256 training images,
row by row, so that no output of the layer moves far on any of them. Reported: the largest error of a layer's outputs,
and the accuracy on images that neither training nor calibration saw.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import optengine as oe
from optengine.problems.applications.quantize_linear import QuantizedLinear, quantize_model
from optengine.solvers.minmax import DMMV

SECONDS = 1.0  # for each layer


def ours(problem: QuantizedLinear) -> np.ndarray:
    """Every row by itself is best at the end, not only the worst one: `details["sides"]`."""
    return oe.solve(problem, solver=DMMV(relax=False), time_limit=SECONDS, seed=0).details["sides"]


def train(X: torch.Tensor, y: torch.Tensor) -> torch.nn.Module:
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 32),
        torch.nn.ReLU(),
        torch.nn.Linear(32, 16),
        torch.nn.ReLU(),
        torch.nn.Linear(16, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(X), y).backward()
        optimizer.step()
    return model.eval()


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16.0, labels, test_size=0.4, random_state=0)
    X, X_test = (torch.tensor(part, dtype=torch.float32) for part in split[:2])
    y, y_test = (torch.tensor(part) for part in split[2:])
    model = train(X, y)

    def accuracy(network: torch.nn.Module) -> float:
        with torch.no_grad():
            return float((network(X_test).argmax(1) == y_test).float().mean())

    print(f"accuracy in floating point: {accuracy(model):.2%}")
    table: dict[str, list[float]] = {}
    for bits in (2, 3, 4):
        for name, method in (("RTN", "rtn"), ("GPTQ", "gptq"), ("min-max", ours)):
            _, report = quantize_model(model, X[:256], bits, method, metric=accuracy)
            errors = ", ".join(f"{layer['ours']:.3f}" for layer in report["layers"])
            print(
                f"{bits} bits  {name:8} accuracy {report['after']:.2%}   largest errors of the layers {errors}"
            )
            table.setdefault(name, []).append(report["after"])

    figure, axes = plt.subplots(figsize=(5, 3.5))
    for name, values in table.items():
        axes.plot([2, 3, 4], values, marker="o", label=name)
    axes.axhline(accuracy(model), color="gray", lw=0.8, label="floating point")
    axes.set(xlabel="bits", ylabel="accuracy", xticks=[2, 3, 4])
    axes.legend()
    figure.tight_layout()
    figure.savefig("minmax_quantization.png", dpi=120)
    plt.close(figure)
    print("drawn: minmax_quantization.png")


if __name__ == "__main__":
    main()
