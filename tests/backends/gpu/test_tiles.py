"""The kernels in large tiles, run as Python over NumPy arrays, whose last axis is the 256 threads of a block.

They branch alike for all threads, so one thread's code is every thread's. What stands in for an instruction is stricter
than a device: a copy is not there before its thread has waited and the threads have met, and writing where somebody has
read since they last met is refused, as are places outside an array, copies not aligned, sums of integers beyond int32,
results written twice, and lanes that read from one bank of shared memory at once. A product of a warp is put together
lane by lane from the layout in the PTX ISA, and its sum is rounded towards zero.

It cannot show what only hardware can: whether the instructions do what is written there, and time.
"""

from __future__ import annotations

import importlib.util
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    pytest.skip("the simulator knows none of these instructions", allow_module_level=True)
if importlib.util.find_spec("numba_cuda") is None:
    pytest.skip("needs numba-cuda: pip install 'refdet[cuda-compiler]'", allow_module_level=True)

from numba.cuda.dispatcher import CUDADispatcher
from refdet_numba.gpu import device, implicit_gemm_tf32, implicit_gemm_wide
from refdet_numba.gpu import implicit_gemm_routes as routes
from refdet_numba.gpu.implicit_gemm import Grid
from refdet_numba.gpu.shim import cuda

THREADS, WARP, BANKS = 256, 32, 32
LANE = np.arange(WARP)
UNIT = 2.0**-24  # the largest relative error of rounding to float32


def truncated_to_float32(x: Any) -> Any:
    """Return float64 numbers as float32, rounded towards zero."""
    nearest = x.astype(np.float32)
    too_large = np.abs(nearest.astype(np.float64)) > np.abs(x)
    return np.where(too_large, np.nextafter(nearest, np.float32(0)), nearest)


