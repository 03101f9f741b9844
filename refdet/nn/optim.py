"""Optimisers: how parameters follow their gradients.

SGD in torch's form, with learning rate ε, momentum μ and weight decay λ:

    g ← ∂L/∂w + λ w
    v ← μ v + g
    w ← w − ε v               Nesterov: w ← w − ε (g + μ v)

Nesterov's line is torch's rearrangement of Sutskever et al. (2013), eq. 3 and 4, in which the gradient is taken at the
parameters themselves, not ahead of them.

Adam (Kingma & Ba 2015, algorithm 1; the weight decay λ is part of the gradient, as in SGD):

    m ← β₁ m + (1 − β₁) g
    s ← β₂ s + (1 − β₂) g²
    w ← w − ε · m / (1 − β₁ᵗ) / (√(s / (1 − β₂ᵗ)) + eps)

Conventions: v starts at 0, so the first step is −ε g; ε multiplies v when it is applied, it is not stored in v (Caffe,
which differs when ε changes between steps). t counts the steps of the parameter itself, as in torch, so that one that
is unfrozen late starts as the others did. A parameter that needs no gradient, has none, or has a learning-rate
multiplier of 0 keeps its bits. Each step sets `parameter.data` to a new array; no array is changed in place.

Hyperparameters are stored as Python floats, so that none of them promotes float32 parameters. Gradients and slots must
have the shape and dtype of their parameter, and gradients must be finite: otherwise `step` names the parameter. `step`
computes all new values before it assigns the first, so an error in it changes nothing.

A parameter may come with multipliers of learning rate and weight decay (Caffe's lr_mult, decay_mult): see
`Multipliers`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.tensor import as_array
from refdet.core.check import Array, check_flag, check_number, shape_of
from refdet.nn.module import Module, Parameter, is_array, misfit


class Multipliers(NamedTuple):
    """What multiplies the learning rate and the weight decay of one parameter."""

    lr: float = 1.0
    weight_decay: float = 1.0


class Optimiser:
    """What all optimisers share: named parameters, their multipliers, the rate, and a state that can be saved."""

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float,
        weight_decay: float,
        multipliers: Mapping[str, Multipliers] | None,
    ) -> None:
        self.parameters = _by_name(self.name, named_parameters)
        self.multipliers = _checked_multipliers(self.name, multipliers, self.parameters)
        self.lr = check_number(self.name, "lr", lr, low=0)
        self.weight_decay = check_number(self.name, "weight_decay", weight_decay, low=0)
        self.n_steps = 0
        self.state: dict[str, dict[str, Array]] = {}  # parameter → slot → array

    @property
    def name(self) -> str:
        """The name that messages begin with."""
        return type(self).__name__

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters.values():
            parameter.grad = None

    def step(self, *, lr: float | None = None) -> None:
        """Move every parameter that has a gradient; `lr` replaces the rate for this and later steps."""
        rate = self.lr if lr is None else check_number(self.name, "lr", lr, low=0)
        moving = [(n, p, p.grad) for n, p in self.parameters.items() if p.requires_grad and p.grad is not None]
        for name, parameter, gradient in moving:
            self._check_fits(f"the gradient of {name}", gradient, parameter.data)
            if not np.all(np.isfinite(gradient)):
                raise FloatingPointError(f"{self.name}: the gradient of {name} is not finite; no parameter was changed")
        moved = {}
        for name, parameter, gradient in moving:
            multiplier = self.multipliers.get(name, Multipliers())
            if multiplier.lr == 0:
                continue
            w = parameter.data
            slots = self.state.get(name) or self.initial_slots(w)
            for slot, value in slots.items():
                if value.dtype.kind == "f":  # not Adam's count of steps
                    self._check_fits(f"{slot} of {name}", value, w)
            g = gradient + self.weight_decay * multiplier.weight_decay * w
            direction, new_slots = self.direction(g, slots)
            moved[name] = as_array(w - rate * multiplier.lr * direction), new_slots
        for name, (w, new_slots) in moved.items():
            self.parameters[name].data = w
            if new_slots:
                self.state[name] = new_slots
        self.lr = rate
        self.n_steps += 1

    def _check_fits(self, what: str, value: Array, like: Array) -> None:
        if not is_array(value):
            raise TypeError(f"{self.name}: {what} is not an array but {type(value).__name__}; no parameter was changed")
        if value.dtype != like.dtype or shape_of(value) != shape_of(like):
            raise ValueError(
                f"{self.name}: {what} is {value.dtype} of shape {shape_of(value)}, its parameter asks for {like.dtype} "
                f"of shape {shape_of(like)}; no parameter was changed "
                "(after Module.astype, take new gradients and call load_state_dict(state_dict()) on the optimiser)"
            )

    def initial_slots(self, w: Array) -> dict[str, Array]:
        """Return the arrays that are kept for a parameter, as they are before its first step."""
        raise NotImplementedError

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return what is subtracted from w, in units of the learning rate, and the new slots."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """Return what the next step depends on, as arrays: `n_steps`, `lr`, and `slot.parameter` for each."""
        state = {"n_steps": np.array(self.n_steps, np.int64), "lr": np.array(self.lr)}
        for name, slots in self.state.items():
            state |= {f"{slot}.{name}": np.copy(value) for slot, value in slots.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over a `state_dict`, slots cast to the dtype of their parameter as `Module.load_state_dict` does.

        A parameter has all of its slots or, before its first step, none. One error names all that does not fit, and
        then nothing is changed.
        """
        slots = {name: self.initial_slots(parameter.data) for name, parameter in self.parameters.items()}
        expected = {f"{slot}.{name}": like for name in slots for slot, like in slots[name].items()}
        expected |= {"n_steps": np.array(0, np.int64), "lr": np.array(0.0)}
        needed = {"n_steps", "lr"}
        for name in slots:
            keys = {f"{slot}.{name}" for slot in slots[name]}
            needed |= keys if any(key in state for key in keys) else set()
        problems = [f"missing {key}" for key in expected if key in needed and key not in state]
        problems += [f"unexpected {key}" for key in state if key not in expected]
        loaded = {}
        for key, like in expected.items():
            if key not in state:
                continue
            if problem := misfit(state[key], like):
                problems.append(f"{key} {problem}")
                continue
            loaded[key] = np.array(state[key], dtype=like.dtype)
            is_count = like.dtype.kind == "i"
            if (is_count or key == "lr") and not 0 <= loaded[key] < math.inf:
                problems.append(f"{key} is {loaded[key]}, expected a finite number of at least 0")
        if problems:
            raise ValueError(f"load_state_dict: {self.name} does not fit the state: {'; '.join(problems)}")
        self.n_steps, self.lr = int(loaded["n_steps"]), float(loaded["lr"])
        self.state = {
            name: {slot: loaded[f"{slot}.{name}"] for slot in slots[name]}
            for name in slots
            if any(f"{slot}.{name}" in loaded for slot in slots[name])
        }


