"""Dialects: which deviations come together in one library.

A key stands here where the library's source was read, or the library was run, and where the library does so in every
algorithm of the key that it has. What is an option of the library stands in none, and neither does what its versions or
its parts do differently: order of equal scores by an unstable sort, `>` in one suppression and `≥` in another. Where no
source is named, those of the deviations themselves hold.
"""

from __future__ import annotations

from refdet.verify.deviation import Dialect

# Measuring the pixels from the first to the last, in all code that descends from R-CNN.
COUNTS_PIXELS = ("box.clip=w-1", "box.crowd=ignored", "box.empty=zero", "box.plus1=yes", "code.encode_plus1=yes")

# torch.ops.torchvision.nms and roi_align, on which Detectron2 stands as well.
ON_TORCHVISION = ("nms.batched=offset", "nms.nan_score=first", "nms.thr_dtype=float64", "roi.max=mean")

# Boxes and matching of both, where pixels are not counted.
CONTINUOUS = (
    "anchor.where=origin",
    "box.clip=w",
    "box.crowd=ignored",
    "box.plus1=no",
    "code.encode_plus1=no",
    "code.plus1=no",
    "match.cmp=ge",
    "match.inside=ignored",
    "match.low=0",
    "match.zero=unguarded",
    "roi.outside=kernel",
)

