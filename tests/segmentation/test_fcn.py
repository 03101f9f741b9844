"""FCN: offsets and sizes, what a finer net starts as, the whole net against torch and its gradients, bad plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.autograd import Tensor, no_grad
from refdet.core.coordinate_map import IDENTITY, crop
from refdet.nn import Module
from refdet.segmentation.bilinear import BilinearUpsampling
from refdet.segmentation.fcn import AT_ONCE_SCALES, FCN, refined
from refdet.segmentation.training import pixel_loss
from refdet.segmentation.vgg import VGGPlan
from tests.agreement import Array
from tests.segmentation.nets import NARROW, SMALL, make, picture

OFFSETS = {
    "32s": {"upscore.x32": 19},
    "16s": {"skips.pool4.score": 5, "upscore.x16": 27},
    "8s": {"skips.pool4.score": 5, "skips.pool3.score": 9, "upscore.x8": 31},
}
SIZES = {  # of an image of n pixels, in the authors' files
    500: {
        "backbone.conv1_1": 698,
        "backbone.pool3": 88,
        "backbone.pool4": 44,
        "backbone.pool5": 22,
        "score_fr": 16,
        "upscore.x32": 544,
        "skips.pool4.upsample": 34,
        "upscore.x16": 560,
        "skips.pool3.upsample": 70,
        "upscore.x8": 568,
    },
    224: {
        "backbone.conv1_1": 422,
        "backbone.pool3": 53,
        "backbone.pool4": 27,
        "backbone.pool5": 14,
        "score_fr": 8,
        "upscore.x32": 288,
        "upscore.x16": 304,
        "upscore.x8": 312,
    },
}


@pytest.mark.parametrize("variant", OFFSETS)
def test_offsets(variant: str) -> None:
    """Of Long, Shelhamer & Darrell's files, found from the layers."""
    assert make(variant, NARROW).offsets == OFFSETS[variant]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("variant", OFFSETS)
def test_sizes(variant: str, n: int) -> None:
    sizes = make(variant, NARROW).sizes(n)
    expected = {name: size for name, size in SIZES[n].items() if name in sizes}
    assert len(expected) >= 6
    assert {name: sizes[name] for name in expected} == expected


@pytest.mark.parametrize("variant", OFFSETS)
def test_the_crops_fit_for_every_image(variant: str) -> None:
    fcn = make(variant, NARROW)
    *skips, (last, offset) = fcn.offsets.items()
    for n in range(1, 1001):
        sizes = fcn.sizes(n)
        assert sizes[last] >= offset + n
        for name, o in skips:
            assert sizes[name] >= o + sizes[name.replace("score", "upsample")]


class Spy:
    """Notes the size of what each layer makes while a network runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fcn: FCN) -> None:
        self.sizes: dict[str, tuple[int, ...]] = {}
        names = {id(module): name.removesuffix(".") for name, module in fcn.named_modules()}
        call = Module.__call__

        def noting(module: Module, x: Any, **options: Any) -> Tensor:
            y = call(module, x, **options)
            self.sizes[names[id(module)]] = y.shape[2:]
            return y

        monkeypatch.setattr(Module, "__call__", noting)


@pytest.mark.parametrize(("plan", "variant"), [(NARROW, "8s"), (NARROW, "32s"), (SMALL, "2s"), (SMALL, "4s")])
def test_the_dry_sizes_are_those_of_a_run(monkeypatch: pytest.MonkeyPatch, plan: VGGPlan, variant: str) -> None:
    fcn = make(variant, plan)
    spy = Spy(monkeypatch, fcn)
    for height, width in ((1, 2), (31, 32), (33, 40), (63, 65)):
        with no_grad():
            assert fcn(picture(height, width)).shape == (1, 3, height, width)
        tall, wide = fcn.sizes(height), fcn.sizes(width)
        for name in tall:
            assert spy.sizes[name] == (tall[name], wide[name]), name


@settings(max_examples=60)
@given(st.integers(2, 5), st.integers(0, 60), st.integers(1, 7), st.integers(0, 4))
def test_which_plans_fit(n_blocks: int, padding: int, fc_kernel: int, n_skips: int) -> None:
    """The rule in the module's docstring: for the coarsest variant, and for skips."""
    plan = VGGPlan(blocks=((1, 1),) * n_blocks, padding=padding, fc_channels=1, fc_kernel=fc_kernel)
    s, n_skips = plan.stride, min(n_skips, n_blocks - 1)
    fits = s * fc_kernel <= 2 * (padding + s - 1)

    def build(skips: int) -> FCN:
        return FCN(1, variant=f"{s >> skips}s", plan=plan, rng=np.random.default_rng(0))

    if not fits:
        with pytest.raises(ValueError, match=rf"FCN: upscore.x{s} cannot be cropped onto the image"):
            build(0)
        return
    build(0)
    if fc_kernel < (0, 3, 4, 5, 5)[n_skips]:
        with pytest.raises(ValueError, match=r"FCN: skips.pool\d.score cannot be cropped onto skips.pool\d.upsample"):
            build(n_skips)
    else:
        fcn = build(n_skips)
        n = fcn.smallest_side
        assert fcn(np.zeros((1, 3, n, n + 1), np.float32)).shape == (1, 1, n, n + 1)


