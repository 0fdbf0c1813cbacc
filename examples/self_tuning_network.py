"""A self-tuning network: weights that answer to their dropout rate while it is tuned, in one training run.

MacKay, Vicol, Lorraine, Duvenaud, Grosse, "Self-tuning networks", ICLR 2019, arXiv:1903.03088: each layer's weights are
W + V * (a linear function of the hyperparameters), a local best response. Training alternates between the weights, at
hyperparameters with noise, on the training loss, and the hyperparameters, with the width of that noise, on the
validation loss.
"""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HIDDEN, STEPS, BATCH = 96, 1200, 64
ENTROPY = 0.001  # weight of the entropy of the noise: keeps its width from collapsing


class Responding(nn.Module):
    """A linear layer whose output is shifted and scaled by the hyperparameters, one row of them a sample."""

    def __init__(self, n_in: int, n_out: int, n_hyper: int) -> None:
        super().__init__()
        self.own, self.response = nn.Linear(n_in, n_out), nn.Linear(n_in, n_out)
        self.scale, self.shift = nn.Linear(n_hyper, n_out, bias=False), nn.Linear(n_hyper, n_out, bias=False)

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> torch.Tensor:
        return (
            self.own(x)
            + self.scale(h) * nn.functional.linear(x, self.response.weight)
            + self.shift(h) * self.response.bias
        )


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = Responding(64, HIDDEN, 2), Responding(HIDDEN, 10, 2)

    def forward(self, x: torch.Tensor, h: torch.Tensor, drop: bool) -> torch.Tensor:
        """Logits; h (n, 2) are logits of the dropout rates of the inputs and of the hidden layer."""
        if drop:
            x = x * keep(h[:, :1], x.shape)
        x = torch.relu(self.first(x, h))
        if drop:
            x = x * keep(h[:, 1:], x.shape)
        return self.last(x, h)


def keep(logit: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A mask with mean 1, of a rate for each row."""
    rate = torch.sigmoid(logit)
    return (torch.rand(shape) >= rate).float() / (1 - rate)


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    X, y = load_digits(return_X_y=True)
    X_train, X_rest, y_train, y_rest = train_test_split(X / 16, y, train_size=300, random_state=0, stratify=y)
    X_val, X_test, y_val, y_test = train_test_split(
        X_rest, y_rest, train_size=500, random_state=0, stratify=y_rest
    )
    X_train, X_val, X_test = (torch.tensor(a, dtype=torch.float32) for a in (X_train, X_val, X_test))
    y_train, y_val, y_test = (torch.tensor(a) for a in (y_train, y_val, y_test))

    network, loss = Network(), nn.functional.cross_entropy
    middle = torch.full((2,), -3.0, requires_grad=True)  # dropout 5 %
    log_width = torch.full((2,), -0.5, requires_grad=True)
    weights = torch.optim.Adam(network.parameters(), lr=3e-3)
    hyper = torch.optim.Adam([middle, log_width], lr=2e-2)
    path = []
    for step in range(STEPS):
        rows = torch.randint(len(X_train), (BATCH,))
        h = (middle + torch.exp(log_width) * torch.randn(BATCH, 2)).detach()
        weights.zero_grad()
        loss(network(X_train[rows], h, drop=True), y_train[rows]).backward()
        weights.step()
        if step >= 200 and step % 2:
            rows = torch.randint(len(X_val), (BATCH,))
            h = middle + torch.exp(log_width) * torch.randn(BATCH, 2)
            hyper.zero_grad()
            # The response of the weights carries the gradient; validation itself has no dropout.
            (loss(network(X_val[rows], h, drop=False), y_val[rows]) - ENTROPY * log_width.sum()).backward()
            hyper.step()
        path.append([*torch.sigmoid(middle).tolist(), score(network, middle, X_val, y_val)])
    rates = ", ".join(f"{100 * rate:.0f} %" for rate in path[-1][:2])
    print(f"dropout of inputs and hidden units: 5 %, 5 % -> {rates}")
    print(
        f"validation loss {path[200][2]:.3f} -> {path[-1][2]:.3f}; test {score(network, middle, X_test, y_test):.3f}"
    )
    draw(np.array(path))
    print("drawn: self_tuning_network.png")


@torch.no_grad()
def score(network: Network, middle: torch.Tensor, X: torch.Tensor, y: torch.Tensor) -> float:
    return float(nn.functional.cross_entropy(network(X, middle.expand(len(X), 2), drop=False), y))


def draw(path: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(path[:, 0], label="inputs")
    left.plot(path[:, 1], label="hidden units")
    left.set(xlabel="step", ylabel="dropout rate")
    left.legend()
    right.plot(path[:, 2])
    right.set(xlabel="step", ylabel="validation loss", yscale="log")
    figure.savefig("self_tuning_network.png", dpi=120)


if __name__ == "__main__":
    main()