DIALECTS = [
    # BVLC/caffe, src/caffe/layers: pooling_layer.cpp before round_mode, base_conv_layer.cpp, deconv_layer.cpp,
    # lrn_layer.cpp, batch_norm_layer.cpp, dropout_layer.cpp, eltwise_layer.cpp, softmax_loss_layer.cpp,
    # euclidean_loss_layer.cpp, hinge_loss_layer.cpp, sigmoid_cross_entropy_loss_layer.cpp, spp_layer.cpp.
    Dialect(
        "caffe",
        "Caffe's layers",
        (
            "avgpool.pad=count",
            "bn.running_var=unbiased",
            "ce.log=flt_min",
            "conv.pad=symmetric",
            "deconv.output_padding=none",
            "dropout.scale=training",
            "loss.mean=batch",
            "lrn.alpha=divided",
            "maximum.nan=second",
            "maximum.tie=second",
            "maxpool.emptywin=flt_max",
            "maxpool.nan=number",
            "pool.ceil=always",
            "pool.convention=caffe",
            "pool.pad=symmetric",
            "spp.bins=padded",
            "squared.scale=half",
        ),
    ),
    # chainer: functions/pooling (roi_pooling_2d.py, average_pooling_2d.py, max_pooling_nd.py), functions/activation/
    # leaky_relu.py, functions/math/basic_math.py; chainercv: utils/bbox/non_maximum_suppression.py,
    # evaluations/eval_detection_voc.py, links/model/fpn (mask_utils.py, keypoint_head.py, keypoint_utils.py). Boxes
    # begin with y in ChainerCV, and with x in roi_pooling_2d.py.
    Dialect(
        "chainer",
        "Chainer and ChainerCV",
        (
            "ap.match_cmp=gt",
            "ap.match_offset=1",
            "ap.nothing=zero",
            "ap.rematch=all",
            "avgpool.pad=area",
            "keypoint.scale=float32",
            "keypoint.thin=own_side",
            "leaky.grad_zero=1",
            "mask.cmp=gt",
            "mask.paste=rounded",
            "maxpool.switch=window",
            "nms.cmp=ge",
            "power.grad_zero=nan",
            "roipool.bins=float64",
            "roipool.round=half_even",
        ),
    ),
    # pjreddie/darknet, src/blas.c and src/activations.h; AlexeyAB/darknet, src/maxpool_layer.c and src/detector.c. Its
    # resize_image has other coordinates than its upsampling, and its normalize_cpu has ε elsewhere in each of the two.
    Dialect(
        "darknet",
        "darknet",
        (
            "ap.difficult=last",
            "ap.first_step=lost",
            "ap.grid=hundredths",
            "ap.match_cmp=gt",
            "ap.match_offset=0",
            "ap.nothing=zero",
            "ap.rematch=all",
            "avgpool.grad=area",
            "avgpool.pad=exclude",
            "bce.log=unclamped",
            "bn.var=unbiased",
            "l1.grad_zero=1",
            "leaky.slope=0.1",
            "maxpool.emptywin=flt_max",
            "maxpool.nan=number",
            "pool.ceil=never",
            "smoothl1.beta=1",
            "smoothl1.loss=doubled",
            "squared.scale=half_gradient",
        ),
    ),
    # detectron/utils: boxes.py, keypoints.py, cython_bbox.pyx and cython_nms.pyx; detectron/core/test.py;
    # caffe2/operators/roi_align_op.cc. Its nms has ≥ and its soft_nms >; filter_small_boxes has > and the proposals'
    # _filter_boxes ≥.
    Dialect(
        "detectron1",
        "Detectron, with its operators of Caffe2",
        (
            *COUNTS_PIXELS,
            "code.clamp=always",
            "code.plus1=detectron1",
            "keypoint.scale=float32",
            "mask.cmp=gt",
            "mask.paste=whole_pixels",
            "roi.max=mean",
            "roi.min1=always",
            "roi.offset=0",
            "roi.outside=kernel",
            "softnms.min_score=overlapping",
            "softnms.tie=swap",
        ),
    ),
    # detectron2/structures/boxes.py, modeling/anchor_generator.py, modeling/matcher.py, modeling/box_regression.py,
    # layers/nms.py, layers/roi_align.py, layers/mask_ops.py, structures/keypoints.py, config/defaults.py,
    # evaluation/sem_seg_evaluation.py.
    Dialect(
        "detectron2",
        "Detectron2",
        (
            *CONTINUOUS,
            *ON_TORCHVISION,
            "anchor.quant=none",
            "anchor.sequence=sizes",
            "box.empty=zero",
            "box.min_size=gt",
            "keypoint.scale=reciprocal",
            "mask.cmp=ge",
            "mask.paste=centres",
            "seg.absent=not_true",
            "seg.confusion=transposed",
        ),
    ),
    # ShaoqingRen/faster_rcnn, functions/rpn/proposal_generate_anchors.m and proposal_locate_anchors.m,
    # functions/fast_rcnn/fast_rcnn_bbox_transform.m, its inverse and fast_rcnn_im_detect.m, functions/nms/nms.m,
    # utils/boxoverlap.m. Its ε in encoding, 2.2e-16, does not show.
    Dialect(
        "faster-rcnn-matlab",
        "Faster R-CNN in MATLAB",
        (
            "anchor.positions=columns",
            "anchor.quant=half_away",
            "anchor.sequence=ratios",
            "anchor.where=from1",
            "box.clip=from1",
            "box.crowd=ignored",
            "box.empty=zero",
            "box.plus1=yes",
            "code.clamp=none",
            "code.encode_plus1=yes",
            "code.plus1=detectron1",
        ),
    ),
    # fizyr/keras-retinanet since 2018, keras_retinanet/utils/anchors.py and backend/common.py.
    Dialect(
        "keras-retinanet",
        "keras-retinanet since 2018",
        (
            "anchor.offset=half",
            "anchor.quant=none",
            "anchor.sequence=ratios",
            "anchor.where=origin",
            "code.form=corners",
            "match.force=off",
        ),
    ),
    # Version 1: mmdet/core/bbox/transforms.py, mmdet/ops/roi_align/src/roi_align_kernel.cu, docs/compatibility.md of
    # version 2. Its suppression has ≥ on the CPU and > on a GPU.
    Dialect(
        "mmdetection1",
        "MMDetection 1",
        (
            "box.clip=w-1",
            "box.plus1=yes",
            "code.clamp=both",
            "code.encode_plus1=yes",
            "code.plus1=detectron1",
            "match.forced_truth=forcing",
            "roi.max=mean",
            "roi.min1=never",
            "roi.offset=0",
            "roi.plus1=yes",
        ),
    ),
    # Version 2: mmdet/core/anchor/anchor_generator.py, bbox/iou_calculators/iou2d_calculator.py,
    # bbox/coder/delta_xywh_bbox_coder.py, bbox/assigners/max_iou_assigner.py; mmdet/models/roi_heads/mask_heads/
    # fcn_mask_head.py; mmcv/ops/nms.py.
    Dialect(
        "mmdetection2",
        "MMDetection 2",
        (
            "anchor.quant=none",
            "anchor.where=origin",
            "box.eps=1e-6",
            "code.clamp=both",
            "mask.cmp=ge",
            "mask.paste=centres",
            "match.forced_truth=forcing",
            "nms.batched=offset",
        ),
    ),
    # Version 1.31.1, run.
    Dialect(
        "onnxruntime",
        "ONNX Runtime on the CPU",
        ("amax.nan=number", "box.malformed=sorted", "mean.empty=0", "roi.max=weighted", "unpool.overlap=last"),
    ),
    # Version 1.31.1, run; its RoiAlign of opset 10, onnxruntime/core/providers/cpu/object_detection/roialign.cc, read.
    Dialect(
        "onnxruntime-opset10",
        "ONNX Runtime on the CPU, RoiAlign of opset 10",
        (
            "amax.nan=number",
            "box.malformed=sorted",
            "roi.max=weighted",
            "roi.min1=always",
            "roi.offset=0",
            "unpool.overlap=last",
        ),
    ),
    # Version 5.0.0 of cv2.dnn, run.
    Dialect(
        "opencv",
        "OpenCV's dnn module",
        (
            "amax.start=lowest",
            "avgpool.drop=never",
            "avgpool.overhang=counts",
            "box.empty=one",
            "ce.empty=0",
            "logsoftmax.log=rounded",
            "maximum.nan=first",
            "maxpool.switch=image",
            "mean.empty=0",
            "nms.batched=offset",
            "relu.inf=nan",
            "roi.max=weighted",
        ),
    ),
    # abadams/permutohedral, cpu/permutohedral.h.
    Dialect(
        "permutohedral",
        "A. Adams's permutohedral lattice",
        (
            "crf.lattice_blur=quarter",
            "crf.lattice_scale=one",
            "lattice.blur=quarter",
            "lattice.keys=int16",
            "lattice.neighbours=swapped",
            "lattice.numbers=as_they_come",
            "lattice.reverse=never",
            "lattice.scale=one",
        ),
    ),
    # rbgirshick/py-faster-rcnn: lib/utils/bbox.pyx, lib/nms/cpu_nms.pyx, lib/fast_rcnn/bbox_transform.py, lib/rpn/
    # (generate_anchors.py, proposal_layer.py, anchor_target_layer.py), lib/datasets/voc_eval.py;
    # caffe-fast-rcnn/src/caffe/layers/roi_pooling_layer.cpp. Of its three suppressions only cpu_nms.pyx has ≥, and in
    # what precision it compares depends on NumPy and Cython; precision is 0/0 in some versions of voc_eval only.
    Dialect(
        "py-faster-rcnn",
        "py-faster-rcnn on the CPU",
        (
            *COUNTS_PIXELS,
            "anchor.offset=0",
            "anchor.sequence=ratios",
            "ap.match_cmp=gt",
            "ap.match_offset=1",
            "ap.rematch=all",
            "box.min_size=ge",
            "code.clamp=none",
            "code.plus1=py-faster",
            "match.cmp=ge",
            "match.force=always",
            "match.zero=unguarded",
            "nms.cmp=ge",
            "roipool.bins=float32",
            "roipool.nan=ignored",
        ),
    ),
    # Version 2.0.11, run.
    Dialect("pycocotools", "pycocotools", ("coco.nan=match",)),
    Dialect(
        "pycocotools-ids-from-zero",
        "pycocotools, given annotations whose ids begin at 0",
        ("coco.id0=none", "coco.nan=match"),
    ),
    # pydensecrf2 1.1, run; pydensecrf/densecrf/src: densecrf.cpp, labelcompatibility.cpp, pairwise.cpp,
    # permutohedral.cpp.
    Dialect(
        "pydensecrf",
        "pydensecrf and the code of Krähenbühl & Koltun (2011)",
        (
            "crf.at_once=yes",
            "crf.compatibility=symmetrised",
            "crf.damping=none",
            "crf.free_energy=whole_pairs",
            "crf.self=included",
            "lattice.keys=int16",
            "lattice.numbers=as_they_come",
        ),
    ),
    # Version 2.13, run.
    Dialect(
        "pytorch",
        "PyTorch's operators and their gradients",
        (
            "amax.tie=split",
            "hinge.kink=active",
            "l2.clamp_grad=pass",
            "maximum.nan_grad=both",
            "maximum.tie=split",
            "nms.nan_score=first",
            "unpool.grad=all",
            "unpool.overlap=last",
        ),
    ),
    # skimage/segmentation/_felzenszwalb_cy.pyx.
    Dialect("scikit-image", "scikit-image's felzenszwalb", ("graph.cmp=lt", "graph.scale=over_255")),
    # matterport/Mask_RCNN, mrcnn/utils.py and model.py, on tf.image.crop_and_resize. Its argsort is not stable.
    Dialect(
        "tf1-crop",
        "TensorFlow 1 with crop_and_resize: matterport's Mask R-CNN",
        (
            "anchor.ratio=w_over_h",
            "box.crowd=ignored",
            "box.plus1=no",
            "code.clamp=none",
            "code.encode_plus1=no",
            "code.order=yx",
            "code.plus1=no",
            "mask.cmp=ge",
            "mask.iou_of_nothing=nan",
            "mask.paste=box",
            "roi.crop=tf",
            "roi.order=yx",
        ),
    ),
    # object_detection/: anchor_generators, box_coders/faster_rcnn_box_coder.py, matchers/argmax_matcher.py;
    # tensorflow/core/kernels/image/non_max_suppression_op.cc, which sorts corners where the API's own IoU does not.
    Dialect(
        "tf1-object-detection",
        "TensorFlow's object detection API",
        (
            "anchor.ratio=w_over_h",
            "code.order=yx",
            "match.force=first",
            "softnms.min_score=gt",
            "softnms.sigma=half_exponent",
            "ssd.prior_order=paddle",
        ),
    ),
    # theano/tensor/basic.py, theano/tensor/signal/pool.py, theano/scalar/basic.py; Theano#5404.
    Dialect(
        "theano",
        "Theano",
        ("amax.tie=all", "avgpool.pad=area", "maximum.tie=all", "maxpool.grad_tie=all"),
    ),
    # Lightning-AI/torchmetrics, src/torchmetrics/detection/_mean_ap.py and mean_ap.py, without pycocotools.
    Dialect(
        "torchmetrics",
        "torchmetrics' own mean average precision",
        (
            "coco.box=corners",
            "coco.cmp=gt",
            "coco.crowd_iou=plain",
            "coco.ignored=never",
            "coco.threshold=as_given",
            "coco.tie=first",
        ),
    ),
    # Version 0.14.1, run, and read: torchvision/ops/boxes.py, models/detection/anchor_utils.py and _utils.py,
    # csrc/ops/cpu/nms_kernel.cpp, roi_align_kernel.cpp and roi_pool_kernel.cpp. The IoU of boxes
    # without area is NaN, but 0 of some that are malformed. The limit of decoding and the clipping of default boxes are
    # options.
    Dialect(
        "torchvision",
        "torchvision",
        (
            *CONTINUOUS,
            *ON_TORCHVISION,
            "anchor.offset=0",
            "anchor.quant=round",
            "anchor.sequence=ratios",
            "box.min_size=ge",
            "keypoint.scale=reciprocal",
            "mask.paste=whole_pixels",
            "match.nan=best",
            "roipool.bins=float32",
            "roipool.nan=ignored",
            "ssd.match=overwrite",
            "ssd.prior_order=caffe",
        ),
    ),
    # ultralytics/utils/metrics.py, ultralytics/models/yolo/pose/val.py.
    Dialect(
        "ultralytics",
        "Ultralytics YOLO",
        ("ap.interp=linear101", "box.eps=1e-7", "oks.area=box053", "oks.unlabelled=zero"),
    ),
    # VOCcode/VOCevaldet.m.
    Dialect(
        "voc-devkit",
        "PASCAL VOC devkit",
        ("ap.ignored=point", "ap.match_apart=never", "ap.match_cmp=ge", "ap.match_offset=1", "ap.rematch=all"),
    ),
]
