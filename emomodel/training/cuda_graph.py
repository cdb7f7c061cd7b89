"""One forward and backward pass as a CUDA graph: its thousands of kernels are launched as one.

At the batch sizes of fine-tuning a GPU works off kernels faster than Python launches them. A graph is recorded once,
for one shape, and replayed for each batch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# Before the recording the same work runs so often on a stream of its own: what is compiled, tuned or allocated at the
# first pass must not be recorded (PyTorch's own number).
_WARM_UP_PASSES = 3


class GraphedPass:
    """The loss of `model` for batches of one shape, and the gradients of its trained parameters."""

    def __init__(self, model: nn.Module, batch: Mapping[str, Any], *, accumulates: bool) -> None:
        """Record the pass for a first `batch`; nothing is learnt from it.

        `accumulates`: several passes go into one update. Raises RuntimeError when the pass can't be recorded: it asks
        the GPU for something in its middle, or the memory doesn't suffice.
        """
        self._inputs = {name: value.clone() for name, value in batch.items() if isinstance(value, Tensor)}
        constants = {name: value for name, value in batch.items() if not isinstance(value, Tensor)}
        self._accumulates = accumulates
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

        def run() -> tuple[Tensor, tuple[Tensor, ...]]:
            loss = model(**self._inputs, **constants)["loss"]
            return loss.detach(), torch.autograd.grad(loss, self._parameters)

        # What is drawn here is no step of the training: one that goes on from a checkpoint records at another step.
        random_numbers = torch.cuda.get_rng_state()
        try:
            self._warm_up(run)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._loss, self._gradients = run()
        finally:
            torch.cuda.set_rng_state(random_numbers)

    def _warm_up(self, run: Callable[[], object]) -> None:
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UP_PASSES):
                run()
        torch.cuda.current_stream().wait_stream(aside)
        # The recording allocates from a pool of its own; what the warm-up left in the common one would be in its way.
        torch.cuda.empty_cache()

    def __call__(self, batch: Mapping[str, Any]) -> Tensor:
        """The loss of `batch`; its gradients are added to the parameters' `grad`."""
        for name, held in self._inputs.items():
            held.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        accumulated = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if accumulated:
            torch._foreach_add_(accumulated, self._gradients)
        else:
            # The next replay writes over the recorded gradients; an update before it may use them as they are.
            for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
                parameter.grad = gradient.clone() if self._accumulates else gradient
        return self._loss.clone()