def _by_name(op: str, named_parameters: Any) -> dict[str, Parameter]:
    """Return name → parameter, once every element is such a pair and comes once."""
    advice = "pass net.named_parameters()"
    if isinstance(named_parameters, Module):
        raise TypeError(f"{op}: needs pairs (name, Parameter), got a Module: {advice}")
    parameters: dict[str, Parameter] = {}
    for element in named_parameters:
        pair = element if isinstance(element, tuple) and len(element) == 2 else (None, None)
        name, parameter = pair
        if not isinstance(name, str) or not isinstance(parameter, Parameter):
            raise TypeError(f"{op}: needs pairs (name, Parameter), got {type(element).__name__}: {advice}")
        if name in parameters:
            raise ValueError(f"{op}: the name {name} comes twice")
        if any(parameter is other for other in parameters.values()):
            raise ValueError(f"{op}: the parameter {name} comes twice, under another name before: {advice}")
        parameters[name] = parameter
    return parameters


def _checked_multipliers(
    op: str, multipliers: Mapping[str, Multipliers] | None, parameters: Mapping[str, Parameter]
) -> dict[str, Multipliers]:
    """Return name → multipliers as Python floats."""
    if multipliers is None:
        return {}
    if not isinstance(multipliers, Mapping):
        raise TypeError(f"{op}: multipliers must map names to nn.Multipliers, got {type(multipliers).__name__}")
    unknown = sorted(str(name) for name in multipliers if name not in parameters)
    if unknown:
        raise ValueError(f"{op}: multipliers name parameters that do not exist: {', '.join(unknown)}")
    checked = {}
    for name, pair in multipliers.items():
        if not isinstance(pair, Multipliers):
            raise TypeError(f"{op}: multipliers of {name} must be nn.Multipliers(lr=, weight_decay=), got {pair!r}")
        checked[name] = Multipliers(
            lr=check_number(op, f"lr multiplier of {name}", pair.lr, low=0),
            weight_decay=check_number(op, f"weight_decay multiplier of {name}", pair.weight_decay, low=0),
        )
    return checked


