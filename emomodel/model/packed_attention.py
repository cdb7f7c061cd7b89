"""Attention for a row of several examples, on CUDA: no example attends to another, and no mask is made.

transformers calls an attention function that is registered under a name with the arguments of the model's caller, here
where each example starts. PyTorch's variable-length flash attention takes exactly that, so its work grows with the
lengths of the examples; with a mask over the row it would grow with the length of the row. Heads that are too large for
it, as those of Gemma 4's full attention, get PyTorch's memory-efficient attention, which takes the same.
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
_MAX_FLASH_HEAD_SIZE = 256
# What the flash attention kernel takes. Gemma 3n has float32 queries where Unsloth has loaded it.
_FLASH_DTYPES = (torch.float16, torch.bfloat16)
# PyTorch's number for a causal mask within each example, in its memory-efficient attention.
_CAUSAL_FROM_TOP_LEFT = 1
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
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    cu_seq_lens_q: Tensor,
    max_length_q: int,
    **_: Any,
) -> tuple[Tensor, None]:
    """Causal attention of `query` (B, heads, T, size) to `key` and `value` (B, groups, T, size): (B, T, heads, size).

    `cu_seq_lens_q` (P + 1,) int32 holds the start of each of P examples among the B * T tokens, and the end of the
    last; examples of no tokens are allowed. `max_length_q` is the maximum length of an example. A position attends to
    at most `sliding_window` tokens, including itself. The signature is that of transformers' attention functions.
    Raises NotImplementedError for soft-capped scores (Gemma 2) and attention sinks (gpt-oss), which no kernel here has.
    """
    if softcap is not None or s_aux is not None:
        raise NotImplementedError("attention with soft-capped scores or sinks can't be packed without a mask")
    batch, _heads, length, size = query.shape
    queries, keys, values = (tensor.transpose(1, 2).reshape(batch * length, -1, size) for tensor in (query, key, value))
    if _TAKES_GROUPS and size <= _MAX_FLASH_HEAD_SIZE:
        options: dict[str, Any] = {"enable_gqa": True}
    else:
        options = {}
        groups = query.shape[1] // key.shape[1]
        keys, values = keys.repeat_interleave(groups, dim=1), values.repeat_interleave(groups, dim=1)
    if size > _MAX_FLASH_HEAD_SIZE:
        output = _attend_with_large_heads(queries, keys, values, cu_seq_lens_q, max_length_q, scaling)
        return output.view(batch, length, -1, size), None
    dtype = query.dtype if query.dtype in _FLASH_DTYPES else torch.bfloat16
    flash: Tensor = varlen_attn(  # type: ignore[assignment]  # a tuple only where return_aux asks for more
        queries.to(dtype),
        keys.to(dtype),
        values.to(dtype),
        cu_seq_lens_q,
        cu_seq_lens_q,
        max_length_q,
        max_length_q,
        scale=scaling,
        window_size=_CAUSAL if sliding_window is None else (sliding_window - 1, 0),
        **options,
    )
    return flash.view(batch, length, -1, size).to(query.dtype), None


def _attend_with_large_heads(
    queries: Tensor, keys: Tensor, values: Tensor, starts: Tensor, longest: int, scaling: float | None
) -> Tensor:
    """Causal attention within examples, of tensors (tokens, heads, size), without a sliding window."""
    rows = (tensor.unsqueeze(0) for tensor in (queries, keys, values))
    # No bias, and no dropout; the sums of exponentials are for the backward pass.
    output, *_ = torch.ops.aten._efficient_attention_forward(  # noqa: SLF001 - PyTorch's nested tensors use it
        *rows, None, starts, starts, longest, longest, 0.0, _CAUSAL_FROM_TOP_LEFT, True, scale=scaling
    )
    attended: Tensor = output
    return attended


@contextmanager
def packed_attention(model: Any) -> Iterator[None]:
    """Make `model` use `attend_within_examples`; every call of it then has to pass cu_seq_lens_q and max_length_q.

    Raises RuntimeError when transformers doesn't take the attention.
    """
    # transformers makes no mask, since no mask function is registered under this name.
    AttentionInterface.register(ATTENTION_NAME, attend_within_examples)
    before = _get_attention(model)
    model.set_attn_implementation(ATTENTION_NAME)
    try:
        if _get_attention(model) != ATTENTION_NAME:
            # It only logs that. All examples of a row would attend to each other.
            raise RuntimeError(f"transformers can't set the attention of {type(model).__name__}")
        yield
    finally:
        model.set_attn_implementation(before)


def _get_attention(model: Any) -> str:
    # The layers of a model of text and images read it in the config of its text.
    name: str = model.config.get_text_config()._attn_implementation  # noqa: SLF001 - transformers has no other way
    return name


def has_packed_attention(model: Any) -> bool:
    """Whether this machine's GPU has attention for packed rows, for all layers of `model` in 16 bits."""
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < FLASH_CAPABILITY:
        return False
    layers = [layer for layer in model.get_decoder().modules() if isinstance(getattr(layer, "head_dim", None), int)]
    # The backward pass of the memory-efficient attention leaves a sliding window out.
    return all(
        layer.head_dim <= _MAX_FLASH_HEAD_SIZE or getattr(layer, "sliding_window", None) is None for layer in layers
    )
