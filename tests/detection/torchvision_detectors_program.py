"""What torchvision is asked about its detectors: a program for `ask_torchvision`, and the pictures it is given.

The detectors are torchvision's ResNet-50-FPN ones at a sixteenth of the width, on pictures of about 96 × 128. Their
weights are random. Where those of the region proposal network start from N(0, 0.01²), all logits are nearly equal, and
which of two boxes comes first would be a matter of rounding; so they, and those of the class scores, are made larger.
Which anchors and regions are drawn is recorded, so that the losses can be computed for the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np

KINDS = ("faster", "mask", "keypoint")
N_CLASSES, N_JOINTS = 4, 5
WIDTH = 1 / 16
SHORT, LONG = 96, 160
PRE_NMS, POST_NMS = (200, 100), (60, 30)  # in training, in testing
N_ANCHORS, N_REGIONS, N_DETECTIONS = 64, 32, 12


def pictures() -> dict[str, Any]:
    """Return two pictures (H, W, 3) uint8, and objects in them: boxes, classes, masks, joints, visibility; sizes."""
    rng = np.random.default_rng(7)
    asked: dict[str, Any] = {}
    for i, (H, W) in enumerate([(90, 121), (100, 80)]):
        boxes = np.array([[10.0, 12, 62, 70], [40, 30, 78, 88], [5, 50, 30, 75]][: 3 - i], np.float32)
        y, x = np.mgrid[:H, :W] + 0.5
        masks = np.array([((x - (a + c) / 2) / (c - a)) ** 2 + ((y - (b + d) / 2) / (d - b)) ** 2 <= 0.25
                          for a, b, c, d in boxes.tolist()])  # fmt: skip
        share = rng.uniform(0.05, 1.1, (len(boxes), N_JOINTS, 2))
        asked[f"image{i}"] = rng.integers(0, 256, (H, W, 3), dtype=np.uint8)
        asked[f"boxes{i}"] = boxes
        asked[f"classes{i}"] = np.array([1, 3, 2][: 3 - i])
        asked[f"masks{i}"] = masks
        asked[f"joints{i}"] = (boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2])).astype(
            np.float32
        )
        asked[f"visible{i}"] = rng.random((len(boxes), N_JOINTS)) < 0.8
    asked["originals"] = np.array([[375, 500], [500, 333], [427, 640], [300, 1000]])  # sizes of other pictures
    return asked


PROGRAM = (
    f"""
KINDS, N_CLASSES, N_JOINTS = {KINDS}, {N_CLASSES}, {N_JOINTS}
SHORT, LONG, PRE_NMS, POST_NMS = {SHORT}, {LONG}, {PRE_NMS}, {POST_NMS}
N_ANCHORS, N_REGIONS, N_DETECTIONS = {N_ANCHORS}, {N_REGIONS}, {N_DETECTIONS}
"""
    + """
from torchvision.models import resnet
from torchvision.models.detection import backbone_utils, faster_rcnn, keypoint_rcnn, mask_rcnn, roi_heads, rpn
from torchvision.ops.misc import FrozenBatchNorm2d
torch.set_num_threads(1)

class Narrow(resnet.ResNet):
    def _make_layer(self, block, planes, *args, **kwargs):
        if planes == 64:
            self.inplanes = 4
            self.conv1 = torch.nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)
            self.bn1 = FrozenBatchNorm2d(4)
        return super()._make_layer(block, planes // 16, *args, **kwargs)

def build(kind):
    torch.manual_seed(3)
    body = Narrow(resnet.Bottleneck, [3, 4, 6, 3], num_classes=1, norm_layer=FrozenBatchNorm2d)
    layers = {f"layer{i + 1}": str(i) for i in range(4)}
    backbone = backbone_utils.BackboneWithFPN(body, layers, [16, 32, 64, 128], 16)
    options = dict(
        min_size=SHORT, max_size=LONG, box_head=faster_rcnn.TwoMLPHead(16 * 49, 64),
        box_predictor=faster_rcnn.FastRCNNPredictor(64, N_CLASSES),
        rpn_pre_nms_top_n_train=PRE_NMS[0], rpn_pre_nms_top_n_test=PRE_NMS[1],
        rpn_post_nms_top_n_train=POST_NMS[0], rpn_post_nms_top_n_test=POST_NMS[1],
        rpn_batch_size_per_image=N_ANCHORS, box_batch_size_per_image=N_REGIONS,
        box_detections_per_img=N_DETECTIONS)
    if kind == "faster":
        model = faster_rcnn.FasterRCNN(backbone, None, **options)
    elif kind == "mask":
        model = mask_rcnn.MaskRCNN(
            backbone, None, mask_head=mask_rcnn.MaskRCNNHeads(16, (16,) * 4, 1),
            mask_predictor=mask_rcnn.MaskRCNNPredictor(16, 16, N_CLASSES), **options)
    else:
        model = keypoint_rcnn.KeypointRCNN(
            backbone, None, keypoint_head=keypoint_rcnn.KeypointRCNNHeads(16, (32,) * 8),
            keypoint_predictor=keypoint_rcnn.KeypointRCNNPredictor(32, N_JOINTS), **options)
    with torch.no_grad():
        for name, value in list(model.named_parameters()) + list(model.named_buffers()):
            if name.endswith("running_var") or "bn" in name and name.endswith("weight"):
                value.uniform_(0.5, 1.5).mul_(0.2 if "bn3" in name and name.endswith("weight") else 1)
            elif name.endswith(("bias", "running_mean")):
                value.normal_(std=0.1)
        model.rpn.head.cls_logits.weight.normal_(std=0.3)
        model.rpn.head.bbox_pred.weight.normal_(std=0.1)
        model.roi_heads.box_predictor.cls_score.weight.normal_(std=0.3)
        model.roi_heads.box_predictor.bbox_pred.weight.normal_(std=0.3)
    return model

def put(name, value):
    answers[f"{kind}/{name}"] = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)