def test_equal_grids_need_no_interpolation_to_agree() -> None:
    """Every fused map lies on the same image coordinates as what it is fused with, and the output on the image."""
    fcn = make("8s", NARROW)
    grids = fcn.grids(77)
    for name in ("pool4", "pool3"):
        scored, upsampled = grids[f"skips.{name}.score"].to_image, grids[f"skips.{name}.upsample"].to_image
        assert scored(fcn.offsets[f"skips.{name}.score"]) == upsampled(0)
        assert scored.scale == upsampled.scale
    out = grids["upscore.x8"].to_image
    assert crop(31).inverse().then(out) == IDENTITY


# What a finer net starts as


def pair_of_nets(coarse_variant: str) -> tuple[FCN, FCN]:
    coarse = make(coarse_variant, NARROW)
    return coarse, refined(coarse)


@pytest.mark.parametrize("coarse_variant", ["32s", "16s"])
def test_a_finer_net_contains_the_coarser_one(coarse_variant: str) -> None:
    """Its parameters are the coarser one's, a score layer of zeros, and interpolation; and so s₅ has the same bits."""
    coarse, fine = pair_of_nets(coarse_variant)
    theirs, ours = coarse.state_dict(), fine.state_dict()
    shared = [name for name in theirs if not name.startswith("upscore")]
    assert all(np.array_equal(ours[name], theirs[name]) for name in shared)
    skip = {"32s": "pool4", "16s": "pool3"}[coarse_variant]
    new = {f"skips.{skip}.upsample.weight", f"skips.{skip}.score.weight", f"skips.{skip}.score.bias"}
    assert {name for name in ours if name not in shared} == new | {f"upscore.x{fine.stride}.weight"}
    assert not ours[f"skips.{skip}.score.weight"].any()
    x = picture(40, 37)
    np.testing.assert_array_equal(fine.coarse_scores(x).data, coarse.coarse_scores(x).data)


@pytest.mark.parametrize("coarse_variant", ["32s", "16s"])
def test_it_starts_as_the_coarser_scores_interpolated_in_two_steps(coarse_variant: str) -> None:
    """To the bit: up of the coarser net's last scores, twice."""
    coarse, fine = pair_of_nets(coarse_variant)
    x = picture(40, 37)
    twice, last = (BilinearUpsampling(3, f, learned=False, dtype=np.float64) for f in (2, fine.stride))
    o = fine.offsets[f"upscore.x{fine.stride}"]
    expected = last(twice(coarse.fused_scores(x))).data[:, :, o : o + 40, o : o + 37]
    np.testing.assert_array_equal(fine(x).data, expected)


def straight(coarse: FCN, n: int) -> Array:
    """Say which of n pixels are a quarter of the stride or more away from the centre of every coarse pixel."""
    name = "score_fr" if coarse.variant == "32s" else "skips.pool4.upsample"
    to_image, stride = coarse.grids(n)[name].to_image, coarse.stride
    phase = (np.arange(n) - float(to_image(0))) % stride
    result: Array = np.minimum(phase, stride - phase) >= stride / 4
    return result


