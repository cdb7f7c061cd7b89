"""Makes training on CUDA several times faster than plain transformers, with the same result.

- Examples are packed, and attention needs no mask (emomodel.model.packed_attention).
- The loss of the head is computed in chunks, and only where labels are (emomodel.model.head_loss).
- Each decoder layer is compiled. All layers of one kind have the same code, which is compiled once.
- A pass is replayed as one CUDA graph (emomodel.training.cuda_graph), since all batches have one shape.

It works with causal models of transformers that pass the arguments of their caller on to their layers: Gemma 3, Llama,
Qwen and most others. Unsloth has kernels and compiled layers of its own, so with Unsloth only the packing is used.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from peft.helpers import disable_input_dtype_casting

from emomodel.batches.collator import find_target_positions
from emomodel.config import TrainConfig
from emomodel.model.packed_attention import has_flash_attention, packed_attention
from emomodel.model.wrapper import EmotionalGemmaUnslothWrapper

# A few tokens show whether two computations of the loss agree up to the rounding of 16 bits. With a tolerance of 1 % a
# model that scales its logits by 0.98 is recognised.
_PROBE_TOKENS = 16
_PROBE_TOLERANCE = 0.01
# A layer is compiled for each kind of layer, with and without gradients. This is far more than a model needs; beyond
# PyTorch's own limit, which is 8, a layer would silently run uncompiled.
_RECOMPILE_LIMIT = 64
# The fraction of a layer's activations that the compiler may keep for the backward pass. With anything from 0.8 to just
# under 1 it recomputes those that take no matrix product and no attention (the norms, the product of gate and up), a
# third of them. On an H200 that brought the peak of 8 rows of 1,024 tokens from 15.8 to 11.5 GiB (Unsloth: 15.2),
# and that of 800 short chats from 55.1 to 39.0, at 1 % of the speed of the latter (docs/performance.md).
_ACTIVATION_BUDGET = 0.9


def fits_acceleration(wrapper: EmotionalGemmaUnslothWrapper, config: TrainConfig, *, with_unsloth: bool) -> bool:
    """Whether `config`, this machine and the loaded model allow everything that this module's docstring lists."""
    if config.acceleration == "off" or with_unsloth or not torch.cuda.is_available():
        return False
    text_config: Any = wrapper.model.config.get_text_config()
    head_size = getattr(text_config, "head_dim", None) or text_config.hidden_size // text_config.num_attention_heads
    is_16_bit = wrapper.get_head_weight().dtype == torch.bfloat16
    return is_16_bit and has_flash_attention(head_size) and head_is_plain(wrapper)


@torch.no_grad()
def head_is_plain(wrapper: EmotionalGemmaUnslothWrapper) -> bool:
    """Whether the base model's logits are the product with the head's weight, soft-capped or not, and nothing else.

    Some models scale the logits or add a bias. They are recognised by their loss on a few tokens.
    """
    vocabulary = wrapper.get_head_weight().shape[0]
    # Any tokens will do; these are spread over the vocabulary.
    ids = torch.arange(_PROBE_TOKENS, device=wrapper.device).unsqueeze(0) * (vocabulary // _PROBE_TOKENS)
    batch = {"input_ids": ids, "labels": ids, "target_positions": find_target_positions(ids)}
    own = wrapper(**batch).loss
    wrapper.has_fused_head = True
    try:
        fused = wrapper(**batch).loss
    finally:
        wrapper.has_fused_head = False
    return torch.allclose(own.float(), fused, rtol=_PROBE_TOLERANCE)


@contextmanager
def accelerated(wrapper: EmotionalGemmaUnslothWrapper, peft_model: Any) -> Iterator[None]:
    """Compile the layers of `wrapper`, which takes only packed batches with marked pieces until the block ends."""
    # Imported here, since the compiler takes seconds to import and nothing else needs it.
    from torch._dynamo import config as compiler_config
    from torch._functorch import config as partitioner_config

    compiler_config.recompile_limit = _RECOMPILE_LIMIT
    partitioner_config.activation_memory_budget = _ACTIVATION_BUDGET
    layers = list(wrapper.model.get_decoder().layers)
    with ExitStack() as stack:
        stack.enter_context(packed_attention(wrapper.model))
        # The adapter's weights are float32, and autocast computes its matrix products in 16 bits. PEFT would cast their
        # inputs to float32, which autocast would only undo.
        stack.enter_context(disable_input_dtype_casting(peft_model))
        for layer in layers:
            layer.compile(dynamic=False)
        wrapper.has_fused_head = wrapper.compiles_head = True
        try:
            yield
        finally:
            wrapper.has_fused_head = wrapper.compiles_head = False
            for layer in layers:
                layer._compiled_call_impl = None  # noqa: SLF001 - PyTorch has no public way back
