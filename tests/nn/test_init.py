"""Initial values: hand numbers, moments, and determinism."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from refdet.nn import init


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_moments() -> None:
    shape = (200, 50, 3, 3)
    fan_in, fan_out = 450, 1800
    he = init.he(shape, rng=rng(), dtype=np.float64)
    assert he.std() == pytest.approx(math.sqrt(2 / fan_in), rel=0.01)
    xavier = init.xavier(shape, rng=rng(), dtype=np.float64)
    bound = math.sqrt(6 / (fan_in + fan_out))
    assert np.abs(xavier).max() <= bound
    assert xavier.std() == pytest.approx(bound / math.sqrt(3), rel=0.01)
    assert init.gaussian(shape, std=0.01, rng=rng()).std() == pytest.approx(0.01, rel=0.01)


def test_fans() -> None:
    assert init.fans((10, 20)) == (20, 10)
    assert init.fans((64, 3, 7, 7)) == (147, 3136)
    assert init.fans((64, 2, 3, 3), groups=4) == (18, 144)
    with pytest.raises(ValueError, match=r"fans: needs weights .* got shape \(3,\)"):
        init.fans((3,))


def test_one_seed_one_value() -> None:
    a, b = (init.he((4, 4), rng=rng()) for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert a.dtype == np.float32
    np.testing.assert_array_equal(a, init.he((4, 4), rng=rng(), dtype=np.float64).astype(np.float32))


@pytest.mark.parametrize(("k", "total"), [(4, 4), (16, 64), (32, 256), (64, 1024), (3, 4)])
def test_bilinear_weights_sum_to_the_square_of_the_stride(k: int, total: int) -> None:
    assert init.bilinear(k, dtype=np.float64).sum() == pytest.approx(total, rel=1e-12)


def test_bilinear_by_hand() -> None:
    """k = 4: f = 2, c = 1.5, so 1 − |t − 1.5|/2 = ¼, ¾, ¾, ¼; k = 3: f = 2, c = 1: ½, 1, ½."""
    np.testing.assert_array_equal(init.bilinear(4)[1], 0.75 * np.array([0.25, 0.75, 0.75, 0.25]))
    np.testing.assert_array_equal(init.bilinear(3), np.outer([0.5, 1, 0.5], [0.5, 1, 0.5]))


def test_bilinear_upsampling_keeps_channels_apart() -> None:
    weight = init.bilinear_upsampling(2, 4)
    assert weight.shape == (2, 2, 4, 4)
    np.testing.assert_array_equal(weight[1, 1], init.bilinear(4))
    assert not weight[0, 1].any()


def test_bad_numbers() -> None:
    with pytest.raises(ValueError, match="gaussian: std must lie in"):
        init.gaussian((2, 2), std=-1.0, rng=rng())
    with pytest.raises(ValueError, match="bilinear: kernel_size must be at least 1"):
        init.bilinear(0)
    with pytest.raises(ValueError, match="bilinear_upsampling: n_channels must be at least 1"):
        init.bilinear_upsampling(0, 4)
    with pytest.raises(ValueError, match=r"he: fan_in must lie in \(0, inf\), got 0"):
        init.he((2, 2), rng=rng(), fan_in=0)


def test_groups_must_divide_the_outputs() -> None:
    with pytest.raises(ValueError, match=r"fans: groups must divide the 64 outputs, got 3 \(shape \(64, 2, 3, 3\)\)"):
        init.fans((64, 2, 3, 3), groups=3)
    with pytest.raises(ValueError, match="fans: groups must be at least 1"):
        init.xavier((64, 2, 3, 3), rng=rng(), groups=0)


def test_he_with_a_given_fan() -> None:
    values = init.he((300, 300), rng=rng(), fan_in=4.5, dtype=np.float64)
    assert values.std() == pytest.approx(math.sqrt(2 / 4.5), rel=0.01)


@pytest.mark.parametrize("initialiser", [init.he, init.xavier, lambda *a, **k: init.gaussian(*a, std=1.0, **k)])
def test_generator_and_dtype(initialiser: Any) -> None:
    with pytest.raises(TypeError, match=r"rng must be a numpy\.random\.Generator such as .*, got int"):
        initialiser((2, 2), rng=0)
    for dtype in (np.float16, np.int32, None, "nonsense", ">f4"):
        with pytest.raises(TypeError, match="dtype must be float32 or float64, got"):
            initialiser((2, 2), rng=rng(), dtype=dtype)
    assert initialiser((2, 2), rng=rng(), dtype="float64").dtype == np.float64
