"""The synthetic scenes: what is promised of them, and that they are the same everywhere."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.data import CLASS_NAMES
from refdet.data.random_stream import RandomStream
from refdet.data.sample import Sample
from refdet.data.shape_outlines import OUTLINES, STAR_NORMALS, TRIANGLE_NORMALS
from refdet.data.shapes import LEAST_VISIBLE, Scene, Shapes, make_scene, tight_box

SCENES = list(Shapes(120, seed=1))


def digest(*arrays: Any) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()[:16]


def test_the_same_bits_everywhere() -> None:
    """Any change of a bit is a change of the data set, and of everything trained on it."""
    assert digest(*(getattr(make_scene(0, 0), f) for f in ("image", "boxes", "classes", "masks"))) == "ced798045de2288e"
    assert digest(make_scene(7, 123, size=(61, 200)).image) == "fb51a499fdfa8155"


def test_a_scene_does_not_depend_on_those_before_it() -> None:
    assert len(SCENES) == len(Shapes(120, seed=1)) == 120
    np.testing.assert_array_equal(Shapes(9, seed=1)[-2].image, SCENES[7].image)
    assert (make_scene(2, 7).image != SCENES[7].image).any()
    assert [s.image[0, 0, 0] for s in Shapes(9, seed=1)[2:4]] == [s.image[0, 0, 0] for s in SCENES[2:4]]


@pytest.mark.parametrize("scene", SCENES[:40], ids=range(40))
def test_the_annotation_fits(scene: Scene) -> None:
    assert 1 <= len(scene.boxes) <= 8
    for i, (box, mask) in enumerate(zip(scene.boxes, scene.masks, strict=True)):
        assert tuple(box) == tight_box(mask)
        for behind in scene.masks[:i]:
            assert not (behind & mask).any()
        labels = np.unique(scene.label_map[mask])
        assert labels.tolist() == [scene.classes[i]]
    assert (scene.label_map == 0).sum() == scene.label_map.size - scene.masks.sum()
    assert scene.image.dtype == np.uint8
    assert scene.boxes.dtype == np.float32


def test_a_scene_is_a_sample() -> None:
    scene = Shapes(18, seed=0)[17]
    assert isinstance(scene, Sample)
    assert scene.name == "shapes 0/17"
    assert scene.label_map.dtype == scene.classes.dtype == np.int64
    assert (scene.joints, scene.joints_visible) == (None, None)
    with pytest.raises(
        ValueError, match=r"sample 'shapes 0/17': visible must have shape \(\d,\) \(one share per object\)"
    ):
        dataclasses.replace(scene, visible=scene.visible[:-1])
    with pytest.raises(TypeError, match="sample 'shapes 0/17': visible must be float32 or float64, got bool"):
        dataclasses.replace(scene, visible=scene.difficult)
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'masks' and 'label_map'"):
        Scene("a", scene.image, scene.boxes, scene.classes, scene.difficult, visible=scene.visible)  # type: ignore[call-arg]


def test_how_hard_it_is() -> None:
    """All sizes, all classes, all numbers of objects; three in ten partly hidden, none more than 60 %."""
    visible = np.concatenate([s.visible for s in SCENES])
    sides = np.concatenate([s.boxes[:, 2:] - s.boxes[:, :2] for s in SCENES])
    assert visible.min() >= LEAST_VISIBLE
    assert (visible < 0.97).mean() >= 0.3
    assert ((visible > 0.4) & (visible < 0.6)).mean() > 0.02
    assert sides.max() <= 96
    assert np.quantile(sides.max(axis=1), 0.01) >= 7
    assert np.quantile(sides.max(axis=1), 0.95) >= 70
    counts = np.bincount(np.concatenate([s.classes for s in SCENES]), minlength=7)
    assert counts[0] == 0
    assert counts[1:].min() > 0.1 * counts.sum()
    assert {len(s.boxes) for s in SCENES} == set(range(1, 9))
    assert 0.02 < np.mean(np.concatenate([s.difficult for s in SCENES])) < 0.2


def test_objects_overlap_often() -> None:
    """At least three in ten hide a part of another, or are partly hidden: their boxes cross."""
    crossing = total = 0
    for scene in SCENES:
        low, high = scene.boxes[:, :2], scene.boxes[:, 2:]
        meets: Any = ((low[:, None] < high) & (low < high[:, None])).all(axis=2)
        crossing += int((meets.sum(axis=1) > 1).sum())
        total += len(meets)
    assert crossing / total >= 0.3


def test_every_object_stands_out_from_what_is_right_behind_it() -> None:
    """Seen without an edge, nothing could be found: pixels inside differ from those just outside."""
    from scipy import ndimage

    differences = []
    for scene in SCENES[:40]:
        for mask in scene.masks:
            around = ndimage.binary_dilation(mask, iterations=3) & ~mask
            if around.any():
                inside, outside = scene.image[mask].mean(axis=0), scene.image[around].mean(axis=0)
                differences.append(np.abs(inside - outside).sum())
    assert np.quantile(differences, 0.1) > 25


def test_sizes_of_pictures() -> None:
    for size in ((32, 32), (40, 333), (300, 64)):
        scene = make_scene(0, 1, size=size)
        assert scene.image.shape == (*size, 3)
        assert (scene.boxes[:, 2:] <= size[::-1]).all()


def test_outlines() -> None:
    """Areas in closed form, by counting points; all within the unit disc."""
    n = 600
    v, u = ((np.arange(n) + 0.5) / n * 2.2 - 1.1)[:, None], ((np.arange(n) + 0.5) / n * 2.2 - 1.1)[None, :]
    pentagram = 5 * math.sin(math.radians(36)) * math.cos(math.radians(72)) / math.cos(math.radians(36))
    areas = {
        "disc": math.pi,
        "square": 2.0,
        "triangle": 3 * math.sqrt(3) / 4,
        "star": pentagram,
        "ring": math.pi * (1 - 0.55**2),
        "cross": 2 * (1.9 * 0.56) - 0.56**2,
    }
    assert tuple(areas) == tuple(OUTLINES) == CLASS_NAMES[1:]
    for name, outline in OUTLINES.items():
        inside = outline(u, v)
        assert inside.mean() * 2.2**2 == pytest.approx(areas[name], rel=0.01), name
        assert ((u * u + v * v <= 1) | ~inside).all(), name


@pytest.mark.parametrize("normals", [TRIANGLE_NORMALS, STAR_NORMALS])
def test_normals_are_evenly_spread(normals: tuple[tuple[float, float], ...]) -> None:
    angles = sorted(math.degrees(math.atan2(v, u)) for u, v in normals)
    np.testing.assert_allclose([b - a for a, b in pairwise(angles)], 360 / len(normals))
    np.testing.assert_allclose([math.hypot(u, v) for u, v in normals], 1)


@given(st.integers(0, 2**32), st.integers(0, 5))
def test_the_stream(seed: int, number: int) -> None:
    a, b = RandomStream(seed, number), RandomStream(seed, number)
    assert [a.uniform(2, 3) for _ in range(4)] == [float(2 + x) for x in b.uniforms(2, 2).ravel()]
    draws = [a.integer(-1, 1) for _ in range(60)]
    assert set(draws) == {-1, 0, 1}
    for c, s in [a.rotation() for _ in range(5)] + [a.tilt(0.2) for _ in range(5)]:
        assert c * c + s * s == pytest.approx(1)
    assert not a.chance(0)
    assert a.chance(1)


def test_the_stream_is_that_of_numpy() -> None:
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((3, 4))))
    np.testing.assert_array_equal(RandomStream(3, 4).uniforms(100), generator.random(100))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"make_scene: size must be at least 32, got \(31, 64\)"):
        make_scene(0, 0, size=(31, 64))
    with pytest.raises(ValueError, match="Shapes: n must be at least 0, got -1"):
        Shapes(-1, seed=0)
    with pytest.raises(ValueError, match="Shapes: seed must be at least 0, got -5"):
        Shapes(1, seed=-5)
    with pytest.raises(TypeError, match=r"Shapes: seed must be an integer, got 0\.5"):
        Shapes(1, seed=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"make_scene: seed and number must be at least 0, got \(0, -1\)"):
        make_scene(0, -1)
    with pytest.raises(IndexError, match="Shapes: there are 3 items, no item 3"):
        Shapes(3, seed=0)[3]
