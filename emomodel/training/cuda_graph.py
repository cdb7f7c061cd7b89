"""RecordedUpdate: an update of the weights as two CUDA graphs, which launch their thousands of kernels at once.

At the batch sizes of fine-tuning a GPU runs kernels faster than Python launches them. The graphs are recorded once, for
one shape of batches, and replayed for each batch: one is a forward and backward pass, the other clips the gradients and
runs the optimizer.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

# The pass runs 3 times on another stream before it is recorded, so that the recording has no work that is done only in
# the first passes: compiling, tuning, allocating. PyTorch's torch.cuda.make_graphed_callables uses the same number.
_WARM_UP_PASSES = 3


class RecordedPass:
    """Computes the loss of `model` and the gradients of its trained parameters, for batches of one shape."""

    def __init__(self, model: nn.Module, batch: Mapping[str, Any]) -> None:
        """Record the pass with a first `batch`, from which nothing is learnt.

        Raises RuntimeError when the pass can't be recorded, because it waits for a result of the GPU or because memory
        runs out.
        """
        self._inputs = {
            name: torch.empty_like(value, device="cuda").copy_(value)
            for name, value in batch.items()
            if isinstance(value, Tensor)
        }
        constants = {name: value for name, value in batch.items() if not isinstance(value, Tensor)}
        self.parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]

        def run() -> tuple[Tensor, tuple[Tensor, ...]]:
            loss = model(**self._inputs, **constants)["loss"]
            return loss.detach(), torch.autograd.grad(loss, self.parameters)

        # The random numbers drawn here belong to no step: a training that resumes records at another step.
        random_numbers = torch.cuda.get_rng_state()
        try:
            _warm_up(run, _WARM_UP_PASSES)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                # One gradient for each of `parameters`. The next pass overwrites them.
                self._loss, self.gradients = run()
        finally:
            torch.cuda.set_rng_state(random_numbers)

    def __call__(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the loss of `batch`, a scalar, and write its gradients to `gradients`. This doesn't wait for the GPU.

        Tensors of `batch` that are in pinned memory may be changed only after the GPU has copied them.
        """
        for name, held in self._inputs.items():
            held.copy_(batch[name], non_blocking=True)
        self._graph.replay()
        return self._loss.clone()


class RecordedUpdate:
    """Updates the trained parameters of a model: some passes, then one step of the optimizer."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        batch: Mapping[str, Any],
        *,
        pass_count: int,
        max_grad_norm: float,
    ) -> None:
        """Record the pass with a first `batch`, and the step; neither changes a parameter or the optimizer's state.

        An update consists of up to `pass_count` passes, and clips their summed gradients to `max_grad_norm`.
        `optimizer` is a fused AdamW. Raises RuntimeError when something can't be recorded.
        """
        self._pass = RecordedPass(model, batch)
        self._optimizer = optimizer
        self._accumulates = pass_count > 1
        self._gradients = [torch.zeros_like(g) if self._accumulates else g for g in self._pass.gradients]
        self._passes_done = 0
        # The graph reads the learning rates from these tensors. A plain number would be recorded as a constant.
        self._rates = [torch.tensor(group["lr"], device="cuda") for group in optimizer.param_groups]
        self._graph = torch.cuda.CUDAGraph()
        with self._recordable_optimizer():
            _warm_up(lambda: _update_unused_parameter(max_grad_norm), 1)
            with torch.cuda.graph(self._graph):
                self._norm = torch.nn.utils.clip_grad_norm_(self._pass.parameters, max_grad_norm)
                optimizer.step()

    def run_pass(self, batch: Mapping[str, Any]) -> Tensor:
        """Return the loss of `batch`, a scalar, and keep its gradients for the step. This doesn't wait for the GPU."""
        loss = self._pass(batch)
        if self._accumulates:
            add = torch._foreach_add_ if self._passes_done else torch._foreach_copy_
            add(self._gradients, self._pass.gradients)
        self._passes_done += 1
        return loss

    def step(self) -> Tensor:
        """Update the parameters with the gradients of the passes since the last step, and the optimizer's own rates.

        Returns the norm of the gradients before they were clipped, a scalar that the next step overwrites. This doesn't
        wait for the GPU.
        """
        for rate, group in zip(self._rates, self._optimizer.param_groups, strict=True):
            rate.fill_(group["lr"])
        self._graph.replay()
        self._passes_done = 0
        return self._norm

    @contextmanager
    def _recordable_optimizer(self) -> Iterator[None]:
        """Give the optimizer the recorded gradients, its state, and rates on the GPU, until the block ends."""
        groups = self._optimizer.param_groups
        rates = [group["lr"] for group in groups]
        for parameter, gradient in zip(self._pass.parameters, self._gradients, strict=True):
            parameter.grad = gradient
        try:
            if not self._optimizer.state:
                self._make_state()
            for group, rate in zip(groups, self._rates, strict=True):
                group["lr"], group["capturable"] = rate, True
            yield
        finally:
            for group, number in zip(groups, rates, strict=True):
                group["lr"], group["capturable"] = number, False
            for parameter in self._pass.parameters:
                parameter.grad = None

    def _make_state(self) -> None:
        """Make the optimizer allocate its state, by a step with gradients and rates of zero, which changes nothing."""
        torch._foreach_zero_(self._gradients)
        for group in self._optimizer.param_groups:
            group["lr"] = 0.0
        self._optimizer.step()
        for state in self._optimizer.state.values():
            state["step"].zero_()


def _warm_up(run: Callable[[], object], count: int) -> None:
    """Run on another stream, as PyTorch requires before a recording."""
    side_stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
    side_stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side_stream):
        for _ in range(count):
            run()
    torch.cuda.current_stream().wait_stream(side_stream)
    # The recording allocates from a pool of its own, so what the warm-up left in the common one is freed.
    torch.cuda.empty_cache()


def _update_unused_parameter(max_grad_norm: float) -> None:
    """Clip and update a parameter that no model uses. This loads the kernels, which is impossible in a recording."""
    parameter = nn.Parameter(torch.zeros(1, device="cuda"))
    parameter.grad = torch.zeros_like(parameter)
    torch.nn.utils.clip_grad_norm_([parameter], max_grad_norm)
    torch.optim.AdamW([parameter], lr=torch.zeros((), device="cuda"), fused=True, capturable=True).step()
