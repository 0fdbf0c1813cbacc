"""A network that tunes its own weight decay while it trains: a self-tuning network.

MacKay, Vicol, Lorraine, Duvenaud and Grosse, ICLR 2019, arXiv:1903.03088. Each layer learns how its best weights answer
to the hyperparameters: weights = W + gate(h) * V. Training steps fit W, V and the gate under hyperparameters drawn
around the present ones; validation steps move the hyperparameters through that answer. One training in place of many.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

N_TRAIN, N_VAL, WIDTH, STEPS = 120, 120, 32, 500
SPREAD = 0.5  # standard deviation of the hyperparameters drawn, in units of the logarithm


class Answering(nn.Module):
    """A linear layer whose weights answer to hyperparameters (k,)."""

    def __init__(self, n_in: int, n_out: int, k: int) -> None:
        super().__init__()
        self.plain, self.answer = nn.Linear(n_in, n_out), nn.Linear(n_in, n_out)
        self.gate = nn.Linear(k, n_out, bias=False)
        nn.init.zeros_(self.gate.weight)

    def weights(self, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        gate = self.gate(h)
        return self.plain.weight + gate[
            :, None
        ] * self.answer.weight, self.plain.bias + gate * self.answer.bias


class Network(nn.Module):
    """Two layers; h (2,) are the logarithms of their weight decays."""

    def __init__(self, n_in: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Answering(n_in, WIDTH, 2), Answering(WIDTH, 1, 2)])

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Predictions (n,) and the penalty."""
        (w1, b1), (w2, b2) = (layer.weights(h) for layer in self.layers)
        penalty = torch.exp(h[0]) * (w1**2).sum() + torch.exp(h[1]) * (w2**2).sum()
        return (torch.tanh(x @ w1.T + b1) @ w2.T + b2)[:, 0], penalty


def data() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Training and validation parts: diabetes patients, with twenty columns that mean nothing."""
    X, y = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(0)
    X = np.hstack([X / X.std(axis=0), rng.normal(size=(len(X), 20))])
    order, y = rng.permutation(len(X)), (y - y.mean()) / y.std()
    parts = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_VAL]
    return [(torch.tensor(X[p], dtype=torch.float32), torch.tensor(y[p], dtype=torch.float32)) for p in parts]


def train(start: float, tune: bool) -> tuple[np.ndarray, list[float]]:
    """Return the hyperparameters (steps, 2) and the validation errors on the way."""
    torch.manual_seed(0)
    (X, y), (X_val, y_val) = data()
    network = Network(X.shape[1])
    h = torch.full((2,), start, requires_grad=True)
    inner = torch.optim.Adam(network.parameters(), lr=3e-3)
    outer = torch.optim.Adam([h], lr=5e-2)
    path, errors = [], []
    for step in range(STEPS):
        drawn = h.detach() + SPREAD * torch.randn(2) * tune
        predicted, penalty = network(X, drawn)
        inner.zero_grad()
        (((predicted - y) ** 2).mean() + penalty).backward()
        inner.step()
        if tune and step % 2 and step > 100:
            drawn = h + SPREAD * torch.randn(2)
            outer.zero_grad()
            ((network(X_val, drawn)[0] - y_val) ** 2).mean().backward()
            outer.step()
        with torch.no_grad():
            errors.append(float(((network(X_val, h)[0] - y_val) ** 2).mean()))
        path.append(h.detach().numpy().copy())
    return np.array(path), errors


if __name__ == "__main__":
    path, errors = train(start=-9.0, tune=True)
    print(f"one training: decays {np.exp(path[-1]).round(4)}, validation error {np.mean(errors[-50:]):.3f}")
    grid = np.linspace(-9, -1, 3)
    fixed = [float(np.mean(train(start=value, tune=False)[1][-50:])) for value in grid]
    for value, error in zip(grid, fixed, strict=True):
        print(f"decay {np.exp(value):.4f} held fixed: {error:.3f}")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    left.semilogy(np.exp(path), label=["first layer", "second layer"])
    left.set(xlabel="step", ylabel="weight decay")
    left.legend()
    right.plot(errors, label="self-tuning")
    for value, error in zip(grid, fixed, strict=True):
        right.axhline(error, lw=0.8, color="gray", ls=":", label=f"fixed at {np.exp(value):.4f}")
    right.set(xlabel="step", ylabel="validation error", ylim=(0.4, 1.2))
    right.legend(fontsize="x-small")
    figure.savefig("self_tuning_network.png", dpi=120)
    print("drawn: self_tuning_network.png")