def round_to_tf32(x: Any) -> Any:
    """Return float32 numbers rounded to 11 significant bits, ties away from zero."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view(np.float32)


class Shared:
    """Shared memory: what has arrived, what is on its way, and what has been read since the threads last met."""

    def __init__(self, size: int) -> None:
        self.value = np.full(size, np.nan, np.float32)
        self.there = np.zeros(size, bool)
        self.read = np.zeros(size, bool)
        self.begun: list[tuple[Any, Any]] = []
        self.arrived: list[tuple[Any, Any]] = []

    def begin(self, places: Any, values: Any) -> None:
        assert len(np.unique(places)) == places.size, "two copies to one place"
        assert not self.read[places].any(), "a copy to where somebody may still be reading"
        self.there[places] = False
        self.begun.append((places, values))

    def wait(self) -> None:
        self.arrived += self.begun
        self.begun = []

    def meet(self) -> None:
        for places, values in self.arrived:
            self.value[places], self.there[places] = values, True
        self.arrived = []
        self.read[:] = False

    def __getitem__(self, places: Any) -> Any:
        assert self.there[places].all(), "read before it was there for all"
        self.read[places] = True
        for lanes in places.reshape(-1, WARP):
            assert bank_conflicts(lanes, 1) == 0
        return self.value[places]

    def load4(self, places: Any) -> Any:
        assert (places % 4 == 0).all()
        for lanes in places.reshape(-1, 8):  # 16 bytes of 8 lanes fill the 32 banks
            assert bank_conflicts(lanes, 4) == 0
        wanted = places[..., None] + np.arange(4)
        assert self.there[wanted].all(), "read before it was there for all"
        self.read[wanted] = True
        return np.moveaxis(self.value[wanted], -1, 0)


def bank_conflicts(places: Any, width: int) -> int:
    """Return how often lanes that read `width` numbers each, at different places, need the same bank."""
    different = np.unique(places)
    return len(different) - len(np.unique(different % BANKS // width))


def multiply_add_tf32(a0: Any, a1: Any, a2: Any, a3: Any, b0: Any, b1: Any, *c: Any) -> Any:
    """Multiply as mma.m16n8k8 does; "Matrix Fragments for mma.m16n8k8", the type .tf32, in the PTX ISA:

    row of a: groupID for a0 and a2, groupID + 8 for a1 and a3; column: threadID_in_group for a0 and a1, + 4 for a2, a3;
    row of b: threadID_in_group for b0, + 4 for b1; column: groupID;
    row of c: groupID for c0 and c1, groupID + 8 for c2 and c3; column: threadID_in_group · 2 + (i & 1).
    """
    group, member = LANE >> 2, LANE % 4
    n_warps = THREADS // WARP
    A, B, C = np.full((n_warps, 16, 8), np.nan), np.full((n_warps, 8, 8), np.nan), np.full((n_warps, 16, 8), np.nan)
    for i, a in enumerate((a0, a1, a2, a3)):
        A[:, group + 8 * (i in (1, 3)), member + 4 * (i in (2, 3))] = of_tf32(a).reshape(n_warps, WARP)
    for i, b in enumerate((b0, b1)):
        B[:, member + 4 * i, group] = of_tf32(b).reshape(n_warps, WARP)
    for i in range(4):
        C[:, group + 8 * (i >= 2), member * 2 + (i & 1)] = np.broadcast_to(c[i], THREADS).reshape(n_warps, WARP)
    D = truncated_to_float32(A @ B + C)
    return tuple(D[:, group + 8 * (i >= 2), member * 2 + (i & 1)].reshape(THREADS) for i in range(4))


def of_tf32(x: Any) -> Any:
    assert not (np.asarray(x, np.float32).view(np.uint32) & 0x1FFF).any(), "more bits than TF32 has"
    return x


class Block:
    """What the kernels name: `cuda` and the instructions."""

    def __init__(self) -> None:
        self.shared: list[Shared] = []
        self.written: dict[int, Any] = {}
        self.cuda = SimpleNamespace(
            threadIdx=SimpleNamespace(x=np.arange(THREADS, dtype=np.uint32)),
            shared=SimpleNamespace(array=self.shared_array),
            local=SimpleNamespace(array=lambda shape, dtype: np.zeros((*np.atleast_1d(shape), THREADS), dtype.name)),
            syncthreads=self.meet,
        )
        self.instructions = {
            "mad": self.mad,
            "quotient": self.quotient,
            "load4": self.load4,
            "copy_1": lambda *arguments: self.copy(1, *arguments),
            "copy_4": lambda *arguments: self.copy(4, *arguments),
            "wait_for_copies": self.wait,
            "store_where": self.store_where,
            "round_to_tf32": round_to_tf32,
            "multiply_add_tf32": multiply_add_tf32,
        }

    def launch(self, kernel: Any, blocks: tuple[int, int, int], threads: int, *arguments: Any) -> None:
        assert threads == THREADS
        self.cuda.gridDim = SimpleNamespace(x=blocks[0], y=blocks[1], z=blocks[2])
        for z, y, x in np.ndindex(blocks[::-1]):
            self.shared.clear()
            self.cuda.blockIdx = SimpleNamespace(x=x, y=y, z=z)
            kernel.py_func(*arguments)
            assert not any(memory.begun or memory.arrived for memory in self.shared), "a block ended with copies begun"

    def wait(self) -> None:
        for memory in self.shared:
            memory.wait()

    def meet(self) -> None:
        for memory in self.shared:
            memory.meet()

    def shared_array(self, size: int, dtype: Any, alignment: int) -> Shared:
        assert (dtype.name, alignment) == ("float32", 16)
        self.shared.append(Shared(size))
        return self.shared[-1]

    @staticmethod
    def mad(a: Any, b: Any, c: Any) -> Any:
        result = np.asarray(a, np.int64) * b + np.asarray(c, np.int64)
        assert (result == result.astype(np.int32)).all(), "beyond int32"
        return result.astype(np.int32)

    @staticmethod
    def quotient(a: Any, b: Any) -> Any:
        assert (np.asarray(a) >= 0).all()
        assert b > 0
        return np.int32(a // np.int32(b))

    @staticmethod
    def load4(array: Any, places: Any) -> Any:
        if isinstance(array, Shared):
            return array.load4(places)
        assert (places % 4 == 0).all()
        flat = array.reshape(-1)
        assert (places >= 0).all() and (places + 3 < flat.size).all()  # noqa: PT018
        return np.moveaxis(flat[places[..., None] + np.arange(4)], -1, 0)

    @staticmethod
    def copy(width: int, shared: Shared, to: Any, array: Any, source: Any, inside: Any) -> None:
        wanted, places = source[..., None] + np.arange(width), to[..., None] + np.arange(width)
        inside = np.broadcast_to(inside, source.shape)[..., None]
        assert (to % width == 0).all()
        assert (source % width == 0).all()
        assert ((wanted >= 0) & (wanted < array.size))[inside[..., 0]].all()
        assert (source[~inside[..., 0]] == 0).all(), "the address of a copy of nothing is to be the array's"
        shared.begin(places.reshape(-1), (array.reshape(-1)[np.where(inside, wanted, 0)] * inside).reshape(-1))

    def store_where(self, array: Any, places: Any, values: Any, inside: Any) -> None:
        places, values = places[inside], values[inside]
        written = self.written.setdefault(id(array), np.zeros(array.size, bool))
        assert ((places >= 0) & (places < array.size)).all()
        assert not written[places].any(), "a result written twice"
        assert len(np.unique(places)) == len(places)
        written[places] = True
        array.reshape(-1)[places] = values


@pytest.fixture
def block(monkeypatch: pytest.MonkeyPatch) -> Block:
    """A block of threads in place of the GPU, in both kernels' files."""
    block = Block()
    for module in (implicit_gemm_wide, implicit_gemm_tf32):
        for name, value in list(vars(module).items()):
            if isinstance(value, CUDADispatcher) and value.targetoptions.get("device"):
                monkeypatch.setattr(module, name, value.py_func)
            elif name in block.instructions:
                monkeypatch.setattr(module, name, block.instructions[name])
        monkeypatch.setattr(module, "cuda", block.cuda)
    monkeypatch.setattr(implicit_gemm_wide, "launch", block.launch)
    return block


