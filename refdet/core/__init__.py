"""Floor 0: the kernel seam, input checks, geometry, and the arithmetic that tensors are made of."""