@pytest.mark.parametrize(("coarse_variant", "n"), [("32s", 128), ("16s", 128)])
def test_a_quarter_of_the_pixels_keeps_its_logits(coarse_variant: str, n: int) -> None:
    coarse, fine = pair_of_nets(coarse_variant)
    x = picture(n, n)
    before, after = coarse(x).data, fine(x).data
    keeps = straight(coarse, n)
    assert keeps.mean() == 0.5
    inside = (..., keeps[:, None] & keeps)
    np.testing.assert_allclose(after[inside], before[inside], rtol=1e-12, atol=1e-12 * np.abs(before).max())
    elsewhere = np.abs(after - before)[:, :, ~keeps][..., ~keeps]
    assert np.median(elsewhere) > 1e-6 * np.abs(before).max()


def second_difference(scores: Array, axis: int) -> float:
    """Return the largest |v₋ − 2v + v₊| along an axis, with 0 beyond the map."""
    width = [(0, 0)] * scores.ndim
    width[axis] = (1, 1)
    return float(np.abs(np.diff(np.pad(np.pad(scores, width), width), 2, axis=axis)).max())


@pytest.mark.parametrize("coarse_variant", ["32s", "16s"])
@pytest.mark.parametrize("seed", range(3))
def test_how_far_the_rest_moves(coarse_variant: str, seed: int) -> None:
    """By at most an eighth of the second differences; and no label changes where the lead is more than twice that."""
    coarse = make(coarse_variant, NARROW, seed=seed)
    fine, x = refined(coarse), picture(70, 90, seed=seed)
    before, after = coarse(x).data, fine(x).data
    scores = coarse.fused_scores(x).data
    bound = (second_difference(scores, 2) + second_difference(scores, 3)) / 8
    moved = np.abs(after - before).max()
    assert 0 < moved <= bound
    ordered = np.sort(before, axis=1)
    lead = ordered[:, -1] - ordered[:, -2]
    changed = after.argmax(axis=1) != before.argmax(axis=1)
    assert not changed[lead > 2 * moved].any()
    print(
        f"{coarse_variant}: logits move by {moved / np.ptp(before):.1%} of their range, {changed.mean():.1%} of labels"
    )


@pytest.mark.parametrize("coarse_variant", ["32s", "16s"])
def test_affine_scores_stay_what_they_are(coarse_variant: str) -> None:
    """A net whose scores are the biases alone: constant, the simplest affine function, away from the map's border."""
    coarse, fine = pair_of_nets(coarse_variant)
    for fcn in (coarse, fine):
        for name, parameter in fcn.named_parameters():
            if name.endswith("score.weight") or name == "score_fr.weight":
                parameter.data = np.zeros_like(parameter.data)
    x = picture(128, 128)
    inner = (..., slice(48, 80), slice(48, 80))
    np.testing.assert_allclose(fine(x).data[inner], coarse(x).data[inner], rtol=1e-13)


def test_refining_copies() -> None:
    coarse, fine = pair_of_nets("32s")
    before = coarse.score_fr.weight.data.copy()
    fine.score_fr.weight.data[...] = 7
    np.testing.assert_array_equal(coarse.score_fr.weight.data, before)
    coarse.astype(np.float32)
    assert {p.dtype for p in refined(coarse).parameters()} == {np.dtype(np.float32)}


def test_what_is_frozen_stays_frozen() -> None:
    coarse = make("32s", NARROW, learned_upsampling="all")
    coarse.backbone.freeze()
    fine = refined(coarse)
    frozen = {name for name, parameter in fine.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in fine.named_parameters() if name.startswith("backbone")}


def test_a_new_skip_has_a_scale_of_1() -> None:
    coarse = make("16s", NARROW, pool_scales=(0.01,))
    assert refined(coarse).pool_scales == (0.01, 1.0)


def test_learned_steps_go_over() -> None:
    coarse = make("16s", NARROW, learned_upsampling="all")
    coarse.skips[0].upsample.weight.data += 1  # type: ignore[attr-defined]
    fine = refined(coarse)
    np.testing.assert_array_equal(fine.skips[0].upsample.weight.data, coarse.skips[0].upsample.weight.data)  # type: ignore[attr-defined]
    fresh = BilinearUpsampling(3, 8, learned=False, dtype=np.float64)
    np.testing.assert_array_equal(fine.upscore[0].weight.data, fresh.weight.data)  # type: ignore[attr-defined]


def test_only_an_fcn_is_refined() -> None:
    with pytest.raises(TypeError, match="refined: needs an FCN, got BilinearUpsampling"):
        refined(BilinearUpsampling(1, 2, learned=False))  # type: ignore[arg-type]


