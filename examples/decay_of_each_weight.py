"""One decay for each weight of a classifier, 90 hyperparameters at once, by the gradient of the validation loss.

So many hyperparameters can overfit the validation set: a mild penalty holds them together, and the steps are few.
"""

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from optengine.workflows import implicit_hypergradient

NOISE, STEPS = 60, 40  # columns that say nothing; steps of the decays
HELD = 0.01  # penalty on the variance of the log decays


def data(seed: int = 0) -> list[torch.Tensor]:
    """Train, validation and test sets: the 30 columns of the data, and noise."""
    X, y = load_breast_cancer(return_X_y=True)
    X = np.hstack(
        [StandardScaler().fit_transform(X), np.random.default_rng(seed).normal(size=(len(X), NOISE))]
    )
    X_train, X_rest, y_train, y_rest = train_test_split(X, y, train_size=120, random_state=seed, stratify=y)
    parts = train_test_split(X_rest, y_rest, train_size=300, random_state=seed, stratify=y_rest)
    X_val, X_test, y_val, y_test = parts
    return [torch.tensor(a, dtype=torch.float64) for a in (X_train, y_train, X_val, y_val, X_test, y_test)]


def main() -> None:
    X, y, X_val, y_val, X_test, y_test = data()
    w = torch.zeros(X.shape[1], dtype=torch.float64, requires_grad=True)
    log_decay = torch.full_like(w, -3.0, requires_grad=True)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def training() -> torch.Tensor:
        return entropy(X @ w, y) + (torch.exp(log_decay) * w**2).sum()

    def validation() -> torch.Tensor:
        return entropy(X_val @ w, y_val) + HELD * log_decay.var()

    def fit() -> None:
        optimizer = torch.optim.LBFGS([w], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = training()
            loss.backward()
            return loss

        optimizer.step(closure)

    tuner, losses = torch.optim.Adam([log_decay], lr=0.1), []
    for _ in range(STEPS):
        fit()
        losses.append(
            [float(entropy(X_val @ w, y_val).detach()), float(entropy(X_test @ w, y_test).detach())]
        )
        found = implicit_hypergradient(training, validation, [w], [log_decay])
        log_decay.grad = found.gradient[0]
        tuner.step()
    fit()
    for name, first, last in zip(("validation", "test"), losses[0], losses[-1], strict=True):
        print(f"{name} loss {first:.3f} -> {last:.3f}")
    size = w.detach().abs()
    print(f"mean size of a weight: data {float(size[:30].mean()):.3f}, noise {float(size[30:].mean()):.4f}")
    draw(np.array(losses), log_decay.detach().numpy())
    print("drawn: decay_of_each_weight.png")


def draw(losses: np.ndarray, log_decay: np.ndarray) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(losses[:, 0], label="validation")
    left.plot(losses[:, 1], label="test")
    left.set(xlabel="steps of the decays", ylabel="cross-entropy")
    left.legend()
    for part, label in ((log_decay[:30], "columns of the data"), (log_decay[30:], "noise")):
        right.plot(np.sort(part), np.linspace(0, 1, len(part)), drawstyle="steps-post", label=label)
    right.set(xlabel="log decay", ylabel="share of the weights")
    right.legend()
    figure.savefig("decay_of_each_weight.png", dpi=120)


if __name__ == "__main__":
    main()
