"""The names of torchvision's checkpoints, turned into those of its present models, which are refdet's.

A classification network's file needs no change but one: `num_batches_tracked`, a counter that each batch normalisation
has there and nothing here reads, goes. Detectors have been renamed since their files were published, when single
convolutions became blocks:

| published | now |
|---|---|
| rpn.head.conv.weight | rpn.head.conv.0.0.weight |
| backbone.fpn.inner_blocks.i.weight | backbone.fpn.inner_blocks.i.0.weight |
| backbone.fpn.layer_blocks.i.weight | backbone.fpn.layer_blocks.i.0.weight |
| roi_heads.mask_head.mask_fcn1.weight | roi_heads.mask_head.0.0.weight, and so on: the number falls by one |

and likewise the biases. torchvision does the same when it loads such a file. Arrays are passed on, not copied; a name
that is not in the table stays, and a table of both names, old and new, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from refdet.core.check import Array

COUNTER = "num_batches_tracked"
RENAMED = (
    (re.compile(r"(?P<head>(.*\.)?rpn\.head\.conv)\.(?P<kind>weight|bias)"), "{head}.0.0.{kind}"),
    (re.compile(r"(?P<head>(.*\.)?fpn\.(inner|layer)_blocks\.[0-9]+)\.(?P<kind>weight|bias)"), "{head}.0.{kind}"),
    (
        re.compile(r"(?P<head>(.*\.)?mask_head)\.mask_fcn(?P<number>[1-9][0-9]*)\.(?P<kind>weight|bias)"),
        "{head}.{before}.0.{kind}",
    ),
)


def from_torchvision(state: Mapping[str, Array], *, without: Collection[str] = ()) -> dict[str, Array]:
    """Return the state under the names that refdet's models have.

    Args:
        state: what torchvision's file holds, by name, as `refdet.nn.checkpoint.read_torch_state_dict` returns it.
        without: parts to leave out, such as ("aux1", "aux2"), GoogLeNet's heads for training, or ("fc",) for the body
            of a detector. A part that the state does not have is no error.

    Returns:
        Name → array, for `load_state_dict`.

    >>> list(from_torchvision({"bn1.num_batches_tracked": np.array(7), "rpn.head.conv.bias": np.zeros(256)}))
    ['rpn.head.conv.0.0.bias']
    """
    if isinstance(without, str):
        raise TypeError(f"from_torchvision: without must be a collection of names of parts, got the string {without!r}")
    left_out = tuple(f"{part}." for part in without)
    renamed: dict[str, Array] = {}
    for name, array in state.items():
        if name.rpartition(".")[2] == COUNTER or name.startswith(left_out):
            continue
        new = present_name(name)
        if new in renamed:
            raise ValueError(f"from_torchvision: the state has {new} twice, once under its older name")
        renamed[new] = array
    return renamed


def present_name(name: str) -> str:
    """Return what torchvision calls the parameter now.

    >>> present_name("roi_heads.mask_head.mask_fcn4.bias"), present_name("fc.bias")
    ('roi_heads.mask_head.3.0.bias', 'fc.bias')
    """
    for pattern, form in RENAMED:
        if match := pattern.fullmatch(name):
            groups = match.groupdict()
            return form.format(**groups, before=int(groups.get("number", 1)) - 1)
    return name
