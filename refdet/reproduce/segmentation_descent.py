"""How anything is trained in the experiment on segmentation: by Adam, with a rate that falls within each stage."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from refdet.autograd.tensor import Tensor
from refdet.nn import Adam, Multipliers, Parameter
from refdet.reproduce.progress import OnProgress, Progress

LAST_RATE = 0.1  # of the first: where the learning rate of a stage ends


def descend(
    stage: str,
    named_parameters: Iterable[tuple[str, Parameter]],
    batch_loss: Callable[[], Tensor],
    *,
    n_steps: int,
    lr: float,
    on_progress: OnProgress,
    multipliers: Mapping[str, Multipliers] | None = None,
) -> list[float]:
    """Lower `batch_loss`, which draws a batch each time it is called; return the loss of each step."""
    optimiser = Adam(named_parameters, lr=lr, multipliers=multipliers)
    losses: list[float] = []
    for i_step in range(n_steps):
        loss = batch_loss()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(lr=lr * (1 - (1 - LAST_RATE) * i_step / n_steps))
        losses.append(float(loss.item()))
        on_progress(Progress(stage, i_step + 1, n_steps, losses[-1]))
    optimiser.zero_grad()
    return losses
