"""frozen_head_loss: the loss of a frozen head over a large vocabulary, computed for a few positions at a time.

The logits of a batch over Gemma's 262,144 tokens are many times as large as everything else that a step keeps. The
head is frozen, so the backward pass needs only the gradient of the hidden states, and that can be computed together
with the loss, chunk by chunk.
"""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from emomodel.samples.dataset import IGNORED_LABEL

# Bytes of the logits of a chunk, which are 512 positions of Gemma in 16 bits. Their gradient takes as much again.
CHUNK_BYTES = 256 << 20

ChunkLoss = Callable[[Tensor, Tensor, float | None], tuple[Tensor, Tensor]]


def frozen_head_loss(
    hidden: Tensor,
    head_weight: Tensor,
    targets: Tensor,
    *,
    softcap: float | None,
    compiled: bool,
    chunk_bytes: int = CHUNK_BYTES,
) -> Tensor:
    """Return the sum of the cross entropies of `hidden` (N, size) through `head_weight` (vocabulary, size), in nats.

    The sum is a float32 scalar. `targets` (N,) int64 are the right tokens; those that are IGNORED_LABEL count 0.
    `softcap` is the base model's final_logit_softcapping, if it has one. `compiled` has torch.compile fuse the passes
    over a chunk's logits. No gradient of `head_weight` is computed.
    """
    chunk_loss = _compile_loss_and_gradient() if compiled else _loss_and_gradient
    apply: Callable[..., Tensor] = _FrozenHeadLoss.apply
    rows = max(chunk_bytes // (head_weight.shape[0] * head_weight.element_size()), 1)
    return apply(hidden, head_weight, targets, softcap, chunk_loss, rows)


class _FrozenHeadLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx,
        hidden: Tensor,
        head_weight: Tensor,
        targets: Tensor,
        softcap: float | None,
        chunk_loss: ChunkLoss,
        rows: int,
    ) -> Tensor:
        hidden = hidden.to(head_weight.dtype)
        gradient = torch.empty_like(hidden)
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        for start in range(0, hidden.shape[0], rows):
            part = slice(start, start + rows)
            logits = hidden[part] @ head_weight.T
            loss, logits_gradient = chunk_loss(logits, targets[part], softcap)
            total += loss
            torch.mm(logits_gradient, head_weight, out=gradient[part])
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * gradients[0].to(gradient.dtype), None, None, None, None, None


def _loss_and_gradient(logits: Tensor, targets: Tensor, softcap: float | None) -> tuple[Tensor, Tensor]:
    """The sum of the losses, float32, and its gradient (n, vocabulary) in the type of `logits`; computed in float32."""
    scores = logits.float()
    slope: Tensor | None = None
    if softcap is not None:
        squashed = torch.tanh(scores / softcap)
        scores, slope = softcap * squashed, 1 - squashed * squashed
    counts = (targets != IGNORED_LABEL).unsqueeze(1)
    own = targets.clamp(min=0).unsqueeze(1)
    normaliser = scores.logsumexp(dim=1, keepdim=True)
    losses = (normaliser - scores.gather(1, own)) * counts
    is_own = torch.arange(logits.shape[1], device=logits.device).unsqueeze(0) == own
    gradient = ((scores - normaliser).exp() - is_own.to(scores.dtype)) * counts
    if slope is not None:
        gradient = gradient * slope
    return losses.sum(), gradient.to(logits.dtype)


@functools.cache
def _compile_loss_and_gradient() -> ChunkLoss:
    return torch.compile(_loss_and_gradient, dynamic=False)
