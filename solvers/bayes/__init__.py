"""Bayesian optimization: options in `bo`, the run of our own engine in `fast`, BoTorch's in `torch_run`; `tpe`."""

from optengine.solvers.bayes.beliefs import Beliefs as Beliefs, Near as Near
from optengine.solvers.bayes.bo import BO as BO
from optengine.solvers.bayes.torch_options import TorchOptions as TorchOptions
from optengine.solvers.bayes.tpe import TPE as TPE
