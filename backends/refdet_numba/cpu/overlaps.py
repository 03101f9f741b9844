"""What `match_rpn`, `match_rcnn` and `match_ssd` share: reading a table of IoU, boxes × ground truths, once.

    for each chunk of CHUNK rows (in parallel):
        for each row, for each column:  the largest IoU of the row so far, the first of equals; likewise of the column
    for each column, chunk after chunk:  the largest of the chunks', the first of equals

NaN counts as 0. The chunks depend on the number of rows alone, so nothing depends on the threads.

Workspace: 2 · (⌈R / CHUNK⌉ + 1) · G numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet_numba.cpu.compiling import compiled_parallel

CHUNK = 1024


def largest(iou: Array, takes_part: Array) -> tuple[Array, Array, Array, Array]:
    """Return the largest IoU of every row and its column, then that of every column and its row.

    The rows that take part compete for the columns. Where there is nothing to choose from it is 0 and −1.
    """
    n_rows, n_columns = iou.shape
    n_chunks = (n_rows + CHUNK - 1) // CHUNK
    of_row, column = np.zeros(n_rows, iou.dtype), np.full(n_rows, -1)
    of_column, row = np.zeros((n_chunks + 1, n_columns), iou.dtype), np.full((n_chunks + 1, n_columns), -1)
    _find(iou, takes_part, of_row, column, of_column, row)
    return of_row, column, of_column[0], row[0]


@compiled_parallel
def _find(iou: Any, takes_part: Any, of_row: Any, column: Any, of_column: Any, row: Any) -> None:
    """Fill in the largest of each row, and of each column in of_column[0] by way of those of the chunks behind it."""
    n_rows, n_columns = iou.shape
    n_chunks = len(of_column) - 1
    zero = iou.dtype.type(0)
    for chunk in prange(n_chunks):
        of_chunk, row_in_chunk = of_column[chunk + 1], row[chunk + 1]
        for r in range(chunk * CHUNK, min((chunk + 1) * CHUNK, n_rows)):
            for g in range(n_columns):
                value = zero if np.isnan(iou[r, g]) else iou[r, g]
                if value > of_row[r] or column[r] < 0:
                    of_row[r], column[r] = value, g
                if takes_part[r] and (value > of_chunk[g] or row_in_chunk[g] < 0):
                    of_chunk[g], row_in_chunk[g] = value, r
    for chunk in range(1, n_chunks + 1):
        for g in range(n_columns):
            if row[chunk, g] >= 0 and (of_column[chunk, g] > of_column[0, g] or row[0, g] < 0):
                of_column[0, g], row[0, g] = of_column[chunk, g], row[chunk, g]
