"""Attention for a row of several examples, on CUDA: no example attends to another, and no mask is made.

transformers calls an attention function that is registered under a name with the arguments of the model's caller, here
where each example starts. PyTorch's variable-length flash attention takes exactly that, so its work grows with the
lengths of the examples; with a mask over the row it would grow with the length of the row.
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
# The window of flash attention, (left, right): no limit to the left, and no token to the right. PyTorch
# recognises causal attention by this pair.
_CAUSAL = (-1, 0)
# The limit of the flash attention kernel.
_MAX_HEAD_SIZE = 256
# From PyTorch 2.12 on the kernel takes grouped keys and values without repeating them.
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
    """Causal attention of `query` (B, heads, T, size) to `key` and `value` (B, groups, T, size): (B, T, heads, size).

    `cu_seq_lens_q` (P + 1,) int32 holds the start of each of P examples among the B * T tokens, and the end of the
    last; examples of no tokens are allowed. `max_length_q` is the maximum length of an example. A position attends to
    at most `sliding_window` tokens, including itself. The signature is that of transformers' attention functions.
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
    """Make `model` use `attend_within_examples`; every call of it then has to pass cu_seq_lens_q and max_length_q."""
    # transformers makes no mask, since no mask function is registered under this name.
    AttentionInterface.register(ATTENTION_NAME, attend_within_examples)
    before = model.config._attn_implementation  # noqa: SLF001 - transformers offers no other way to read it
    model.set_attn_implementation(ATTENTION_NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def has_flash_attention(head_size: int) -> bool:
    """Whether this machine's GPU has flash attention for heads of `head_size`, in 16 bits."""
    return (
        torch.cuda.is_available()
        and torch.cuda.get_device_capability() >= FLASH_CAPABILITY
        and head_size <= _MAX_HEAD_SIZE
    )