def steps_of(channels: int, kernel_size: tuple[int, int], dilation: tuple[int, int]) -> Any:
    steps = np.indices((channels, *kernel_size)).reshape(3, -1).T * (1, *dilation)
    return np.ascontiguousarray(steps, np.int32)


def direct(y: Any, x: Any, weight: Any, steps: Any, bias: Any, grid: Grid, groups: int) -> Any:
    """Return what y should become, and the sum of the magnitudes of each result's products, in float64."""
    y, sizes = y.astype(np.float64), np.zeros(y.shape)
    (N, C, H, W), O = x.shape, y.shape[1]
    i, j = np.arange(grid.rows), np.arange(grid.columns)
    pixels = np.zeros((N, groups, len(steps), grid.rows, grid.columns))
    for t, (channel, step_h, step_w) in enumerate(steps):
        h = i * grid.stride[0] + grid.base[0] + step_h
        w = j * grid.stride[1] + grid.base[1] + step_w
        from_h, from_w = np.flatnonzero((h >= 0) & (h < H)), np.flatnonzero((w >= 0) & (w < W))
        for group in range(groups):
            plane = x[:, group * (C // groups) + channel]
            pixels[:, group, t, from_h[:, None], from_w] = plane[:, h[from_h][:, None], w[from_w]]
    by_group = weight.reshape(groups, O // groups, -1).astype(np.float64)
    rows, columns = i * grid.spacing[0] + grid.place[0], j * grid.spacing[1] + grid.place[1]
    there = (slice(None), slice(None), rows[:, None], columns)
    shape = (N, O, grid.rows, grid.columns)
    y[there] = np.einsum("gmt,ngtij->ngmij", by_group, pixels).reshape(shape) + bias[:, None, None]
    sizes[there] = np.einsum("gmt,ngtij->ngmij", np.abs(by_group), np.abs(pixels)).reshape(shape)
    return y, sizes


# (N, C, H, W), outputs, steps, grid, groups
CASES = {
    "one full tile": ((2, 1, 8, 8), 128, steps_of(1, (4, 4), (1, 1)), Grid(8, 8, (-1, -1), (1, 1), (0, 0), (1, 1)), 1),
    "cut tiles, two each way, five stages": (
        (3, 5, 7, 9),
        132,
        steps_of(5, (4, 4), (1, 1)),
        Grid(7, 8, (-2, -2), (1, 1), (0, 0), (1, 1)),
        1,
    ),
    "groups, stride, dilation": (
        (2, 6, 11, 13),
        24,
        steps_of(2, (4, 2), (2, 3)),
        Grid(5, 6, (-3, -2), (2, 2), (0, 0), (1, 1)),
        3,
    ),
    "places two apart, as of a phase": (
        (1, 16, 6, 5),
        20,
        steps_of(16, (2, 1), (-1, 1)),
        Grid(5, 4, (1, 0), (1, 1), (1, 0), (2, 2)),
        1,
    ),
}


def arrays_of(shape: tuple[int, ...], n_outputs: int, steps: Any, grid: Grid) -> tuple[Any, Any, Any, Any]:
    """Return y, filled with 7 and with room beside the grid's places, x, weight and bias."""
    rng = np.random.default_rng(1)
    H = (grid.rows - 1) * grid.spacing[0] + grid.place[0] + 2
    W = (grid.columns - 1) * grid.spacing[1] + grid.place[1] + 1
    y = np.full((shape[0], n_outputs, H, W), 7, np.float32)
    x, weight = rng.standard_normal(shape, np.float32), rng.standard_normal((n_outputs, len(steps)), np.float32)
    return y, x, weight, rng.standard_normal(n_outputs, np.float32)


def assert_near(y: Any, expected: Any, sizes: Any, bias: Any, n_terms: int) -> None:
    """Assert the bound on a float32 sum of that many products; 8 units more are for the split of a product in three."""
    bound = (n_terms + 12) * UNIT * (sizes + np.abs(bias).max())
    np.testing.assert_array_less(np.abs(y - expected), bound)


@pytest.mark.parametrize("module", [implicit_gemm_wide, implicit_gemm_tf32], ids=["wide", "tf32"])
@pytest.mark.parametrize("case", CASES)
def test_a_kernel_computes_the_product(case: str, module: Any, block: Block) -> None:
    shape, n_outputs, steps, grid, groups = CASES[case]
    y, x, weight, bias = arrays_of(shape, n_outputs, steps, grid)
    expected, sizes = direct(y, x, weight, steps, bias, grid, groups)
    module.multiply_into(y, x, weight, steps, bias, grid, groups)
    assert block.written[id(y)].sum() == shape[0] * n_outputs * grid.rows * grid.columns
    assert_near(y, expected, sizes, bias, len(steps))


def test_wide_and_tf32_agree_with_integers_exactly(block: Block) -> None:
    """Small integers, of which every product and every sum is exact in both: equal to the bit."""
    rng = np.random.default_rng(2)
    x = rng.integers(-8, 9, (1, 4, 12, 11)).astype(np.float32)
    weight = rng.integers(-8, 9, (12, 64)).astype(np.float32)
    steps, bias = steps_of(4, (4, 4), (1, 1)), np.arange(12, dtype=np.float32)
    grid = Grid(12, 11, (-2, -1), (1, 1), (0, 0), (1, 1))
    expected, _ = direct(np.zeros((1, 12, 12, 11)), x, weight, steps, bias, grid, 1)
    for module in (implicit_gemm_wide, implicit_gemm_tf32):
        y = np.full((1, 12, 12, 11), np.nan, np.float32)
        module.multiply_into(y, x, weight, steps, bias, grid, 1)
        np.testing.assert_array_equal(y, expected)


@pytest.mark.cuda
@pytest.mark.skipif(not cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("module", [implicit_gemm_wide, implicit_gemm_tf32], ids=["wide", "tf32"])
@pytest.mark.parametrize("case", [*CASES, "many tiles"])
def test_a_kernel_computes_the_product_on_a_device(case: str, module: Any) -> None:
    many = (2, 128, 50, 61), 256, steps_of(64, (3, 3), (1, 1)), Grid(50, 61, (-1, -1), (1, 1), (0, 0), (1, 1)), 2
    shape, n_outputs, steps, grid, groups = {**CASES, "many tiles": many}[case]
    y, x, weight, bias = arrays_of(shape, n_outputs, steps, grid)
    expected, sizes = direct(y, x, weight, steps, bias, grid, groups)
    y_there, *there = device.to_device((y, x, weight, steps, bias))
    module.multiply_into(y_there, *there, grid, groups)
    assert_near(device.to_host(y_there), expected, sizes, bias, len(steps))


def split(x: Any) -> tuple[Any, Any]:
    big = round_to_tf32(x)
    return big, round_to_tf32(x - big)


def test_a_number_is_two_numbers_of_tf32() -> None:
    """1 + 2⁻¹¹ is a tie, and goes up; both halves of a float32 hold all but 2⁻²³ of it."""
    tie = np.float32(1 + 2**-11)
    assert split(tie) == (np.float32(1 + 2**-10), np.float32(-(2**-11)))
    assert split(-tie) == (np.float32(-1 - 2**-10), np.float32(2**-11))
    rng = np.random.default_rng(3)
    bits = rng.integers(0, 2**23, 200_000) | rng.integers(127 - 80, 127 + 80, 200_000) << 23
    x = bits.astype(np.uint32).view(np.float32)
    big, small = split(x)
    left_out = np.abs(x.astype(np.float64) - big - small)
    assert (left_out <= 2.0**-23 * x).all()
    assert (np.abs(small) <= 2.0**-11 * x).all()


def test_three_products_have_the_stated_error() -> None:
    rng = np.random.default_rng(4)
    x, y = (rng.uniform(1, 2, 200_000).astype(np.float32) for _ in range(2))
    (big_x, small_x), (big_y, small_y) = ((part.astype(np.float64) for part in split(z)) for z in (x, y))
    product = x.astype(np.float64) * y
    error = np.abs(small_x * big_y + big_x * small_y + big_x * big_y - product) / product
    assert error.max() <= 2.0**-21
    assert np.abs(big_x * big_y / product - 1).max() > 2.0**-12  # of one product alone


def test_a_long_sum_is_as_accurate_as_in_float32(block: Block) -> None:
    """1024 terms, all positive: rounding towards zero would show; the wide kernel's float32 sum is the yardstick."""
    rng = np.random.default_rng(5)
    x = rng.uniform(0, 1, (1, 64, 8, 16)).astype(np.float32)
    weight = rng.uniform(0, 1, (128, 1024)).astype(np.float32)
    steps, bias = steps_of(64, (4, 4), (1, 1)), np.zeros(128, np.float32)
    grid = Grid(8, 16, (-2, -2), (1, 1), (0, 0), (1, 1))
    expected, sizes = direct(np.zeros((1, 128, 8, 16)), x, weight, steps, bias, grid, 1)
    errors = []
    for module in (implicit_gemm_wide, implicit_gemm_tf32):
        y = np.empty((1, 128, 8, 16), np.float32)
        module.multiply_into(y, x, weight, steps, bias, grid, 1)
        errors.append(np.abs(y - expected).max() / sizes.max())
    assert errors[1] < errors[0]
    assert errors[1] < 32 * UNIT


ROUTED: dict[str, Any] = {
    "dtype": "float32",
    "y": (2, 256, 100, 136),
    "x": (2, 256, 100, 136),
    "weight": (256, 2304),
    "positions": (100, 136),
    "groups": 1,
}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, True),
        ({"dtype": "float64"}, False),
        ({"weight": (256, 2303)}, False),  # a run of terms is cut
        ({"weight": (254, 2304)}, False),  # weights of a term are not whole fours
        ({"groups": 4}, True),
        ({"groups": 8}, False),  # 32 outputs of a group
        ({"positions": (25, 34), "weight": (64, 2304)}, False),  # 14 tiles
        ({"weight": (256, 0)}, False),
        ({"x": (2, 2**20, 32, 32)}, False),  # 2³¹ pixels
    ],
)
def test_what_suits_the_other_routes(change: dict[str, Any], expected: bool) -> None:
    assert routes.suits(**{**ROUTED, **change}) is expected


def test_the_plain_route_is_taken_until_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    capability = (9, 0)
    current = SimpleNamespace(get_current_device=lambda: SimpleNamespace(compute_capability=capability))
    monkeypatch.setattr(routes, "cuda", current)
    x, weight = np.zeros((1, 64, 130, 130), np.float32), np.zeros((64, 64), np.float32)
    grid = Grid(130, 130, (0, 0), (1, 1), (0, 0), (1, 1))
    assert routes.faster(x, x, weight, grid, 1) is None
    assert routes.faster(x, x, weight, grid, 1, routes.WIDE) is implicit_gemm_wide.multiply_into
    assert routes.faster(x, x, weight, grid, 1, routes.TF32) is implicit_gemm_tf32.multiply_into
    assert routes.faster(x.astype(np.float64), x, weight, grid, 1, routes.TF32) is None
    assert routes.faster(x.swapaxes(2, 3), x, weight, grid, 1, routes.TF32) is None
    capability = (7, 5)
    assert routes.faster(x, x, weight, grid, 1, routes.TF32) is None