def put_all(name, values):
    for i, value in enumerate(values):
        put(f"{name}{i}", value)

image = [torch.tensor(asked[f"image{i}"]).permute(2, 0, 1).float() / 255 for i in range(2)]

def targets():
    found = []
    for i in range(2):
        target = {"boxes": asked[f"boxes{i}"], "labels": asked[f"classes{i}"]}
        if kind == "mask":
            target["masks"] = asked[f"masks{i}"].astype(np.uint8)
        if kind == "keypoint":
            visible = asked[f"visible{i}"][:, :, None].astype(np.float32)
            target["keypoints"] = np.concatenate([asked[f"joints{i}"], visible], axis=2)
        found.append({key: torch.tensor(value) for key, value in target.items()})
    return found

def test(model):
    images, _ = model.transform([image[0]])
    put("batch", images.tensors), put("sizes", images.image_sizes)
    maps = model.backbone(images.tensors)
    put_all("map", maps.values())
    logits, deltas = model.rpn.head(list(maps.values()))
    anchors = model.rpn.anchor_generator(images, list(maps.values()))
    counts = [x[0].numel() for x in logits]
    flat_logits, flat_deltas = rpn.concat_box_prediction_layers(logits, deltas)
    put("logits", flat_logits), put("deltas", flat_deltas), put("anchors", anchors[0])
    decoded = model.rpn.box_coder.decode(flat_deltas, anchors).view(1, -1, 4)
    proposals, _ = model.rpn.filter_proposals(decoded, flat_logits, images.image_sizes, counts)
    put("proposals", proposals[0])
    heads = model.roi_heads
    crops = heads.box_roi_pool(maps, proposals, images.image_sizes)
    scores, transforms = heads.box_predictor(heads.box_head(crops))
    put("crops", crops), put("scores", scores), put("transforms", transforms)
    boxes, probabilities, classes = heads.postprocess_detections(scores, transforms, proposals, images.image_sizes)
    put("boxes", boxes[0]), put("probabilities", probabilities[0]), put("classes", classes[0])
    if kind == "mask":
        crops = heads.mask_roi_pool(maps, boxes, images.image_sizes)
        put("mask_crops", crops), put("mask_logits", heads.mask_predictor(heads.mask_head(crops)))
    if kind == "keypoint":
        crops = heads.keypoint_roi_pool(maps, boxes, images.image_sizes)
        found = heads.keypoint_predictor(heads.keypoint_head(crops))
        put("joint_crops", crops), put("joint_logits", found)
        joints, joint_scores = roi_heads.keypointrcnn_inference(found, boxes)
        put("joints", joints[0]), put("joint_scores", joint_scores[0])
    for name, value in model([image[0]])[0].items():
        put(f"end/{name}", value)

def train(model):
    model.train()
    drawn = {"anchors": [], "regions": []}
    for stage, name in ((model.rpn, "anchors"), (model.roi_heads, "regions")):
        def record(labels, sampler=stage.fg_bg_sampler, into=drawn[name]):
            chosen = sampler(labels)
            into += [np.stack([label.numpy() for label in labels_of]) for labels_of in zip(labels, *chosen)]
            return chosen
        stage.fg_bg_sampler = record
    proposed = []
    inner = model.roi_heads.select_training_samples
    def select(proposals, given):
        proposed.extend(p.detach() for p in proposals)
        return inner(proposals, given)
    model.roi_heads.select_training_samples = select
    images, known = model.transform(image, targets())
    put("train/batch", images.tensors), put("train/sizes", images.image_sizes)
    for i in range(2):
        for name, value in known[i].items():
            put(f"train/{name}{i}", value)
    torch.manual_seed(5)
    losses = model(image, targets())
    sum(losses.values()).backward()
    for name, value in losses.items():
        put(f"loss/{name}", value)
    for name, value in model.named_parameters():
        put(f"grad/{name}", value.grad)
    put_all("train/proposals", proposed)
    put_all("train/drawn_anchors", drawn["anchors"])
    put_all("train/drawn_regions", drawn["regions"])

class Nothing(torch.nn.Identity):
    out_channels = 1

def several_sizes():
    transform = keypoint_rcnn.KeypointRCNN(Nothing(), 2).transform
    answers["several/sizes"] = np.array(transform.min_size)
    for i, size in enumerate(asked["originals"].tolist()):
        picture = torch.zeros(3, *size)
        transform.train()
        for j in range(len(transform.min_size)):
            transform.torch_choice = lambda sizes: sizes[j]
            answers[f"several/{i}/{j}"] = np.array(transform([picture])[0].image_sizes[0])
        transform.eval()
        answers[f"several/{i}/test"] = np.array(transform([picture])[0].image_sizes[0])

several_sizes()
for kind in KINDS:
    model = build(kind)
    for name, value in model.state_dict().items():
        put(f"state/{name}", value)
    model.eval()
    with torch.no_grad():
        test(model)
    train(model)
"""
)
