"""Attention over examples that lie one after the other in a row, on CUDA: none sees another, and no mask is made.

transformers lets an attention function be registered under a name and passes it what the model's caller gave, here
where each example begins. PyTorch's variable-length flash attention takes just that, so its work grows with the
examples' lengths, where a mask over the whole row would make it grow with the row's.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface

from emomodel.model.backend import FLASH_CAPABILITY

ATTENTION_NAME = "emotune_packed"
# No limit to the left, none of the tokens to the right.
_CAUSAL = (-1, 0)
# The kernel's own limit.
_MAX_HEAD_SIZE = 256
# PyTorch 2.12 takes grouped keys and values as they are.
_TAKES_GROUPS = "enable_gqa" in inspect.signature(varlen_attn).parameters


def attend_within_examples(
    _module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    _attention_mask: Tensor | None,
    *,
    scaling: float | None = None,
    sliding_window: int | None = None,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention of `query` (B, heads, T, size) on `key` and `value` (B, groups, T, size): (B, T, heads, size).

    `cu_seq_lens_q` int32 holds where each example begins among the B * T tokens, and the end of the last; examples of
    no tokens are allowed. `max_length_q` is the longest. A position sees at most `sliding_window` tokens, itself too.
    """
    batch, _heads, length, size = query.shape
    queries, keys, values = (tensor.transpose(1, 2).reshape(batch * length, -1, size) for tensor in (query, key, value))
    options: dict[str, Any] = {}
    if _TAKES_GROUPS:
        options["enable_gqa"] = True
    else:
        groups = query.shape[1] // key.shape[1]
        keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
    output: Tensor = varlen_attn(  # type: ignore[assignment]  # a tuple only where return_aux asks for more
        queries,
        keys,
        values,
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=_CAUSAL if sliding_window is None else (sliding_window - 1, 0),
        **options,
    )
    return output.view(batch, length, -1, size), None


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Within, `model` attends by `attend_within_examples`; each of its calls has to say where the examples begin."""
    # No mask function goes with the name: transformers then makes no mask at all.
    AttentionInterface.register(ATTENTION_NAME, attend_within_examples)
    before = model.config._attn_implementation  # noqa: SLF001 - transformers offers no other way to read it
    model.set_attn_implementation(ATTENTION_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def has_flash_attention(head_size: int) -> bool:
    """Whether this machine's GPU and PyTorch have the kernel for heads of `head_size`, in 16 bits."""
    return (
        torch.cuda.is_available()
        and torch.cuda.get_device_capability() >= FLASH_CAPABILITY
        and head_size <= _MAX_HEAD_SIZE
    )
