"""One file per algorithm: `ALGORITHM`, `cases()`, and `random_case(rng)` for checks on random input.

Modules whose name begins with `_` are not algorithms: they make inputs, or build cases that several algorithms share.
"""
