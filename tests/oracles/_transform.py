"""Centre and size of a proposal, in the three conventions of box regression.

                 w, h                              x1 ... x2 of a box with centre c and width w
    continuous   x2 - x1                           c - w/2 ... c + w/2
    py-faster    x2 - x1 + 1                       c - w/2 ... c + w/2
    detectron1   x2 - x1 + 1                       c - w/2 ... c + w/2 - 1

The centre is x1 + w/2 in all three.
"""

from tests.oracles._boxes import Box


def centre_and_size(box: Box, convention: str) -> Box:
    """Return (centre x, centre y, width, height)."""
    x1, y1, x2, y2 = box
    extra = 0 if convention == "continuous" else 1
    width, height = x2 - x1 + extra, y2 - y1 + extra
    return x1 + width / 2, y1 + height / 2, width, height


def corners(centre_x: float, centre_y: float, width: float, height: float, convention: str) -> Box:
    """Return (x1, y1, x2, y2)."""
    less = 1 if convention == "detectron1" else 0
    return centre_x - width / 2, centre_y - height / 2, centre_x + width / 2 - less, centre_y + height / 2 - less
