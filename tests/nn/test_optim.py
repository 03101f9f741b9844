"""Optimisers: two steps by hand, torch's numbers, frozen bits, resumption, bad numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from refdet import nn
from refdet.nn.optim import Optimiser


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(np.array(values, float))


def two_steps(make: Any, gradients: tuple[float, float] = (1.0, 2.0)) -> list[float]:
    """Return w after each of two steps from w = 10."""
    w = parameter(10.0)
    optimiser = make([("w", w)])
    values = []
    for g in gradients:
        w.grad = np.array([g])
        optimiser.step()
        values.append(w.data.item())
    return values


def test_sgd_by_hand() -> None:
    assert two_steps(lambda p: nn.SGD(p, lr=0.5)) == [9.5, 8.5]
    # v = 1, then 0.5·1 + 2 = 2.5
    assert two_steps(lambda p: nn.SGD(p, lr=0.5, momentum=0.5)) == [9.5, 8.25]
    # g + 0.5 v: 1.5, then 2 + 1.25 = 3.25
    assert two_steps(lambda p: nn.SGD(p, lr=0.5, momentum=0.5, nesterov=True)) == [9.25, 7.625]
    # g = 1 + 0.5·10 = 6 → 7; g = 2 + 0.5·7 = 5.5 → 4.25
    assert two_steps(lambda p: nn.SGD(p, lr=0.5, weight_decay=0.5)) == [7.0, 4.25]


def test_first_adam_step_has_the_length_of_the_rate() -> None:
    """m/(1 − β₁) = g and s/(1 − β₂) = g², so the step is lr·sign(g), whatever the size of g."""
    for g in (1e-3, 1.0, 1e3):
        assert two_steps(lambda p: nn.Adam(p, lr=0.5, eps=0.0), (g, g))[0] == pytest.approx(9.5, rel=1e-12)


def test_adam_by_hand() -> None:
    """β₁ = ½, β₂ = ¾, gradients 1 and 2: m = ½, 1¼; s = ¼, 1 3/16; corrected: 1, 5/3; 1, 19/7."""
    values = two_steps(lambda p: nn.Adam(p, lr=1.0, betas=(0.5, 0.75), eps=0.0))
    assert values[0] == pytest.approx(9.0)
    assert values[1] == pytest.approx(9.0 - (5 / 3) / math.sqrt(19 / 7), rel=1e-12)


def test_multipliers_and_schedule() -> None:
    w, b = parameter(1.0), parameter(1.0)
    optimiser = nn.SGD(
        [("w", w), ("b", b)], lr=1.0, weight_decay=0.5, multipliers={"b": nn.Multipliers(lr=2.0, weight_decay=0.0)}
    )
    w.grad = b.grad = np.array([1.0])
    optimiser.step(lr=0.1)
    assert w.data.item() == pytest.approx(1 - 0.1 * 1.5)
    assert b.data.item() == pytest.approx(1 - 0.2 * 1.0)


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_frozen_parameters_keep_their_bits(kind: Any) -> None:
    frozen, without_gradient, zero_rate = parameter(0.1), parameter(0.2), parameter(0.3)
    frozen.requires_grad = False
    before = [p.data for p in (frozen, without_gradient, zero_rate)]
    optimiser = kind(
        [("frozen", frozen), ("no", without_gradient), ("zero", zero_rate)],
        lr=1.0,
        weight_decay=0.1,
        multipliers={"zero": nn.Multipliers(lr=0.0)},
    )
    frozen.grad = zero_rate.grad = np.array([1.0])
    optimiser.step()
    for p, data in zip((frozen, without_gradient, zero_rate), before, strict=True):
        assert p.data is data


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_no_array_is_changed_in_place(kind: Any) -> None:
    w = parameter(1.0, 2.0)
    data, g = w.data, np.array([1.0, 1.0])
    w.grad = g
    optimiser = kind([("w", w)], lr=0.1)
    optimiser.step()
    optimiser.step()
    np.testing.assert_array_equal(data, [1, 2])
    np.testing.assert_array_equal(g, [1, 1])


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_dtype_is_kept(kind: Any) -> None:
    w = nn.Parameter(np.ones(3, np.float32))
    w.grad = np.ones(3, np.float32)
    a_half = np.float64(0.5)
    own = {"momentum": a_half, "nesterov": True} if kind is nn.SGD else {"betas": np.array([0.5, 0.5]), "eps": a_half}
    multipliers = {"w": nn.Multipliers(lr=a_half, weight_decay=a_half)}
    optimiser: Optimiser = kind([("w", w)], lr=a_half, weight_decay=a_half, multipliers=multipliers, **own)
    optimiser.step(lr=np.float64(0.2))
    assert w.data.dtype == np.float32
    slots = {slot: value.dtype for slot, value in optimiser.state["w"].items() if slot != "n_steps"}
    assert set(slots.values()) == {np.dtype(np.float32)}
    w.grad = np.ones(3, np.float32)
    nn.clip_gradients([w], max_norm=np.float64(0.1))
    assert w.grad.dtype == np.float32


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_state_continues_bit_for_bit(kind: Any) -> None:
    """Five steps, against two steps, everything saved and restored into new objects, and three steps."""
    options = {"momentum": 0.9} if kind is nn.SGD else {}

    def run(*, restart_at: int | None) -> bytes:
        rng = np.random.default_rng(0)
        w = nn.Parameter(np.ones(5, np.float32))
        optimiser = kind([("w", w)], lr=0.1, **options)
        for i_step in range(5):
            if i_step == restart_at:
                w, saved = nn.Parameter(w.data), optimiser.state_dict()
                optimiser = kind([("w", w)], lr=99.0, **options)
                optimiser.load_state_dict(saved)
            w.grad = rng.standard_normal(5).astype(np.float32)
            optimiser.step()
        return w.data.tobytes()

    assert run(restart_at=2) == run(restart_at=None)


def test_loading_a_state_that_does_not_fit() -> None:
    optimiser = nn.SGD([("w", parameter(1.0, 2.0))], lr=0.1, momentum=0.9)
    bad = {"n_steps": np.array(1), "momentum.w": np.zeros(3), "momentum.v": np.zeros(1)}
    with pytest.raises(ValueError, match="SGD does not fit the state") as caught:
        optimiser.load_state_dict(bad)
    for part in ("missing lr", "unexpected momentum.v", "momentum.w has shape (3,), expected (2,)"):
        assert part in str(caught.value)
    assert optimiser.n_steps == 0


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    a, b = parameter(1.0), parameter(2.0)
    optimiser = nn.SGD([("a", a), ("b", b)], lr=0.1)
    a.grad, b.grad = np.array([1.0]), np.array([np.nan])
    with pytest.raises(FloatingPointError, match="SGD: the gradient of b is not finite; no parameter was changed"):
        optimiser.step()
    assert (a.data.item(), b.data.item(), optimiser.n_steps) == (1.0, 2.0, 0)


@pytest.mark.parametrize("lr", [float("nan"), float("inf"), -0.1, "0.1"])
def test_bad_rates(lr: Any) -> None:
    with pytest.raises(ValueError, match="SGD: lr must"):
        nn.SGD([("w", parameter(1.0))], lr=lr)
    optimiser = nn.SGD([("w", parameter(1.0))], lr=0.1)
    with pytest.raises(ValueError, match="SGD: lr must"):
        optimiser.step(lr=lr)


def test_bad_options() -> None:
    w = [("w", parameter(1.0))]
    with pytest.raises(ValueError, match="SGD: nesterov needs a momentum above 0"):
        nn.SGD(w, lr=0.1, nesterov=True)
    text: Any = "no"
    with pytest.raises(TypeError, match="SGD: nesterov must be True or False, got 'no'"):
        nn.SGD(w, lr=0.1, momentum=0.9, nesterov=text)
    with pytest.raises(ValueError, match=r"Adam: betas\[1\] must lie in"):
        nn.Adam(w, betas=(0.9, 1.0))
    with pytest.raises(ValueError, match="multipliers name parameters that do not exist: v"):
        nn.SGD(w, lr=0.1, multipliers={"v": nn.Multipliers()})


def test_clipping() -> None:
    a, b = parameter(0.0), parameter(0.0)
    a.grad, b.grad = np.array([3.0]), np.array([4.0])
    small = a.grad
    assert nn.clip_gradients([a, b], max_norm=5.0) == 5.0
    assert a.grad is small
    assert nn.clip_gradients([a, b], max_norm=1.0) == 5.0
    np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.6, 0.8], rtol=1e-15)
    a.grad = np.array([np.inf])
    with pytest.raises(FloatingPointError, match="clip_gradients: the norm of the gradients is not finite"):
        nn.clip_gradients([a, b], max_norm=1.0)
    assert nn.clip_gradients([parameter(1.0)], max_norm=1.0) == 0.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e-160, 5e-324])
def test_clipping_where_squares_leave_the_range(scale: float) -> None:
    a, b, empty = parameter(0.0), parameter(0.0), nn.Parameter(np.zeros(0))
    a.grad, b.grad, empty.grad = np.array([3 * scale]), np.array([-4 * scale]), np.zeros(0)
    assert nn.clip_gradients([a, b, empty], max_norm=0.5 * scale) == pytest.approx(5 * scale, rel=1e-15, abs=0)
    if scale > 1e-300:
        np.testing.assert_allclose([a.grad.item(), b.grad.item()], [0.3 * scale, -0.4 * scale], rtol=1e-15)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_clipping_what_is_not_finite_beside_what_is_large(bad: float) -> None:
    a, b = parameter(0.0), parameter(0.0)
    a.grad, b.grad = np.array([1e200]), np.array([bad])
    with pytest.raises(FloatingPointError, match="the norm of the gradients is not finite"):
        nn.clip_gradients([a, b], max_norm=1.0)


def test_the_norm_of_ordinary_gradients_keeps_its_bits() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        for scale in (1e-6, 1.0, 1e4):
            w = [nn.Parameter(np.zeros(shape, dtype)) for shape in ((7, 3, 3, 3), (5,), ())]
            for p in w:
                p.grad = np.asarray(scale * rng.standard_normal(p.data.shape), dtype)
            gradients = [p.grad for p in w if p.grad is not None]
            norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))
            assert nn.clip_gradients(w, max_norm=norm / 3) == norm
            for p, g in zip(w, gradients, strict=True):
                assert isinstance(p.grad, np.ndarray)
                np.testing.assert_array_equal(p.grad, g * (norm / 3 / norm))


@pytest.mark.oracle
def test_against_torch() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    rng = np.random.default_rng(0)
    cases: list[tuple[Any, Any, dict[str, Any]]] = [
        (nn.SGD, torch.optim.SGD, {"lr": 0.1}),
        (nn.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        (nn.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (nn.Adam, torch.optim.Adam, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
    ]
    for ours, theirs, options in cases:
        start = rng.standard_normal(6)
        w, w_torch = nn.Parameter(start), torch.tensor(start, requires_grad=True)
        optimiser, optimiser_torch = ours([("w", w)], **options), theirs([w_torch], **options)
        for _ in range(5):
            g = rng.standard_normal(6)
            w.grad, w_torch.grad = g, torch.tensor(g)
            optimiser.step()
            optimiser_torch.step()
        np.testing.assert_allclose(w.data, w_torch.detach().numpy(), rtol=1e-12)


def stepped(kind: Any, names: tuple[str, ...] = ("a", "b")) -> Optimiser:
    """Return an optimiser with slots, after one step of float32 parameters of two elements."""
    parameters = [(name, nn.Parameter(np.ones(2, np.float32))) for name in names]
    optimiser: Optimiser = kind(parameters, lr=0.1, **({"momentum": 0.9} if kind is nn.SGD else {}))
    for _, p in parameters:
        p.grad = np.ones(2, np.float32)
    optimiser.step()
    return optimiser


def assert_unchanged(optimiser: Optimiser, action: Any, kind: Any, message: str) -> None:
    """Check that the action raises and that neither parameters nor state nor rate nor counts change."""
    before = {name: p.data for name, p in optimiser.parameters.items()}
    state, rate = optimiser.state_dict(), optimiser.lr
    with pytest.raises(kind, match=message):
        action(optimiser)
    assert all(optimiser.parameters[name].data is data for name, data in before.items())
    assert {key: value.tobytes() for key, value in optimiser.state_dict().items()} == {
        key: value.tobytes() for key, value in state.items()
    }
    assert optimiser.lr == rate


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
@pytest.mark.parametrize(
    ("gradient", "error", "message"),
    [
        (np.ones(2), ValueError, "the gradient of b is float64 .* asks for float32 .*; no parameter was changed"),
        (np.ones((2, 2), np.float32), ValueError, r"the gradient of b is float32 of shape \(2, 2\)"),
        ([1.0, 1.0], TypeError, "the gradient of b is not an array but list"),
        (np.array([1, np.inf], np.float32), FloatingPointError, "the gradient of b is not finite"),
    ],
)
def test_a_gradient_that_does_not_fit_changes_nothing(kind: Any, gradient: Any, error: Any, message: str) -> None:
    optimiser = stepped(kind)
    optimiser.parameters["b"].grad = gradient
    assert_unchanged(optimiser, lambda o: o.step(lr=0.5), error, message)


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_slots_of_another_dtype(kind: Any) -> None:
    """What Module.astype leaves behind is refused by step and cast by load_state_dict."""
    optimiser = stepped(kind)
    for p in optimiser.parameters.values():
        p.data, p.grad = p.data.astype(float), np.ones(2)
    assert_unchanged(optimiser, lambda o: o.step(), ValueError, r"of a is float32 .* load_state_dict\(state_dict\(\)\)")
    optimiser.load_state_dict(optimiser.state_dict())
    optimiser.step()
    assert all(p.data.dtype == np.float64 for p in optimiser.parameters.values())


@pytest.mark.parametrize("kind", [nn.SGD, nn.Adam])
def test_loading_casts_the_slots(kind: Any) -> None:
    optimiser = stepped(kind)
    wide = {k: v.astype(float) if v.dtype.kind == "f" else v for k, v in optimiser.state_dict().items()}
    optimiser.load_state_dict(wide)
    optimiser.step()
    assert all(p.data.dtype == np.float32 for p in optimiser.parameters.values())


def test_sgd_without_momentum_keeps_nothing() -> None:
    w = parameter(1.0)
    w.grad = np.array([1.0])
    optimiser = nn.SGD([("w", w)], lr=0.1)
    optimiser.step()
    assert optimiser.state == {}
    assert set(optimiser.state_dict()) == {"n_steps", "lr"}


def test_adam_counts_the_steps_of_each_parameter() -> None:
    """One that is unfrozen late makes a first step of the length of the rate, also after saving and loading."""
    early, late = parameter(1.0), parameter(1.0)
    late.requires_grad = False
    named = [("early", early), ("late", late)]
    optimiser = nn.Adam(named, lr=0.5, eps=0.0)
    for _ in range(3):
        early.grad = np.array([1.0])
        optimiser.step()
    assert set(optimiser.state) == {"early"}
    late.requires_grad, late.grad = True, np.array([7.0])
    optimiser.step()
    assert late.data.item() == pytest.approx(0.5, rel=1e-12)
    saved = optimiser.state_dict()
    assert [saved[key].item() for key in ("n_steps.early", "n_steps.late", "n_steps")] == [4, 1, 4]
    assert saved["n_steps.late"].dtype == np.int64
    assert saved["n_steps.late"].shape == ()
    other = nn.Adam(named, lr=0.5)
    other.load_state_dict(saved)
    assert {name: int(slots["n_steps"]) for name, slots in other.state.items()} == {"early": 4, "late": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": np.array(np.nan)}, "lr is nan, expected a finite number of at least 0"),
        ({"lr": np.array(-0.1)}, r"lr is -0\.1, expected"),
        ({"lr": np.array("0.1")}, "lr has dtype <U3, which does not convert to float64"),
        ({"n_steps": np.array(-1)}, "n_steps is -1, expected"),
        ({"n_steps": np.array(1.5)}, "n_steps has dtype float64, which does not convert to int64"),
        ({"n_steps": np.array([1, 2])}, r"n_steps has shape \(2,\), expected \(\)"),
        ({"n_steps": 1}, "n_steps is not an array but int"),
        ({"n_steps.b": np.array(-1)}, r"n_steps\.b is -1"),
        ({"mean.b": np.array(["a", "b"])}, r"mean\.b has dtype <U1"),
        ({"mean.b": None}, r"mean\.b is not an array but NoneType"),
    ],
)
def test_loading_a_damaged_state_changes_nothing(change: dict[str, Any], message: str) -> None:
    state = {key: value + 1 for key, value in stepped(nn.Adam).state_dict().items()} | change
    message = f"Adam does not fit the state: {message}"
    assert_unchanged(stepped(nn.Adam), lambda o: o.load_state_dict(state), ValueError, message)


def test_loading_some_slots_of_a_parameter_changes_nothing() -> None:
    state = stepped(nn.Adam).state_dict()
    del state["mean_square.b"], state["n_steps.b"]
    message = r"missing mean_square\.b; missing n_steps\.b"
    assert_unchanged(stepped(nn.Adam), lambda o: o.load_state_dict(state), ValueError, message)
    del state["mean.b"]
    optimiser = stepped(nn.Adam)
    optimiser.load_state_dict(state)
    assert set(optimiser.state) == {"a"}


def test_what_is_to_be_optimised() -> None:
    net = nn.Sequential(nn.Linear(2, 2, rng=np.random.default_rng(0)))
    wrong: list[Any] = [net, net.parameters(), [("w", np.ones(2))], [(0, parameter(1.0))], {"w": parameter(1.0)}, "ab"]
    for named in wrong:
        with pytest.raises(
            TypeError, match=r"SGD: needs pairs .* got \w+|got a Module: pass net\.named_parameters\(\)"
        ):
            nn.SGD(named, lr=0.1)
    w = parameter(1.0)
    with pytest.raises(ValueError, match="SGD: the name w comes twice"):
        nn.SGD([("w", w), ("w", parameter(1.0))], lr=0.1)
    with pytest.raises(ValueError, match="SGD: the parameter v comes twice"):
        nn.SGD([("w", w), ("v", w)], lr=0.1)
    clipped: Any = net
    with pytest.raises(TypeError, match=r"clip_gradients: pass net\.parameters\(\), got an element of type Linear"):
        nn.clip_gradients(clipped, max_norm=1.0)


@pytest.mark.parametrize("betas", [0.9, (0.9,), (0.9, 0.99, 0.999), None])
def test_betas_are_two_numbers(betas: Any) -> None:
    with pytest.raises(ValueError, match="Adam: betas must be two numbers, got"):
        nn.Adam([("w", parameter(1.0))], betas=betas)


@pytest.mark.parametrize("multipliers", [{"w": 0.1}, {"w": (0.1, 1.0)}, [("w", nn.Multipliers())]])
def test_multipliers_are_named_tuples(multipliers: Any) -> None:
    with pytest.raises(TypeError, match=r"SGD: multipliers (of w must be|must map names to) nn\.Multipliers"):
        nn.SGD([("w", parameter(1.0))], lr=0.1, multipliers=multipliers)
