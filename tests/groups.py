"""Which tests run in one process: those that share compiled code or a costly fixture, so that neither is made twice.

Compiled code is kept on disk, and other processes load it; but two that need it at once both compile it. `--dist
loadgroup` keeps a group in one process, beginning with the largest. Tests in no group come afterwards, in their order.

The group is told by the test's name alone: pytest-xdist 3.8 writes `@group` into a name where pytest 9.2 does not look,
and its marks then have no effect.
"""

from __future__ import annotations

import re
from typing import Any

KERNELS = {
    "fields": r"lattice|mean_field|dense_crf",
    "convolution": r"conv|winograd|depthwise|strided_backward",
    "regions": r"roi|spatial_pyramid",
    "windows": r"pool|resize",
    "boxes": r"nms|iou|match|top_k|rle",
    "proposals": r"edge|group_regions|merge_graph|proposals",
}
OF_ALL_KERNELS = ("test_parity", "test_workspace")  # a test of these belongs to its kernel's group
NEED_ALL_CODE = ("test_thread_counts", "test_threads")  # in no group, and last
OTHERS = {
    "generation": r"verify/test_generate\.py::(?!test_random_cases)",
    "mutation": r"tests/test_(mutation_sample|mutants_have_no_name)\.py",
}


def group_of(nodeid: str) -> str | None:
    """Return the group of a test, None if it can run anywhere."""
    for group, pattern in OTHERS.items():
        if re.search(pattern, nodeid):
            return group
    path, _, name = nodeid.partition("::")
    stem = path.rpartition("/")[2].removesuffix(".py")
    if "tests/backends/" not in path or "/gpu/" in path or stem in NEED_ALL_CODE:
        return None
    told_by = name if stem in OF_ALL_KERNELS else stem
    return next((group for group, pattern in KERNELS.items() if re.search(pattern, told_by)), None)


def scheduler(config: Any, log: Any) -> Any:
    """Return pytest-xdist's scheduler of groups, with these."""
    from xdist.scheduler import LoadGroupScheduling  # type: ignore[import-untyped]

    class Groups(LoadGroupScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid) or super()._split_scope(nodeid)

    return Groups(config, log)
