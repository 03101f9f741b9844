"""Combinations of deviations that the cases of an algorithm cannot tell from others, and which are not stored.

What one member changes beside the others is stored in no case; or it changes something only beside two others, which
the search for probes does not show. Stored, such a combination would be an answer that is known and yet gets no name.
`tests/golden/test_diagnosis.py` finds them. A case that tells one takes it from here.
"""

UNTOLD: dict[str, list[str]] = {
    "class_nms": [
        "box.plus1=yes + nms.batched=agnostic + nms.cmp=ge",
    ],
    "detections": [
        "box.plus1=no + code.plus1=centred",
        "code.form=corners + code.plus1=no",
        "box.clip=from1 + box.plus1=no + code.plus1=centred",
        "box.clip=from1 + code.form=corners + code.plus1=no",
        "box.clip=w + box.plus1=no + code.plus1=centred",
        "nms.batched=agnostic + nms.order=index + nms.tie=last",
        "box.plus1=no + cls.background=first + code.plus1=centred",
        "box.plus1=no + cls.background=last + code.plus1=centred",
        "box.plus1=no + cls.background=last + code.plus1=py-faster",
        "box.plus1=yes + cls.background=last + code.plus1=centred",
        "cls.background=first + code.form=corners + code.plus1=no",
        "cls.background=last + code.form=corners + code.plus1=centred",
        "cls.background=last + code.form=corners + code.plus1=no",
        "cls.background=last + nms.order=index + nms.tie=last",
    ],
    "mean_field": [
        "crf.compatibility=reward + crf.damping=none + crf.self=excluded",
        "crf.compatibility=symmetrised + crf.damping=none + crf.norm=after",
        "crf.compatibility=symmetrised + crf.damping=none + crf.norm=symmetric",
        "crf.compatibility=symmetrised + crf.damping=none + crf.self=excluded",
        "crf.compatibility=transposed + crf.damping=none + crf.norm=after",
        "crf.compatibility=transposed + crf.damping=none + crf.norm=symmetric",
        "crf.compatibility=transposed + crf.damping=none + crf.self=excluded",
        "crf.damping=none + crf.norm=after + crf.self=excluded",
        "crf.damping=none + crf.norm=after + crf.unary=logits",
        "crf.damping=none + crf.norm=symmetric + crf.self=excluded",
        "crf.damping=none + crf.norm=symmetric + crf.unary=logits",
        "crf.damping=none + crf.self=excluded + crf.unary=logits",
    ],
    "roi_align": [
        "roi.max=weighted + roi.plus1=yes + roi.sampling=adaptive",
        "roi.min1=always + roi.offset=0 + roi.outside=zero_decay",
        "roi.offset=0 + roi.outside=zero_decay + roi.plus1=yes",
        "roi.outside=zero_decay + roi.plus1=yes + roi.sampling=adaptive",
    ],
    "rpn_proposals": [
        "box.clip=from1 + box.plus1=no + code.plus1=centred",
        "box.clip=from1 + code.form=corners + code.plus1=no",
        "box.clip=w + code.form=corners + code.plus1=no",
        "box.plus1=no + code.form=corners + code.plus1=no",
        "box.plus1=yes + code.form=corners + nms.cmp=ge",
        "box.clip=w + box.min_size=gt + box.plus1=no + code.plus1=no",
    ],
}
