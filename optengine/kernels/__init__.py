"""Hot loops on plain arrays: each with a NumPy definition, a Numba form and, where it pays, a CuPy form."""
