"""Models that predict a function from data: the Gaussian process of our own, without torch."""