class SGD(Optimiser):
    """Stochastic gradient descent, with one slot, v, if the momentum is above 0."""

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        multipliers: Mapping[str, Multipliers] | None = None,
    ) -> None:
        super().__init__(named_parameters, lr=lr, weight_decay=weight_decay, multipliers=multipliers)
        self.momentum = check_number("SGD", "momentum", momentum, low=0)
        self.nesterov = check_flag("SGD", "nesterov", nesterov)
        if self.nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0, got 0")

    def initial_slots(self, w: Array) -> dict[str, Array]:
        """Return v = 0, or nothing without momentum."""
        return {"momentum": np.zeros_like(w)} if self.momentum > 0 else {}

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return v, or g + μ v after Nesterov; g itself without momentum."""
        if self.momentum == 0:
            return g, {}
        v = self.momentum * slots["momentum"] + g
        return (g + self.momentum * v if self.nesterov else v), {"momentum": v}


class Adam(Optimiser):
    """Adaptive moments: each parameter's step is scaled by the size of its recent gradients.

    The slots are m, s and, as an int64 scalar, the number of steps t that the parameter has made.
    """

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        multipliers: Mapping[str, Multipliers] | None = None,
    ) -> None:
        super().__init__(named_parameters, lr=lr, weight_decay=weight_decay, multipliers=multipliers)
        try:
            beta1, beta2 = betas
        except (TypeError, ValueError):
            raise ValueError(f"Adam: betas must be two numbers, got {betas!r}") from None
        below_one = math.nextafter(1.0, 0.0)
        self.betas = (
            check_number("Adam", "betas[0]", beta1, low=0, high=below_one),
            check_number("Adam", "betas[1]", beta2, low=0, high=below_one),
        )
        self.eps = check_number("Adam", "eps", eps, low=0)

    def initial_slots(self, w: Array) -> dict[str, Array]:
        """Return m = 0, s = 0 and t = 0."""
        return {"mean": np.zeros_like(w), "mean_square": np.zeros_like(w), "n_steps": np.array(0, np.int64)}

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return the bias-corrected mean over the root of the bias-corrected mean square."""
        (beta1, beta2), t = self.betas, int(slots["n_steps"]) + 1
        m = beta1 * slots["mean"] + (1 - beta1) * g
        s = beta2 * slots["mean_square"] + (1 - beta2) * (g * g)
        direction = m / (1 - beta1**t) / (np.sqrt(s / (1 - beta2**t)) + self.eps)
        return direction, {"mean": m, "mean_square": s, "n_steps": np.array(t, np.int64)}


def clip_gradients(parameters: Iterable[Parameter], *, max_norm: float) -> float:
    """Scale all gradients by one factor so that their joint norm is at most `max_norm`; return the norm before.

    Pascanu, Mikolov & Bengio (2013), algorithm 1. Gradients whose norm is at most max_norm keep their bits. The norm is
    accumulated in float64. A norm that is not finite is an error, and nothing is changed.
    """
    max_norm = check_number("clip_gradients", "max_norm", max_norm, low=0)
    parameters = list(parameters)
    for parameter in parameters:
        if not isinstance(parameter, Parameter):
            raise TypeError(f"clip_gradients: pass net.parameters(), got an element of type {type(parameter).__name__}")
    gradients = [(p, p.grad) for p in parameters if p.grad is not None]
    norm = joint_norm([g for _, g in gradients])
    if not math.isfinite(norm):
        raise FloatingPointError("clip_gradients: the norm of the gradients is not finite")
    if norm > max_norm:
        for parameter, g in gradients:
            parameter.grad = as_array(g * (max_norm / norm))
    return norm


def joint_norm(gradients: Sequence[Array]) -> float:
    """Return √Σ g² over all elements of all arrays, in float64; where squares over- or underflow, 2ᵉ √Σ (g / 2ᵉ)².

    2ᵉ is the largest power of two that is not above max |g|.

    >>> round(joint_norm([np.array([3e200]), np.array([4e200])]) / 1e200, 12)
    5.0
    """
    with np.errstate(over="ignore"):
        squares = sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients)
    if sys.float_info.min <= squares < math.inf:
        return math.sqrt(squares)
    largest = float(np.max([float(np.max(np.abs(g))) for g in gradients if g.size], initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scale = power_of_two_below(largest)
    scaled = (np.divide(g, scale, dtype=np.float64) for g in gradients)
    return scale * math.sqrt(sum(float(np.sum(np.square(g))) for g in scaled))


def power_of_two_below(x: float) -> float:
    """Return the largest power of two that is at most x > 0.

    >>> power_of_two_below(0.3), power_of_two_below(4.0)
    (0.25, 4.0)
    """
    return math.ldexp(1.0, math.frexp(x)[1] - 1)