def test_no_finer_net() -> None:
    with pytest.raises(ValueError, match="refined: there is no variant finer than '2s' with 3 blocks"):
        refined(make("2s"))


# The whole net


def of_torch(fcn: FCN, torch: Any, x: Any, p: dict[str, Any], offsets: tuple[int, ...]) -> Any:
    """Compute the logits with torch from the parameters `p` and given offsets, one per skip and the last."""
    F = torch.nn.functional
    pools, padding, (height, width) = [], fcn.plan.padding, x.shape[2:]
    for b, (_, n) in enumerate(fcn.plan.blocks, start=1):
        for i in range(1, n + 1):
            weight, bias = p[f"backbone.conv{b}_{i}.weight"], p[f"backbone.conv{b}_{i}.bias"]
            x = F.relu(F.conv2d(x, weight, bias, padding=padding))
            padding = 1
        x = F.max_pool2d(x, 2, ceil_mode=True)
        pools.append(x)
    for name in ("fc6", "fc7"):
        x = F.relu(F.conv2d(x, p[f"head.{name}.weight"], p[f"head.{name}.bias"]))
    x = F.conv2d(x, p["score_fr.weight"], p["score_fr.bias"])
    *skips, last = offsets
    for i, (scale, o) in enumerate(zip(fcn.pool_scales, skips, strict=True), start=1):
        name, pool = f"pool{len(pools) - i}", pools[-1 - i]
        x = F.conv_transpose2d(x, p[f"skips.{name}.upsample.weight"], stride=2)
        s = F.conv2d(pool * scale, p[f"skips.{name}.score.weight"], p[f"skips.{name}.score.bias"])
        x = x + s[:, :, o : o + x.shape[2], o : o + x.shape[3]]
    x = F.conv_transpose2d(x, p[f"upscore.x{fcn.stride}.weight"], stride=fcn.stride)
    return x[:, :, last : last + height, last : last + width]


@pytest.mark.oracle
@pytest.mark.parametrize("scales", [None, AT_ONCE_SCALES])
def test_fcn_8s_is_torchs(scales: tuple[float, ...] | None) -> None:
    """Logits, and the gradient of the loss in every parameter, frozen ones excepted."""
    torch = pytest.importorskip("torch", reason="torch, which is compared with, is not installed")
    fcn = make("8s", NARROW, learned_upsampling="intermediate", pool_scales=scales)
    height, width = 37, 50
    x, labels = picture(height, width), np.random.default_rng(3).choice([0, 1, 2, 255], (1, height, width))
    loss = pixel_loss(fcn(x), labels)
    loss.backward()
    p = {name: torch.tensor(q.data, requires_grad=q.requires_grad) for name, q in fcn.named_parameters()}
    logits = of_torch(fcn, torch, torch.tensor(x), p, (5, 9, 31))
    np.testing.assert_allclose(fcn(x).data, logits.detach().numpy(), rtol=1e-9, atol=1e-9)
    loss_of_torch = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), ignore_index=255, reduction="sum")
    assert loss.item() == pytest.approx(loss_of_torch.item(), rel=1e-10)
    loss_of_torch.backward()
    for name, q in fcn.named_parameters():
        if q.requires_grad:
            assert q.grad is not None
            theirs = p[name].grad.numpy()
            np.testing.assert_allclose(
                q.grad, theirs, rtol=1e-8, atol=1e-9 * max(1, np.abs(theirs).max()), err_msg=name
            )
        else:
            assert q.grad is None


