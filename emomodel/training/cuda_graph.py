"""GraphedPass: a forward and backward pass as one CUDA graph, which launches its thousands of kernels at once.

At the batch sizes of fine-tuning a GPU runs kernels faster than Python launches them. The graph is recorded once, for
one shape, and replayed for each batch.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

# The pass runs 3 times on another stream before it is recorded, so that nothing is recorded that it compiles, tunes or
# allocates only at first. PyTorch's torch.cuda.make_graphed_callables uses the same number.
_WARM_UP_PASSES = 3


class GraphedPass:
    """Computes the loss of `model` and the gradients of its trained parameters, for batches of one shape."""

    def __init__(self, model: nn.Module, batch: Mapping[str, Any], *, accumulates: bool) -> None:
        """Record the pass with a first `batch`, from which nothing is learnt.

        `accumulates` says that an update uses the gradients of several passes. Raises RuntimeError when the pass can't
        be recorded, because it waits for a result of the GPU or because memory runs out.
        """
        self._inputs = {name: value.clone() for name, value in batch.items() if isinstance(value, Tensor)}
        constants = {name: value for name, value in batch.items() if not isinstance(value, Tensor)}
        self._accumulates = accumulates
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

        def run() -> tuple[Tensor, tuple[Tensor, ...]]:
            loss = model(**self._inputs, **constants)["loss"]
            return loss.detach(), torch.autograd.grad(loss, self._parameters)

        # The random numbers drawn here belong to no step: a training that resumes records at another step.
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
        # The recording allocates from a pool of its own, so what the warm-up left in the common one is freed.
        torch.cuda.empty_cache()

    def __call__(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the loss of `batch`, and add its gradients to the `grad` of the parameters."""
        for name, held in self._inputs.items():
            held.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        accumulated = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if accumulated:
            torch._foreach_add_(accumulated, self._gradients)
        else:
            # The next replay overwrites the recorded gradients, so only an update before it can use them uncopied.
            for parameter, gradient in zip(self._parameters, self._gradients, strict=True):
                parameter.grad = gradient.clone() if self._accumulates else gradient
        return self._loss.clone()
