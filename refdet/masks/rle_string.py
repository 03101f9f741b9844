"""The compressed text of a run-length encoded mask, as it stands in COCO's files.

    xᵢ = countsᵢ − countsᵢ₋₂ for i > 2,    xᵢ = countsᵢ for i ≤ 2

Each xᵢ is written in two's complement, five bits to a character, the lowest first. A character is chr(48 + bits), plus
32 if another of the same number follows; the last one carries the sign in its highest bit. Runs two apart are of the
same colour, and in a mask of compact shape nearly equal, so that most differences take a single character.

`rleToString` and `rleFrString` of the COCO API; much like LEB128, the variable-length integers of DWARF.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.core.geometry import Pair, pair
from refdet.masks.rle import RLE, check_rle

FIRST = 48  # the character "0" stands for five bits of zero
MORE = 32  # set where the number goes on
SIGN = 16  # the highest bit of the last five
MAX_CHARACTERS = 12  # of one number: 60 bits


def rle_to_string(rle: RLE) -> str:
    """Write a mask as text.

    3 and 2 fit into four bits and a sign; 40 = 8 + 1·32 takes two characters, chr(48 + 32 + 8) and chr(48 + 1):

    >>> rle_to_string(RLE(np.array([3, 2, 40]), (9, 5)))
    '32X1'
    """
    check_rle("rle_to_string", "the mask", rle)
    counts = rle.counts.astype(np.int64)
    rest = counts.copy()
    rest[3:] -= counts[1:-2]
    characters: list[Array] = []  # one array per round, -1 where a number has ended
    going_on = np.ones(len(rest), bool)
    while going_on.any():
        bits, rest = rest & 31, rest >> 5  # the shift keeps the sign
        more = np.where(bits & SIGN, rest != -1, rest != 0)
        characters.append(np.where(going_on, FIRST + bits + MORE * more, -1))
        going_on &= more
    codes = np.stack(characters, axis=1) if characters else np.zeros((0, 0), np.int64)  # (n, rounds)
    return codes[codes >= 0].astype(np.uint8).tobytes().decode("ascii")


def rle_from_string(text: str | bytes, size: Pair) -> RLE:
    """Read the text of a mask of a given size (H, W); refuse text that does not encode one.

    >>> rle_from_string("32X1", (9, 5))
    RLE(counts=array([ 3,  2, 40]), size=(9, 5))
    """
    H, W = pair("rle_from_string", "size", size, low=0)
    codes = _codes(text)
    is_last = (codes & MORE) == 0
    if codes.size and not is_last[-1]:
        raise ValueError("rle_from_string: the text ends in the middle of a number")
    ends = np.flatnonzero(is_last)
    lengths = np.diff(np.concatenate([[-1], ends]))
    if np.any(lengths > MAX_CHARACTERS):
        raise ValueError(f"rle_from_string: a number of more than {MAX_CHARACTERS} characters")
    starts = ends - lengths + 1
    place = np.arange(len(codes)) - np.repeat(starts, lengths)  # of a character within its number
    digits = (codes & 31) << (5 * place)
    counts = np.add.reduceat(digits, starts) if ends.size else np.zeros(0, np.int64)
    counts -= np.where(codes[ends] & SIGN, 1 << (5 * lengths), 0)
    counts[1::2] = np.cumsum(counts[1::2])
    counts[2::2] = np.cumsum(counts[2::2])
    rle = RLE(counts, (H, W))
    check_rle("rle_from_string", "the text", rle)
    return rle


def _codes(text: str | bytes) -> Array:
    """Return the six bits of each character."""
    if not isinstance(text, (str, bytes)):
        raise TypeError(f"rle_from_string: text must be str or bytes, got {type(text).__name__}")
    try:
        raw = text.encode("ascii") if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        raise ValueError(f"rle_from_string: {text[error.start]!r} is not a character of this encoding") from error
    codes = np.frombuffer(raw, np.uint8).astype(np.int64) - FIRST
    foreign = np.flatnonzero((codes < 0) | (codes > 63))
    if foreign.size:
        character = chr(raw[foreign[0]])
        raise ValueError(f"rle_from_string: {character!r} at {foreign[0]} is not a character of this encoding")
    return codes