@pytest.mark.parametrize("variant", ["8s", "4s", "2s"])
def test_gradients_of_the_whole_net(variant: str) -> None:
    """Each parameter along a random direction, central differences against the backward pass, in float64.

    Biases are not 0: what the first convolution makes of its padding would be, which is the kink of the ReLU.
    """
    fcn = make(variant, learned_upsampling="all", pool_scales=(0.5, 0.25)[: ("8s", "4s", "2s").index(variant)])
    rng = np.random.default_rng(6)
    for parameter in fcn.parameters():
        if parameter.ndim == 1:
            parameter.data = rng.standard_normal(parameter.shape)
    x, labels = picture(11, 14), rng.choice([0, 1, 2, 255], (1, 11, 14))

    def loss() -> Tensor:
        return pixel_loss(fcn(x), labels)

    loss().backward()
    for name, parameter in fcn.named_parameters():
        w, h = parameter.data, 1e-6
        u = rng.standard_normal(w.shape)
        values = []
        for step in (h, -h):
            parameter.data = w + step * u
            with no_grad():
                values.append(loss().item())
        parameter.data = w
        assert parameter.grad is not None
        assert (values[0] - values[1]) / (2 * h) == pytest.approx(float(np.sum(parameter.grad * u)), rel=1e-5), name


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(6))
def test_any_plan_is_torchs(seed: int) -> None:
    """Random plans, images and variants; offsets from half pixels counted by hand instead of coordinate maps."""
    torch = pytest.importorskip("torch", reason="torch, which is compared with, is not installed")
    rng = np.random.default_rng(seed)
    B, K, n_images = int(rng.integers(1, 5)), int(rng.integers(5, 8)), int(rng.integers(1, 3))
    padding = (1 << B) * K // 2 + int(rng.integers(0, 4))
    blocks = tuple((int(rng.integers(1, 4)), int(rng.integers(1, 4))) for _ in range(B))
    channels, n_skips = int(rng.integers(1, 5)), int(rng.integers(0, B))
    plan = VGGPlan(blocks=blocks, padding=padding, fc_channels=3, fc_kernel=K, in_channels=channels)
    scales = tuple(rng.uniform(0.1, 2, n_skips))
    fcn = make(f"{1 << (B - n_skips)}s", plan, seed=seed, learned_upsampling="all", pool_scales=scales)
    for parameter in fcn.parameters():
        parameter.data = parameter.data + 0.1 * rng.standard_normal(parameter.shape)
    height, width = (int(n) for n in rng.integers(1, 60, 2))
    x = rng.standard_normal((n_images, channels, height, width))
    p = {name: torch.tensor(parameter.data) for name, parameter in fcn.named_parameters()}
    logits = of_torch(fcn, torch, torch.tensor(x), p, _offsets_by_hand(plan, n_skips)).numpy()
    np.testing.assert_allclose(fcn(x).data, logits, rtol=1e-9, atol=1e-9 * np.abs(logits).max())


def _offsets_by_hand(plan: VGGPlan, n_skips: int) -> tuple[int, ...]:
    """Return the offsets from the corners of pixel 0: upsampling begins half a pixel of its input further out."""
    offsets, s = [], plan.stride
    corner = 1 - plan.padding + s * (plan.fc_kernel - 1) / 2  # of the coarse scores; pools begin at 1 − padding
    for _ in range(n_skips):
        corner, s = corner - s / 2, s // 2
        offsets.append((corner - (1 - plan.padding)) / s)
    offsets.append(s / 2 - corner)
    assert all(o == int(o) for o in offsets)
    return tuple(int(o) for o in offsets)


def test_images_of_a_batch_do_not_see_each_other() -> None:
    fcn, x = make("2s"), picture(9, 12, n=3)
    together = fcn(x).data
    for n in range(3):
        np.testing.assert_allclose(together[n : n + 1], fcn(x[n : n + 1]).data, rtol=1e-10, atol=1e-12)


