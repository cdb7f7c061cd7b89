"""Readings: the numbers of metrics, read when the GPU has computed them, so that no update waits for the one before.

While the GPU works on a step, Python prepares the next ones. If each step's loss were read at once, Python would wait
for the GPU at each step, and then the GPU for Python.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from emomodel.training.callbacks import DueMetric

# Enough that the GPU never waits for Python, which may be held up by other processes for some milliseconds. A request
# to stop takes effect this many steps later than it could.
_STEPS_AHEAD = 2


@dataclass(frozen=True)
class _Reading:
    """The summed loss and the norm of the gradients, (2,) float32, which are computed when `event` has happened.

    Without an `event` they are computed already.
    """

    due: DueMetric
    numbers: Tensor
    event: torch.cuda.Event | None

    @property
    def is_computed(self) -> bool:
        return self.event is None or bool(self.event.query())  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped


class Readings:
    """Passes on the numbers of each due metric, in order. On a CPU they are passed on at once."""

    def __init__(self, pass_on: Callable[[DueMetric, float, float], None]) -> None:
        """`pass_on` gets a due metric, the sum of its steps' losses, and the norm of its last step's gradients."""
        self._pass_on = pass_on
        self._waiting: deque[_Reading] = deque()
        self._steps: deque[torch.cuda.Event] = deque()

    def add(self, due: DueMetric, loss_sum: Tensor, grad_norm: Tensor) -> None:
        """Take the numbers of a metric, two scalars on the device that computes them."""
        numbers = torch.stack([loss_sum.float(), grad_norm.float()])
        if not numbers.is_cuda:
            self._waiting.append(_Reading(due, numbers, None))
            return
        pinned = torch.empty(2, pin_memory=True)
        pinned.copy_(numbers, non_blocking=True)
        self._waiting.append(_Reading(due, pinned, _record_event()))

    def note_step(self, device: torch.device) -> None:
        """Wait until the GPU is at most _STEPS_AHEAD steps behind, and pass on the numbers that it has computed."""
        if device.type == "cuda":
            self._steps.append(_record_event())
            if len(self._steps) > _STEPS_AHEAD:
                self._steps.popleft().synchronize()
        while self._waiting and self._waiting[0].is_computed:
            self._pass_on_first()

    def pass_on_all(self) -> None:
        """Wait for all numbers, and pass them on."""
        while self._waiting:
            self._pass_on_first()

    def _pass_on_first(self) -> None:
        reading = self._waiting.popleft()
        if reading.event is not None:
            reading.event.synchronize()
        loss_sum, grad_norm = reading.numbers.tolist()
        self._pass_on(reading.due, loss_sum, grad_norm)


def _record_event() -> torch.cuda.Event:
    # While Python waits for a blocking event, other processes can use the CPU.
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
    event.record()
    return event
