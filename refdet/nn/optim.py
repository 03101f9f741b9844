"""Optimisers: how parameters follow their gradients.

SGD (Caffe's form and Sutskever et al. 2013), with learning rate ε, momentum μ and weight decay λ:

    g ← ∂L/∂w + λ w
    v ← μ v + g
    w ← w − ε v               Nesterov: w ← w − ε (g + μ v)

Adam (Kingma & Ba 2015, algorithm 1; the weight decay λ is part of the gradient, as in SGD):

    m ← β₁ m + (1 − β₁) g
    s ← β₂ s + (1 − β₂) g²
    w ← w − ε · m / (1 − β₁ᵗ) / (√(s / (1 − β₂ᵗ)) + eps)

Conventions: v starts at 0, so the first step is −ε g; ε multiplies v when it is applied (torch), it is not stored in v
(Caffe, which differs when ε changes between steps). A parameter that needs no gradient, has none, or has a
learning-rate multiplier of 0 keeps its bits. Each step sets `parameter.data` to a new array; no array is changed in
place. Gradients must be finite: otherwise `step` names the parameter and changes nothing.

A parameter may come with multipliers of learning rate and weight decay (Caffe's lr_mult, decay_mult): see
`Multipliers`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array, check_number, shape_of
from refdet.nn.module import Parameter


class Multipliers(NamedTuple):
    """What multiplies the learning rate and the weight decay of one parameter."""

    lr: float = 1.0
    weight_decay: float = 1.0


class Optimiser:
    """What all optimisers share: named parameters, their multipliers, the rate, and a state that can be saved."""

    slots: tuple[str, ...] = ()  # the arrays that are kept per parameter

    def __init__(
        self,
        named_parameters: Iterable[tuple[str, Parameter]],
        *,
        lr: float,
        weight_decay: float,
        multipliers: Mapping[str, Multipliers] | None,
    ) -> None:
        self.parameters = dict(named_parameters)
        self.multipliers = dict(multipliers or {})
        unknown = sorted(set(self.multipliers) - set(self.parameters))
        if unknown:
            raise ValueError(f"{self.name}: multipliers name parameters that do not exist: {', '.join(unknown)}")
        for name, (lr_multiplier, decay_multiplier) in self.multipliers.items():
            check_number(self.name, f"lr multiplier of {name}", lr_multiplier, low=0)
            check_number(self.name, f"weight_decay multiplier of {name}", decay_multiplier, low=0)
        check_number(self.name, "lr", lr, low=0)
        check_number(self.name, "weight_decay", weight_decay, low=0)
        self.lr, self.weight_decay = float(lr), float(weight_decay)
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
        if lr is not None:
            check_number(self.name, "lr", lr, low=0)
            self.lr = float(lr)
        moving = [(n, p, p.grad) for n, p in self.parameters.items() if p.requires_grad and p.grad is not None]
        for name, _, gradient in moving:
            if not np.all(np.isfinite(gradient)):
                raise FloatingPointError(f"{self.name}: the gradient of {name} is not finite; no parameter was changed")
        self.n_steps += 1
        for name, parameter, gradient in moving:
            multiplier = self.multipliers.get(name, Multipliers())
            if multiplier.lr == 0:
                continue
            w = parameter.data
            g = gradient + self.weight_decay * multiplier.weight_decay * w
            slots = self.state.setdefault(name, {slot: np.zeros_like(w) for slot in self.slots})
            direction, self.state[name] = self.direction(g, slots)
            parameter.data = w - self.lr * multiplier.lr * direction

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return what is subtracted from w, in units of the learning rate, and the new slots."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Array]:
        """Return what the next step depends on, as arrays: `n_steps`, `lr`, and `slot.parameter` for each."""
        state = {"n_steps": np.array(self.n_steps), "lr": np.array(self.lr)}
        for name, slots in self.state.items():
            state |= {f"{slot}.{name}": np.copy(value) for slot, value in slots.items()}
        return state

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Take over a `state_dict`; one error names all that does not fit, and then nothing is changed."""
        expected = {f"{slot}.{name}": (name, slot) for name in self.parameters for slot in self.slots}
        problems = [f"missing {name}" for name in ("n_steps", "lr") if name not in state]
        problems += [f"unexpected {key}" for key in state if key not in expected and key not in ("n_steps", "lr")]
        for key, (name, _) in expected.items():
            if key in state and shape_of(state[key]) != self.parameters[name].shape:
                problems.append(f"{key} has shape {shape_of(state[key])}, expected {self.parameters[name].shape}")
        if problems:
            raise ValueError(f"load_state_dict: {self.name} does not fit the state: {'; '.join(problems)}")
        self.n_steps, self.lr = int(state["n_steps"]), float(state["lr"])
        self.state = {}
        for key, (name, slot) in expected.items():
            if key in state:
                self.state.setdefault(name, {})[slot] = np.copy(state[key])


