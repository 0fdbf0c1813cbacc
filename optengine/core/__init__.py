"""Spaces, problems, evaluations, results, the two contracts of solvers, errors: the words of every room."""
