"""Floor 5: semantic segmentation by fully convolutional networks.

A small network learns two scenes, first with one map of scores, then with a finer one beside it; a picture of another
size is labelled. Means and divisor bring 0 … 255 to about −2 … 2, which suits weights that start at random:

>>> from refdet.data import Shapes, make_scene, network_input
>>> from refdet.segmentation import FCN, Recipe, VGGPlan, predict, train_in_stages, training_pair
>>> mean, divisor = (128, 128, 128), np.float32(64)
>>> pairs = [training_pair(scene, mean=mean) for scene in Shapes(2, seed=0, size=(32, 32))]
>>> samples = [(image / divisor, label_map) for image, label_map in pairs]
>>> plan = VGGPlan(blocks=((8, 1), (16, 1)), padding=5, fc_channels=32, fc_kernel=4, dropout=0.0)
>>> rng, losses = np.random.default_rng(1), []
>>> coarse = FCN(7, variant="4s", plan=plan, rng=rng)
>>> recipe = Recipe(lr=0.05, n_steps=12, momentum=0.9, normalize="valid")
>>> recipes = {"4s": recipe, "2s": recipe}
>>> nets = train_in_stages(coarse, samples, recipes, rng=rng, on_step=lambda step: losses.append(step.loss))
>>> round(losses[0], 3), losses[-1] < 1.5  # log 7, and less
(1.946, True)
>>> picture = make_scene(1, 0, size=(45, 61)).image  # or read_image("photograph.jpg"), of refdet.data
>>> (label_map,) = predict(nets["2s"], [network_input(picture, mean=mean, order="RGB") / divisor])
>>> label_map.shape
(45, 61)

VGG-16 itself is `FCN(21, variant="8s", rng=rng)`: 134 million parameters, for images of any size.
"""

from refdet.segmentation.bilinear import BilinearUpsampling
from refdet.segmentation.fcn import AT_ONCE_SCALES, FCN, refined, variants
from refdet.segmentation.grid import Grid, image_grid, offset_onto, through
from refdet.segmentation.prediction import class_probabilities, predict
from refdet.segmentation.training import (
    REFERENCE_MEAN_BGR,
    REFERENCE_RATES,
    Recipe,
    Step,
    bias_multipliers,
    pixel_loss,
    train,
    train_in_stages,
    training_pair,
)
from refdet.segmentation.transplant import Transplanted, transplant
from refdet.segmentation.vgg import VGG, VGGClassifier, VGGPlan

__all__ = [
    "AT_ONCE_SCALES",
    "FCN",
    "REFERENCE_MEAN_BGR",
    "REFERENCE_RATES",
    "VGG",
    "BilinearUpsampling",
    "Grid",
    "Recipe",
    "Step",
    "Transplanted",
    "VGGClassifier",
    "VGGPlan",
    "bias_multipliers",
    "class_probabilities",
    "image_grid",
    "offset_onto",
    "pixel_loss",
    "predict",
    "refined",
    "through",
    "train",
    "train_in_stages",
    "training_pair",
    "transplant",
    "variants",
]
