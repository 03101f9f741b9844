"""The one harness behind every speed comparison: two sides, the same inputs, agreement first, ratios of medians.

`groups.py` lists what can be compared and which target each group has, `sides.py` who can take part, `runner.py` how
a comparison runs, `report.py` how its result is shown. On the command line: `refdet bench conv-vgg16 --against torch`,
`refdet bench coco --against pycocotools`, `refdet bench crf --against pydensecrf`.
"""
