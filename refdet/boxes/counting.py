"""How many boxes, windows and pixels a sliding-window detector would have to look at. Exact, in Python's integers.

    boxes of size h × w in an image of H × W:   (H − h + 1) · (W − w + 1)
    boxes of every size:   Σ_h Σ_w (H − h + 1)(W − w + 1) = H(H + 1)/2 · W(W + 1)/2
    windows, every s pixels:   (⌊(H − h)/s⌋ + 1) · (⌊(W − w)/s⌋ + 1)

Deck 001 derives the first two, and says that an image of 800 × 600 has about 58 million boxes. Its own formula gives
57,768,120,000, which is 58 billion. Deck 002: windows of 224 × 224 in 1000 × 2000 pixels. Deck 000 compares R-CNN with
Fast R-CNN by the number of pixels that go through the convolutions.

Conventions: sizes are (height, width); without a pixel there is no box, and a window larger than the image does not
occur at all.
"""

from __future__ import annotations

from refdet.core.check import integer, integers

Pair = tuple[int, int]


def count_boxes(height: int, width: int) -> int:
    """Return the number of boxes, of all sizes, with whole pixels in an image.

    In 1 × 2 pixels there are the two pixels and the pair:

    >>> count_boxes(1, 2)
    3
    """
    H = integer("count_boxes", "height", height, low=0)
    W = integer("count_boxes", "width", width, low=0)
    return (H * (H + 1) // 2) * (W * (W + 1) // 2)


def count_windows(size: int | Pair, window: int | Pair, *, stride: int | Pair = 1) -> int:
    """Return the number of positions at which a window fits into an image.

    Args:
        size: (H, W) of the image, or one integer for both.
        window: (h, w), likewise; at least 1.
        stride: distance between positions, likewise; at least 1.

    >>> count_windows((5, 7), 3), count_windows((5, 7), 3, stride=2)
    (15, 6)
    """
    H, W = integers("count_windows", "size", size, count=2, low=0, int64=False)
    h, w = integers("count_windows", "window", window, count=2, low=1, int64=False)
    vertical, horizontal = integers("count_windows", "stride", stride, count=2, low=1, int64=False)
    if h > H or w > W:
        return 0
    return ((H - h) // vertical + 1) * ((W - w) // horizontal + 1)


def count_pixels(size: int | Pair, *, n_images: int = 1) -> int:
    """Return how many pixels a network sees in `n_images` images or crops of `size`.

    >>> count_pixels((2, 3), n_images=10)
    60
    """
    H, W = integers("count_pixels", "size", size, count=2, low=0, int64=False)
    n = integer("count_pixels", "n_images", n_images, low=0)
    return H * W * n
