"""Which tests share compiled code: those run in one process, so that nothing is compiled twice at the same time.

Compiled code is kept on disk, and other processes load it; but two that need it at once both compile it. `--dist
loadgroup` keeps a group in one process. Tests that need the code of all kernels come last.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GROUPS = {
    "convolution": r"conv|winograd",
    "regions": r"roi|spatial_pyramid",
    "windows": r"pool|resize",
    "fields": r"lattice|mean_field|dense_crf",
    "boxes": r"nms|iou|match|top_k|rle",
    "proposals": r"edge|group_regions|merge_graph|proposals",
}
LAST = {"test_workspace": "memory", "test_thread_counts": "threads", "test_threads": "threads"}
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name the group of each test in this folder by what it is called, and move those of LAST to the end."""
    own = [item for item in items if HERE in item.path.parents and "gpu" not in item.path.parts]
    for item in own:
        name = item.name if item.path.stem == "test_parity" else item.path.stem
        group = next((group for group, pattern in GROUPS.items() if re.search(pattern, name)), None)
        group = LAST.get(item.path.stem, group)
        if group is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    last = [item for item in own if item.path.stem in LAST]
    items[:] = [item for item in items if item not in last] + last
