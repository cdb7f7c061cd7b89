"""Linear layers on nf4 weights through Unsloth's kernel, which decodes double-quantised weights in one pass.

bitsandbytes takes three kernels to decode a weight, of which each forward and each backward pass of a layer needs one.
The numbers are the same, bit for bit.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


def has_nf4_kernel() -> bool:
    """Whether Unsloth has been imported, with its kernel for this machine."""
    return hasattr(torch.ops.unsloth, "dequantize_nf4")


@contextmanager
def decoding_nf4_with_unsloth() -> Iterator[None]:
    """Make all layers of bitsandbytes with nf4 weights use Unsloth's kernel until the block ends."""
    from bitsandbytes.nn import Linear4bit

    before = Linear4bit.forward
    # PyTorch leaves `apply` untyped.
    multiply: Callable[[Tensor, Tensor, Any], Tensor] = _Nf4Linear.apply

    def forward(self: Any, x: Tensor) -> Tensor:
        state = self.weight.quant_state
        if state.quant_type != "nf4" or self.weight.dtype != torch.uint8 or self.bias is not None:
            result: Tensor = before(self, x)
            return result
        return multiply(x.to(state.dtype), self.weight, state).to(x.dtype)

    Linear4bit.forward = forward
    try:
        yield
    finally:
        Linear4bit.forward = before


class _Nf4Linear(torch.autograd.Function):
    """x (..., in) times the transposed weight (out, in), which gets no gradient: (..., out)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, state: Any) -> Tensor:
        ctx.quantised = weight, state
        return linear(x, _decode(weight, state))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        # The weight is decoded again: all decoded weights together would take four times the memory of the model.
        return gradients[0] @ _decode(*ctx.quantised), None, None


def _decode(weight: Tensor, state: Any) -> Tensor:
    """The weight (out, in) of a QuantState of bitsandbytes, in the type that it had before it was quantised."""
    inner = state.state2 if state.nested else None
    decoded: Tensor = torch.ops.unsloth.dequantize_nf4(
        weight,
        state.absmax,
        inner.code if inner else None,
        inner.absmax if inner else None,
        state.offset,
        state.code,
        state.blocksize,
        inner.blocksize if inner else state.blocksize,
        list(state.shape),
        state.dtype,
    )
    return decoded