class SGD(Optimiser):
    """Stochastic gradient descent with momentum."""

    slots = ("momentum",)

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
        check_number("SGD", "momentum", momentum, low=0)
        if nesterov and momentum == 0:
            raise ValueError("SGD: nesterov needs a momentum above 0, got 0")
        self.momentum, self.nesterov = momentum, nesterov

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return v, or g + μ v after Nesterov."""
        v = self.momentum * slots["momentum"] + g
        return (g + self.momentum * v if self.nesterov else v), {"momentum": v}


class Adam(Optimiser):
    """Adaptive moments: each parameter's step is scaled by the size of its recent gradients."""

    slots = ("mean", "mean_square")

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
        for name, beta in zip(("betas[0]", "betas[1]"), betas, strict=True):
            check_number("Adam", name, beta, low=0, high=math.nextafter(1.0, 0.0))
        check_number("Adam", "eps", eps, low=0)
        self.betas, self.eps = betas, eps

    def direction(self, g: Array, slots: Mapping[str, Array]) -> tuple[Array, dict[str, Array]]:
        """Return the bias-corrected mean over the root of the bias-corrected mean square."""
        (beta1, beta2), t = self.betas, self.n_steps
        m = beta1 * slots["mean"] + (1 - beta1) * g
        s = beta2 * slots["mean_square"] + (1 - beta2) * (g * g)
        direction = m / (1 - beta1**t) / (np.sqrt(s / (1 - beta2**t)) + self.eps)
        return direction, {"mean": m, "mean_square": s}


def clip_gradients(parameters: Iterable[Parameter], *, max_norm: float) -> float:
    """Scale all gradients by one factor so that their joint norm is at most `max_norm`; return the norm before.

    Pascanu, Mikolov & Bengio (2013), algorithm 1. Gradients whose norm is at most max_norm keep their bits. The norm is
    accumulated in float64. A norm that is not finite is an error, and nothing is changed.
    """
    check_number("clip_gradients", "max_norm", max_norm, low=0)
    gradients = [(p, p.grad) for p in parameters if p.grad is not None]
    norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for _, g in gradients))
    if not math.isfinite(norm):
        raise FloatingPointError("clip_gradients: the norm of the gradients is not finite")
    if norm > max_norm:
        for parameter, g in gradients:
            parameter.grad = g * (max_norm / norm)
    return norm


def generator_state(rng: np.random.Generator) -> dict[str, Any]:
    """Return the state of a generator as JSON-able numbers and names, to be saved beside the parameters."""
    state = dict(rng.bit_generator.state)
    if state["bit_generator"] != "PCG64":
        raise ValueError(
            f"generator_state: only PCG64 (numpy.random.default_rng) is saved, got {state['bit_generator']}"
        )
    return state


def restored_generator(state: Mapping[str, Any]) -> np.random.Generator:
    """Return a generator that continues where the saved one stood."""
    if state.get("bit_generator") != "PCG64":
        raise ValueError(f"restored_generator: needs a PCG64 state, got {state.get('bit_generator')!r}")
    bit_generator = np.random.PCG64()
    bit_generator.state = dict(state)  # type: ignore[assignment]  # NumPy types it as its own TypedDict
    return np.random.Generator(bit_generator)
