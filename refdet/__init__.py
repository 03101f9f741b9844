"""refdet: the executable specification of convnet object detection, localisation and segmentation.

    >>> x = Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> (x @ x).sum().backward()
    >>> x.grad
    array([[ 7., 11.],
           [ 9., 13.]])

`refdet.ops` holds the differentiable operations, `refdet.nn` modules and training; both run on plain NumPy, or on a
backend: `with use_backend("numba-cpu"): ...`.
"""

import os

# When NumPy's OpenBLAS is loaded, it reads for how long its threads wait for work by going round a loop: 2^26 cycles
# unless it is told. Meanwhile they take the processors from the threads of a backend.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "14")

from refdet import nn, ops
from refdet.autograd import Tensor, gradcheck, gradients, no_grad
from refdet.core.kernel import use_backend

__version__ = "0.1.0"

__all__ = ["Tensor", "__version__", "gradcheck", "gradients", "nn", "no_grad", "ops", "use_backend"]
