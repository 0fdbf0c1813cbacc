"""Predicting the binaries of mixed-integer programs of one class: features, networks, losses, training, predictors.

Everything but `features`, `pools` and `selection` needs torch, which is loaded when they are.
"""
