"""An Optuna study with our sampler: a conditional space, a region that fails, and the trials as data for our own."""

import optuna

import optengine as oe
from optengine.integrations.optuna import OptEngineSampler, from_study


def objective(trial: optuna.Trial) -> float:
    """Stands for training a network or a forest; networks that are too wide run out of memory."""
    rate = trial.suggest_float("rate", 1e-4, 1.0, log=True)
    if trial.suggest_categorical("model", ["forest", "network"]) == "forest":
        return 0.3 + (trial.suggest_int("depth", 1, 12) - 7) ** 2 / 100 + abs(rate - 0.1)
    layers = trial.suggest_int("layers", 1, 3)
    widths = [trial.suggest_int(f"width{i}", 8, 512, log=True) for i in range(layers)]
    if sum(widths) > 600:
        raise MemoryError(f"{sum(widths)} units")
    return 0.1 + abs(rate - 0.01) + (layers - 2) ** 2 / 10 + sum(abs(w - 128) for w in widths) / 5000


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=OptEngineSampler("bo", seed=0))
    study.optimize(objective, n_trials=60, catch=(MemoryError,))
    failed = [t.number for t in study.trials if t.state == optuna.trial.TrialState.FAIL]
    print(f"best {study.best_value:.4f} by {study.best_params}")
    print(f"{len(failed)} of {len(study.trials)} trials failed: {failed}")

    data = from_study(study)  # a warm start for a run of ours, over the space that the trials showed
    problem = oe.Problem(lambda x: objective(optuna.trial.FixedTrial(x)), data.space, call="dict")
    more = oe.solve(problem, "tpe", budget=20, seed=0, data=data.data, x0=data.best, catch=MemoryError)
    print(
        f"a run that begins with these trials as data: {more.fun:.4f}, no worse: {more.fun <= study.best_value}"
    )