def test_dropout_is_drawn_from_the_generator() -> None:
    fcn, x = make("8s", replace(SMALL, dropout=0.5)), picture(9, 9)
    one, same, other = (fcn(x, training=True, rng=np.random.default_rng(s)).data for s in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_dropout_is_after_fc6_and_after_fc7() -> None:
    """Ones everywhere: either dropout of one half makes 0 or 2 of a 1, the two make 0 or 4, a quarter of them 4."""
    fcn = make("8s", replace(SMALL, fc_channels=16, dropout=0.5))
    values = dict(fcn.head.named_parameters())
    for name, parameter in values.items():
        parameter.data = np.zeros_like(parameter.data) + (name == "fc6.bias")
    values["fc7.weight"].data[range(16), range(16)] = 1
    features = np.zeros((1, 5, 20, 20))
    np.testing.assert_array_equal(fcn.head(features).data, 1)
    dropped = fcn.head(features, training=True, rng=np.random.default_rng(0)).data
    assert set(np.unique(dropped)) == {0, 4}
    assert np.mean(dropped == 4) == pytest.approx(0.25, abs=0.03)


def test_one_seed_gives_all_variants_one_backbone() -> None:
    states = [FCN(3, variant=v, plan=SMALL, rng=np.random.default_rng(0)).state_dict() for v in ("8s", "4s", "2s")]
    for name in (n for n in states[0] if n.startswith(("backbone", "head"))):
        assert np.array_equal(states[0][name], states[1][name])
        assert np.array_equal(states[0][name], states[2][name])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"variant": "64s"}, ValueError, "FCN: variant must be one of '8s', '4s', '2s', got '64s'"),
        ({"n_classes": 0}, ValueError, "FCN: n_classes must be at least 1, got 0"),
        ({"plan": 5}, TypeError, "FCN: plan must be a VGGPlan, got int"),
        ({"learned_upsampling": True}, ValueError, "FCN: learned_upsampling must be one of 'none', 'intermediate'"),
        ({"pool_scales": (1.0,)}, ValueError, "FCN: pool_scales must have one factor for each of 0 skips"),
        ({"variant": "4s", "pool_scales": ("a",)}, ValueError, "FCN: pool_scales must be a finite number, got 'a'"),
        ({"dtype": np.float16}, TypeError, "dtype must be float32 or float64"),
        ({"rng": 0}, TypeError, "rng must be a numpy.random.Generator"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    given = {"n_classes": 3, "variant": "8s", "plan": SMALL, "rng": np.random.default_rng(0), **options}
    with pytest.raises(error, match=message):
        FCN(given.pop("n_classes"), **given)


@pytest.mark.parametrize(
    ("plan", "variant", "message"),
    [
        (
            replace(SMALL, padding=1),
            "8s",
            "upscore.x8 cannot be cropped onto the image with padding 1 and fc_kernel 4 ",
        ),
        (replace(SMALL, fc_kernel=1), "4s", "skips.pool2.score cannot be cropped onto skips.pool2.upsample .* got -1"),
        (replace(SMALL, fc_kernel=3), "2s", "skips.pool1.score .* pixels are needed from pixel 1 on, and there are"),
    ],
)
def test_crops_that_do_not_fit(plan: VGGPlan, variant: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"FCN: {message}"):
        FCN(3, variant=variant, plan=plan, rng=np.random.default_rng(0))


def test_a_plan_must_fit_images_of_every_size() -> None:
    """This one would do for 1 and 2 pixels, and for 32, but not for 3."""
    plan = VGGPlan(blocks=((1, 1),) * 3, padding=8, fc_channels=1, fc_kernel=2)
    with pytest.raises(ValueError, match=r"skips.pool2.score cannot be cropped .*fc_kernel 2 \(image of 3 pixels\)"):
        FCN(1, variant="4s", plan=plan, rng=np.random.default_rng(0))


def test_images_too_small() -> None:
    fcn = FCN(3, variant="8s", plan=replace(SMALL, padding=9), rng=np.random.default_rng(0))
    assert fcn.smallest_side == 9
    with pytest.raises(
        ValueError, match="FCN: images must have at least 9 pixels a side with padding 9 and fc_kernel 4"
    ):
        fcn(np.zeros((1, 3, 8, 40), np.float32))
    with pytest.raises(ValueError, match="got 8 × 8"):
        fcn.sizes(8)
    with pytest.raises(ValueError, match="FCN: x must have rank 4"):
        fcn(np.zeros((3, 40, 40), np.float32))
    with pytest.raises(TypeError, match="FCN: x must be float32 or float64, got uint8"):
        fcn(np.zeros((1, 3, 40, 40), np.uint8))
    with pytest.raises(ValueError, match=r"FCN: x must have the plan's 3 channels, .* got shape \(1, 40, 40, 3\)"):
        fcn(np.zeros((1, 40, 40, 3), np.float32))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"blocks": ()}, TypeError, "VGGPlan: blocks must be a tuple of pairs"),
        ({"blocks": ((3, 0),)}, ValueError, "VGGPlan: convolutions of a block must be at least 1, got 0"),
        ({"padding": -1}, ValueError, "VGGPlan: padding must be at least 0, got -1"),
        ({"fc_kernel": 0}, ValueError, "VGGPlan: fc_kernel must be at least 1, got 0"),
        ({"dropout": 2}, ValueError, "VGGPlan: dropout must lie in"),
    ],
)
def test_bad_plans(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        replace(SMALL, **change)


def test_the_narrowest_plan_has_one_channel_everywhere() -> None:
    plan = replace(SMALL, blocks=((3, 1), (400, 2)), fc_channels=6).narrowed(100)
    assert (plan.blocks, plan.fc_channels) == (((1, 1), (4, 2)), 1)
