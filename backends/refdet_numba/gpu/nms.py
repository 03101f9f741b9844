"""Greedy non-maximum suppression: all pairs at once, then one sweep over words of 64 bits.

    rank the boxes, best first; a word holds a bit for each of 64 neighbours in rank
    for a strip of ROWS boxes at a time:
        1. suppressions: a thread for each (box i, word of 64 boxes j): bit j says j > i and IoU(i, j) > threshold
        2. sweep, in one block, for each word of the strip in turn:
               one thread decides which of its 64 boxes survive: those not yet out, each ruling out those after it
               all threads share the words after it: out |= the suppressions of the survivors

The decisions fall in the order of the definition, whatever the threads do. The arithmetic of the IoU is that of
`refdet.boxes.iou`, the threshold is rounded to the dtype of the boxes, ranks are those of `refdet.boxes.top_k`.

Workspace: ROWS · N / 8 bytes of suppressions, and N / 4 of bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import boolean, float32, float64, int64, uint64

from refdet.boxes.top_k import descending
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.box_iou import area, overlap
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit

WORD = 64  # bits
ROWS = 128 if IN_SIMULATOR else 8192  # of a strip, a multiple of WORD
SWEEPERS = 8 if IN_SIMULATOR else 1024  # threads


def nms(boxes: Any, scores: Any, *, threshold: float, offset: int) -> Any:
    """Return the indices of the boxes that are kept, (K,) int64, in descending order of score."""
    order = descending(scores)
    return _survivors_of_boxes(boxes, order, np.zeros_like(order), threshold, offset)


def class_nms(boxes: Any, scores: Any, classes: Any, *, threshold: float, offset: int) -> Any:
    """Return the indices of the boxes that are kept in any class, in descending order of score."""
    order = descending(scores)
    return _survivors_of_boxes(boxes, order, contiguous(classes[order].astype(np.int64)), threshold, offset)


def nms_from_iou(iou: Any, scores: Any, *, threshold: float) -> Any:
    """Return the indices of the boxes that are kept; of a pair, the row of the one with the higher score is read."""
    order = descending(scores)
    arguments = contiguous(iou), order, iou.dtype.type(threshold)
    return order[_survivors(order, _suppressions_of_overlaps, arguments)]


def _survivors_of_boxes(boxes: Any, order: Any, classes: Any, threshold: float, offset: int) -> Any:
    number = boxes.dtype.type
    arguments = contiguous(boxes[order]), classes, number(offset), number(0), number(threshold)
    return order[_survivors(order, _suppressions_of_boxes, arguments)]


def _survivors(order: Any, suppressions: Any, arguments: tuple[Any, ...]) -> Any:
    """Return which ranks survive, (N,) booleans."""
    n = len(order)
    n_words = blocks_for(n, WORD)
    words = np.empty_like(order, shape=(min(n, ROWS), n_words), dtype=np.uint64, order="C")
    out = np.zeros_like(order, shape=(n_words,), dtype=np.uint64, order="C")
    is_kept = np.empty_like(order, shape=(n,), dtype=np.bool_, order="C")
    for first in range(0, n, ROWS):
        n_rows = min(ROWS, n - first)
        launch(suppressions, (n_words, blocks_for(n_rows, WORD)), WORD, *arguments, first, words)
        launch(_sweep, 1, SWEEPERS, words, first, out, is_kept)
    return is_kept


@jit()
def _suppressions_of_boxes(
    boxes: Any, classes: Any, offset: Any, of_nothing: Any, threshold: Any, first: Any, words: Any
) -> None:
    n, word = len(boxes), cuda.blockIdx.x
    row = cuda.blockIdx.y * WORD + cuda.threadIdx.x  # of the strip
    i = first + row
    if i < n and word >= i // WORD:
        p = boxes[i]
        area_p = area(p[0], p[1], p[2], p[3], offset)
        bits = uint64(0)
        for j in range(max(word * WORD, i + 1), min((word + 1) * WORD, n)):
            if classes[i] == classes[j]:
                q = boxes[j]
                area_q = area(q[0], q[1], q[2], q[3], offset)
                if overlap(p, q, area_p, area_q, False, offset, of_nothing) > threshold:
                    bits |= uint64(1) << uint64(j - word * WORD)
        words[row, word] = bits


@jit()
def _suppressions_of_overlaps(iou: Any, order: Any, threshold: Any, first: Any, words: Any) -> None:
    n, word = len(order), cuda.blockIdx.x
    row = cuda.blockIdx.y * WORD + cuda.threadIdx.x
    i = first + row
    if i < n and word >= i // WORD:
        bits = uint64(0)
        for j in range(max(word * WORD, i + 1), min((word + 1) * WORD, n)):
            if iou[order[i], order[j]] > threshold:
                bits |= uint64(1) << uint64(j - word * WORD)
        words[row, word] = bits


@jit()
def _sweep(words: Any, first: Any, out: Any, is_kept: Any) -> None:
    n, n_words, thread = len(is_kept), len(out), cuda.threadIdx.x
    survivors = cuda.shared.array(1, uint64)
    for row in range(0, min(n - first, len(words)), WORD):
        word, n_bits = (first + row) // WORD, min(WORD, n - first - row)
        if thread == 0:
            survivors[0] = _decide(words, row, word, n_bits, out[word])
        cuda.syncthreads()
        alive = survivors[0]
        for bit in range(thread, n_bits, cuda.blockDim.x):
            is_kept[first + row + bit] = (alive >> uint64(bit)) & uint64(1) != uint64(0)
        for later in range(word + 1 + thread, n_words, cuda.blockDim.x):
            gone = out[later]
            for bit in range(n_bits):
                if (alive >> uint64(bit)) & uint64(1):
                    gone |= words[row + bit, later]
            out[later] = gone
        cuda.syncthreads()


@device_function
def _decide(words: Any, row: Any, word: Any, n_bits: Any, gone: Any) -> Any:
    """Return a bit for each of the boxes of one word that survive."""
    alive = uint64(0)
    for bit in range(n_bits):
        if not (gone >> uint64(bit)) & uint64(1):
            alive |= uint64(1) << uint64(bit)
            gone |= words[row + bit, word]
    return alive


_WORDS = array(uint64, 2)
ASSEMBLED = [
    *(
        Assembled(
            _suppressions_of_boxes,
            [array(t, 2), array(int64, 1), t, t, t, int64, _WORDS],
            registers=64,
            float64=t is float64,
            fused=False,
        )
        for t in (float32, float64)
    ),
    *(
        Assembled(
            _suppressions_of_overlaps,
            [array(t, 2), array(int64, 1), t, int64, _WORDS],
            registers=48,
            float64=t is float64,
            fused=False,
        )
        for t in (float32, float64)
    ),
    Assembled(_sweep, [_WORDS, int64, array(uint64, 1), array(boolean, 1)], registers=64, shared_bytes=8),
]
